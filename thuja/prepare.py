"""What precedes step one: open the data, split, learn the codec, encode, check, settle every blank, and write it all down in the folder of a new Run."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel

from thuja import spec as specs
from thuja.calibrate import calibrate
from thuja.codec import Codec, Columns, count, take
from thuja.core import storage
from thuja.core.errors import CheckError, DataError
from thuja.data import cache, split
from thuja.data.columns import Encoded, encoded
from thuja.data.source import Source, open_source
from thuja.run import SPEC, Run
from thuja.spec import Spec
from thuja.task import Choice, Task


class Prepared(NamedTuple):
    """A run ready for its next step."""

    run: Run
    spec: Spec[Any]
    """Settled: no blank that training needs is left."""
    codec: Codec
    train: Columns
    validation: Columns
    """No rows where the split has no validation part."""


class Opened(NamedTuple):
    """The parts of the data, raw and encoded."""

    sources: dict[str, Source]
    """"train", and "validation" and "test" where the split has them."""
    encoded: dict[str, Encoded]


def prepare(spec: Spec[Any] | Path | str, data: Any, root: Path) -> Prepared:
    """A new run under `root`, everything settled and saved. `data` is a Python object in place of `spec.data.path`, or None.

    Raises: SpecError, DataError, CheckError, before anything is written.
    """
    started = time.perf_counter()
    base = Path()
    if not isinstance(spec, Spec):
        base = Path(spec) if Path(spec).is_dir() else Path(spec).parent
        spec = specs.read(spec)
    sources, how = _split(spec, data, base)
    task, codec = spec.task.prepare(sources["train"])
    spec = spec.model_copy(update={"task": task, "data": spec.data.model_copy(update={"split": how.value})})
    opened = Opened(sources, _encode(sources, codec, spec))
    findings = _check(opened, spec)
    train, validation = _columns(opened)
    spec, reasons = specs.settle(spec, codec, specs.facts(spec.train, count(train)))
    if spec.train.steps == "auto":
        timed = calibrate(task, codec, spec.train, train, validation)
        spec = spec.model_copy(update={"train": spec.train.model_copy(update={name.removeprefix("train."): c.value for name, c in timed.items()})})
        reasons |= timed
    reasons["data.split"] = Choice(how.value.kind, how.reason)
    run = Run.create(root)
    run.write("codec.json", codec.model_dump(mode="json"))
    run.write("reasons.json", {name: [_plain(c.value), c.reason] for name, c in reasons.items()})
    run.write("data.json", _describe(opened, spec, base, findings) | {"prepared_s": round(time.perf_counter() - started, 3)})
    storage.write_atomic(run.path / SPEC, specs.dumps(spec).encode())
    return Prepared(run, spec, codec, train, validation)


def reopen(run: Run, data: Any = None) -> Prepared:
    """The run as it was prepared. Raises: DataError when the data are not those it began with."""
    spec = specs.parse(run.spec_data(), str(run.path / SPEC))
    codec = run.codec()
    opened = reopen_data(run, spec, codec, data)
    return Prepared(run, spec, codec, *_columns(opened))


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
    return split.split(given, settled, inputs), Choice(how.value, how.reason)


def _encode(sources: Mapping[str, Source], codec: Codec, spec: Spec[Any]) -> dict[str, Encoded]:
    return {name: encoded(source, codec, cache.root(), spec.data.bad_rows) for name, source in sources.items()}


def _columns(opened: Opened) -> tuple[Columns, Columns]:
    train = opened.encoded["train"].columns
    validation = opened.encoded["validation"].columns if "validation" in opened.encoded else take(train, np.zeros(0, np.int64))
    return train, validation


def _check(opened: Opened, spec: Spec[Any]) -> list[Any]:
    """Findings of the data checks. Raises: CheckError for the first that blocks and is not waived."""
    if not spec.check.enabled:
        return []
    from thuja.data.checks import run_checks

    findings = list(run_checks(opened.sources, opened.encoded, spec))
    for finding in findings:
        if finding.severity == "block" and finding.check not in spec.check.waive:
            raise CheckError(f"check: {finding.check}", expected="none", found=finding.message, fix=finding.fix)
    return findings


def _describe(opened: Opened, spec: Spec[Any], base: Path, findings: list[Any]) -> dict[str, Any]:
    """What the run saw of the data: `data.json`."""
    return {
        "base": str(base.resolve()),
        "fingerprints": {name: source.fingerprint() for name, source in opened.sources.items()},
        "rows": {name: len(source) for name, source in opened.sources.items()},
        "bad": {name: [list(bad) for bad in part.bad] for name, part in opened.encoded.items()},
        "findings": [finding._asdict() for finding in findings],
        "waived": {f.check: spec.check.waive[f.check] for f in findings if f.check in spec.check.waive},
    }


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value
