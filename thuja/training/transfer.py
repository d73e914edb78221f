"""Weights of another network, taken over wherever name and shape are the same, and how far each layer may move from them.

Source: transfer of learned weights, Yosinski et al. 2014, arXiv 1411.1792; a rate of its own for each layer, Howard and Ruder 2018, arXiv 1801.06146
("discriminative fine-tuning"), as powers of one number, Bao et al. 2021, arXiv 2106.08254.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from thuja.core.errors import SpecError, did_you_mean

HEAD = "head"
"""A layer with this part in its name is made anew for each task: it never freezes by a share, and learns at the full rate."""


class Taken(NamedTuple):
    """What became of the parent's weights."""

    taken: int
    """Tensors that were copied."""
    fresh: list[str]
    """Names in the new network that the parent has not, or of another shape: they keep their fresh values."""


@torch.no_grad()
def take_over(model: nn.Module, theirs: Mapping[str, Tensor]) -> Taken:
    """Copy what fits. Raises: SpecError when nothing does, or nothing but the head, which is as wide as there are classes in many a network."""
    fresh, taken, learned = [], 0, 0
    names = {name for name, _ in model.named_parameters()}
    names = {name for name in names if HEAD not in name.split(".")} or names
    for name, ours in model.state_dict().items():
        other = theirs.get(name)
        if other is None or other.shape != ours.shape:
            fresh.append(name)
        else:
            ours.copy_(other)
            taken += 1
            learned += name in names
    if not learned:
        raise SpecError("parent", expected="weights of a network like this one", found="none of the same name and shape", fix="Use the same task.model.")
    return Taken(taken, fresh)


def layers(model: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The layers with weights from the input to the output: each member of a list of layers, and each other part that holds no such list, by name."""
    for name, module in model.named_children():
        if next(module.parameters(), None) is None:
            continue
        here, inside = f"{prefix}{name}", any(isinstance(m, (nn.ModuleList, nn.Sequential)) for m in module.modules())
        if isinstance(module, (nn.ModuleList, nn.Sequential)):
            yield from ((f"{here}.{i}", member) for i, member in module.named_children() if next(member.parameters(), None) is not None)
        elif inside:
            yield from layers(module, f"{here}.")
        else:
            yield here, module


def tune(model: nn.Module, freeze: float | Sequence[str], decay: float) -> None:
    """Freeze layers and let the others learn at rates that fall towards the input. Raises: SpecError for a name that fits no layer.

    Args:
        freeze: a share of the layers without the head, from the input on, or names of layers or of parts of the network ("stages.0", "embedding").
        decay: each layer's `lr_scale` is multiplied by this to the power of its distance from the head.
    """
    found = list(layers(model))
    body = [(name, layer) for name, layer in found if HEAD not in name.split(".")]
    for distance, (_, layer) in enumerate(reversed(body), 1):
        for parameter in layer.parameters():
            if decay < 1:
                setattr(parameter, "lr_scale", getattr(parameter, "lr_scale", 1.0) * decay**distance)  # noqa: B010  # an attribute torch's types do not know
    if isinstance(freeze, (int, float)):
        chosen = [layer for _, layer in body[: round(freeze * len(body))]]
    else:
        chosen = [_named(model, name, [known for known, _ in found]) for name in freeze]
    for layer in chosen:
        layer.requires_grad_(False)
        for module in layer.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.register_forward_pre_hook(_at_rest)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise SpecError("train.freeze", expected="something left to learn", found="every weight frozen", fix="Freeze fewer layers.")


def _named(model: nn.Module, name: str, known: list[str]) -> nn.Module:
    """The part of the network that this name, or the end of its own, means."""
    fits: list[nn.Module] = [module for full, module in model.named_modules() if full and (full == name or full.endswith(f".{name}"))]
    if not fits:
        raise SpecError("train.freeze", expected="names of layers of this network", found=repr(name), fix=did_you_mean(name, known))
    return fits[0]


def _at_rest(module: nn.Module, _: object) -> None:
    """A frozen batch norm uses the statistics it has, and leaves them as they are."""
    module.training = False
