"""The classical model beside the network: Otsu's threshold where objects are wanted, else a logistic regression on what surrounds each pixel.

Source: Otsu 1979, IEEE SMC 9(1); features of a pixel after ilastik (Berg et al. 2019, Nature Methods 16): each channel smoothed at several widths, the
differences of neighbouring widths (a matched filter for blobs and lines of that width), the strength of edges, and the place in the picture.
"""

import time

import numpy as np

from thuja.apps.segmentation import judge
from thuja.apps.segmentation.codec import SegmentationCodec
from thuja.apps.segmentation.tiles import VOID
from thuja.codec import Ragged
from thuja.task import Baseline, Part

WIDTHS = (1.0, 2.0, 4.0, 8.0)
"""Standard deviations of the smoothing, in pixels."""
PIXELS = 60_000
"""Training pixels, evenly spread over at most PICTURES pictures."""
PICTURES = 60


def fit(codec: SegmentationCodec, train: Part, test: Part, seed: int) -> Baseline:
    """Train on the same rows, answer the test rows: the arrays that `Task.outputs` gives."""
    began = time.perf_counter()
    if codec.instances:
        name, answered = "Otsu's threshold", [otsu(picture) for picture in _pictures(codec, test)]
    else:
        name, answered = f"logistic regression on {PIXELS:,} training pixels and what surrounds them", _regression(codec, train, test, seed)
    found = judge.outputs(codec, test.columns, answered, test.source)
    return Baseline(name, found.arrays, time.perf_counter() - began)


def _pictures(codec: SegmentationCodec, part: Part, most: int | None = None) -> list[np.ndarray]:
    column, sizes = part.columns[codec.image], np.asarray(part.columns[codec.size])
    assert isinstance(column, Ragged)
    index = np.arange(len(sizes)) if most is None else np.unique(np.linspace(0, len(sizes) - 1, min(most, len(sizes))).astype(np.int64))
    return [codec.whole(column.values[column.offsets[i] : column.offsets[i + 1]], sizes[i]) for i in index]


def otsu(picture: np.ndarray) -> np.ndarray:
    """The pixels on one side of the grey level that parts the picture best: uint8 [height, width], 1 for the side with fewer pixels."""
    grey = picture.mean(axis=2).round().astype(np.int64)
    counts = np.bincount(grey.ravel(), minlength=256).astype(float)
    below, sums = np.cumsum(counts), np.cumsum(counts * np.arange(256))
    above = counts.sum() - below
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    bright = grey > int(np.nan_to_num(between).argmax())
    side: np.ndarray = bright if bright.mean() <= 0.5 else ~bright
    return side.astype(np.uint8)


def _regression(codec: SegmentationCodec, train: Part, test: Part, seed: int) -> list[np.ndarray]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    chosen = np.unique(np.linspace(0, len(train.source) - 1, min(PICTURES, len(train.source))).astype(np.int64))
    masks, sizes = train.columns[codec.target], np.asarray(train.columns[codec.size])
    assert isinstance(masks, Ragged)
    rng, inputs, labels = np.random.default_rng(seed), [], []
    for i, picture in zip(chosen, _pictures(codec, train, PICTURES), strict=True):
        truth = codec.whole(masks.values[masks.offsets[i] : masks.offsets[i + 1]], sizes[i]).ravel()
        places = np.flatnonzero(truth != VOID)
        places = rng.choice(places, min(len(places), PIXELS // len(chosen)), replace=False) if len(places) else places
        inputs.append(features(picture).reshape(len(truth), -1)[places])
        labels.append(truth[places])
    x, y = np.concatenate(inputs), np.concatenate(labels)
    if len(np.unique(y)) < 2:
        return [np.full(picture.shape[:2], y[0] if len(y) else 0, np.uint8) for picture in _pictures(codec, test)]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=60)).fit(x, y)
    return [model.predict(features(picture).reshape(picture.shape[0] * picture.shape[1], -1)).reshape(picture.shape[:2]).astype(np.uint8)
            for picture in _pictures(codec, test)]


def features(picture: np.ndarray) -> np.ndarray:
    """What surrounds each pixel: uint8 [H, W, C] to float32 [H, W, features]."""
    from scipy import ndimage

    height, width, channels = picture.shape
    found = []
    for channel in range(channels):
        pixels = picture[:, :, channel].astype(np.float32)
        smooth = [ndimage.gaussian_filter(pixels, sigma) for sigma in WIDTHS]
        steps = [one - other for one, other in zip([pixels, *smooth], smooth, strict=False)]
        edges = [ndimage.gaussian_gradient_magnitude(pixels, sigma) for sigma in WIDTHS[:2]]
        found += [pixels, *smooth, *steps, *(np.abs(step) for step in steps), *edges]
    down = np.broadcast_to(np.linspace(-1, 1, height, dtype=np.float32)[:, None], (height, width))
    across = np.broadcast_to(np.abs(np.linspace(-1, 1, width, dtype=np.float32)), (height, width))
    return np.stack([*found, down, down**2, across, across**2], axis=2)
