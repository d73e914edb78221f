"""What a trained model is in service: parameters, size of the artefact, and the time of one answer in process.

    from served import served
    result |= served(run, data)

The run is exported with its certificate, as `thuja export` does, so that what is timed has been compared with training; rows of the test part, as a server
will be asked (`Task.served`), are then answered one at a time by `Predictor`: encode, all programs and steps, decode, on one core, without a network around it.
"""

import os
import tempfile
import time
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from thuja.artifact.folder import Artifact
from thuja.artifact.runtime import Predictor
from thuja.codec import Rows
from thuja.run import SPEC, Run
from thuja.spec import parse
from thuja.verbs.export import Options, Trained, package, trained_of

ROWS = 64
"""Different rows that are asked, spread evenly over the test part."""
CALLS, SECONDS, LEAST = 200, 3.0, 5
"""Timed: so many calls, or as many as fit into the seconds; a few at least."""


def served(run: Run, data: Any = None) -> dict[str, float]:
    """Figures of a run in service; `data` as `thuja.train` was given it. Raises: ParityError when it cannot be exported."""
    spec = parse(run.spec_data(), str(run.path / SPEC))
    return in_service(trained_of(run, data), spec.task.build(run.codec()), Options(spec.export.tolerance, spec.export.int8))


def in_service(trained: Trained, model: nn.Module, options: Options | None = None) -> dict[str, float]:
    """The same of a model that was trained without the folder of a run."""
    with tempfile.TemporaryDirectory() as place:
        artifact = package(trained, Path(place) / "artifact", options or Options())
        return {"parameters": sum(p.numel() for p in model.parameters())} | timed(artifact, asked(trained))


def asked(trained: Trained) -> Rows:
    """Raw rows as a server is asked."""
    source = trained.asked or trained.test.source
    return source.take(np.unique(np.linspace(0, len(source) - 1, min(len(source), ROWS)).astype(np.int64)))


def timed(artifact: Artifact, rows: Rows) -> dict[str, float]:
    """Size and milliseconds of an artefact that answers one row at a time, and the load of the machine meanwhile."""
    predictor, columns = Predictor(artifact), {name: rows[name] for name in artifact.schema.inputs}
    count = len(next(iter(columns.values())))
    questions = cycle([{name: values[i : i + 1] for name, values in columns.items()} for i in range(count)])
    for _ in range(LEAST):
        predictor.predict(next(questions))
    times: list[float] = []
    while len(times) < LEAST or (len(times) < CALLS and sum(times) < SECONDS):
        question, began = next(questions), time.perf_counter()
        predictor.predict(question)
        times.append(time.perf_counter() - began)
    median, slow = np.quantile(times, (0.5, 0.95)) * 1000
    size = sum(path.stat().st_size for path in artifact.path.rglob("*") if path.is_file())
    return {"artifact_mb": round(size / 1e6, 2), "p50_ms": round(float(median), 2), "p95_ms": round(float(slow), 2), "calls": len(times),
            "load": round(os.getloadavg()[0], 2)}
