"""The spec: read with lines, settled with reasons, written back whole; a typed value is never overruled."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thuja import spec as specs
from thuja.apps import TASKS
from thuja.apps.table.codec import TableCodec
from thuja.core.errors import SpecError
from thuja.settings import SGD, Train
from thuja.task import Facts

KINDS = ", ".join(sorted(TASKS))
TABLE = {"task": {"kind": "table", "target": "price"}}
CPU = Facts(rows=1000, cores=2, device="cpu", budget_s=None)
CODEC = TableCodec(target="price", problem="binary", numbers=(), categories=(), names=("no", "yes"), shares=(0.5, 0.5))


def message(path: Path, text: str, overrides: tuple[str, ...] = ()) -> str:
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        specs.read(path, overrides)
    return str(caught.value).replace(str(path), "thuja.yaml")


@pytest.mark.parametrize(("text", "expected"), [
    ("task: {kind: tabel, target: y}", "thuja.yaml:1 task.kind: expected a known kind of task, found 'tabel'. Did you mean 'table'?"),
    ("data: {path: x}", f"thuja.yaml task: expected a kind of task, found nothing. Write `kind:` and one of {KINDS}."),
    ("task:\n  kind: os.system\n  target: y", "thuja.yaml:2 task.kind: expected a known kind of task, found 'os.system'. "
     f"Choose from: {KINDS}."),
    ("task:\n  kind: table\n  target: y\n  tagret: z", "thuja.yaml:4 task.tagret: expected a known key, found 'tagret'. Did you mean 'target'?"),
    ("task: {kind: table, target: y}\ntrian: {}", "thuja.yaml:2 trian: expected a known key, found 'trian'. Did you mean 'train'?"),
    ("thuja: 2\ntask: {kind: table, target: y}", "thuja.yaml:1 thuja: expected 1, found 2. Change this value."),
])
def test_whole_messages(tmp_path: Path, text: str, expected: str) -> None:
    assert message(tmp_path / "thuja.yaml", text) == expected


def test_missing_and_undecodable_files(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        specs.read(tmp_path / "no.yaml")
    assert str(caught.value) == f"{tmp_path / 'no.yaml'}: expected a spec file, found nothing there. Write one with `thuja init DATA`."
    (tmp_path / "thuja.yaml").write_bytes(b"task: caf\xe9")
    with pytest.raises(SpecError) as caught:
        specs.read(tmp_path)
    assert str(caught.value) == f"{tmp_path / 'thuja.yaml'}, byte 9: expected UTF-8 text, found another encoding. Save the file as UTF-8."


@pytest.mark.parametrize("comments", [True, False])
def test_what_is_written_reads_back_equal(comments: bool) -> None:
    spec = specs.parse(TABLE | {"train": {"steps": 7, "optimizer": {"kind": "sgd", "learning_rate": 1e-5}}, "check": {"waive": {"duplicates": "no: harm"}}})
    assert specs.read_text(specs.dumps(spec, comments=comments)) == spec


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 10**6), st.floats(1e-9, 1e3), st.text(min_size=1, max_size=30).filter(lambda t: "$" not in t and "{" not in t))
def test_any_values_survive_yaml(steps: int, rate: float, path: str) -> None:
    spec = specs.parse(TABLE | {"train": {"steps": steps, "optimizer": {"kind": "adamw", "learning_rate": rate}}, "data": {"path": path}})
    assert specs.read_text(specs.dumps(spec)) == spec


def test_settling_fills_blanks_with_reasons_and_overrules_nothing() -> None:
    spec = specs.parse(TABLE | {"train": {"batch": 32, "optimizer": {"kind": "sgd"}, "epochs": 2, "schedule": "cosine"}})
    settled, reasons = specs.settle(spec, CODEC, CPU)
    assert settled.train.batch == 32
    assert settled.train.optimizer == SGD()
    assert settled.train.schedule == "cosine"
    assert settled.train.steps == round(2 * 1000 / 32)
    assert "auto" not in [getattr(settled.train, name) for name in type(settled.train).model_fields]
    assert reasons["train.batch"].reason == "typed in the spec"
    assert reasons["train.steps"].reason == "2 epochs of 1000 rows in batches of 32"
    assert all(choice.reason for choice in reasons.values())
    assert specs.settle(settled, CODEC, CPU)[0] == settled


def test_a_budget_alone_leaves_the_steps_to_be_timed() -> None:
    settled, _ = specs.settle(specs.parse(TABLE | {"train": {"budget": "60s", "batch": 64}}), CODEC, CPU._replace(budget_s=60.0))
    assert settled.train.steps == "auto"
    assert settled.train.budget == 60


def test_schema_for_editors_knows_every_kind() -> None:
    text = json.dumps(specs.json_schema())
    for kind in ("image-classification", "text-classification", "table", "muon", "trapezoid"):
        assert f'"{kind}"' in text


def test_the_plain_choices_of_what_a_longer_run_measures() -> None:
    settled, _ = specs.settle(specs.parse(TABLE), CODEC, CPU)
    assert (settled.train.threads, settled.train.precision, settled.train.compile) == (2, "float32", False)
    settled, _ = specs.settle(specs.parse(TABLE), CODEC, CPU._replace(device="cuda"))
    assert (settled.train.threads, settled.train.precision, settled.train.compile) == (2, "bfloat16", False)
    typed, reasons = specs.settle(specs.parse(TABLE | {"train": {"threads": 7, "compile": True, "precision": "bfloat16"}}), CODEC, CPU)
    assert (typed.train.threads, typed.train.precision, typed.train.compile) == (7, "bfloat16", True)
    assert reasons["train.threads"] == (7, "typed in the spec")


@pytest.mark.parametrize(("told", "cores"), [("1", 1), ("", None), ("0", None), ("many", None), ("100000", None)])
def test_cores_are_those_that_openmp_is_told_where_it_is_told_fewer(monkeypatch: pytest.MonkeyPatch, told: str, cores: int | None) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    assert specs.facts(Train(device="cpu"), 10).cores == (cores or len(os.sched_getaffinity(0)))


def test_the_plan_for_the_life_after_is_one_line_until_somebody_touches_it():
    spec = specs.parse({"task": {"kind": "table", "target": "up"}})
    assert specs.dumps(spec, comments=True).splitlines()[-1].startswith("# life: {}  # Once it is in service:")
    assert "life" not in specs.dumps(spec)
    typed = specs.parse({"task": {"kind": "table", "target": "up"}, "life": {"harm": {"groups": ["shop"]}, "ends": "2027-12-31"}})
    assert specs.read_text(specs.dumps(typed, comments=True)) == typed and typed.life.harm.groups == ("shop",)
    assert "Inputs by whose values the alarm is also raised" in specs.dumps(typed, comments=True)
    assert specs.json_schema()["$defs"]["Plan"]["properties"]["ends"]["description"].startswith("A date (2027-12-31)")
    with pytest.raises(SpecError, match=r"life.harm.windw: expected a known key, found 'windw'. Did you mean 'window'"):
        specs.parse({"task": {"kind": "table", "target": "up"}, "life": {"harm": {"windw": 5}}})
    assert specs.read_text("task: {kind: table, target: up}\nlife: {ends: 2027-12-31}\n").life.ends == "2027-12-31"
    with pytest.raises(SpecError, match=r"life.ends"):
        specs.parse({"task": {"kind": "table", "target": "up"}, "life": {"ends": "soon"}})
