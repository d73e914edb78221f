"""What a report says of single answers, by the kind of output there is: how wrong each one is, and truth and answer in words."""

from collections.abc import Callable
from difflib import SequenceMatcher
from typing import NamedTuple

import numpy as np

from thuja.metrics import Outputs
from thuja.metrics.classification import decision
from thuja.report import answers_several

COMPARED = 5000
"""Most texts that are compared letter by letter."""
LONGEST = 300
"""Characters shown of a text."""


class Kind(NamedTuple):
    """One kind of answer."""

    wrong: Callable[[Outputs], np.ndarray]
    """[rows]: how wrong, more is worse, 0 or less is right."""
    words: Callable[[Outputs, int], tuple[str, str]]
    """The truth and the answer of a row."""


def kind_of(outputs: Outputs) -> Kind:
    """The first of `KINDS` whose array is among the outputs."""
    return next(kind for name, kind in KINDS.items() if name in outputs.arrays)


def plain(value: float) -> str:
    """A number without an exponent where that can be read.

    >>> plain(459360.4), plain(76.94412), plain(3.0), plain(1e-9), plain(1e20)
    ('459,360', '76.944', '3', '1e-09', '1e+20')
    """
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.5g}"


def _undecided(outputs: Outputs) -> np.ndarray:
    """A wrong decision is the worse, the less probability the truth was given."""
    given = np.take_along_axis(outputs.arrays["probability"], outputs.target.astype(np.int64)[:, None], axis=1)[:, 0]
    return np.where(decision(outputs) != outputs.target, 1 - given, 0.0)


def _classes(outputs: Outputs, place: int) -> tuple[str, str]:
    probability, truth = outputs.arrays["probability"][place], int(outputs.target[place])
    names = outputs.names or tuple(map(str, range(len(probability))))
    chosen = int(probability.argmax())
    return f"{names[truth]} ({probability[truth] * 100:.0f} %)", f"{names[chosen]} ({probability[chosen] * 100:.0f} %)"


def _unlike(outputs: Outputs) -> np.ndarray:
    """One minus the share of letters in common."""
    pairs = zip(outputs.target[:COMPARED], outputs.arrays["text"][:COMPARED], strict=True)
    found = [1 - SequenceMatcher(None, str(a), str(b), autojunk=False).ratio() for a, b in pairs]
    return np.pad(np.array(found, float), (0, len(outputs.target) - len(found)))


def _texts(outputs: Outputs, place: int) -> tuple[str, str]:
    return _short(str(outputs.target[place])), _short(str(outputs.arrays["text"][place]))


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _surprise(outputs: Outputs) -> np.ndarray:
    return np.asarray(outputs.arrays["nll"] / np.maximum(outputs.arrays["tokens"], 1), float)


def _surprises(outputs: Outputs, place: int) -> tuple[str, str]:
    return f"{int(outputs.arrays['tokens'][place])} tokens", f"{_surprise(outputs)[place]:.2f} nats a token"


def _late(outputs: Outputs) -> np.ndarray:
    return np.asarray(outputs.arrays["rank"], float) - 1


def _ranks(outputs: Outputs, place: int) -> tuple[str, str]:
    return str(outputs.target[place]), f"at place {int(outputs.arrays['rank'][place]):,}"


def _far(outputs: Outputs) -> np.ndarray:
    rows = len(outputs.target)
    gap = np.abs(outputs.arrays["value"].astype(float).reshape(rows, -1) - outputs.target.astype(float).reshape(rows, -1))
    return np.asarray(np.nan_to_num(gap).mean(axis=1))


def _values(outputs: Outputs, place: int) -> tuple[str, str]:
    target, value = np.ravel(outputs.target[place]), np.ravel(outputs.arrays["value"][place])
    if len(target) == 1:
        return plain(float(target[0])), plain(float(value[0]))
    return f"{plain(float(np.nanmean(target)))} on average over {len(target)} steps", plain(float(value.mean()))


def _missed(outputs: Outputs) -> np.ndarray:
    """The share of boxes that were not found at an overlap of 0.5, and as much again for surer ones that are wrong."""
    rows, most = outputs.arrays["score"].shape
    bits = outputs.arrays["judged"].reshape(rows, -1, most)[:, 0]  # of boxes of any area, bit 0 says right and bit 10 ignored, at the first overlap
    right, wrong = bits & 1 == 1, (bits & 1025 == 0) & (outputs.arrays["score"] > 0)
    wanted = outputs.target.reshape(rows, -1).sum(1)
    return np.asarray((wanted - right.sum(1) + np.where(wrong, outputs.arrays["score"], 0).sum(1)) / np.maximum(wanted, 1))


def _boxes(outputs: Outputs, place: int) -> tuple[str, str]:
    wanted, score, label = outputs.target[place].ravel(), outputs.arrays["score"][place], outputs.arrays["label"][place]
    names = outputs.names or tuple(map(str, range(len(wanted))))
    sure = np.bincount(label[score >= 0.5].astype(np.int64), minlength=len(names))
    drawn, found = (", ".join(f"{name} {count}" for name, count in zip(names, counts, strict=True) if count) or "nothing" for counts in (wanted, sure))
    return drawn, found


def _unlikely(outputs: Outputs) -> np.ndarray:
    """A made picture is the worse, the less a classifier takes it for what was asked; unknown where there is no classifier."""
    return np.asarray(np.nan_to_num(1 - outputs.arrays["recognised"], nan=0.0), float)


def _recognised(outputs: Outputs, place: int) -> tuple[str, str]:
    return "a picture of what was asked for", f"taken for it with {outputs.arrays['recognised'][place] * 100:.0f} %"


def _mislabelled(outputs: Outputs) -> np.ndarray:
    """How many names are missing or too many; of equals, where the probabilities are further off."""
    target = outputs.target.astype(float)
    wrong = (outputs.arrays["decided"] != target).sum(axis=1)
    return np.asarray(wrong + np.where(wrong > 0, np.abs(outputs.arrays["label_probability"] - target).mean(axis=1), 0.0))


def _labels(outputs: Outputs, place: int) -> tuple[str, str]:
    names = outputs.names or tuple(map(str, range(outputs.target.shape[1])))
    sets = ([name for name, there in zip(names, row[place], strict=True) if there] for row in (outputs.target, outputs.arrays["decided"]))
    said, answered = (", ".join(found) or "none" for found in sets)
    return _short(said), _short(answered)


def _short_of(outputs: Outputs) -> np.ndarray:
    """How much less than wanted, or than the best, an episode brought."""
    found, wanted = np.asarray(outputs.arrays["return"], float), np.asarray(outputs.target, float)
    return np.asarray(np.where(np.isfinite(wanted), wanted, found.max(initial=-np.inf)) - found)


def _episodes(outputs: Outputs, place: int) -> tuple[str, str]:
    wanted, found = float(outputs.target[place]), float(outputs.arrays["return"][place])
    return "as much as it can" if np.isinf(wanted) else f"{plain(wanted)} or more", f"{plain(found)} in {int(outputs.arrays['length'][place])} steps"


def _unlike_masks(outputs: Outputs) -> np.ndarray:
    """Share of the known pixels whose class is wrong."""
    counts = np.asarray(outputs.arrays["confusion"], float)
    right = counts[:, :: round(counts.shape[1] ** 0.5) + 1].sum(axis=1)
    return np.asarray(1 - right / np.maximum(counts.sum(axis=1), 1))


def _masks(outputs: Outputs, place: int) -> tuple[str, str]:
    """How much of the picture each class has, the largest first."""
    counts = np.asarray(outputs.arrays["confusion"][place], float).reshape(len(outputs.target[place]), -1)
    names, total = outputs.names or tuple(map(str, range(len(counts)))), max(counts.sum(), 1)
    truth, answer = (", ".join(f"{names[i]} {share[i] * 100:.1f} %" for i in np.argsort(-share, kind="stable")[:4] if share[i] > 0)
                     for share in (counts.sum(axis=1) / total, counts.sum(axis=0) / total))
    return truth, f"{answer} ({(1 - _unlike_masks(outputs)[place]) * 100:.1f} % of the pixels right)"
KINDS = {"judged": Kind(_missed, _boxes), "probability": Kind(_undecided, _classes), "text": Kind(_unlike, _texts), "nll": Kind(_surprise, _surprises),
         "rank": Kind(_late, _ranks), "return": Kind(_short_of, _episodes), "value": Kind(_far, _values),
         "label_probability": Kind(_mislabelled, _labels), "recognised": Kind(_unlikely, _recognised), "confusion": Kind(_unlike_masks, _masks),
         **{name: Kind(answers_several.far(name), answers_several.words(name)) for name in ("values", "chances")}}
"""By the name of an output; the first that is there counts."""
