"""Metrics of a translation beside one reference: BLEU and chrF, from counts per row, so that an interval costs a matrix product; and whether it is the same.

Source: BLEU, Papineni et al. 2002, as the WMT campaigns compute it and sacrebleu defines it (Post 2018, arXiv 1804.08771): signature
`nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp`; chrF, Popović 2015: `nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no`. The tests compare both with sacrebleu.
13a splits at spaces and punctuation: for Chinese or Japanese read chrF.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from thuja.metrics.metric import Metric, Outputs, Weighted, mean_of, ratio

WORDS, LETTERS, BETA = 4, 6, 2
"""Longest n-grams of BLEU (words) and chrF (characters); how much more recall counts in chrF."""
ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
RULES = tuple((re.compile(rule), by) for rule, by in (
    (r"([\{-\~\[-\` -\&\(-\+\:-\@\/])", r" \1 "), (r"([^0-9])([\.,])", r"\1 \2 "), (r"([\.,])([^0-9])", r" \1 \2"), (r"([0-9])(-)", r"\1 \2 ")))
"""Of mteval-v13a: marks stand alone; a stop or comma too, unless between digits; a dash after a digit."""


def words_of(text: str) -> list[str]:
    """A text in the words of mteval-v13a.

    >>> words_of('A dog, 3.5 m long -- "big".')
    ['A', 'dog', ',', '3.5', 'm', 'long', '--', '"', 'big', '"', '.']
    """
    text = text.rstrip().replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    if "&" in text:
        for entity, mark in ENTITIES:
            text = text.replace(entity, mark)
    text = f" {text} "
    for rule, by in RULES:
        text = rule.sub(by, text)
    return text.split()


def bleu(outputs: Outputs) -> Weighted:
    """0 to 100: the geometric mean of the shares of n-grams, n = 1..4, that the reference has too, times a penalty for answers that are too short."""
    counts = _counts(outputs, words_of, WORDS)
    return lambda weights: _bleu(np.einsum("dr,rnk->dnk", weights, counts))


def _bleu(counts: np.ndarray) -> np.ndarray:
    """BLEU [draws] of corpora of counts [draws, 4, 3]. Of n-grams of which none is right, half of one is taken to be, then a quarter, an eighth."""
    answered, referred, right = (counts[:, :, k] for k in range(3))
    none = right == 0
    precision = ratio(np.where(none, 0.5 ** np.cumsum(none, axis=1), right), answered, 0.0)
    with np.errstate(divide="ignore"):
        mean = np.exp(np.log(precision).mean(axis=1))
    short = ratio(referred[:, 0], answered[:, 0], np.inf)
    value = 100 * mean * np.exp(np.minimum(0.0, 1 - short))
    return np.where(referred[:, 0] + answered[:, 0] == 0, np.nan, np.where(none.all(axis=1), 0.0, value))


def chrf(outputs: Outputs) -> Weighted:
    """0 to 100: precision and recall of character n-grams, n = 1..6, without spaces, averaged over n; their F-score, in which recall counts twice."""
    counts = _counts(outputs, lambda text: "".join(text.split()), LETTERS, mutual=True)
    return lambda weights: _chrf(np.einsum("dr,rnk->dnk", weights, counts))


def _chrf(counts: np.ndarray) -> np.ndarray:
    answered, referred, right = (counts[:, :, k] for k in range(3))
    both = (answered > 0) & (referred > 0)
    precision, recall = (ratio((ratio(right, total, 0.0) * both).sum(axis=1), both.sum(axis=1), 0.0) for total in (answered, referred))
    value = 100 * ratio((1 + BETA**2) * precision * recall, BETA**2 * precision + recall, 0.0)
    return np.where(counts.sum(axis=(1, 2)) == 0, np.nan, value)


def _counts(outputs: Outputs, split: Callable[[str], Sequence[str]], longest: int, mutual: bool = False) -> np.ndarray:
    """[rows, longest, 3]: n-grams of the answer, of the reference, and those that both have. `mutual`: an answer's n-grams count only where the reference
    is as long (sacrebleu's chrF)."""
    found = np.zeros((len(outputs.target), longest, 3))
    for row, (reference, answer) in enumerate(zip(outputs.target, outputs.arrays["text"], strict=True)):
        right, given = split(str(reference)), split(str(answer))
        for n in range(1, longest + 1):
            answered, referred = max(len(given) - n + 1, 0), max(len(right) - n + 1, 0)
            same = sum((_grams(given, n) & _grams(right, n)).values()) if answered and referred else 0
            found[row, n - 1] = (0 if mutual and not referred else answered), referred, same
    return found


def _grams(words: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[i:] for i in range(n)), strict=False))


def exact_match(outputs: Outputs) -> Weighted:
    """The share of answers that are the reference, to the letter."""
    return mean_of(_same(outputs))


def _same(outputs: Outputs) -> np.ndarray:
    return np.array([str(a) == str(b) for a, b in zip(outputs.target, outputs.arrays["text"], strict=True)], float)


def _proportion(outputs: Outputs) -> tuple[float, float]:
    return float(_same(outputs).sum()), float(len(outputs.target))


METRICS = (
    Metric("bleu", "BLEU", "max", "text", bleu),
    Metric("chrf", "chrF", "max", "text", chrf),
    Metric("exact_match", "Exactly right", "max", "text", exact_match, proportion=_proportion, percent=True),
)
