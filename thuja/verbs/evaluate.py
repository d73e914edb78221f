"""The verb `evaluate`: what a run's best weights answer, row by row, and from that alone its scores, report and card.

A part is answered once for given weights: when `outputs-<part>.parquet` is already theirs, it is read, not made again.
"""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from thuja import spec as specs
from thuja.codec import Codec, Rows
from thuja.core import digest
from thuja.core.errors import DataError, SpecError, did_you_mean
from thuja.core.storage import write_atomic
from thuja.data import source as data_source
from thuja.metrics import Outputs
from thuja.report import card, outputs, page
from thuja.report.material import Material, training_seconds, worst
from thuja.report.outputs import Answered
from thuja.report.scores import Asked, Scores, score
from thuja.run import AGEING, Run
from thuja.settings import Evaluate
from thuja.spec import Spec
from thuja.task import Part, Source, Task
from thuja.training import checkpoint, look
from thuja.training.prepare import reopen_data

MAIN = "test"
"""The part whose scores are the run's: they go to scores.json, report.html and card.md; other parts get `scores-<part>.json`."""


class _Rows(NamedTuple):
    """The parts of the data, raw and encoded, without unreadable rows."""

    train: Part
    part: Part
    ids: list[str]
    kept: np.ndarray
    """Places in the part's source of the rows that were encoded."""


def evaluate(run: Run | Path | str, *, part: str = MAIN, settings: Evaluate | None = None, data: Any = None) -> Scores:
    """Judge a run on one part of its data, beside a classical baseline on the same rows, and write the report.

    Args:
        run: a run or its folder.
        part: "test", "validation" or "train".
        settings: in place of the run's `evaluate` section.
        data: the Python object that was passed to `train`, where there was one.

    Returns: the scores; also in `scores.json`, `report.html` and `card.md` of the run (for another part than test: `scores-<part>.json` alone).
    Raises: ArtifactError for a damaged run; DataError when the data are not those of the run, or the part has no rows or no target; SpecError for an
        unknown slice column or a task without metrics; StorageError.
    """
    run = run if isinstance(run, Run) else Run.open(run)
    spec = specs.parse(run.spec_data(), str(run.path / "spec.yaml"))
    settings = settings or spec.evaluate
    codec = run.codec()
    if not spec.task.targets or not spec.task.metrics(codec):
        raise SpecError("task", expected="a kind with a target and metrics", found=repr(spec.task.kind), fix="Judge this one by what it makes.")
    rows = _open(run, spec, codec, part, data)
    answered = _answered(run, spec, codec, rows, part, settings)
    records = run.records()
    asked = Asked(spec.task.metrics(codec), spec.task.goal.metric, settings, training_seconds(records), spec.train.seed)
    scores = score(answered, asked)
    run.write("scores.json" if part == MAIN else f"scores-{part}.json", scores.plain())
    if part == MAIN:
        _write_pages(run, _material(run, spec, codec, rows, answered, scores))
    return scores


def _open(run: Run, spec: Spec[Any], codec: Codec, part: str, data: Any) -> _Rows:
    opened = reopen_data(run, spec, codec, data)
    if part not in opened.sources:
        fix = f"{did_you_mean(part, opened.sources)} Or give the split a share of {part} rows and train again."
        raise DataError(f"part {part}", expected="a part of the data", found=f"only {', '.join(opened.sources)}", fix=fix)
    encoded = opened.encoded[part]
    if not len(encoded.kept):
        raise DataError(f"part {part}", expected="at least one row", found="none", fix="Give the split a larger share, or more data, and train again.")
    source = _kept(opened.sources[part], encoded.kept)
    train = Part(_kept(opened.sources["train"], opened.encoded["train"].kept), opened.encoded["train"].columns)
    return _Rows(train, Part(source, encoded.columns), source.ids(np.arange(len(source))), encoded.kept)


def _kept(source: data_source.Source, kept: np.ndarray) -> Source:
    """The rows that could be encoded, so that raw and encoded rows agree place by place."""
    return source if len(kept) == len(source) else data_source.Subset(source, kept)


def _answered(run: Run, spec: Spec[Any], codec: Codec, rows: _Rows, part: str, settings: Evaluate) -> Answered:
    """The outputs file of these weights, made only where it is not there yet."""
    path = run.path / f"outputs-{part}.parquet"
    best = run.best_checkpoint()
    facts = {"part": part, "weights": digest.of_file(best / "model.safetensors"), "codec": codec.digest(), "slices": list(settings.slices)}
    if path.exists():
        there = outputs.read(path)
        compared = there.baseline is not None or not settings.baseline or "no_baseline" in there.facts
        if compared and all(there.facts.get(name) == value for name, value in facts.items()):
            return there
    task: Task = spec.task
    model = task.build(codec)
    checkpoint.load_model(best, model)
    model.to(spec.train.device).eval()
    _refuse_without_target(rows.part, task)
    arrays = look.answers(task.programs(model, codec), rows.part.columns, task.judged, device=spec.train.device)
    names = next((field.names for field in codec.schema().outputs.values() if field.kind in ("boxes", "category", "scores")), ())
    found = task.outputs(codec, rows.part.columns, arrays, rows.part.source)
    group = _column(rows.part.source, group_column(spec)) if found.group is None else found.group
    ours = Outputs(found.target, outputs.arrays_of(found.arrays), group, tuple(names))
    theirs: Outputs | None = None
    more: dict[str, Any] = {}
    if settings.baseline:
        baseline = task.baseline(codec, rows.train, rows.part, spec.train.seed)
        more = {"no_baseline": True} if baseline is None else {"baseline": baseline.name, "baseline_s": baseline.seconds}
        theirs = None if baseline is None else ours._replace(arrays=outputs.arrays_of(baseline.outputs))
    slices = {name: list(values) for name in settings.slices if (values := _column(rows.part.source, name)) is not None}
    more["charts"] = [chart.plain() for chart in task.charts(model, codec, rows.part, ours)]
    answered = Answered(rows.ids, task.targets[0], ours, theirs, slices, facts | more)
    outputs.write(path, answered)
    return answered


def group_column(spec: Spec[Any]) -> str | None:
    """The column whose equal values belong together, if any: `data.group`, or the column of a split by group."""
    if spec.data.group is not None:
        return spec.data.group
    return spec.data.split.column if spec.data.split != "auto" and spec.data.split.kind == "group" else None


def _column(source: Source, name: str | None) -> np.ndarray | None:
    """A raw column as an object array; None where no name is given. Raises: SpecError for an unknown one."""
    if name is None:
        return None
    if name not in source.names:
        raise SpecError("evaluate.slices", expected="columns of the data", found=repr(name), fix=did_you_mean(name, source.names))
    values = [value for batch in source.batches() for value in batch[name]]
    column = np.empty(len(values), object)
    column[:] = values
    return column


def _refuse_without_target(part: Part, task: Task) -> None:
    name = task.targets[0]
    if name not in part.columns:
        raise DataError(name, expected="the true values of the rows to judge", found="no such column", fix="Add the column, or judge another part.")


def _material(run: Run, spec: Spec[Any], codec: Codec, rows: _Rows, answered: Answered, scores: Scores) -> Material:
    places = worst(answered.ours)
    schema = codec.schema()
    raw: Rows = rows.part.source.take(places) if len(places) else {name: [] for name in schema.inputs}
    return Material(run.path.name, specs.plain(spec), schema, answered, scores, places, raw, run.records(), run.read("data.json"), run.read("reasons.json"),
                    environment(spec.train.device), run.read(AGEING) if (run.path / AGEING).is_file() else None, codec.cautions())


def _write_pages(run: Run, material: Material) -> None:
    write_atomic(run.path / "report.html", page.render(material).encode())
    write_atomic(run.path / "card.md", card.render(material).encode())


def environment(device: str) -> dict[str, str]:
    """Versions and the kind of machine; nothing that names a person, a host or a folder."""
    packages = ("thuja", "torch", "numpy", "scikit-learn")
    return {"Python": platform.python_version(), **{name: version(name) for name in packages}, "system": f"{platform.system()} {platform.machine()}",
            "device": device}


