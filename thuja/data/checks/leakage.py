"""What training rows tell about test rows that will not be told in use: a shared group, a later time, a column that holds the answer."""

from collections.abc import Iterator

import numpy as np

from thuja.data.checks.finding import Finding, Looked, ids, share
from thuja.data.rows import column
from thuja.data.split import NOT_ORDER, times_of
from thuja.settings import GroupSplit, TimeSplit

PROXY = 0.99
"""Balanced accuracy (classes) or R2 (amounts) on held-out rows from which a single column is taken to hold the answer."""
FEWEST = 200
"""Held-out rows from which a one-column rule is judged on them alone: eleven rows may all be right by luck."""
LUCK = 30
"""Fewer judged rows say nothing: a column of noise may get them all right."""
BINS, A_BIN = 256, 20
"""Most quantile bins of a numeric column in the one-column rule, and about how many training rows one holds."""


def group_overlap(looked: Looked) -> Iterator[Finding]:
    """Test rows whose group is in the training rows. After a split by time that is how use will be, so it only warns."""
    split = looked.data.split
    name = looked.data.group or (split.column if isinstance(split, GroupSplit) else None)
    if name is None or name not in looked.parts["train"].names:
        return
    known = looked.hashes("train", (name,))
    for part in ("test", "validation"):
        if part not in looked.parts:
            continue
        there = np.array([value is not None for value in column(looked.parts[part], name)], bool)
        places = np.flatnonzero(np.isin(looked.hashes(part, (name,)), known) & there)
        if len(places):
            yield Finding(
                "group-overlap", "warn" if isinstance(split, TimeSplit) or part == "validation" else "block", len(places), ids(looked.parts[part], places),
                f"{share(len(places), len(looked.parts[part]))} {part} rows have a {name!r} that training rows have too.",
                f"Split by group: data.split: {{kind: group, column: {name}}}.",
            )


def time_overlap(looked: Looked) -> Iterator[Finding]:
    """Test rows that are not later than every training row, where rows have times. A typed split by hash blocks; given parts and groups warn."""
    split = looked.data.split
    train = looked.parts["train"]
    name = split.column if isinstance(split, TimeSplit) else next((n for n, kind in train.kinds.items() if kind == "time" and not NOT_ORDER.search(n)), None)
    if name is None or name not in train.names or "test" not in looked.parts or name in looked.targets:
        return
    last = np.nanmax(times_of(train, name), initial=-np.inf)
    places = np.flatnonzero(times_of(looked.parts["test"], name) <= last)
    if len(places):
        yield Finding(
            "time-overlap", "block" if getattr(split, "kind", "") in ("hash", "time") else "warn", len(places), ids(looked.parts["test"], places),
            f"{share(len(places), len(looked.parts['test']))} test rows are not later ({name!r}) than the last training row.",
            f"Split by time: data.split: {{kind: time, column: {name}}}.",
        )


def target_proxies(looked: Looked) -> Iterator[Finding]:
    """Input columns of a table each of which alone gives the target away, judged on rows that the rule has not seen."""
    held = looked.parts.get("validation", looked.parts.get("test"))
    if held is None or not looked.is_table:
        return
    train = looked.parts["train"]
    for target in looked.targets:
        encoded = looked.encoded["train"].columns.get(target)
        if not isinstance(encoded, np.ndarray) or encoded.ndim != 1 or target not in train.names:
            continue
        amount = encoded.dtype.kind == "f"
        truth = _halves(column(train, target), column(held, target))
        if len(truth[1]) < LUCK:
            continue
        answers = [np.array(half, np.float64) if amount else _codes(half) for half in truth]
        enough = PROXY if amount else min(PROXY, 1 - 2 / len(truth[1]))  # a row or two may lie on the border even of a copy
        for name in looked.inputs:
            values, number = _halves(column(train, name), column(held, name)), train.kinds[name] == "number"
            bins = _bins(*values, number)
            score = _r2(*bins, *answers) if amount else _balanced_accuracy(*bins, *answers)
            if number:
                finer = _line_r2 if amount else _nearest_accuracy
                score = max(score, finer(*(np.array(v, np.float64) for v in values), *answers))
            if score >= enough:
                yield Finding(
                    "target-proxy", "block", len(held), [],
                    f"{name!r} alone predicts {target!r} with {'R2' if amount else 'balanced accuracy'} {score:.3f} on rows not seen.",
                    f"Leave {name!r} out if it is not known when a prediction is made; if it is, a model is hardly needed: waive this.",
                )


def _halves(train: list[object], held: list[object]) -> tuple[list[object], list[object]]:
    """The rows that teach the rule and those that judge it: the parts, or every other row of both where too few are held to tell luck from a leak."""
    if len(held) >= FEWEST:
        return train, held
    both = [*train, *held]
    return both[::2], both[1::2]


def _codes(values: list[object]) -> np.ndarray:
    """Values as small integers that are equal where they are, in every part (by hash)."""
    return np.array([hash_of(value) for value in values], np.int64)


def hash_of(value: object) -> int:
    """A number for a value, the same in every process.

    >>> hash_of("yes") == hash_of("yes") != hash_of("no")
    True
    """
    import zlib

    return zlib.crc32(repr(value).encode())


def _bins(train: list[object], held: list[object], number: bool) -> tuple[np.ndarray, np.ndarray]:
    """Each row's bin: a quantile of a number (missing has its own), or the value of a text.

    Numbers that repeat have a bin each; others share as many bins as have about `A_BIN` rows each, and what lies beyond the training range belongs to the
    bins at the ends. A finer grid would leave bins with a row or two, whose rule is noise: a plain copy of the target would pass in a small table.
    """
    if not number:
        return _codes(train), _codes(held)
    known, other = (np.array(values, np.float64) for values in (train, held))
    there = known[np.isfinite(known)]
    values = np.unique(there)
    count = int(np.clip(len(there) // A_BIN, 2, BINS))
    edges = values if len(values) <= count else np.unique(np.quantile(there, np.linspace(0, 1, count + 1)[1:-1])) if len(there) else there
    return tuple(np.where(np.isnan(v), -1, np.searchsorted(edges, v)) for v in (known, other))  # type: ignore[return-value]


def _balanced_accuracy(known: np.ndarray, held: np.ndarray, answers: np.ndarray, truth: np.ndarray) -> float:
    """Of the rule "the most frequent class of its bin", on held-out rows; a bin never seen is wrong."""
    order = np.lexsort((answers, known))
    pairs, counts = np.unique(np.stack([known[order], answers[order]]), axis=1, return_counts=True)
    best = {int(bin_): int(answer) for bin_, answer, _ in sorted(zip(*pairs, counts, strict=True), key=lambda item: item[2])}
    guess = np.array([best.get(int(bin_), -1) for bin_ in held])
    classes = np.unique(truth)
    return float(np.mean([np.mean(guess[truth == each] == each) for each in classes])) if len(classes) > 1 else 0.0


def _nearest_accuracy(known: np.ndarray, held: np.ndarray, answers: np.ndarray, truth: np.ndarray) -> float:
    """Of the rule "the class of the nearest training value", on held-out rows: where classes meet inside a bin, the bin errs and this does not."""
    there = np.isfinite(known)
    if not there.any() or not np.isfinite(held).all() or len(np.unique(truth)) < 2:
        return 0.0
    order = np.argsort(known[there], kind="stable")
    values, classes = known[there][order], answers[there][order]
    at = np.searchsorted((values[1:] + values[:-1]) / 2, held)
    return float(np.mean([np.mean(classes[at][truth == each] == each) for each in np.unique(truth)]))


def _line_r2(known: np.ndarray, held: np.ndarray, answers: np.ndarray, truth: np.ndarray) -> float:
    """Of a straight line through the training rows, on held-out rows: a rescaled copy of a skewed target escapes the bins, whose last is wide."""
    there, judged = np.isfinite(known) & np.isfinite(answers), np.isfinite(held) & np.isfinite(truth)
    if there.sum() < 3 or not judged.any() or np.ptp(known[there]) == 0 or np.var(truth[judged]) == 0:
        return 0.0
    centre = known[there].mean()
    slope = np.mean((known[there] - centre) * answers[there]) / np.var(known[there])
    guess = answers[there].mean() + slope * (held[judged] - centre)
    return float(1 - np.mean((guess - truth[judged]) ** 2) / np.var(truth[judged])) * float(judged.mean())


def _r2(known: np.ndarray, held: np.ndarray, answers: np.ndarray, truth: np.ndarray) -> float:
    """Of the rule "the mean of its bin", on held-out rows; a bin never seen gets the mean of all."""
    there = ~np.isnan(answers)
    bins, inverse = np.unique(known[there], return_inverse=True)
    means = np.bincount(inverse, answers[there]) / np.bincount(inverse)
    at = np.clip(np.searchsorted(bins, held), 0, len(bins) - 1)
    guess = np.where(bins[at] == held, means[at], answers[there].mean())
    judged = ~np.isnan(truth)
    spread = np.var(truth[judged])
    return float(1 - np.mean((guess[judged] - truth[judged]) ** 2) / spread) if spread > 0 else 0.0
