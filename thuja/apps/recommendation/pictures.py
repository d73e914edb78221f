"""What the report shows of a recommender: how good it is for whom, and whether it recommends more than what is popular anyway. No torch."""

import numpy as np

from thuja.apps.recommendation.codec import HISTORY, SEEN, RecommendationCodec
from thuja.chart import Chart, Line
from thuja.codec import Columns, Ragged
from thuja.metrics import Outputs
from thuja.metrics.bootstrap import wilson
from thuja.metrics.recommendation import hits

GROUPS = 6
POINTS = 100


def charts(codec: RecommendationCodec, columns: Columns, outputs: Outputs) -> tuple[Chart, ...]:
    """Hit rate by length of the history; shares of recommendations and of interactions by popularity."""
    lists = columns[HISTORY if codec.repeats else SEEN]
    assert isinstance(lists, Ragged)
    return (by_length(np.diff(lists.offsets), hits(outputs.arrays["rank"])), by_popularity(codec, outputs.arrays["top"]))


def by_length(lengths: np.ndarray, hit: np.ndarray) -> Chart:
    """Users in groups of about equal size, from the shortest history to the longest."""
    edges = np.unique(np.quantile(lengths, np.linspace(0, 1, GROUPS + 1)[1:-1]).astype(int)) if len(lengths) else np.zeros(0, int)
    group = np.searchsorted(edges, lengths, side="left")
    found = [(float(np.median(lengths[group == g])), *_share(hit[group == g])) for g in np.unique(group)]
    x, y, low, high = np.array(found).T if found else np.zeros((4, 0))
    return Chart("Hit rate by length of history", "For users in groups by how much they had taken: how often what they took next is among the first ten, "
                 "with 95 % intervals.", "items in the history (middle of the group)", "hit rate at 10", lines=[Line("hit rate at 10", x, y, low, high)])


def _share(hit: np.ndarray) -> tuple[float, float, float]:
    low, high = wilson(float(hit.sum()), float(len(hit)), 0.95)
    return float(hit.mean()), low, high


def by_popularity(codec: RecommendationCodec, top: np.ndarray) -> Chart:
    """Items from the most popular on; how much of all recommendations, and of all interactions, the first share of them makes up."""
    given = np.bincount(top[top > 0], minlength=len(codec.items) + 1)[1:].astype(float)
    taken = np.array(codec.counts, float)
    x = np.arange(len(taken) + 1) / len(taken)
    kept = np.unique(np.linspace(0, len(taken), min(POINTS, len(taken)) + 1).astype(int))
    lines = [Line(label, x[kept], np.append(0.0, np.cumsum(counts) / max(counts.sum(), 1))[kept])
             for label, counts in (("recommended", given), ("taken in training", taken))]
    return Chart("Popularity of what is recommended", "Items in order of popularity: the share of all recommendations, and of all training interactions, that "
                 f"the most popular items make up. {int((given > 0).sum()):,} of {len(taken):,} items are recommended to someone.",
                 "share of the catalogue, most popular first", "share", lines=lines)
