"""The classical way to make a picture of a class: draw from a normal distribution over the class's principal components.

Source: Turk and Pentland 1991, "Eigenfaces for recognition" (pictures as sums of components); sampling from probabilistic principal components, Tipping and
Bishop 1999. Differs: a distribution for each class; what lies outside of the components is left out rather than drawn as noise of each pixel.
"""

import time

import numpy as np

from thuja.apps.image_generation.codec import ImageGenerationCodec
from thuja.apps.image_generation.judge import Judge
from thuja.apps.image_generation.judged import judged
from thuja.codec import Columns
from thuja.core.seeds import stream
from thuja.task import Baseline

COMPONENTS = 64
ROWS = 2000
"""Training pictures of a class used at most."""


def fit(codec: ImageGenerationCodec, train: Columns, test: Columns, judge: Judge, seed: int) -> Baseline:
    """A picture for each test row; the judge's time does not count."""
    begun = time.perf_counter()
    pictures = draw(np.asarray(train[codec.image]), np.asarray(train[codec.label]), np.asarray(test[codec.label]), seed)
    seconds = time.perf_counter() - begun
    return Baseline(f"a normal distribution over {COMPONENTS} principal components of each class", judged(judge, codec, test, pictures).arrays, seconds)


def draw(pictures: np.ndarray, labels: np.ndarray, asked: np.ndarray, seed: int) -> np.ndarray:
    """Pictures of the classes `asked` for, uint8 [asked, H, W, C], from uint8 pictures and int64 labels; a class without pictures is drawn from all."""
    made = np.zeros((len(asked), *pictures.shape[1:]), np.uint8)
    for label in np.unique(asked):
        rng = stream(seed, "principal components", int(label))
        own = np.flatnonzero(labels == label)
        own = own if len(own) else np.arange(len(labels))
        known = pictures[np.sort(rng.permutation(own)[:ROWS])].reshape(min(len(own), ROWS), -1).astype(np.float64)
        middle = known.mean(axis=0)
        _, sizes, directions = np.linalg.svd(known - middle, full_matrices=False)
        kept, places = min(COMPONENTS, len(sizes)), np.flatnonzero(asked == label)
        spread = sizes[:kept] / np.sqrt(max(len(known) - 1, 1))
        drawn = middle + rng.standard_normal((len(places), kept)) * spread @ directions[:kept]
        made[places] = drawn.round().clip(0, 255).astype(np.uint8).reshape(len(places), *pictures.shape[1:])
    return made
