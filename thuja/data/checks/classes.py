"""Classes that a part has not: what is not in the training rows cannot be learned, what is not in the test rows is not measured."""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from thuja.data.checks.finding import Finding, Looked, ids, share
from thuja.data.rows import column


def absent_classes(looked: Looked) -> Iterator[Finding]:
    """Classes absent from a part, and classes with a single training row. Targets that are amounts (float in the encoded columns) have none."""
    for target in looked.targets:
        encoded = looked.encoded["train"].columns.get(target)
        if target not in looked.parts["train"].names or not isinstance(encoded, np.ndarray) or encoded.dtype.kind != "i" or encoded.ndim != 1:
            continue
        values = {part: column(source, target) for part, source in looked.parts.items()}
        counts = {part: Counter(value for value in found if value is not None) for part, found in values.items()}
        every = set().union(*counts.values())
        yield from _unlearned(looked, target, values, every - set(counts["train"]))
        for part in ("validation", "test"):
            absent = sorted(map(str, every - set(counts[part]))) if part in counts else []
            if absent:
                yield Finding("absent-class", "warn", len(absent), [], f"{share(len(absent), len(every))} classes have no {part} row: {_listed(absent)}.",
                              "Give more rows of them: nothing is known of how well they are told apart.")
        single = sorted(str(value) for value, count in counts["train"].items() if count == 1)
        if single:
            yield Finding("rare-class", "warn", len(single), [], f"{share(len(single), len(every))} classes have one training row: {_listed(single)}.",
                          "Give more rows, or join classes.")


def _unlearned(looked: Looked, target: str, values: dict[str, list[object]], absent: set[object]) -> Iterator[Finding]:
    for part in ("test", "validation"):
        places = [place for place, value in enumerate(values.get(part, ())) if value in absent]
        if places:
            names = sorted({str(values[part][place]) for place in places})
            yield Finding(
                "absent-class", "block", len(places), ids(looked.parts[part], places),
                f"{share(len(places), len(values[part]))} {part} rows are of classes that no training row has: {_listed(names)}.",
                f"Correct the names in {target!r}, give training rows of these classes, or remove the {part} rows.",
            )


def _listed(names: list[str]) -> str:
    return ", ".join(map(repr, names[:8])) + (", ..." if len(names) > 8 else "")
