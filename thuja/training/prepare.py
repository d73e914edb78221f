"""What precedes step one: open the data, split, learn the codec, encode, check, settle every blank, and write it all down in the folder of a new Run."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from pydantic import BaseModel

from thuja import spec as specs
from thuja.codec import Codec, Columns, count, take
from thuja.core import digest
from thuja.core.errors import ArtifactError, CheckError, DataError, SpecError
from thuja.core.storage import write_atomic
from thuja.data import cache, split
from thuja.data.checks import Finding, blocking, run_checks
from thuja.data.columns import Encoded, encoded
from thuja.data.source import Source, open_source
from thuja.run import SPEC, Run
from thuja.settings import Train
from thuja.spec import Spec
from thuja.task import Choice, Task
from thuja.task import Source as TaskSource
from thuja.training.calibrate import calibrate
from thuja.training.decide import decide
from thuja.training.parent import KEPT, Parent, begun
from thuja.training.timing import Bench, use_threads


class Prepared(NamedTuple):
    """A run ready for its next step."""

    run: Run
    spec: Spec[Any]
    """Settled: no blank that training needs is left."""
    codec: Codec
    train: Columns
    validation: Columns
    """No rows where the split has no validation part."""
    parent: bytes | None = None
    """Weights to begin with (safetensors)."""


class Opened(NamedTuple):
    """The parts of the data, raw and encoded."""

    sources: dict[str, Source]
    """"train", and "validation" and "test" where the split has them."""
    encoded: dict[str, Encoded]


class Gathered(NamedTuple):
    """What is known once the data have been read, before the rest is settled."""

    spec: Spec[Any]
    """With the task and the split settled."""
    codec: Codec
    opened: Opened
    findings: list[Finding]
    """Of the data checks, those that block first; empty where they were not run."""
    base: Path
    """Relative paths of the spec start here."""
    choices: dict[str, Choice]
    """What reading the data settled: the split, and every blank of the task."""
    parent: Parent | None

    @property
    def rows(self) -> int:
        """Encoded training rows."""
        return count(self.opened.encoded["train"].columns)


def gather(spec: Spec[Any] | Path | str, data: Any = None, overrides: Sequence[str] = (), *, check: bool | None) -> Gathered:
    """Open and split the data of a spec (or its file, with "name=value" changes), learn the codec, encode, and run the data checks.

    `check` overrules `spec.check.enabled` unless it is None. Nothing is written but the cache of encoded columns. Raises: SpecError, DataError.
    """
    base = Path()
    if not isinstance(spec, Spec):
        base = Path(spec) if Path(spec).is_dir() else Path(spec).parent
        spec = specs.read(spec, overrides)
    sources, how = _split(spec, data, base)
    _refuse_tuning(spec)
    task, codec, parent = begun(spec.task, base / spec.parent, sources["train"]) if spec.parent else (*spec.task.prepare(sources["train"]), None)
    choices = {"data.split": Choice(how.value.kind, how.reason)} | _filled(spec.task, task)
    spec = spec.model_copy(update={"task": task, "data": spec.data.model_copy(update={"split": how.value})})
    opened = Opened(sources, _encode(sources, codec, spec))
    findings = run_checks(opened.sources, opened.encoded, spec) if (spec.check.enabled if check is None else check) else []
    return Gathered(spec, codec, opened, findings, base, choices, parent)


def _refuse_tuning(spec: Spec[Any]) -> None:
    """Raises: SpecError for frozen or slowed layers where nothing has been learned that they would keep."""
    for name, value, plain in (("freeze", spec.train.freeze, 0.0), ("layer_decay", spec.train.layer_decay, 1.0)):
        if value != plain and value != () and not spec.parent:
            raise SpecError(f"train.{name}", expected="a `parent` to go on from", found="none",
                            fix=f"Name a run, an artefact or a checkpoint in `parent`, or leave {name} out.")


def _filled(asked: Task, settled: Task) -> dict[str, Choice]:
    """The blanks of a task that its `prepare` filled; the reason is the rule that the field states."""
    fields = type(settled).model_fields
    blank = [name for name in fields if getattr(asked, name) == "auto" and getattr(settled, name) != "auto"]
    return {f"task.{name}": Choice(getattr(settled, name), " ".join((fields[name].description or "seen in the data").split())) for name in blank}


def prepare(spec: Spec[Any] | Path | str, data: Any, overrides: Sequence[str], root: Path) -> Prepared:
    """A new run under `root`, everything settled and saved. `data` is a Python object in place of `spec.data.path`, or None.

    Raises: SpecError, DataError, CheckError, before anything is written.
    """
    started = time.perf_counter()
    gathered = gather(spec, data, overrides, check=None)
    _refuse_blocked(gathered.findings)
    spec, codec = gathered.spec, gathered.codec
    train, validation = _columns(gathered.opened)
    spec, reasons = specs.settle(spec, codec, specs.facts(spec.train, count(train)))
    spec, measured = _measure(spec, gathered.spec.train, Bench(spec.task, codec, train, validation, time.perf_counter))
    reasons |= measured
    reasons = gathered.choices | reasons
    run = Run.create(root)
    run.write("codec.json", codec.model_dump(mode="json"))
    run.write("reasons.json", {name: [_plain(c.value), c.reason] for name, c in reasons.items()})
    run.write("data.json", _describe(gathered) | {"prepared_s": round(time.perf_counter() - started, 3)})
    if gathered.parent is not None:
        write_atomic(run.path / KEPT, gathered.parent.weights, run.disk)
    run.write_spec(specs.dumps(spec))
    return Prepared(run, spec, codec, train, validation, gathered.parent and gathered.parent.weights)


def _measure(spec: Spec[Any], asked: Train, bench: Bench) -> tuple[Spec[Any], dict[str, Choice]]:
    """The spec with what only measuring can settle, and the choices made; from here on torch has as many threads as the spec says."""
    started = bench.clock()
    chosen = decide(bench, asked, spec.train)
    train = _filled_in(spec.train, chosen)
    use_threads(train)
    if train.steps == "auto":
        timed = calibrate(bench, train, spent=bench.clock() - started)
        train, chosen = _filled_in(train, timed), chosen | timed
    return spec.model_copy(update={"train": train}), chosen


def _filled_in(train: Train, chosen: Mapping[str, Choice]) -> Train:
    return train.model_copy(update={name.removeprefix("train."): choice.value for name, choice in chosen.items()})


def reopen(run: Run, data: Any = None) -> Prepared:
    """The run as it was prepared, with as many threads for torch as then. Raises: DataError when the data are not those it began with."""
    spec = specs.parse(run.spec_data(), str(run.path / SPEC))
    codec = run.codec()
    opened = reopen_data(run, spec, codec, data)
    use_threads(spec.train)
    return Prepared(run, spec, codec, *_columns(opened), _kept_parent(run) if spec.parent else None)


def _kept_parent(run: Run) -> bytes:
    """The weights that a run went on from. Raises: ArtifactError when they are gone or are others."""
    path, known = run.path / KEPT, run.read("data.json")["parent"]
    weights = run.disk.read(path) if path.is_file() else b""
    if digest.of_bytes(weights) != known:
        raise ArtifactError(str(path), expected="the weights that this run went on from", found="others" if weights else "nothing there",
                            fix="Put the file back, or start a new run.")
    return weights


def reopen_data(run: Run, spec: Spec[Any], codec: Codec, data: Any = None) -> Opened:
    """The parts of the data of a run, raw and encoded. Raises: DataError when they are not those it began with."""
    known = run.read("data.json")
    sources, _ = _split(spec, data, Path(known["base"]))
    for name, fingerprint in known["fingerprints"].items():
        if name not in sources or sources[name].fingerprint() != fingerprint:
            raise DataError(f"data: {name}", expected="the rows that this run began with", found="others",
                            fix="Put the data back as they were, or start a new run.")
    return Opened(sources, _encode(sources, codec, spec))


def _split(spec: Spec[Any], data: Any, base: Path) -> tuple[dict[str, Source], Choice]:
    task: Task = spec.task
    given = open_source(spec.data, base, data)
    how = split.settle(given, spec.data)
    settled = spec.data.model_copy(update={"split": how.value})
    inputs = tuple(n for n in next(iter(given.values())).names if n not in task.targets)
    parts = task.arrange(cast("dict[str, TaskSource]", split.split(given, settled, inputs)))
    return cast("dict[str, Source]", parts), Choice(how.value, how.reason)


def _encode(sources: Mapping[str, Source], codec: Codec, spec: Spec[Any]) -> dict[str, Encoded]:
    return {name: encoded(source, codec, cache.root(), spec.data.bad_rows) for name, source in sources.items()}


def _columns(opened: Opened) -> tuple[Columns, Columns]:
    train = opened.encoded["train"].columns
    validation = opened.encoded["validation"].columns if "validation" in opened.encoded else take(train, np.zeros(0, np.int64))
    return train, validation


def _refuse_blocked(findings: list[Finding]) -> None:
    """Raises: CheckError for the first finding that blocks, with the number of others."""
    found = list(blocking(findings))
    if found:
        first, more = found[0], f" ({len(found) - 1} more)" if len(found) > 1 else ""
        raise CheckError(f"check: {first.check}", expected="nothing that blocks training", found=f"{first.message.rstrip('.')}{more}",
                         fix=f"{first.fix} Or accept it on purpose: `check: {{waive: {{{first.check}: why}}}}` in the spec.")


def _describe(gathered: Gathered) -> dict[str, Any]:
    """What the run saw of the data: `data.json`."""
    opened = gathered.opened
    return {
        "base": str(gathered.base.resolve()),
        "parent": gathered.parent.digest if gathered.parent else "",
        "fingerprints": {name: source.fingerprint() for name, source in opened.sources.items()},
        "rows": {name: len(source) for name, source in opened.sources.items()},
        "bad": {name: [list(bad) for bad in part.bad] for name, part in opened.encoded.items()},
        "findings": [finding._asdict() for finding in gathered.findings],
        "waived": {finding.check: finding.waived for finding in gathered.findings if finding.waived},
    }


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value
