"""The classical recogniser beside the network: eigenfaces.

Source: Turk and Pentland 1991, "Eigenfaces for recognition", Journal of Cognitive Neuroscience 3(1). Differs: every picture is brought to mean 0 and variance
1 first, the components are whitened (which Moghaddam and Pentland 1997 found to help), and two pictures are compared by the cosine.
"""

import time

import numpy as np

from thuja.codec import Columns
from thuja.metrics.verification import ranks
from thuja.task import Baseline

ROWS = 10_000
"""Training pictures used at most."""
COMPONENTS = 100


def fit(train: Columns, test: Columns, image: str, target: str, *, seed: int) -> Baseline:
    """Components of at most ROWS training pictures; all test pictures in them, and the ranks of the right people: people of the training rows are looked for
    among the training pictures, others among the other test pictures."""
    from sklearn.decomposition import PCA  # a second to import, wanted once a run

    begun = time.perf_counter()
    chosen = np.sort(np.random.default_rng(seed).permutation(len(np.asarray(train[image])))[:ROWS])
    known, asked = _flat(np.asarray(train[image])[chosen]), _flat(np.asarray(test[image]))
    parts = min(COMPONENTS, len(known) - 1, known.shape[1])
    model = PCA(parts, whiten=True, random_state=seed, svd_solver="randomized").fit(known)
    gallery, vectors = (_unit(model.transform(rows)) for rows in (known, asked))
    people, person = np.asarray(train[target])[chosen, 1], np.asarray(test[target])
    rank = np.where(person[:, 0] >= 0, among(vectors, person[:, 1], gallery, people), ranks(vectors, person[:, 1]))
    return Baseline(f"eigenfaces ({parts} components)", {"embedding": vectors.astype(np.float32), "rank": rank}, time.perf_counter() - begun)


def among(vectors: np.ndarray, person: np.ndarray, gallery: np.ndarray, people: np.ndarray) -> np.ndarray:
    """int64 [rows]: at which place the right person comes when `vectors` [rows, dim] are looked for in a gallery [pictures, dim] of `people` [pictures], each
    of whom counts by the best of their pictures; 0 for who is not there."""
    names, place = np.unique(people, return_inverse=True)
    order = np.argsort(place, kind="stable")
    best = np.maximum.reduceat((vectors @ gallery.T)[:, order], np.flatnonzero(np.diff(place[order], prepend=-1)), axis=1)
    at = np.minimum(np.searchsorted(names, person), len(names) - 1)
    own = best[np.arange(len(vectors)), at]
    return np.where(names[at] == person, (best >= own[:, None]).sum(axis=1), 0)


def _flat(pictures: np.ndarray) -> np.ndarray:
    flat = pictures.reshape(len(pictures), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(flat.std(axis=1, keepdims=True), 1.0))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9))
