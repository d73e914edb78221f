"""What a report says of answers to several targets at once, some of them missing: see `thuja.metrics.several`."""

from collections.abc import Callable

import numpy as np

from thuja.metrics import Outputs


def far(name: str) -> Callable[[Outputs], np.ndarray]:
    """[rows]: the mean distance over the targets that are there, each in standard deviations of the target."""

    def wrong(outputs: Outputs) -> np.ndarray:
        target = np.asarray(outputs.target, float)
        there = ~np.isnan(target)
        known = np.where(there, target, 0.0)
        count = np.maximum(there.sum(axis=0), 1)
        spread = np.sqrt(np.maximum((known**2).sum(axis=0) / count - (known.sum(axis=0) / count) ** 2, 0.0))
        gap = np.where(there, np.abs(outputs.arrays[name] - known) / np.where(spread > 0, spread, 1.0), 0.0)
        return np.asarray(gap.sum(axis=1) / np.maximum(there.sum(axis=1), 1))

    return wrong


def words(name: str) -> Callable[[Outputs, int], tuple[str, str]]:
    """The first few targets that are there, and what was answered."""

    def said(outputs: Outputs, place: int) -> tuple[str, str]:
        target, answer = np.asarray(outputs.target[place], float), outputs.arrays[name][place]
        known = np.flatnonzero(~np.isnan(target))
        more = f" and {len(known) - 4} more" if len(known) > 4 else ""
        truth, answered = ([f"{row[i]:.3g}" for i in known[:4]] for row in (target, answer))
        return ", ".join(truth) + more, ", ".join(answered)

    return said
