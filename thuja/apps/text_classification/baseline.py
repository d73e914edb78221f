"""The classical model that stands beside the network: logistic regression on TF-IDF weights of words and pairs of words."""

import time
from collections.abc import Iterator

import numpy as np

from thuja.apps.text_classification.words import normal, split
from thuja.task import Baseline, Part, Source

MOST = 300_000
"""Words and pairs that are kept, the most frequent first."""


def fit(train: Part, test: Part, text: str, target: str) -> Baseline:
    """Train on the same rows and answer the same test rows: `probability` float32 [rows, classes]."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    began = time.perf_counter()
    features = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=MOST, dtype=np.float32,
                               tokenizer=split, preprocessor=_plain, token_pattern=None)
    model = LogisticRegression(C=10.0, max_iter=200)
    model.fit(features.fit_transform(_texts(train.source, text)), np.asarray(train.columns[target]))
    probability = model.predict_proba(features.transform(_texts(test.source, text))).astype(np.float32)
    return Baseline("logistic regression on TF-IDF of words and pairs", {"probability": probability}, time.perf_counter() - began)


def _texts(source: Source, text: str) -> Iterator[str]:
    for rows in source.batches():
        yield from rows[text]


def _plain(text: str) -> str:
    return normal(text, lowercase=True)
