"""The classical answer that stands beside the network: a translation memory gives the translation of the training sentence that is most like the one asked.

Source: TF-IDF and its cosine: Salton and Buckley 1988, "Term-weighting approaches in automatic text retrieval"; translation memories: Nagao 1984 (by analogy).
"""

import re
import time

import numpy as np

from thuja.task import Baseline, Part, Source

ROWS = 256
"""Asked at a time."""


def remember(train: Part, test: Part, source: str, target: str) -> Baseline:
    """Look every test row up among the training rows: `text` (objects), and `log_probability`, the logarithm of the likeness."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    began = time.perf_counter()
    known, translations = _texts(train.source, source), _texts(train.source, target)
    features = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, tokenizer=re.compile(r"\w+|[^\w\s]").findall, token_pattern=None, dtype=np.float32)
    table = features.fit_transform(known).T.tocsc()
    asked = features.transform(_texts(test.source, source))
    nearest, likeness = [], []
    for start in range(0, asked.shape[0], ROWS):
        cosine = (asked[start : start + ROWS] @ table).tocsr()
        nearest += np.asarray(cosine.argmax(axis=1)).ravel().tolist()
        likeness += cosine.max(axis=1).toarray().ravel().tolist()
    text = np.empty(len(nearest), object)
    text[:] = [translations[i] for i in nearest]
    score = np.log(np.clip(likeness, 1e-9, 1)).astype(np.float32)
    return Baseline("translation memory (the most alike training sentence)", {"text": text, "log_probability": score}, time.perf_counter() - began)


def _texts(source: Source, name: str) -> list[str]:
    return [str(text) for rows in source.batches() for text in rows[name]]
