"""The classical model beside the network: histograms of gradients, and logistic regression on them.

Source: Dalal and Triggs 2005 (histograms of oriented gradients). Differs: soft assignment to two orientations, cells of length one instead of overlapping
blocks, at each place the colour channel with the largest gradient, and the mean colour of each cell besides.
"""

import time
from typing import Any

import numpy as np

from thuja.apps.image_classification.codec import ImageClassificationCodec
from thuja.codec import Columns
from thuja.task import Baseline

ROWS = 10_000
"""Training rows used at most; more would take longer than the network."""
ORIENTATIONS = 9


def fit(train: Columns, test: Columns, image: str, target: str, *, seed: int) -> Baseline:
    """Train on at most ROWS encoded training pictures, answer all test pictures."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    begun = time.perf_counter()
    pictures, labels = np.asarray(train[image]), np.asarray(train[target])
    chosen = np.sort(np.random.default_rng(seed).permutation(len(labels))[:ROWS])
    features = describe(pictures[chosen])
    model = make_pipeline(*_reduced(features, seed), LogisticRegression(C=0.01, max_iter=100))
    model.fit(features, labels[chosen])
    answered = model.predict_proba(describe(np.asarray(test[image])))
    classes = int(max(labels.max(initial=0), np.asarray(test[target]).max(initial=0))) + 1
    probability = np.zeros((len(answered), classes), np.float32)
    probability[:, model.classes_] = answered
    return Baseline(_name(len(labels)), {"probability": probability}, time.perf_counter() - begun)


def fit_several(train: Columns, test: Columns, codec: ImageClassificationCodec, *, seed: int) -> Baseline:
    """The same for each of several labels by itself; one that every training row has, or none, gets the share of rows that have it."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    begun = time.perf_counter()
    pictures, marks = np.asarray(train[codec.image]), np.asarray(train[codec.target])
    chosen = np.sort(np.random.default_rng(seed).permutation(len(marks))[:ROWS])
    features, marks = describe(pictures[chosen]), marks[chosen]
    shared = make_pipeline(*_reduced(features, seed))
    features, asked = shared.fit_transform(features), shared.transform(describe(np.asarray(test[codec.image])))
    probability = np.tile(marks.mean(axis=0), (len(asked), 1)).astype(np.float32)
    for label in np.flatnonzero((marks.min(axis=0) < 1) & (marks.max(axis=0) > 0)):
        probability[:, label] = LogisticRegression(C=0.01, max_iter=100).fit(features, marks[:, label]).predict_proba(asked)[:, 1]
    outputs = {"label_probability": probability, "decided": codec.decided(probability)}
    return Baseline(_name(len(pictures)), outputs, time.perf_counter() - begun)


def _reduced(features: np.ndarray, seed: int) -> list[Any]:
    from sklearn.decomposition import PCA  # a second to import, wanted once a run
    from sklearn.preprocessing import StandardScaler

    parts = min(200, len(features) - 1, features.shape[1])
    return [PCA(parts, random_state=seed, svd_solver="randomized"), StandardScaler()]


def _name(rows: int) -> str:
    return "logistic regression on histograms of gradients" + (f" ({ROWS} of {rows} training rows)" if rows > ROWS else "")


def describe(pictures: np.ndarray, cells: int = 7) -> np.ndarray:
    """Histograms of oriented gradients and mean colours over a grid: uint8 [N, H, W, C] to float32 [N, cells**2 (ORIENTATIONS + C)]; 512 pictures at a time."""
    parts = [_describe(pictures[i : i + 512].astype(np.float32) / 255, cells) for i in range(0, len(pictures), 512)]
    return np.concatenate(parts)


def _describe(x: np.ndarray, cells: int) -> np.ndarray:
    rows, height, width, _ = x.shape
    dy, dx = np.gradient(x, axis=1), np.gradient(x, axis=2)
    strongest = (dx**2 + dy**2).argmax(axis=3)[..., None]
    dy, dx = np.take_along_axis(dy, strongest, 3)[..., 0], np.take_along_axis(dx, strongest, 3)[..., 0]
    strength = np.hypot(dx, dy)
    place = (np.arctan2(dy, dx) % np.pi) / np.pi * ORIENTATIONS
    low = np.floor(place).astype(int) % ORIENTATIONS
    high_share = place - np.floor(place)
    maps = np.zeros((rows, height, width, ORIENTATIONS), np.float32)
    np.put_along_axis(maps, low[..., None], (strength * (1 - high_share))[..., None], 3)
    next_ = ((low + 1) % ORIENTATIONS)[..., None]
    np.put_along_axis(maps, next_, (strength * high_share)[..., None], 3)
    histograms, colours = _grid(maps, cells), _grid(x, cells)
    histograms = histograms / (np.sqrt((histograms**2).sum(axis=-1, keepdims=True)) + 0.02)
    return np.concatenate([np.minimum(histograms, 0.5).reshape(rows, -1), colours.reshape(rows, -1)], axis=1)


def _grid(maps: np.ndarray, cells: int) -> np.ndarray:
    """Means over a grid of about equal cells: [N, H, W, F] to [N, rows of cells, columns of cells, F]."""
    height, width = maps.shape[1:3]
    down, across = min(cells, height), min(cells, width)
    rows = np.add.reduceat(maps, np.arange(down) * height // down, axis=1)
    both: np.ndarray = np.add.reduceat(rows, np.arange(across) * width // across, axis=2)
    return both * np.float32(down * across / (height * width))
