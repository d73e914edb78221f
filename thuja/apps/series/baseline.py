"""The classical model beside the network: ridge regression on the answers of random convolutions.

Source: ROCKET, Dempster, Petitjean and Webb 2020, arXiv 1910.13051: random kernels and dilations, and of each the maximum and the share of positive answers.
Differs: one length of kernel, every kernel reads all channels, as many kernels for each dilation, biases from the answers of a sample (as MiniRocket).
"""

import time

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from thuja.apps.series.codec import STEPS
from thuja.codec import Columns, Ragged
from thuja.core.seeds import mix
from thuja.task import Baseline

KERNELS, LENGTH = 800, 9
ROWS = 256
"""At a time."""
PENALTIES = np.logspace(-3, 3, 10)


def fit(train: Columns, test: Columns, target: str, *, regression: bool, seed: int) -> Baseline:
    """Fitted to the training rows, on the test rows: `value` float32 [rows], or `probability` float32 [rows, classes]: the softmax of the ridge's scores."""
    from sklearn.linear_model import RidgeClassifierCV, RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    began = time.perf_counter()
    steps, asked = train[STEPS], test[STEPS]
    assert isinstance(steps, Ragged) and isinstance(asked, Ragged)
    kernels = Kernels(steps, seed)
    known, given, y = kernels.features(steps), kernels.features(asked), np.asarray(train[target])
    name = f"ridge regression on {KERNELS} random convolutions (ROCKET)"
    if regression:
        model = make_pipeline(StandardScaler(), RidgeCV(PENALTIES)).fit(known, y)
        return Baseline(name, {"value": np.clip(model.predict(given), y.min(), y.max()).astype(np.float32)}, time.perf_counter() - began)
    model = make_pipeline(StandardScaler(), RidgeClassifierCV(PENALTIES)).fit(known, y)
    scores = model.decision_function(given)
    scores = np.stack([-scores, scores], axis=1) if scores.ndim == 1 else scores
    probability = np.zeros((len(given), int(max(y.max(), np.asarray(test[target]).max())) + 1), np.float32)
    odds = np.exp(2 * (scores - scores.max(1, keepdims=True)))
    probability[:, model[-1].classes_] = odds / odds.sum(1, keepdims=True)
    return Baseline(name, {"probability": probability}, time.perf_counter() - began)


class Kernels:
    """Random convolutions for series like these."""

    def __init__(self, steps: Ragged, seed: int) -> None:
        rng = torch.Generator().manual_seed(mix(seed, "rocket"))
        values = steps.values[:, :-1].astype(np.float64)
        self.mean, self.std = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
        self.std[~(self.std > 0)] = np.inf
        shortest = max(int(np.median(np.diff(steps.offsets))) - 1, 1)
        count = int(np.log2(max(shortest / (LENGTH - 1), 1))) + 1
        self.dilations = [2**i for i in range(count)]
        weight = torch.randn(KERNELS, values.shape[1], LENGTH, generator=rng)
        self.weights = (weight - weight.mean(2, keepdim=True)).tensor_split(count)
        sample = torch.from_numpy(self._standard(steps.take(np.unique(np.linspace(0, len(steps.offsets) - 2, 64).astype(np.int64)))))
        self.biases = [self._bias(sample, w, d, rng) for w, d in zip(self.weights, self.dilations, strict=True)]

    def features(self, steps: Ragged) -> np.ndarray:
        """float32 [rows, 2 * KERNELS]: the maximum and the share of positive answers of every kernel."""
        rows, found = len(steps.offsets) - 1, []
        for start in range(0, rows, ROWS):
            some = torch.from_numpy(self._standard(steps.take(np.arange(start, min(start + ROWS, rows)))))
            x, mask = some[:, :-1], some[:, -1:] > 0
            parts: list[Tensor] = []
            for weight, dilation, bias in zip(self.weights, self.dilations, self.biases, strict=True):
                answers = _answers(x, weight, dilation) - bias[:, None]
                parts += [torch.where(mask, answers, -torch.inf).amax(2), ((answers > 0) & mask).sum(2) / mask.sum(2)]
            found.append(torch.cat(parts, dim=1).numpy())
        return np.concatenate(found)

    def _standard(self, steps: Ragged) -> np.ndarray:
        """float32 [rows, channels + 1, steps]: standardised, gaps and padding zero; the last channel is the mask."""
        values = np.concatenate([np.nan_to_num((steps.values[:, :-1] - self.mean) / self.std), steps.values[:, -1:]], axis=1).astype(np.float32)
        return np.ascontiguousarray(Ragged(values, steps.offsets).padded().transpose(0, 2, 1))

    @staticmethod
    def _bias(sample: Tensor, weight: Tensor, dilation: int, rng: torch.Generator) -> Tensor:
        """For each kernel, one of its own answers: then it is positive sometimes, and not always."""
        answers = _answers(sample[:, :-1], weight, dilation).transpose(0, 1).flatten(1)
        answers = answers[:, sample[:, -1].flatten() > 0]
        return answers.gather(1, torch.randint(answers.shape[1], (len(weight), 1), generator=rng))[:, 0]


def _answers(x: Tensor, weight: Tensor, dilation: int) -> Tensor:
    return functional.conv1d(x, weight, dilation=dilation, padding=dilation * (LENGTH // 2))
