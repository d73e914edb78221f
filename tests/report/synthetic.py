"""Realistic materials without a run: digits (pictures, ten classes), messages (texts, two classes, groups, slices, baseline), prices (cells, regression)."""

import numpy as np
from sklearn.datasets import load_digits

from thuja.fields import Category, Image, Number, Schema, Scores, Text
from thuja.metrics import Outputs
from thuja.report.material import Material, worst
from thuja.report.outputs import Answered
from thuja.report.scores import Asked, score
from thuja.settings import Evaluate

QUICK = Evaluate(resamples=200)
RECORDS = [
    {"event": "begin", "step": 0, "time": 1.0, "seconds": 0.0},
    *({"event": "step", "step": s, "losses": {"loss": 2.3 / (1 + s / 30)}, "rows_per_s": 900.0, "seconds": s / 20} for s in range(1, 201, 3)),
    *({"event": "look", "step": s, "metric": "accuracy", "value": 1 - 0.6 / (1 + s / 20), "best": True, "seconds": s / 20} for s in range(20, 201, 20)),
    {"event": "end", "step": 200, "why": "all 200 steps made", "seconds": 10.4},
]
DATA = {
    "base": "/somewhere/private", "fingerprints": {"train": "ab" * 32, "test": "cd" * 32}, "rows": {"train": 4459, "test": 900},
    "bad": {"train": [["photos/7.jpg", "photos/7.jpg: expected a whole picture, found a truncated or damaged file. Save the file again, or leave it out."]]},
    "findings": [{"check": "near-duplicates", "severity": "warn", "count": 12, "rows": ["a", "b"], "message": "12 rows of test nearly equal <train> rows",
                  "fix": "Drop them."}],
    "waived": {"near-duplicates": "templates of the same sender"},
}
REASONS = {"train.batch": [128, "about 50 to 100 steps an epoch"], "train.optimizer": [{"kind": "adamw", "learning_rate": 0.001}, "suits most networks"]}
ENVIRONMENT = {"Python": "3.11", "torch": "2.13", "device": "cpu"}


def _softmax(logits):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (e / e.sum(axis=1, keepdims=True)).astype(np.float32)


def _material(answered, asked, schema, raw, spec):
    places = worst(answered.ours)
    rows = {name: [values[i] for i in places] for name, values in raw.items()}
    return Material("0001", spec, schema, answered, score(answered, asked), places, rows, RECORDS, DATA, REASONS, ENVIRONMENT)


def digits():
    images, target = load_digits(return_X_y=True)
    images, target = images[:600].reshape(-1, 8, 8), target[:600]
    rng = np.random.default_rng(0)
    outputs = Outputs(target, {"probability": _softmax(rng.normal(size=(600, 10)) + 3.5 * np.eye(10)[target])}, names=tuple(map(str, range(10))))
    raw = {"image": [(i * 15.9).astype(np.uint8) for i in images]}
    schema = Schema(inputs={"image": Image(channels=1)}, outputs={"label": Category(names=outputs.names)})
    answered = Answered([f"digits/{i}.png" for i in range(600)], "label", outputs, None, {}, {"part": "test", "weights": "f" * 64})
    return _material(answered, Asked(("accuracy", "f1_macro", "roc_auc", "log_loss", "ece"), "accuracy", QUICK), schema, raw, {"data": {"path": "digits"}})


def messages(lead=0.8):
    rng = np.random.default_rng(1)
    target = (rng.random(900) < 0.2).astype(int)
    shared = rng.normal(size=900)

    def answer(skill):
        logit = (target * 2 - 1) * skill + shared * 1.2 + rng.normal(size=900) * 0.4
        return {"probability": _softmax(np.stack([-logit, logit], axis=1))}

    ours = Outputs(target, answer(1.6 + lead), np.arange(900) // 3, ("ham", "spam"))
    theirs = ours._replace(arrays=answer(1.6))
    slices = {"language": [["en", "de", None][i % 3] for i in range(900)], "length": [float(v) for v in rng.exponential(50, 900)]}
    facts = {"part": "test", "weights": "e" * 64, "baseline": "logistic regression on word pairs", "baseline_s": 0.8}
    texts = [f"<b>Message</b> {i}: you have won & must call now שלום " * (1 + i % 20) for i in range(900)]
    schema = Schema(inputs={"message": Text()}, outputs={"label": Category(names=ours.names), "scores": Scores(names=ours.names)})
    answered = Answered([f"sms.csv:{i + 2}" for i in range(900)], "label", ours, theirs, slices, facts)
    names = ("accuracy", "balanced_accuracy", "precision", "recall", "f1", "roc_auc", "average_precision", "log_loss", "brier", "ece")
    spec = {"data": {"path": "sms.csv", "split": {"kind": "group", "column": "sender", "test": 0.2}}, "train": {"seed": 3, "steps": 200}}
    return _material(answered, Asked(names, "accuracy", QUICK, 10.4), schema, {"message": texts}, spec)


def prices():
    rng = np.random.default_rng(2)
    target = rng.lognormal(12, 0.5, 800).astype(np.float32)
    ours = Outputs(target, {"value": target * rng.normal(1, 0.15, 800).astype(np.float32)})
    theirs = ours._replace(arrays={"value": target * rng.normal(1, 0.10, 800).astype(np.float32)})
    raw = {"rooms": [float(v) for v in rng.integers(1, 9, 800)], "area": [None if i % 5 == 0 else float(v) for i, v in enumerate(rng.normal(90, 20, 800))],
           "district": [["north", "south"][i % 2] for i in range(800)]}
    schema = Schema(inputs={"rooms": Number(), "area": Number(missing=True), "district": Category(names=("north", "south"))}, outputs={"price": Number()})
    facts = {"part": "test", "weights": "d" * 64, "baseline": "gradient boosting (300 trees)", "baseline_s": 2.1}
    answered = Answered([f"homes.csv:{i + 2}" for i in range(800)], "price", ours, theirs, {"district": raw["district"]}, facts)
    return _material(answered, Asked(("rmse", "mae", "r2"), "rmse", QUICK, 42.0), schema, raw, {"data": {"path": "homes.csv"}})
