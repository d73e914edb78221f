"""The verb on a small real task: a logistic regression that trains in a second, with groups, slices, an unreadable row and a baseline."""

import json
import re
import shutil
from typing import Literal, Self

import numpy as np
import pytest
import torch
from torch import nn

from thuja import spec as specs
from thuja.apps import CODECS, TASKS
from thuja.codec import Arrays, Codec, Columns, Rows, count
from thuja.core.errors import BadRows, DataError, SpecError
from thuja.fields import Category, Number, Schema
from thuja.report.outputs import read
from thuja.run import Run
from thuja.settings import Evaluate
from thuja.task import Baseline, Batch, Goal, Loss, Part, Program, Source, Task
from thuja.verbs.evaluate import evaluate
from thuja.verbs.train import train


class LineCodec(Codec):
    kind: Literal["line"] = "line"

    def schema(self) -> Schema:
        return Schema(inputs={"x": Number(), "y": Number()}, outputs={"label": Category(names=("low", "high"))})

    def encode(self, rows: Rows) -> Columns:
        bad = {i: DataError(f"rows[{i}].x", expected="a number", found="nothing") for i, v in enumerate(rows["x"]) if v is None}
        if bad:
            raise BadRows(bad)
        columns: Columns = {"numbers": np.stack([np.asarray(rows[n], np.float32) for n in ("x", "y")], axis=1)}
        return columns | ({"label": np.array([("low", "high").index(v) for v in rows["label"]])} if "label" in rows else {})

    def decode(self, outputs: Arrays) -> dict[str, list]:
        return {"label": [("low", "high")[i] for i in outputs["probability"].argmax(axis=1)]}


class Line(Task):
    kind: Literal["line"] = "line"
    rival: bool = True

    def prepare(self, source: Source) -> tuple[Self, LineCodec]:
        return self, LineCodec()

    def build(self, codec: Codec) -> nn.Module:
        return nn.Linear(2, 2)

    def loss(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        return Loss(nn.functional.cross_entropy(model(batch["numbers"]), batch["label"]))

    def programs(self, model: nn.Module, codec: Codec) -> dict[str, Program]:
        return {"predict": Program(nn.Sequential(model, nn.Softmax(dim=1)), ("numbers",), ("probability",))}

    def metrics(self, codec: Codec) -> tuple[str, ...]:
        return ("accuracy", "roc_auc")

    @property
    def goal(self) -> Goal:
        return Goal("accuracy", "max")

    @property
    def targets(self) -> tuple[str, ...]:
        return ("label",)

    def baseline(self, codec: Codec, train: Part, test: Part, seed: int) -> Baseline | None:
        assert len(test.source) == count(test.columns)
        share = np.mean(train.columns["label"])
        answers = np.tile(np.array([1 - share, share], np.float32), (len(test.source), 1))
        return Baseline("the commonest class", {"probability": answers}, 0.01) if self.rival else None


def rows(many=600):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, many))
    people = np.arange(many) // 4
    return [{"x": None if i % 200 == 7 else float(x[i]), "y": float(y[i]), "person": f"p{people[i]}", "site": "ab"[i % 2],
             "label": "high" if x[i] + 0.3 * rng.normal() > 0 else "low"} for i in range(many)]


def spec(**changes):
    plain = {"task": {"kind": "line"}, "data": {"group": "person", "bad_rows": 0.05}, "check": {"enabled": False},
             "train": {"steps": 60, "batch": 32, "watch": False, "optimizer": {"kind": "adamw", "learning_rate": 0.05}},
             "evaluate": {"resamples": 100, "slices": ["site"]}}
    return specs.parse({key: value | changes.get(key, {}) for key, value in plain.items()})


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THUJA_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setitem(CODECS, "line", f"{__name__}:LineCodec")
        patch.setitem(TASKS, "line", f"{__name__}:Line")
        yield tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def run(room) -> Run:
    return train(spec(), data=rows(), root=room)


def test_a_run_is_judged_beside_its_baseline(run):
    scores = evaluate(run, data=rows())
    assert scores.metrics["accuracy"].low > 0.8
    assert scores.baseline.name == "the commonest class"
    assert scores.recommendation.verdict == "network"
    assert scores.groups is not None
    assert sorted((s.column, s.value) for s in scores.slices) == [("site", "a"), ("site", "b")]
    assert json.loads((run.path / "scores.json").read_text())["test"]["accuracy"]["value"] == scores.metrics["accuracy"].value
    assert "How well is <em>label</em> predicted?" in (run.path / "report.html").read_text()
    assert (run.path / "card.md").read_text().startswith("# Model card: label\n")


def test_every_readable_row_is_answered_once_under_its_id(run):
    evaluate(run, data=rows())
    there = read(run.path / "outputs-test.parquet")
    assert len(set(there.rows)) == len(there.rows) == len(there.ours.target)
    known = run.read("data.json")
    assert len(there.rows) == known["rows"]["test"] - len(known["bad"]["test"])
    given = rows()
    for name, person, truth, site in zip(there.rows, there.ours.group, there.ours.target, there.slices["site"], strict=True):
        row = given[int(re.findall(r"\d+", name)[-1]) - 1]
        assert (row["person"], ("low", "high")[truth], row["site"]) == (person, row["label"], site)
        assert row["x"] is not None


def test_a_second_evaluation_answers_nothing_again(run, monkeypatch):
    first = evaluate(run, data=rows())
    before = (run.path / "outputs-test.parquet").stat().st_mtime_ns
    monkeypatch.setattr(Line, "build", None)
    assert evaluate(run, data=rows()) == first
    assert (run.path / "outputs-test.parquet").stat().st_mtime_ns == before


def test_other_weights_are_answered_anew(run, room, tmp_path):
    other = train(spec(train={"seed": 1, "steps": 5}), data=rows(), root=room)
    first = evaluate(run, data=rows())
    changed = Run(tmp_path / "0001")
    shutil.copytree(run.path, changed.path)
    shutil.rmtree(changed.checkpoints)
    shutil.copytree(other.checkpoints, changed.checkpoints)
    second = evaluate(changed, data=rows())
    assert second.weights != first.weights
    assert second.metrics["roc_auc"] != first.metrics["roc_auc"]
    assert read(changed.path / "outputs-test.parquet").facts["weights"] == second.weights


def test_another_part_leaves_the_report_alone(run):
    evaluate(run, data=rows())
    before = (run.path / "report.html").read_bytes()
    scores = evaluate(run, part="validation", data=rows())
    assert scores.part == "validation"
    assert (run.path / "report.html").read_bytes() == before
    assert "validation" in json.loads((run.path / "scores-validation.json").read_text())


def test_the_baseline_can_be_left_out_or_not_exist(room):
    alone = train(spec(train={"steps": 10}), data=rows(), root=room)
    assert evaluate(alone, data=rows(), settings=Evaluate(baseline=False, resamples=20)).baseline is None
    assert evaluate(alone, data=rows(), settings=Evaluate(resamples=20)).baseline is not None
    lonely = train(spec(task={"rival": False}, train={"steps": 10}), data=rows(), root=room)
    assert evaluate(lonely, data=rows()).recommendation.verdict == "unknown"


def test_an_unknown_part_is_refused(run):
    with pytest.raises(DataError) as error:
        evaluate(run, part="tset", data=rows())
    assert str(error.value) == ("part tset: expected a part of the data, found only train, validation, test. Did you mean 'test'? "
                                "Or give the split a share of tset rows and train again.")


def test_an_unknown_slice_is_refused(run):
    with pytest.raises(SpecError) as error:
        evaluate(run, settings=Evaluate(slices=("sites",)), data=rows())
    assert str(error.value) == "evaluate.slices: expected columns of the data, found 'sites'. Did you mean 'site'?"


def test_other_data_are_refused(run):
    with pytest.raises(DataError):
        evaluate(run, data=rows(300))


def test_a_task_without_metrics_is_refused(run, monkeypatch):
    monkeypatch.setattr(Line, "metrics", lambda self, codec: ())
    with pytest.raises(SpecError) as error:
        evaluate(run, data=rows())
    assert str(error.value) == "task: expected a kind with a target and metrics, found 'line'. Judge this one by what it makes."


def test_rows_without_the_truth_are_refused(run, monkeypatch, tmp_path):
    monkeypatch.setattr(Line, "targets", property(lambda self: ("truth",)))
    fresh = Run(shutil.copytree(run.path, tmp_path / "0001"))
    (fresh.path / "outputs-test.parquet").unlink(missing_ok=True)
    with pytest.raises(DataError) as error:
        evaluate(fresh, data=rows())
    assert str(error.value) == "truth: expected the true values of the rows to judge, found no such column. Add the column, or judge another part."
