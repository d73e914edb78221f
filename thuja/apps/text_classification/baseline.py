"""The classical model that stands beside the network: logistic regression on TF-IDF weights of words and pairs of words."""

import time
from collections.abc import Iterator

import numpy as np

from thuja.apps.text_classification.codec import class_name
from thuja.apps.text_classification.words import normal, split
from thuja.task import Baseline, Part, Source

MOST = 300_000
"""Words and pairs that are kept, the most frequent first."""


def fit(train: Part, test: Part, text: str, target: str, reject: tuple[str, float] | None = None) -> Baseline:
    """Train on the same rows and answer the same test rows: `probability` float32 [rows, classes].

    Args: reject: name of the class for texts that belong to no other, and the threshold; its probability is made as the network's is (`task.Predict`).
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    began = time.perf_counter()
    features = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=MOST, dtype=np.float32,
                               tokenizer=split, preprocessor=_plain, token_pattern=None)
    model = LogisticRegression(C=10.0, max_iter=200)
    model.fit(features.fit_transform(_texts(train.source, text)), np.asarray(train.columns[target]))
    probability = model.predict_proba(features.transform(_texts(test.source, text))).astype(np.float32)
    if reject is not None:
        label, threshold = reject
        learned = any(class_name(value) == label for rows in train.source.batches() for value in rows[target])
        probability = _with_rejection(probability[:, :-1] if learned else probability, threshold)
    return Baseline("logistic regression on TF-IDF of words and pairs", {"probability": probability}, time.perf_counter() - began)


def _with_rejection(inside: np.ndarray, threshold: float) -> np.ndarray:
    """The probabilities of all other classes [rows, classes - 1] and the last one's."""
    both = np.concatenate([inside, (1 - inside.max(1, keepdims=True)) * threshold / (1 - threshold)], axis=1)
    return np.asarray(both / both.sum(1, keepdims=True), np.float32)


def _texts(source: Source, text: str) -> Iterator[str]:
    for rows in source.batches():
        yield from rows[text]


def _plain(text: str) -> str:
    return normal(text, lowercase=True)
