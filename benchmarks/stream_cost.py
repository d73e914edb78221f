"""What a step of an answer costs on top of the runtime: the same answer made by the predictor alone, queued by the server's model, and streamed as events.

    python benchmarks/stream_cost.py --artifact runs/0001/artifact --prompt "Once upon a time"

The answers are one after the other, so that no step shares its run with another: the cost is the whole way of a step through the queue and back. Any artefact
with a program `step` will do; the smaller its steps, the more clearly the rest is seen.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import record
import uvloop

from thuja.artifact.runtime import Predictor
from thuja.server.app import create_app, opened
from thuja.server.model import Model
from thuja.server.settings import ServeSettings
from thuja.server.stream import pieces

ROUNDS = 15


def alone(predictor: Predictor, rows: dict[str, list[Any]]) -> tuple[float, int]:
    """Seconds and steps of an answer made by the predictor."""
    columns = predictor.encode(rows)
    began = time.perf_counter()
    states = sum(1 for _ in predictor.states(columns))
    return time.perf_counter() - began, states - 1


async def queued(model: Model, rows: dict[str, list[Any]]) -> float:
    """Seconds of the same answer, every step queued."""
    columns = await model.encode(rows, 1)
    began = time.perf_counter()
    async for _state in model.states(columns):
        pass
    return time.perf_counter() - began


async def streamed(model: Model, rows: dict[str, list[Any]]) -> float:
    """Seconds of the same answer as events, encoding and decoding included."""
    began = time.perf_counter()
    async for _event in pieces(model, rows):
        pass
    return time.perf_counter() - began


async def measure(predictor: Predictor, rows: dict[str, list[Any]]) -> dict[str, Any]:
    """The median of each way over some rounds, taken in turn."""
    app = create_app(predictor, ServeSettings())
    await app.service.start()
    model, found, steps = app.service.model, [], 0
    for _ in range(ROUNDS):
        seconds, steps = alone(predictor, rows)
        found.append((seconds, await queued(model, rows), await streamed(model, rows)))
    await app.service.stop()
    each = [1e6 * statistics.median(way) / steps for way in zip(*found[2:], strict=True)]
    return {"steps": steps, "rounds": ROUNDS - 2, **{name: round(value, 1) for name, value in zip(("alone_us", "queued_us", "streamed_us"), each, strict=True)}}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--artifact", type=Path, required=True)
    arguments.add_argument("--prompt", default="Once upon a time")
    arguments.add_argument("--name", help="write the result under this name")
    chosen, load = arguments.parse_args(), os.getloadavg()[0]
    predictor = opened(chosen.artifact)
    text = next(name for name, field in predictor.schema.inputs.items() if field.kind == "text")
    result = uvloop.run(measure(predictor, {name: [chosen.prompt if name == text else None] for name in predictor.schema.inputs}))
    print(json.dumps(result))
    if chosen.name:
        print(record.save(f"stream_cost_{chosen.name}", result, load))


if __name__ == "__main__":
    main()
