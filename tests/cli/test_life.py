"""A deployment's whole life through the command line: what is said, with which exit code, and what one thing typed wrong answers."""

import json
import re
from pathlib import Path

import pytest
from shell import thuja, write_table

from thuja.life.calls import Call
from thuja.life.deployment import Deployment

WAIVED = ["--waive", "checks=a test", "--waive", "metrics=a test", "--waive", "card=a test"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("THUJA_BY", "ada")


@pytest.fixture
def shop(people: Path) -> str:
    """A deployment of the table, made by a command."""
    said = thuja("deploy", people, "shop", *WAIVED)
    assert said == (0, "Version 1 answers in shop. Next: thuja serve shop\n", "")
    return "shop"


def answered(count: int = 3) -> list[str]:
    """The names of some answers that were given."""
    deployment = Deployment.open(Path("shop"))
    now = deployment.clock()
    names = [deployment.calls.new_id(now) for _ in range(count)]
    deployment.calls.add([Call(name, now - 1, "1", {"age": 40.0, "city": "Bonn"}, {"label": "yes", "probability": 0.9}, 1.0, 1.0) for name in names])
    return names


def test_a_shut_gate_names_all_that_are_shut(people: Path) -> None:
    said = thuja("deploy", people, "shop")
    assert said.code == 11 and said.out == "" and not Path("shop").exists()
    assert "expected passed: checks, metrics, card, found checks: the data checks did not run; metrics: not evaluated" in said.err
    assert said.err.endswith("Mend it, or waive it with a reason: --waive checks=why.\n")


@pytest.mark.parametrize(("arguments", "code", "words"), [
    (("deploy", "nowhere", "shop"), 6, "nowhere: expected an artefact folder, found nothing there"),
    (("timeline", "nowhere"), 11, "nowhere: expected the folder of a deployment, found no such folder. Make one with `thuja deploy ARTEFACT`."),
    (("challenge", "shop", "2"), 11, "version: expected a version of this deployment, found '2'. Did you mean '1'?|Choose from: 1."),
    (("challenge", "shop", "1"), 11, "expected a step from CHAMPION"),
    (("promote", "shop"), 11, "promote: expected a challenger, found none. Put one beside the champion with `thuja challenge`."),
    (("promote", "shop", "--waive", "latncy=x"), 11, "Did you mean 'latency'"),
    (("promote", "shop", "--waive", "latency"), 11, "expected GATE=WHY, found 'latency'"),
    (("rollback", "shop"), 2, "Missing option '--why'"),
    (("rollback", "shop", "--why", "bad"), 11, "rollback: expected a champion and one before it"),
    (("retire", "shop"), 11, "thuja retire: expected a version, or --end, found neither"),
    (("retire", "shop", "1"), 11, "version 1: expected one that does not answer, found CHAMPION"),
    (("retire", "shop", "--end"), 11, "retire --end: expected a reason, found nothing. Say why"),
    (("retrain", "shop", "--warm"), 11, "retrain --warm: expected a kind of task that can go on from another run, found 'table'"),
    (("retrain", "shop", "--traffic"), 11, "expected kept requests with their rows (record.inputs: full), found summary"),
    (("retrain", "shop", "--data", "gone.csv"), 3, "expected a folder or a file, found nothing at"),
    (("label", "shop", "gone.csv"), 3, "gone.csv: expected a file with labels, found nothing there"),
    (("label", "shop", "truth.csv", "--by-input", "agee"), 11, "--by-input: expected an input of the model, found 'agee'. Did you mean 'age'?"),
    (("timeline", "shop", "--version", "7"), 11, "version: expected a version of this deployment, found '7'"),
])
def test_what_is_typed_wrong(shop: str, arguments: tuple[str, ...], code: int, words: str) -> None:
    Path("truth.csv").write_text("agee,label\n3,yes\n")
    said = thuja(*arguments)
    assert said.code == code, said.err
    assert any(one in said.err for one in words.split("|")), said.err


def test_labels_from_a_file(shop: str) -> None:
    first, second, _ = answered()
    Path("truth.csv").write_text(f"call,bought\n{first},yes\n{second},\nmade-up,no\n")
    said = thuja("label", shop, "truth.csv")
    assert said.code == 0 and said.err == "truth.csv:3: label.label: expected the true value, found nothing\n"
    assert said.out == ("1 labels kept; 1 lines wrong, 1 about answers that are not kept.\nFewer than half of the kept answers have a label so far.\n")
    Path("more.csv").write_text("call,bought\n" + "\n".join(f"{second},yes" if n == 0 else "," for n in range(30)) + "\n")
    said = thuja("label", shop, "more.csv")
    assert said.err.endswith("... and 9 more wrong lines\n") and "Half of them had a label within" in said.out


def test_a_drill_and_the_timeline(shop: str) -> None:
    said = thuja("drill", shop)
    assert said.code == 0 and "  2: CHAMPION -> ROLLED_BACK\n" in said.out
    assert re.search(r"A copy of version 1 was promoted and rolled back in a copy in \d+\.\d\d s; the same bits before and after on \d+ rows\.\n", said.out)
    answered()
    Path("truth.csv").write_text("call,bought\n")
    said = thuja("timeline", shop)
    assert said.code == 0 and all(len(line) <= 80 for line in said.out.splitlines())
    lines = said.out.splitlines()
    assert re.match(r"20\d\d-\d\d-\d\d \d\d:\d\d     1 version 1 added \(table\), by ada$", lines[0])
    assert "checks waived: a test" in " ".join(said.out.split())
    assert re.match(r"7 events in all; the chain of hashes holds, the last is [0-9a-f]{16}\.", lines[-1])
    plain = json.loads(thuja("timeline", shop, "--json").out)
    assert plain["whole"] and [event["kind"] for event in plain["events"]] == ["version", *["moved"] * 5, "drill"]


def test_a_changed_log_is_an_error(shop: str) -> None:
    log = Path("shop/ledger.log")
    lines = log.read_bytes().split(b"\n")
    log.write_bytes(b"\n".join([lines[0], lines[1].replace(b"ada", b"eve"), *lines[2:]]))  # in the last addition: it might have been a crash
    said = thuja("timeline", shop)
    assert said.code == 0 and re.search(r"Beware: the last [\d,]+ bytes of the log are half written or damaged, and left out\.\n1 events in all", said.out)
    log.write_bytes(b"\n".join([lines[0].replace(b"ada", b"eve"), *lines[1:]]))
    said = thuja("timeline", shop)
    assert said.code == 6 and "found damage after event 0" in said.err and said.out == ""
    assert thuja("timeline", shop, "--json").code == 6


def test_a_deployment_ends(shop: str) -> None:
    said = thuja("retire", shop, "--end", "--why", "the licence is over")
    assert said.code == 0 and said.out.startswith("Version 1 answered for 0 windows, without an alarm.")
    assert said.out.endswith("shop has ended: nobody answers.\n")
    assert Deployment.open(Path("shop")).standings().champion == ""
    assert thuja("retrain", shop).err.startswith("retrain: expected a champion whose spec is trained again, found nobody answers.")


@pytest.mark.slow
def test_a_retrained_version_is_challenged_promoted_taken_back_and_retired(shop: str, home: Path, people: Path) -> None:
    write_table(Path("newer.csv"), 200, seed=2)
    said = thuja("retrain", shop, "--data", "newer.csv", "--set", "train.steps=4")
    assert said.code == 0, said.err
    assert said.out.splitlines()[0].startswith("Learned from ") and "the champion may have learned from some of them." in said.out
    assert said.out.splitlines()[-1] == "Version 2 is in SHADOW beside version 1."
    assert thuja("rollback", shop, "--why", "wait").out == "Version 2 is now CANDIDATE. Version 1 answers.\n"
    assert thuja("challenge", shop, "2").out.startswith("Version 2 is in SHADOW.")
    assert thuja("promote", shop).code == 11
    said = thuja("promote", shop, *[text for gate in ("errors", "latency", "comparison") for text in ("--waive", f"{gate}=by hand")])
    assert said.out == "Version 2 answers now. Back again: thuja rollback shop --why ...\n", said.err
    assert thuja("rollback", shop, "--why", "worse").out == "Version 2 is now ROLLED_BACK. Version 1 answers.\n"
    assert thuja("retire", shop, "2").out == "Version 2 is retired.\n"
