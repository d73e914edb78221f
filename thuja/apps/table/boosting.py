"""The classical model that the network is compared with: gradient-boosted trees on the same encoded rows.

Source: Friedman, "Greedy function approximation: a gradient boosting machine", Annals of Statistics 29(5), 2001; as LightGBM where it is installed (the extra
`boosting`), else as scikit-learn's histogram version of it.
"""

import importlib.util
import time
from typing import Any, NamedTuple

import numpy as np

from thuja.codec import Columns
from thuja.task import Baseline

HELD_OUT = 0.1
"""Share of the training rows that decides when to stop."""
MOST_TREES, PATIENCE = 2000, 50
MOST_CODES = 255
"""scikit-learn splits at most this many names as names; columns with more are taken as numbers."""


def fit(train: Columns, test: Columns, target: str, *, regression: bool, seed: int) -> Baseline:
    """Train on `train`, answer `test`: `probability` float32 [rows, classes], or `value` float32 [rows] for regression."""
    start = time.perf_counter()
    x, codes = _table(train)
    y = np.asarray(train[target])
    order = np.random.default_rng(seed).permutation(len(y))
    held, used = np.split(order, [int(len(y) * HELD_OUT)])
    boost = _lightgbm if importlib.util.find_spec("lightgbm") else _sklearn
    classes = 0 if regression else int(y.max()) + 1
    name, answers = boost((x[used], y[used]), (x[held], y[held]), _table(test)[0], Problem(codes, classes, seed))
    outputs = {"value" if regression else "probability": answers.astype(np.float32)}
    return Baseline(name, outputs, time.perf_counter() - start)


class Problem(NamedTuple):
    """What the trees have to know besides the rows."""

    codes: list[int]
    """Places of the categories among the inputs."""
    classes: int
    """0 for regression."""
    seed: int


Rows = tuple[np.ndarray, np.ndarray]


def _table(columns: Columns) -> tuple[np.ndarray, list[int]]:
    """All inputs as one float array, and the places of the categories in it; an unknown or missing category is NaN."""
    parts = [np.asarray(columns["numbers"], np.float64)] if "numbers" in columns else []
    places: list[int] = []
    if "categories" in columns:
        codes = np.asarray(columns["categories"]).astype(np.float64)
        first = parts[0].shape[1] if parts else 0
        places = list(range(first, first + codes.shape[1]))
        parts.append(np.where(codes > 0, codes - 1, np.nan))
    return np.concatenate(parts, axis=1), places


def _lightgbm(train: Rows, held: Rows, test: np.ndarray, problem: Problem) -> tuple[str, np.ndarray]:
    import lightgbm

    objective = "regression" if not problem.classes else "binary" if problem.classes == 2 else "multiclass"
    settings: dict[str, Any] = {"objective": objective, "learning_rate": 0.05, "num_leaves": 31, "min_data_in_leaf": 20, "seed": problem.seed, "verbosity": -1,
                                "deterministic": True} | ({"num_class": problem.classes} if problem.classes > 2 else {})
    rows = lightgbm.Dataset(*train, categorical_feature=problem.codes, params={"verbosity": -1})
    model = lightgbm.train(settings, rows, MOST_TREES, valid_sets=[rows.create_valid(*held)], callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)])
    answers = np.asarray(model.predict(test))
    return f"gradient boosting (LightGBM, {model.best_iteration} trees)", np.stack([1 - answers, answers], axis=1) if problem.classes == 2 else answers


def _sklearn(train: Rows, held: Rows, test: np.ndarray, problem: Problem) -> tuple[str, np.ndarray]:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    named = [c for c in problem.codes if np.nanmax([*train[0][:, c], *held[0][:, c], 0.0]) < MOST_CODES]
    kind = HistGradientBoostingClassifier if problem.classes else HistGradientBoostingRegressor
    model = kind(learning_rate=0.05, max_iter=MOST_TREES, early_stopping=True, n_iter_no_change=PATIENCE, categorical_features=named, random_state=problem.seed)
    model.fit(*train, X_val=held[0], y_val=held[1])
    name = f"gradient boosting (scikit-learn, {model.n_iter_} trees)"
    if not problem.classes:
        return name, model.predict(test)
    answers = np.zeros((len(test), problem.classes))
    answers[:, model.classes_.astype(int)] = model.predict_proba(test)  # a class that fell wholly into the held-out rows has no column
    return name, answers
