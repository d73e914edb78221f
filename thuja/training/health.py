"""Illnesses of training that no amount of further steps will cure, each found by a pure look at the model: better to stop with a diagnosis than to
waste an hour.

Every function raises TrainError with a fix, or returns in silence. They are called at a few steps of a run (the looks at the validation rows), never per
step, and touch neither weights nor random state.

Source: dead units, vanishing and exploding gradients: Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks";
Pascanu et al. 2013, arXiv 1211.5063. The discrimination slope: Yates 1982.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from thuja.core.errors import TrainError

RATIO = 1e-7
"""Gradients whose norm is this much smaller at one end of the network than at the other have vanished."""
SETTLED = 5
"""Steps after which a gradient must reach the first layer: residual branches that begin at zero pass none on until their last matrix has moved."""
LARGEST = 1e8
"""A gradient this much larger than its own weights has exploded."""
DEAD = 0.95
"""Share of an activation's units that may be zero for every row."""
SAME = 1e-4
"""Answers that differ by less than this over all rows (numbers: this share of the target's spread) are the same answer."""
SLOPE = 0.02
"""How much more probability a class must get on its own rows than on others', at least for one class, for the model to know anything."""
CONSTANT_AFTER = 0.2
GUESSING_AFTER = 0.3
"""Shares of the run after which a constant answer, and a loss worse than guessing, count as an illness."""

WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus, nn.Hardswish)


def check_losses(first_step: int, losses: Mapping[str, list[float]], suspect: str, learning_rate: float) -> None:
    """Every loss is a number. Args: losses: one value a step, from `first_step` on; suspect: from `first_bad`."""
    for name, values in losses.items():
        for place, value in enumerate(values):
            if not math.isfinite(value):
                raise TrainError(f"step {first_step + place}, {name}", expected="a finite number", found=f"{value} (first in `{suspect}`)",
                                 fix=f"Lower train.learning_rate (now {learning_rate:g}), set train.clip to 1, or set train.precision to float32.")


@contextmanager
def first_bad(model: nn.Module) -> Iterator[list[str]]:
    """Collects the names of modules whose output is not finite, in the order they run: wrap one forward pass."""
    found: list[str] = []

    def note(name: str, output: object) -> None:
        if isinstance(output, Tensor) and output.is_floating_point() and not torch.isfinite(output).all():
            found.append(name)

    leaves = [(name, m) for name, m in model.named_modules() if name and not list(m.children())]
    hooks = [m.register_forward_hook(lambda _m, _i, output, name=name: note(name, output)) for name, m in leaves]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def check_gradients(model: nn.Module, step: int) -> None:
    """Gradients of the last step reach the first weights, and none dwarfs its weights. Embeddings are left out: their gradients are sparse."""
    layers = [(name, m.weight, m.weight.grad) for name, m in model.named_modules() if isinstance(m, WEIGHTED) and m.weight.grad is not None]
    if not layers:
        return
    gradients = [float(gradient.norm()) for _, _, gradient in layers]
    for (name, weights, _), gradient in zip(layers, gradients, strict=True):
        weight = float(weights.detach().norm())
        if not math.isfinite(gradient) or gradient > LARGEST * max(weight, 1.0):
            raise TrainError(f"step {step}, layer {name}", expected="a gradient of the size of its weights", found=f"one of norm {gradient:.1e} (exploding)",
                             fix="Set train.clip to 1, lower train.learning_rate, or add normalisation between the layers.")
    first, last = gradients[0], gradients[-1]
    if step >= SETTLED and first <= RATIO * last:
        raise TrainError(f"step {step}, layer {layers[0][0]}", expected="a gradient that reaches the first layer",
                         found=f"norm {first:.1e} there, {last:.1e} at the last layer (vanishing)",
                         fix="Use fewer layers, residual connections, normalisation, or He initialisation with ReLU.")


@contextmanager
def watched_units(model: nn.Module) -> Iterator[dict[str, float]]:
    """Collects, for each activation, and for what goes into each weighted layer, the share of units that are zero on every row: wrap one forward pass."""
    shares: dict[str, float] = {}

    def after(name: str, output: object) -> None:
        if isinstance(output, Tensor) and output.dim() > 1:
            units = output.movedim(1 if output.dim() == 4 else -1, 0).flatten(1)  # pictures have their channels second, all else last
            shares[name] = min(shares.get(name, 1.0), float((units == 0).all(dim=1).float().mean()))

    def before(name: str, inputs: tuple[object, ...]) -> None:
        if inputs and isinstance(inputs[0], Tensor):
            shares[f"input of {name}"] = float((inputs[0] == 0).all())

    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, ACTIVATIONS):
            hooks.append(module.register_forward_hook(lambda _m, _i, output, name=name: after(name, output)))
        if isinstance(module, WEIGHTED):
            hooks.append(module.register_forward_pre_hook(lambda _m, inputs, name=name: before(name, inputs)))
    try:
        yield shares
    finally:
        for hook in hooks:
            hook.remove()


def check_units(shares: Mapping[str, float], rows: int, step: int) -> None:
    """No layer is dead: given what `watched_units` found on `rows` rows."""
    for name, share in shares.items():
        if share > DEAD:
            raise TrainError(f"step {step}, {name}", expected=f"at most {DEAD:.0%} of the units to be zero on all of {rows} rows",
                             found=f"{share:.0%} (dead units)", fix="Lower train.learning_rate, use a longer train.warmup, or use an activation such as GELU.")


def check_answers(outputs: Mapping[str, np.ndarray], target: np.ndarray, step: int, steps: int) -> None:
    """The answers on the validation rows depend on the input, and are better than guessing.

    Args:
        outputs: "probability" [rows, classes] or "value" [rows] or [rows, steps]; other outputs are not judged.
        target: [rows] or [rows, steps], class numbers or values in raw units; NaN is missing.
    """
    if len(target) < 2 or np.all(target == target[0]):
        return
    if "probability" in outputs and target.dtype.kind in "iu":
        _check_probability(outputs["probability"].astype(np.float64), target, step, step / steps)
    elif "value" in outputs and target.dtype.kind == "f":
        value, truth = outputs["value"].astype(np.float64).reshape(-1), target.astype(np.float64).reshape(-1)
        known = ~np.isnan(truth)  # steps of a forecast whose truth is missing
        _check_value(value[known], truth[known], step, step / steps)


def _check_probability(probability: np.ndarray, target: np.ndarray, step: int, share: float) -> None:
    if share >= CONSTANT_AFTER and np.ptp(probability, axis=0).max() < SAME:
        raise TrainError(f"step {step}, validation", expected="answers that depend on the input",
                         found=f"the same for all {len(target)} rows (class {int(probability[0].argmax())})",
                         fix="Raise or lower train.learning_rate tenfold, and look at the inputs with `thuja check`.")
    if share < GUESSING_AFTER:
        return
    counts = np.bincount(target, minlength=probability.shape[1])[: probability.shape[1]]
    prior = counts / counts.sum()
    guess = float(-(prior[prior > 0] * np.log(prior[prior > 0])).sum())
    loss = float(-np.log(np.clip(probability[np.arange(len(target)), target], 1e-12, None)).mean())
    slopes = [probability[target == c, c].mean() - probability[target != c, c].mean() for c in np.flatnonzero(counts)]
    if loss > guess and max(slopes) < SLOPE:
        _worse(step, share, f"a log loss below {guess:.4g}, that of the classes' frequencies", f"{loss:.4g}")


def _check_value(value: np.ndarray, target: np.ndarray, step: int, share: float) -> None:
    if share >= CONSTANT_AFTER and np.ptp(value) < SAME * target.std():
        raise TrainError(f"step {step}, validation", expected="answers that depend on the input", found=f"the same for all {len(target)} rows ({value[0]:.4g})",
                         fix="Raise or lower train.learning_rate tenfold, and look at the inputs with `thuja check`.")
    error = float(np.sqrt(np.mean((value - target) ** 2)))
    if share >= GUESSING_AFTER and error > target.std() and np.corrcoef(value, target)[0, 1] < SLOPE:
        _worse(step, share, f"an error (RMSE) below {target.std():.4g}, that of the mean", f"{error:.4g}")


def _worse(step: int, share: float, expected: str, found: str) -> None:
    raise TrainError(f"step {step}, validation", expected=expected, found=f"{found} after {share:.0%} of the steps",
                     fix="Lower train.learning_rate, and look for shuffled or constant labels with `thuja check`.")
