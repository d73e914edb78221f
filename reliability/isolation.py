"""S9: an answer does not depend on who is asked about at the same time.

Rows are asked in random company, joined and cut apart by the server's own batcher, and compared with their answers alone: the same decision, every
number within 1e-4. A row that makes its batch fail (an index beyond the vocabulary, sent as an encoded tensor) fails alone.
"""

import asyncio
import random
from pathlib import Path
from typing import Any

import numpy as np

from reliability import applications
from reliability.outcome import Control, Harness, Outcome
from thuja.artifact.folder import Artifact
from thuja.artifact.runtime import Predictor
from thuja.codec import Arrays, Columns, Ragged, take
from thuja.core.errors import DataError, ShapeError
from thuja.core.seeds import stream
from thuja.fields import Number, Schema, Scores
from thuja.server.batcher import Batcher
from thuja.server.settings import ServeSettings

TOLERANCE = 1e-4
ROWS = 96
"""Different rows of each application."""
LARGEST = 24
"""Most rows in one batch."""
POISON = 7
"""Every so many batches has a row that cannot be answered."""


class Mixed(Predictor):
    """The planted bug: batch normalisation left in training mode, so that every answer is measured against its batch."""

    def run(self, columns: Columns, program: str = "predict") -> Arrays:
        return {name: array - 0.01 * (array.mean(0) - array[:1]) for name, array in super().run(columns, program).items()}


class Leaky(Predictor):
    """Another: answers come back in the wrong order when more than four are asked."""

    def run(self, columns: Columns, program: str = "predict") -> Arrays:
        outputs = super().run(columns, program)
        return {name: np.roll(array, 1, axis=0) if len(array) > 4 else array for name, array in outputs.items()}


class Grudging(Predictor):
    """A third: after a failure the next rows fail too, whoever's they are."""

    angry = False

    def run(self, columns: Columns, program: str = "predict") -> Arrays:
        self.angry, angry = True, self.angry
        if angry:
            self.angry = False
            raise ShapeError("input", expected="what it was", found="what the last one left")
        outputs = super().run(columns, program)
        self.angry = False
        return outputs


class Asked:
    """One application: rows, their answers alone, and a way to ask in company."""

    def __init__(self, predictor: Predictor, seed: int) -> None:
        self.predictor = predictor
        schema = predictor.schema
        rng = stream(seed, "isolation")
        self.columns = predictor.encode({name: field.fake(rng, ROWS) for name, field in schema.inputs.items()})
        self.alone = [predictor.run(take(self.columns, np.array([i]))) for i in range(ROWS)]

    def differs(self, row: int, found: Arrays) -> str:
        """What is wrong with an answer, empty if nothing is."""
        expected = self.alone[row]
        for name, array in expected.items():
            gap = float(np.abs(found[name].astype(np.float64) - array).max())
            if not gap <= TOLERANCE * max(1.0, float(np.abs(array).max())):
                return f"{name} is {gap:.3g} away"
        first, second = self.predictor.decode(expected), self.predictor.decode(found)
        return "" if _decision(self.predictor.schema, first) == _decision(self.predictor.schema, second) else f"{second} instead of {first}"

    def exact(self, row: int, found: Arrays) -> bool:
        """Whether an answer is the one alone, bit for bit."""
        return all(np.array_equal(array, found[name]) for name, array in self.alone[row].items())

    def poisoned(self) -> Columns | None:
        """A row that the program cannot answer; None where every row of its type can be."""
        row = {name: Ragged(c.values.copy(), c.offsets) if isinstance(c, Ragged) else c.copy() for name, c in take(self.columns, np.array([0])).items()}
        for spec in self.predictor.inputs["predict"]:
            column = row[spec.name]
            if spec.dtype == np.int64:
                (column.values if isinstance(column, Ragged) else column)[...] = 1 << 40
                return row
        return None


def _decision(schema: Schema, answer: dict[str, list[Any]]) -> dict[str, Any]:
    return {name: answer[name] for name, field in schema.outputs.items() if not isinstance(field, (Number, Scores))}


async def batches(asked: Asked, count: int, rng: random.Random) -> tuple[list[str], int, int, int]:
    """Ask about `count` random companies. Returns: failures, answers compared, answers equal to the bit, rows that were to fail and did."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    refusals = (DataError, ShapeError, state.InvalidArgument, state.Fail, state.RuntimeException)
    sizes: list[int] = []
    batcher = Batcher(asked.predictor.run, ServeSettings(max_batch=2 * LARGEST, max_delay_ms=1), sizes.append)
    failures: list[str] = []
    compared = exact = refused = 0
    poison = asked.poisoned()
    for number in range(count):
        rows = [rng.randrange(ROWS) for _ in range(rng.randint(2, LARGEST))]
        requests, at = [], 0
        while at < len(rows):  # several requests of one or more rows, as clients send them
            requests.append(rows[at : at + rng.choice((1, 1, 1, 2, 5))])
            at += len(requests[-1])
        bad = rng.randrange(len(requests) + 1) if poison is not None and number % POISON == 0 else None
        parts = [take(asked.columns, np.array(request)) for request in requests]
        if bad is not None and poison is not None:
            parts.insert(bad, poison)
            requests.insert(bad, [])
        answers = await asyncio.gather(*(batcher.submit(part) for part in parts), return_exceptions=True)
        for request, answer in zip(requests, answers, strict=True):
            if isinstance(answer, BaseException):
                refused += not request and isinstance(answer, refusals)
                failures += [f"rows {request} failed with their neighbour: {answer!r}"[:200]] if request else []
                continue
            failures += [] if request else ["a row that cannot be answered was answered"]
            for place, row in enumerate(request):
                one = {name: array[place : place + 1] for name, array in answer.items()}
                compared, exact = compared + 1, exact + asked.exact(row, one)
                if wrong := asked.differs(row, one):
                    failures.append(f"row {row} among {len(rows)}: {wrong}")
    await batcher.close()
    if np.mean(sizes) < 4:
        failures.append(f"batches held {np.mean(sizes):.1f} rows, so that nothing is shown")
    return failures, compared, exact, refused


def caught(path: Path, kind: type[Predictor], rng: random.Random) -> bool:
    """Whether a predictor with a bug is found out within twenty batches."""
    honest = Asked(Predictor(Artifact.open(path)), 0)
    honest.predictor = kind(Artifact.open(path))
    return bool(asyncio.run(batches(honest, 20, rng))[0])


def run(trials: int, rng: random.Random) -> Outcome:
    """`trials` random batches, shared among the applications."""
    failures: list[str] = []
    compared = exact = refused = total = planted = found = 0
    places = applications.artifacts()
    for name, path in places.items():
        asked = Asked(Predictor(Artifact.open(path)), rng.getrandbits(30))
        count = -(-trials // len(places))
        wrong, *figures = asyncio.run(batches(asked, count, rng))
        failures += [f"{name}: {line}" for line in wrong]
        total, compared, exact, refused = total + count, compared + figures[0], exact + figures[1], refused + figures[2]
        for kind in (Mixed, Leaky, *((Grudging,) if asked.poisoned() else ())):
            planted, found = planted + 1, found + caught(path, kind, rng)
    control = Control("answers measured against their batch; in another order; a failure that stays", planted, found)
    return Outcome(total, failures, control, {"answers compared": compared, "equal to the bit, share": round(exact / max(1, compared), 4),
                                              "poisoned rows that failed alone": refused})


HARNESSES = (Harness("S9", "an answer does not depend on its batch-mates, and a poisoned row fails alone", run, short=60, long=10_000),)
