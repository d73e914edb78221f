"""The classical model that stands beside the network where every recording is one of a few texts: a support vector machine on the spectrogram."""

import itertools
import time
from collections import Counter

import numpy as np
import torch

from thuja.blocks.spectrogram import LogMel
from thuja.codec import Column, Ragged
from thuja.task import Baseline, Part

MOST_TEXTS = 200
LEAST_ROWS = 5
"""Of each text, on average."""
ROWS = 10_000
"""Training recordings used at most, evenly spread."""
PIECES = 10
"""Stretches of equal length into which a recording is cut."""
BANDS = 40


def fit(train: Part, test: Part, audio: str, texts: list[str], rate: int) -> Baseline | None:
    """Train on the same recordings and answer the same test rows: `text` [rows] (objects). None where texts hardly come twice.

    Args: audio: the column of samples; texts: what was said in the training rows.
    """
    counts = Counter(texts)
    if len(counts) < 2 or len(counts) > MOST_TEXTS or len(texts) < LEAST_ROWS * len(counts):
        return None
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    began = time.perf_counter()
    index = np.unique(np.linspace(0, len(texts) - 1, min(ROWS, len(texts))).astype(np.int64))
    model = make_pipeline(StandardScaler(), SVC(C=10.0))
    model.fit(features(train.columns[audio], index, rate), [texts[i] for i in index])
    found = model.predict(features(test.columns[audio], np.arange(len(test.source)), rate))
    return Baseline(f"support vector machine on {PIECES} stretches of {BANDS} log-mel bands", {"text": found.astype(object)}, time.perf_counter() - began)


def features(column: Column, index: np.ndarray, rate: int) -> np.ndarray:
    """The mean spectrogram of `PIECES` equal stretches of each recording, and how long it is: float32 [rows, PIECES * BANDS + 1]."""
    assert isinstance(column, Ragged)
    spectrogram = LogMel(rate, BANDS)
    found = np.zeros((len(index), PIECES * BANDS + 1), np.float32)
    with torch.no_grad():
        for place, i in enumerate(index):
            samples = np.asarray(column.values[column.offsets[i] : column.offsets[i + 1]], np.float32) / 32768
            frames = spectrogram(torch.from_numpy(samples)[None])[0].numpy()
            edges = np.linspace(0, len(frames), PIECES + 1)
            pieces = [frames[int(low) : max(int(np.ceil(high)), int(low) + 1)].mean(axis=0) for low, high in itertools.pairwise(edges)]
            found[place] = [*np.concatenate(pieces), np.log(len(samples))]
    return found
