"""A window of a million rows and 50 columns, summarised in one pass and compared with the reference: is an explanation ready when a look wants it?

    python benchmarks/life/summaries.py

30 numbers, 15 categories (30 names of which 25 are known) and 5 texts of 3 to 12 words, a twentieth of all cells missing (texts: empty), as plain Python
values in parts of 50,000 rows, as a server has them; seed 0. Each part is summarised, the parts are merged and compared with a reference of 100,000 rows of
the same kind, in which one number and one category were otherwise. On one core, without threads. Goal: 5 s on two cores.
"""

import os
import resource
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
import record

from thuja.fields import Category, Number, Schema, Text
from thuja.life.drift import merged, moved, summarised

ROWS, PART, REFERENCE, COLUMNS, GOAL = 1_000_000, 50_000, 100_000, 50, 5.0
NUMBERS = [f"number{place}" for place in range(30)]
CATEGORIES = [f"category{place}" for place in range(15)]
TEXTS = [f"text{place}" for place in range(5)]
NAMES = [f"name {place}" for place in range(30)]
WORDS = ["good", "bad", "naïve", "film", "12", "slowly", "-", "the"]
EDGES = tuple(np.linspace(-2, 2, 15).tolist())
SCHEMA = Schema(inputs={**{name: Number(edges=EDGES, missing=True) for name in NUMBERS}, **{name: Text() for name in TEXTS},
                        **{name: Category(names=tuple(NAMES[:25]), missing=True, unknown=True) for name in CATEGORIES}}, outputs={"value": Number()})


def part(rows: int, rng: np.random.Generator, shift: float = 0.0) -> dict[str, list]:
    """Rows by column; `shift` moves the first number and tilts the first category."""
    columns: dict[str, list] = {}
    for place, name in enumerate(NUMBERS):
        values = rng.normal(shift if place == 0 else 0.0, 1, rows)
        columns[name] = [None if gone else value for value, gone in zip(values.tolist(), (rng.random(rows) < 0.05).tolist(), strict=True)]
    for place, name in enumerate(CATEGORIES):
        drawn = np.minimum(rng.integers(0, 30, rows), rng.integers(0, 30, rows)) if shift and place == 0 else rng.integers(0, 30, rows)
        columns[name] = [None if gone else NAMES[value] for value, gone in zip(drawn.tolist(), (rng.random(rows) < 0.05).tolist(), strict=True)]
    for name in TEXTS:
        drawn = zip(rng.integers(0, 8, (1000, 12)).tolist(), rng.integers(3, 13, 1000).tolist(), strict=True)
        some = [" ".join(WORDS[word] for word in words[:length]) for words, length in drawn]
        some[:50] = [""] * 50
        columns[name] = [some[place] for place in rng.integers(0, 1000, rows).tolist()]
    return columns


def main() -> None:
    load, rng = os.getloadavg()[0], np.random.default_rng(0)
    reference = summarised(SCHEMA, part(REFERENCE, rng, shift=0.5))
    found: list[dict] = []
    taken = processor = 0.0
    for _ in range(ROWS // PART):
        columns = part(PART, rng)
        began, used = time.perf_counter(), time.process_time()
        found.append(summarised(SCHEMA, columns))
        taken, processor = taken + time.perf_counter() - began, processor + time.process_time() - used
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, used = time.perf_counter(), time.process_time()
    # a part's texts are drawn from 1,000, so that their lengths differ by some 2 %
    whole = {name: merged([one[name] for one in found]) for name in SCHEMA.inputs}
    says = [one for one in moved(SCHEMA.inputs, reference, whole) if one.beyond > 0.05]
    taken, processor = taken + time.perf_counter() - began, processor + time.process_time() - used
    assert {one.field for one in says} == {"number0", "category0"}, says
    assert all(summary["rows"] == ROWS for summary in whole.values())
    result = {"says": "seconds for a million rows of 50 columns, summarised in parts, merged and compared with the reference; one core",
              "wall_s": round(taken, 2), "processor_s": round(processor, 2), "rows": ROWS, "columns": COLUMNS, "parts": len(found),
              "moved": [one.field for one in says], "peak_memory_mb": round(before / 1024), "goals": {"processor_s": GOAL}}
    print(result)
    print(record.save("life_summaries", result, load))


if __name__ == "__main__":
    main()
