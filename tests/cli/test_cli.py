"""Every verb through the command line, on a small table and small pictures: what is said, where, and with which exit code."""

import io
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from shell import thuja, write_table

from thuja.apps import TASKS
from thuja.cli import COMMANDS
from thuja.run import Run

STEP = re.compile(r"step \d+/\d+  loss \d\.\d{3}(  accuracy \d\.\d{4})?  \d+ rows/s  [\d.]+ s left")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def spec(home: Path) -> Path:
    """A spec that `thuja init` has written here."""
    write_table(Path("people.csv"))
    assert thuja("init", "people.csv", "--target", "bought").code == 0
    return Path("thuja.yaml")


def rows(out: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.splitlines()]


def test_help_lists_every_verb():
    said = thuja("--help")
    assert (said.code, said.err) == (0, "")
    listed = re.findall(r"^  ([a-z]+)  ", said.out.partition("Commands:")[2], re.MULTILINE)
    assert listed == list(COMMANDS) == ["init", "check", "train", "evaluate", "explain", "runs", "export", "verify", "predict", "serve", "age",
                                        "deploy", "retrain", "challenge", "promote", "rollback", "retire", "label", "drill", "timeline", "replay", "watch",
                                        "demo", "schema"]


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_verb_has_help(verb: str):
    said = thuja(verb, "--help")
    assert (said.code, said.err) == (0, "") and said.out.startswith(f"Usage: thuja {verb} [OPTIONS]")


def test_version():
    assert thuja("--version") == (0, "thuja, version 0.1.0\n", "")


def test_did_you_mean_a_command():
    assert thuja("tarin") == (2, "", "thuja: expected a command, found 'tarin'. Did you mean 'train'?\n")


def test_an_option_that_is_none():
    said = thuja("train", "--step", "5")
    assert (said.code, said.out) == (2, "") and said.err.splitlines()[0] == "Usage: thuja train [OPTIONS] [SPEC]"
    assert said.err.splitlines()[-1].startswith("Error: No such option '--step'")


def test_a_value_without_its_option():
    said = thuja("train", "thuja.yaml", "train.steps=80")
    assert said.code == 2 and said.err.splitlines()[-1] == "To change a value of the spec, write --set before it: --set train.steps=500."


def test_age_says_how_models_fared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("THUJA_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    rows = [f"{a:.3f},{b:.3f},{'yes' if a * np.cos(t / 500) + b * np.sin(t / 500) > 0 else 'no'}" for t, (a, b) in enumerate(rng.normal(size=(900, 2)))]
    (tmp_path / "rows.csv").write_text("\n".join(["a,b,up", *rows]), "utf-8")
    (tmp_path / "thuja.yaml").write_text(
        "thuja: 1\ntask: {kind: table, target: up, problem: binary, numbers: [a, b], categories: []}\n"
        "data: {path: rows.csv, split: {kind: order}}\ntrain: {steps: 40, batch: 64, threads: 1}\n", "utf-8")
    said = thuja("age", str(tmp_path / "thuja.yaml"), "--cuts", "3", "--windows", "6", "--margin", "0.1")
    assert said.code == 0, said.err
    assert said.err.count("in its first window") == 3
    assert "Loss by age, in windows of 105 rows" in said.out and "90 % interval" in said.out
    assert "of 3 models became worse by 0.1 for good" in said.out and "Cheapest rhythm:" in said.out


def test_our_mistakes_are_called_ours(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Run, "all", lambda root: 1 / 0)
    said = thuja("runs")
    assert said.code == 70
    assert said.err.splitlines()[-2:] == ["ZeroDivisionError: division by zero",
                                          "thuja: this is our mistake, not yours. Please report it with the lines above."]


def test_ctrl_c(monkeypatch: pytest.MonkeyPatch):
    def pressed(root: Path) -> None:  # a signal would not do: a shell's background job ignores this one
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "all", pressed)
    assert thuja("runs") == (130, "", "\nstopped\n")


def test_init_says_what_it_found_and_does_not_overwrite():
    write_table(Path("people.csv"))
    assert thuja("init", "people.csv", "--target", "bought") == (0, """\
120 rows with 3 columns.
Target: 'bought', as asked.
Problem: binary, because 'bought' has two values.
1 columns of numbers, 1 of categories.
Split: hash, because the rows have no time, group or given part; by hash, equal rows land together and adding rows moves none.

Wrote thuja.yaml. Read it, change what you like, then: thuja check thuja.yaml
""", "")
    assert thuja("init", "people.csv") == (
        2, "", "thuja.yaml: expected no spec there yet, found one. Give another name with --out, or overwrite it with --force.\n")
    assert thuja("init", "people.csv", "--force").code == 0


def test_check_passes(spec: Path):
    assert thuja("check") == (0, "120 rows: 81 train, 14 validation, 25 test\n\nNothing stands in the way of training.\n", "")
    assert thuja("check", "--json") == (0, "[]\n", "")


def test_check_blocks_and_training_does_too(home: Path):
    lines = write_table(Path("people.csv")).read_text("utf-8").splitlines()
    Path("people.csv").write_text("\n".join([f"{lines[0]},paid", *(f"{line},{20.5 if line.endswith('yes') else 0}" for line in lines[1:])]) + "\n")
    Path("thuja.yaml").write_text("task: {kind: table, target: bought}\ndata: {path: people.csv}\n")
    message = "'paid' alone predicts 'bought' with balanced accuracy 1.000 on rows not seen"
    fix = "Leave 'paid' out if it is not known when a prediction is made; if it is, a model is hardly needed: waive this."
    said = thuja("check")
    assert f"block: target-proxy (11 rows)\n  {message}.\n  {fix}\n" in said.out
    assert (said.code, said.err) == (4, "check: expected nothing that blocks training, found target-proxy. "
                                        "Resolve them, or accept one on purpose: check: {waive: {target-proxy: why}} in the spec.\n")
    assert thuja("train") == (4, "", f"check: target-proxy: expected nothing that blocks training, found {message}. {fix} "
                                     "Or accept it on purpose: `check: {waive: {target-proxy: why}}` in the spec.\n")
    assert not Path("runs").exists()


def test_explain_says_why(spec: Path):
    said = thuja("explain", "--set", "train.steps=7")
    assert (said.code, said.err) == (0, "")
    assert re.search(r"^train\.steps +7 +typed in the spec$", said.out, re.MULTILINE)
    assert re.search(r"^train\.batch +16 +about 1/64 of 81 rows", said.out, re.MULTILINE)
    assert re.search(r"^[\d,]+ parameters \([\d,]+ trained\), [\d,]+ FLOPs for one example forward\.$", said.out.splitlines()[-1])


def test_train_without_a_terminal_and_go_on_from_there(spec: Path):
    said = thuja("train", "--set", "train.steps=3", "--set", "train.watch=false")
    assert (said.code, said.out) == (0, "Trained: runs/0001. Next: thuja evaluate runs/0001\n")
    lines = said.err.splitlines()
    assert lines and all(STEP.fullmatch(line) for line in lines) and lines[-1].startswith("step 3/3 "), lines
    before = {path: path.read_bytes() for path in Path("runs").rglob("*") if path.is_file()}
    assert thuja("train", "--resume", "runs/0001") == (0, "Trained: runs/0001. Next: thuja evaluate runs/0001\n", "")
    assert before == {path: path.read_bytes() for path in Path("runs").rglob("*") if path.is_file()}, "a finished run is left as it is"


def test_resume_of_a_run_that_is_not_there():
    assert thuja("train", "--resume", "runs/0009") == (
        6, "", "runs/0009: expected the folder of a run, found no such folder. List runs with `thuja runs`.\n")


def test_evaluate_shows_the_baseline_beside(people: Path):
    run = shutil.copytree(people, Path("runs/0001"))
    said = thuja("evaluate")
    assert (said.code, said.err) == (0, "evaluating runs/0001\n")
    first, *table = said.out.splitlines()
    assert re.split(r"  +", first) == ["metric", "network", "95 % interval", "gradient boosting (LightGBM, 96 trees)", "difference"]
    assert re.fullmatch(r"Accuracy +[\d.]+ %  [\d.]+ to [\d.]+ % .*points.*", table[0])
    assert table[-1] == "Report: runs/0001/report.html. Next: thuja export runs/0001" and (run / "report.html").is_file()


def test_runs_are_listed(people: Path):
    assert thuja("runs") == (0, "No runs in runs yet. Start one with: thuja train\n", "")
    said = thuja("runs", "--runs", people.parent)
    assert (said.code, said.err) == (0, "")
    head, line = said.out.splitlines()
    assert head.split() == ["run", "began", "task", "steps", "metric", "validation"]
    assert re.fullmatch(r"0001  \d{4}-\d\d-\d\d \d\d:\d\d  table +2/2  accuracy +\d\.\d{4}", line)


@pytest.mark.parametrize("verb", ["evaluate", "export"])
def test_without_a_run(verb: str):
    assert thuja(verb) == (6, "", "runs/0001: expected the folder of a run, found no such folder. List runs with `thuja runs`.\n")


def test_verify(people: Path):
    said = thuja("verify", people / "artifact", hide=people)
    assert (said.code, said.err) == (0, "")
    artifact, server, last = said.out.splitlines()
    assert artifact.startswith("artifact: ") and server.startswith("server: ") and last == "~/artifact: verified"


def test_predict_a_table_a_line_and_what_is_not_there(people: Path):
    write_table(Path("people.csv"), 5)
    said = thuja("predict", people / "artifact", "people.csv")
    assert (said.code, said.err) == (0, "")
    answers = rows(said.out)
    assert [answer["row"] for answer in answers] == [f"people.csv:{i}" for i in range(1, 6)]
    assert set(answers[0]) == {"row", "label", "probability", "probabilities"}
    age, city, _ = Path("people.csv").read_text().splitlines()[1].split(",")
    piped = thuja("predict", people / "artifact", "-", stdin=json.dumps({"age": float(age), "city": city}))
    (answer,) = rows(piped.out)
    assert piped.code == 0 and answer["label"] == answers[0]["label"] and answer["probability"] == pytest.approx(answers[0]["probability"], abs=1e-6)
    written = thuja("predict", people / "artifact", "people.csv", "--out", "new/answers.jsonl")
    assert written == (0, "", "") and Path("new/answers.jsonl").read_text() == said.out
    assert thuja("predict", people / "artifact", "nope.csv") == (3, "", "nope.csv: expected a file or folder, found nothing there. Check the path.\n")


def test_predict_plain_lines_of_text(texts: Path):
    said = thuja("predict", texts / "artifact", stdin="lovely film\n\n{\"sentence\": \"dull\"}\n")
    assert (said.code, said.err) == (0, "") and [answer["row"] for answer in rows(said.out)] == ["1", "2", "3"]
    assert {str(answer["label"]) for answer in rows(said.out)} <= {"good", "bad"}


def test_predict_a_folder_with_a_broken_picture(pictures: Path, home: Path):
    shutil.copytree(home / "shades" / "dark", "mixed")
    Path("mixed/broken.png").write_bytes(Path("mixed/0.png").read_bytes()[:60])
    said = thuja("predict", pictures / "artifact", "mixed")
    assert (said.code, said.err) == (0, '1 of 21 rows could not be read; each has an "error" in its answer\n')
    answers = {str(answer["row"]): answer for answer in rows(said.out)}
    assert answers.pop("mixed/broken.png")["error"] == (
        "image: expected a whole picture, found a truncated or damaged file. Save the file again, or leave it out.")
    assert len(answers) == 20 and all(set(answer) == {"row", "label", "probability", "probabilities"} for answer in answers.values())


def test_schema_is_a_json_schema_of_every_application():
    said = thuja("schema")
    schema = json.loads(said.out)
    assert (said.code, said.err, schema["$schema"]) == (0, "", "https://json-schema.org/draft/2020-12/schema")
    assert set(schema["properties"]["task"]["discriminator"]["mapping"]) == set(TASKS)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("colour", [True, False])
def test_no_color_is_obeyed(monkeypatch: pytest.MonkeyPatch, colour: bool):
    from thuja.cli.terminal import heading

    monkeypatch.setenv("NO_COLOR", "1")
    if colour:
        monkeypatch.delenv("NO_COLOR")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    heading("Choices")
    assert terminal.getvalue() == ("\x1b[1mChoices\x1b[0m\n" if colour else "Choices\n")


def test_predict_takes_a_row_without_a_cell_that_may_be_missing(people: Path) -> None:
    """As the server does: every input of a table may be missing."""
    whole, part = (thuja("predict", people / "artifact", stdin=json.dumps(row)) for row in ({"age": 50.0, "city": None}, {"age": 50.0}))
    assert part.code == 0
    assert part.out == whole.out


def test_a_package_that_is_missing_is_named_with_what_to_type(people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("No module named 'pyarrow'", name="pyarrow")

    monkeypatch.setattr("thuja.verbs.predict.open_source", absent)
    said = thuja("predict", people / "artifact", write_table(tmp_path / "a.csv"))
    assert said == (10, "", "import pyarrow: expected an installed package, found none. Install it: pip install pyarrow\n")
