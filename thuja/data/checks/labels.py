"""Labels that are probably wrong: equal rows with different labels, and rows that a simple model, which has not seen them, is sure are something else.

Source: C. Northcutt, L. Jiang, I. Chuang, "Confident learning: estimating uncertainty in dataset labels", JAIR 70 (2021). Deviations: off-diagonal
members of the confident joint are listed, by margin, and the joint is not used to estimate noise rates; so that half of all typical rows are not just under
the threshold of their class, it is nine tenths of the mean.
"""

from collections.abc import Iterator

import numpy as np

from thuja.codec import Columns, Ragged
from thuja.data.checks.finding import Finding, Looked, ids, share
from thuja.data.checks.near import at_once, pooled
from thuja.data.rows import places as consecutive

ROWS = 6000
"""Training rows looked at, evenly spread: a few seconds."""
FOLDS = 3
SKILL = 0.85
"""Share of right answers the simple model needs on rows not seen before its doubts mean anything."""
SURE = 0.7
"""How much more probable another class must be than the one given."""
STRENGTH = 0.1
"""Of the data against the decay of the weights (scikit-learn's C)."""
WORDS = 1024
"""Places into which token ids are hashed."""


def contradicting_labels(looked: Looked) -> Iterator[Finding]:
    """Training rows with equal inputs and different labels. Only a warning: of noisy questions that is the nature."""
    for target in _class_targets(looked):
        source = looked.parts["train"]
        inputs = looked.hashes("train", looked.inputs)
        pairs = np.unique(np.stack([inputs, looked.hashes("train", (target,))]), axis=1)[0]
        values, counts = np.unique(pairs, return_counts=True)
        places = np.flatnonzero(np.isin(inputs, values[counts > 1]))
        if len(places):
            yield Finding("contradicting-labels", "warn", len(places), ids(source, places),
                          f"{share(len(places), len(source))} training rows have equal inputs and different labels.",
                          "Look at them and correct the labels, or add the column that tells them apart.")


def suspected_labels(looked: Looked) -> Iterator[Finding]:
    """Training rows whose label a simple model doubts, most doubtful first."""
    encoded = looked.encoded["train"]
    rows = len(encoded.kept)
    index = np.unique(np.linspace(0, rows - 1, min(rows, ROWS)).astype(np.int64))
    for target in _class_targets(looked):
        labels = np.asarray(encoded.columns[target])[index]
        values, labels, counts = np.unique(labels, return_inverse=True, return_counts=True)
        if len(values) < 2 or counts.min() < FOLDS:
            continue
        probability = out_of_fold(features({n: c for n, c in encoded.columns.items() if n not in looked.targets}, index), labels)
        if np.mean(probability.argmax(1) == labels) < max(SKILL, counts.max() / len(labels)):
            continue
        places = doubtful(probability, labels)
        if len(places):
            named = column_values(looked, target, encoded.kept[index[places]])
            other = values[probability[places[0]].argmax()]
            known = column_values(looked, target, encoded.kept[[int(np.argmax(np.asarray(encoded.columns[target]) == other))]])[0]
            yield Finding(
                "suspected-labels", "warn", len(places), ids(looked.parts["train"], encoded.kept[index[places]]),
                f"{share(len(places), len(index))} training rows looked at have a label that a simple model doubts; the first is {named[0]!r}, "
                f"and looks like {known!r}.",
                "Look at the rows named and correct the labels that are wrong.",
            )


def column_values(looked: Looked, name: str, places: np.ndarray) -> list[object]:
    """Raw training values at these places."""
    return list(looked.parts["train"].take(np.asarray(places, np.int64), (name,))[name])


def doubtful(probability: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Places of rows in the confident joint off its diagonal, by falling margin.

    A row counts for a class when its probability is at least nine tenths of the mean probability of that class among the rows labelled so.
    """
    classes = probability.shape[1]
    threshold = np.array([0.9 * probability[labels == each, each].mean() for each in range(classes)])
    confident = np.where(probability >= threshold, probability, 0)
    given = probability[np.arange(len(labels)), labels]
    margin = confident.max(1) - given
    places = np.flatnonzero((confident.argmax(1) != labels) & (margin >= SURE))
    return places[np.argsort(-margin[places], kind="stable")]


def out_of_fold(inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Class probabilities `[rows, classes]` by logistic regression, each row by a model that has not seen it. Every class is in every fold."""
    classes = int(labels.max()) + 1
    out = np.zeros((len(labels), classes))
    order = np.argsort(labels, kind="stable")
    fold = np.empty(len(labels), np.int64)
    fold[order] = np.arange(len(labels)) % FOLDS
    for each in range(FOLDS):
        weights = logistic_regression(inputs[fold != each], labels[fold != each], classes)
        out[fold == each] = softmax(inputs[fold == each] @ weights[:-1] + weights[-1])
    return out


def logistic_regression(inputs: np.ndarray, labels: np.ndarray, classes: int, *, steps: int = 30, tolerance: float = 1e-2) -> np.ndarray:
    """Weights `[features + 1, classes]`, the last row the biases, after at most `steps` of L-BFGS.

    scikit-learn's `LogisticRegression(C=0.1)` has the same optimum; importing it takes over a second of every start, and this a fifth.
    """
    from scipy.optimize import minimize

    rows, width = inputs.shape
    truth = np.eye(classes, dtype=inputs.dtype)[labels]
    decay = (2 if classes == 2 else 1) / (STRENGTH * rows)  # of two classes scikit-learn learns one set of weights, the difference of these two

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(width + 1, classes)
        probability = softmax(inputs @ weights[:-1].astype(inputs.dtype) + weights[-1].astype(inputs.dtype))
        error = (probability - truth) / rows
        gradient = np.concatenate([inputs.T @ error + decay * weights[:-1], error.sum(0, keepdims=True)])
        surprise = -np.log(np.maximum(probability[np.arange(rows), labels], 1e-30)).mean()
        return float(surprise + 0.5 * decay * (weights[:-1] ** 2).sum()), gradient.astype(np.float64).ravel()

    found = minimize(loss, np.zeros((width + 1) * classes), jac=True, method="L-BFGS-B", options={"maxiter": steps, "gtol": tolerance})
    weights: np.ndarray = found.x.reshape(width + 1, classes).astype(inputs.dtype)
    return weights


def softmax(scores: np.ndarray) -> np.ndarray:
    """Probabilities of each row."""
    raised = np.exp(scores - scores.max(1, keepdims=True))
    shares: np.ndarray = raised / raised.sum(1, keepdims=True)
    return shares


def features(columns: Columns, index: np.ndarray) -> np.ndarray:
    """Encoded rows as standardised float32 `[rows, features]`: pooled pixels, hashed token counts, moments of steps, numbers, categories as indicators."""
    parts = []
    for column_ in columns.values():
        if isinstance(column_, Ragged):
            parts.append((_moments if column_.values.dtype.kind == "f" else _bag)(column_.take(index)))
        elif column_.ndim == 4:
            parts.append(np.concatenate([_small(column_[index[part]]) for part in consecutive(len(index), at_once(column_))]))
        elif column_.dtype.kind == "f":
            values = column_[index].reshape(len(index), -1)
            parts += [np.nan_to_num(values, nan=0.0), np.isnan(values).astype(np.float32)]
        elif column_.dtype.kind in "iu":
            values = column_[index].reshape(len(index), -1)
            parts += [np.eye(min(int(v.max()) + 1, 64), dtype=np.float32)[np.minimum(v, 63)] for v in values.T]
    inputs = np.concatenate(parts, 1).astype(np.float32)
    scaled: np.ndarray = (inputs - inputs.mean(0)) / np.maximum(inputs.std(0), 1e-6)
    return scaled


def _moments(steps: Ragged) -> np.ndarray:
    """Mean, spread, least and largest value of each row of measured steps, by channel; no row is empty."""
    values = np.nan_to_num(steps.values.reshape(len(steps.values), -1)).astype(np.float64)
    starts, lengths = steps.offsets[:-1], np.diff(steps.offsets)[:, None]
    mean, square = (np.add.reduceat(v, starts) / lengths for v in (values, values**2))
    spread = np.sqrt(np.maximum(square - mean**2, 0))
    return np.concatenate([mean, spread, np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)], axis=1).astype(np.float32)


def _small(pictures: np.ndarray) -> np.ndarray:
    """Each channel on a grid of at most 14 x 14, float32 `[rows, cells]`."""
    size = min(14, pictures.shape[1]), min(14, pictures.shape[2])
    return np.concatenate([pooled(pictures[..., c : c + 1], *size).reshape(len(pictures), -1) for c in range(pictures.shape[3])], 1)


def _bag(tokens: Ragged) -> np.ndarray:
    """How often each token comes, of some; of rows of several numbers (an atom, a bond) each number in its place is a token."""
    if tokens.values.ndim > 1:
        wide = tokens.values.shape[1]
        tokens = Ragged((tokens.values.astype(np.int64) * wide + np.arange(wide)).ravel(), tokens.offsets * wide)
    counts = np.zeros((len(tokens.offsets) - 1, WORDS), np.float32)
    rows = np.repeat(np.arange(len(counts)), np.diff(tokens.offsets))
    np.add.at(counts, (rows, (tokens.values * 2_654_435_761 % (1 << 32)) * WORDS >> 32), 1)
    return np.sqrt(counts)


def _class_targets(looked: Looked) -> Iterator[str]:
    for target in looked.targets:
        encoded = looked.encoded["train"].columns.get(target)
        if isinstance(encoded, np.ndarray) and encoded.ndim == 1 and encoded.dtype.kind == "i" and target in looked.parts["train"].names:
            yield target
