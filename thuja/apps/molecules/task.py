"""Molecules: learn a property, or several, from the structure."""

from collections.abc import Iterator
from typing import Literal, Self

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss

from thuja.apps.molecules import baseline, pictures
from thuja.apps.molecules.codec import Fragments, MoleculesCodec, Problem
from thuja.apps.molecules.network import Predict, Properties
from thuja.apps.molecules.statistics import Statistics
from thuja.chart import Chart
from thuja.codec import Arrays, Codec, Columns, Ragged, rectangular, take
from thuja.core.errors import DataError, SpecError, did_you_mean
from thuja.data.order import alike
from thuja.metrics import Outputs
from thuja.models.message_passing import MessagePassing
from thuja.settings import AdamW, Auto
from thuja.task import Baseline, Batch, Choice, Draw, Facts, Goal, Loss, Part, Program, Source, Task

EPOCHS = 50
LEAST_STEPS, MOST_STEPS = 1000, 20_000
BATCH, POOL = 64, 4
"""Molecules a step, and batches that are sorted by size together."""


class Molecules(Task):
    """Properties of a molecule, learned from its structure."""

    kind: Literal["molecules"] = "molecules"
    smiles: str = "smiles"
    """The column with molecules as SMILES."""
    target: str | tuple[str, ...] = "label"
    """The column to learn, or several that are learned together; a row needs a label for one of them."""
    problem: Auto | Problem = "auto"
    """Whether targets are numbers or two classes. Auto: two classes where all targets together have two values."""
    fragments: Fragments = "keep"
    """Whether all parts of a salt or mixture count, or the largest alone."""
    descriptors: bool = True
    """Whether the network is also told 77 numbers that rdkit computes of the whole molecule (weight, surface, lipophilicity, shape)."""
    model: MessagePassing = MessagePassing()

    def prepare(self, source: Source) -> tuple[Self, MoleculesCodec]:
        """One pass over the training rows. Raises: DataError for an absent column, no molecules, or a target with nothing to learn; SpecError."""
        for name in (self.smiles, *self.targets):
            if name not in source.names:
                raise DataError(name, expected="a column of this name", found=f"{len(source.names)} others", fix=did_you_mean(name, source.names))
        if len(set(self.targets)) < len(self.targets) or not self.targets or self.smiles in self.targets:
            raise SpecError("task.target", expected="columns named once", found=", ".join(map(repr, self.targets)) or "none", fix="Name each once.")
        reader = MoleculesCodec(smiles=self.smiles, targets=self.targets, problem="regression", means=(), stds=(), elements=(), fragments=self.fragments)
        seen = Statistics(reader, self.targets)
        seen.add(source, self.descriptors)
        problem = seen.problem()
        codec = seen.codec(problem if self.problem == "auto" else self.problem)
        return self.model_copy(update={"problem": codec.problem}), codec

    def build(self, codec: Codec) -> nn.Module:
        assert isinstance(codec, MoleculesCodec)
        return Properties(codec, self.model)

    def loss(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        """Squared error in standard deviations of each target, or cross-entropy in nats: the sum over labels that are there, divided by the number of targets.
        Of several members the mean, so that each learns on its own."""
        assert isinstance(model, Properties)
        scores = model(*(batch[name] for name in model.columns))
        truth = torch.stack([batch[target].float() for target in self.targets], dim=1)
        there = ~truth.isnan()
        known = torch.where(there, truth, 0.0)
        if self.problem == "regression":
            known = (known - model.mean) / model.std
        error = (mse_loss if self.problem == "regression" else binary_cross_entropy_with_logits)(
            scores, known[:, None].expand_as(scores), reduction="none")
        return Loss((error * there[:, None]).mean())

    def batches(self, model: nn.Module, columns: Columns, draw: Draw) -> Iterator[Batch]:
        """Molecules of similar size together: little of a batch is padding."""
        atoms = columns[self.smiles]
        assert isinstance(atoms, Ragged)
        for index in alike(np.diff(atoms.offsets), draw.size, draw.seed, draw.start, POOL):
            yield {name: torch.from_numpy(array).to(draw.device) for name, array in rectangular(take(columns, index)).items()}

    def programs(self, model: nn.Module, codec: Codec) -> dict[str, Program]:
        assert isinstance(codec, MoleculesCodec) and isinstance(model, Properties)
        output = next(iter(baseline.outputs_of(codec, np.zeros((1, len(codec.targets)), np.float32))))
        return {"predict": Program(Predict(model, codec).eval(), codec.columns, (output,), {codec.columns[0]: (1,), codec.columns[1]: (1,)})}

    def metrics(self, codec: Codec) -> tuple[str, ...]:
        if self.problem == "regression":
            return ("rmse", "mae", "r2") if len(self.targets) == 1 else ("r2_mean", "rmse_mean", "mae_mean")
        if len(self.targets) > 1:
            return ("roc_auc_mean", "average_precision_mean", "balanced_accuracy_mean")
        return ("roc_auc", "average_precision", "accuracy", "balanced_accuracy", "log_loss", "brier", "ece")

    @property
    def goal(self) -> Goal:
        if self.problem == "regression":
            return Goal("rmse", "min") if len(self.targets) == 1 else Goal("r2_mean", "max")
        return Goal("roc_auc" if len(self.targets) == 1 else "roc_auc_mean", "max")

    @property
    def targets(self) -> tuple[str, ...]:
        return (self.target,) if isinstance(self.target, str) else self.target

    def outputs(self, codec: Codec, columns: Columns, arrays: Arrays, source: Source | None = None) -> Outputs:
        """The target [rows], or several [rows, targets] with NaN for what is missing."""
        assert isinstance(codec, MoleculesCodec)
        return Outputs(baseline.labels(codec, columns) if len(self.targets) > 1 else np.asarray(columns[self.targets[0]]), arrays)

    def charts(self, model: nn.Module, codec: Codec, part: Part, outputs: Outputs) -> tuple[Chart, ...]:
        """Molecules, each atom with its share in the answer."""
        assert isinstance(codec, MoleculesCodec) and isinstance(model, Properties)
        return (pictures.attributions(model, codec, part, outputs),)

    def baseline(self, codec: Codec, train: Part, test: Part, seed: int) -> Baseline:
        """A random forest on fingerprints and descriptors of the same molecules."""
        assert isinstance(codec, MoleculesCodec)
        return baseline.fit(codec, train, test, seed)

    def choices(self, codec: Codec, facts: Facts) -> dict[str, Choice]:
        batch = min(BATCH, max(16, 1 << (facts.rows // 16).bit_length()))
        chosen = {
            "train.batch": Choice(batch, f"{BATCH} molecules, fewer where there are few"),
            "train.optimizer": Choice(AdamW(learning_rate=1e-3), "AdamW, the usual choice for message passing"),
            "train.schedule": Choice("cosine", "a slow end: with few rows the last steps decide"),
            "train.warmup": Choice(0.1, "a rise over a tenth of the steps, as in chemprop"),
            "train.ema": Choice(0.995, "an average over the last steps: with few rows single updates are noise"),
        }
        if facts.budget_s is None and facts.steps is None:
            steps = min(max(LEAST_STEPS, EPOCHS * facts.rows // batch), MOST_STEPS)
            chosen["train.steps"] = Choice(steps, f"{EPOCHS} passes over {facts.rows} molecules, from {LEAST_STEPS} to {MOST_STEPS} steps")
        return chosen
