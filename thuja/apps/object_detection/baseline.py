"""The classical model beside the network: regions that stand out from the background, and logistic regression on what they look like.

Regions are connected pixels that are further from the usual colour of the picture than a threshold, at several thresholds, inverted ones (as light as the
middle of a ring) filled up. Each becomes a box, is cut out, brought to one size, and described by histograms of gradients, mean colours and its shape.

Source: the thresholds of maximally stable regions, Matas et al. 2002, without the test of stability: every region of every threshold is a candidate; the
histograms are those of Dalal and Triggs 2005 in simple form.
"""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from thuja.apps.object_detection.codec import ObjectDetectionCodec
from thuja.apps.object_detection.judge import answers, drawn
from thuja.codec import Columns
from thuja.metrics.boxes import Drawn, Found, overlaps
from thuja.task import Baseline

THRESHOLDS = 8
LEAST, LARGEST = 8, 0.95
"""Sides of a region: pixels at least, share of the letter box at most."""
CANDIDATES = 400
"""Regions of a picture at most, the largest ones."""
SIDE, CELLS, ORIENTATIONS = 24, 4, 8
TRAINED = 400
"""Pictures learned from at most."""
GOOD, BAD = 0.5, 0.3
"""Overlap from which a region is what was drawn, and below which it is background."""


def fit(codec: ObjectDetectionCodec, train: Columns, test: Columns, seed: int) -> Baseline | None:
    """Learn from the encoded training pictures, answer all test pictures. None where no region fits a drawn box: then there is nothing to tell apart."""
    from sklearn.linear_model import LogisticRegression  # a second to import, wanted once a run
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    begun = time.perf_counter()
    pictures, truth = np.asarray(train[codec.image]), _in_letter_box(drawn(train, codec), np.asarray(train[codec.placed]))
    chosen = np.sort(np.random.default_rng(seed).permutation(len(pictures))[:TRAINED])
    described, labels = [], []
    for row in chosen:
        boxes = regions(pictures[row])
        label = _named(boxes, Drawn(*(a[row] for a in truth)))
        described.append(describe(pictures[row], boxes[label >= 0]))
        labels.append(label[label >= 0])
    features, names = np.concatenate(described), np.concatenate(labels)
    if len(np.unique(names)) < 2:
        return None
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.02, max_iter=400))
    model.fit(features, names)
    found = _answered(model, codec, np.asarray(test[codec.image]), np.asarray(test[codec.placed]))
    return Baseline("regions by thresholds and logistic regression", answers(codec, test, found), time.perf_counter() - begun)


def regions(picture: np.ndarray) -> np.ndarray:
    """Boxes [n, 4] around what stands out from the background of one picture, uint8 [H, W, C]."""
    from scipy import ndimage

    height, width, _ = picture.shape
    smooth = ndimage.uniform_filter(picture.astype(np.float32), (3, 3, 1))
    usual = np.median(smooth.reshape(-1, smooth.shape[2]), axis=0)
    away = np.sqrt(((smooth - usual) ** 2).sum(2))
    found = []
    for threshold in np.quantile(away, np.linspace(0.3, 0.97, THRESHOLDS)):
        for mask in (away > threshold, ndimage.binary_opening(ndimage.binary_fill_holes(away > threshold), iterations=3)):
            slices = ndimage.find_objects(ndimage.label(mask)[0])
            found += [(x.start, y.start, x.stop, y.stop) for y, x in slices]
    boxes = np.unique(np.array(found or np.zeros((0, 4)), np.float32).reshape(-1, 4), axis=0)
    sides = boxes[:, 2:] - boxes[:, :2]
    boxes = boxes[(sides >= LEAST).all(1) & (sides <= LARGEST * np.array([width, height])).all(1)]
    return boxes[np.argsort(-(boxes[:, 2:] - boxes[:, :2]).prod(1), kind="stable")[:CANDIDATES]]


def describe(picture: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """float32 [n, features] of the regions of one picture: gradients and colours over a grid, and the logarithms of the sides."""
    height, width, _ = picture.shape
    grid = (np.arange(SIDE) + 0.5) / SIDE
    x, y = (np.clip((boxes[:, i, None] + grid * (boxes[:, i + 2] - boxes[:, i])[:, None]).astype(int), 0, end - 1) for i, end in ((0, width), (1, height)))
    cut = picture[y[:, :, None], x[:, None]].astype(np.float32) / 255
    grey = cut.mean(3)
    down, across = np.gradient(grey, axis=1), np.gradient(grey, axis=2)
    place = ((np.arctan2(down, across) % np.pi) / np.pi * ORIENTATIONS).astype(int) % ORIENTATIONS
    strength = np.hypot(down, across)[..., None] * (place[..., None] == np.arange(ORIENTATIONS))
    cells = [maps.reshape(len(boxes), CELLS, SIDE // CELLS, CELLS, SIDE // CELLS, -1).mean((2, 4)).reshape(len(boxes), -1) for maps in (strength, cut)]
    sides = np.log(boxes[:, 2:] - boxes[:, :2])
    return np.concatenate([*cells, sides, sides**2, cut.std((1, 2))], axis=1).astype(np.float32)


def _in_letter_box(truth: Drawn, placed: np.ndarray) -> Drawn:
    return truth._replace(box=truth.box * placed[:, None, [0, 1, 0, 1]] + placed[:, None, [2, 3, 2, 3]])


def _named(boxes: np.ndarray, truth: Drawn) -> np.ndarray:
    """int [n]: 0 for background, the number of the class from 1, -1 for what is neither or to be ignored."""
    there = truth.label >= 0
    if not there.any():
        return np.zeros(len(boxes), np.int64)
    iou = overlaps(boxes[None], truth.box[None, there], np.zeros((1, int(there.sum())), bool))[0]
    best = iou.argmax(1)
    most = iou.max(1)
    label = np.where(most >= GOOD, truth.label[there][best] + 1, np.where(most < BAD, 0, -1))
    return np.where(truth.ignore[there][best] & (most >= BAD), -1, label)


def _answered(model: Any, codec: ObjectDetectionCodec, pictures: np.ndarray, placed: np.ndarray) -> Found:
    """The surest regions of each picture, those of one class that overlap left out, in pixels of the original."""
    found = Found(np.zeros((len(pictures), codec.most, 4), np.float32), np.zeros((len(pictures), codec.most), np.float32),
                  np.zeros((len(pictures), codec.most), np.int64))
    for row, picture in enumerate(pictures):
        boxes = regions(picture)
        if not len(boxes):
            continue
        probability = model.predict_proba(describe(picture, boxes))
        scores = np.zeros((len(boxes), len(codec.names)))
        learned = model.classes_ > 0
        scores[:, model.classes_[learned] - 1] = probability[:, learned]
        kept = list(_kept(boxes, scores, codec.overlap))[: codec.most]
        scale, corner, size = placed[row, 0:2], placed[row, 2:4], placed[row, 4:6]
        for place, (score, box, label) in enumerate(kept):
            ends = np.clip((boxes[box].reshape(2, 2) - corner) / scale, 0, size)
            found.box[row, place], found.score[row, place], found.label[row, place] = ends.ravel(), score, label
    return found


def _kept(boxes: np.ndarray, scores: np.ndarray, limit: float) -> Iterator[tuple[float, int, int]]:
    """Score, box and class, the surest first, of what remains once those of one class that overlap by more than `limit` are left out."""
    iou = overlaps(boxes[None], boxes[None], np.zeros((1, len(boxes)), bool))[0]
    gone = np.zeros(scores.shape, bool)
    for flat in np.argsort(-scores, axis=None, kind="stable"):
        box, label = divmod(int(flat), scores.shape[1])
        if scores[box, label] > 0.01 and not gone[box, label]:
            yield float(scores[box, label]), box, label
            gone[:, label] |= iou[box] > limit
