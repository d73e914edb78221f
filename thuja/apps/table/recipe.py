"""What an `auto` of a table becomes, as pure functions of the codec; chosen on validation rows of adult, fraud_sim and california_housing."""

from typing import NamedTuple

from thuja.apps.table.codec import Problem, TableCodec
from thuja.models.tabular import Tabular
from thuja.settings import AdamW, Muon

RARE = 0.05
"""Share of positives below which accuracy says nothing: always answering "no" would score 95 %."""
METRICS: dict[Problem, tuple[str, ...]] = {
    "binary": ("accuracy", "balanced_accuracy", "f1", "precision", "recall", "roc_auc", "average_precision", "log_loss", "brier", "ece"),
    "classes": ("accuracy", "balanced_accuracy", "f1_macro", "precision_macro", "recall_macro", "roc_auc", "log_loss", "brier", "ece"),
    "regression": ("rmse", "mae", "r2"),
}
LEAST_STEPS = 500


class Recipe(NamedTuple):
    """A network and how it is trained."""

    model: Tabular
    epochs: int
    optimizer: Muon


FAST = Muon(learning_rate=0.03, weight_decay=0.1, adamw=AdamW(learning_rate=1e-2, weight_decay=0.1))
SLOW = Muon(learning_rate=0.01, weight_decay=0.1, adamw=AdamW(learning_rate=3e-3, weight_decay=0.1))
CLASSES = Recipe(Tabular(), 8, FAST)
"""What people do is noisy and soon learned by heart: a few passes."""
RARE_CLASS = Recipe(Tabular(width=128, bins=32), 8, SLOW)
"""A few hundred positives carry less still: a smaller network, slower. On two validation weeks: AUC + 0.002, average precision - 0.005."""
NUMBERS = Recipe(Tabular(), 40, FAST)
"""A measured number says more than a class does, and rewards many passes."""


def _is_rare(codec: TableCodec) -> bool:
    return codec.problem == "binary" and codec.shares[-1] < RARE


def recipe(codec: TableCodec) -> Recipe:
    """The recipe for what the target is."""
    if codec.problem == "regression":
        return NUMBERS
    return RARE_CLASS if _is_rare(codec) else CLASSES


def metric(codec: TableCodec) -> str:
    """What decides, where the spec does not say."""
    if codec.problem == "regression":
        return "rmse"
    return "average_precision" if _is_rare(codec) else "accuracy"
