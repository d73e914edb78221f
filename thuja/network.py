"""What a network is made of: its layers in the order they run, shapes, parameters, FLOPs, initial spread, receptive field. Measured, not declared."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


class Layer(NamedTuple):
    """One module without children, in the order it ran."""

    name: str
    kind: str
    shape: tuple[int, ...]
    """Of its output, the batch of one left out."""
    parameters: int
    flops: int
    """For one example; a multiply and an add count as two."""
    start: str
    """How its weights are spread at the start, beside He and Xavier for the same fan."""


class Network(NamedTuple):
    """The whole of it."""

    layers: list[Layer]
    parameters: int
    trainable: int
    flops: int
    """Of one example, forward."""
    receptive_field: tuple[int, int] | None
    """Height and width, in input pixels, seen by one place of the last feature map; None where there is none."""


def describe(model: nn.Module, inputs: tuple[Tensor, ...]) -> Network:
    """Run `inputs` (batch first, one row) through the model and report what happened, without changing it.

    Args:
        model: called as `model(*inputs)`; shared modules are listed once.
        inputs: example tensors, one row each.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    names = {module: name for name, module in model.named_modules() if not list(module.children())}

    def remember(module: nn.Module, _: object, output: object) -> None:
        if isinstance(output, Tensor):
            shapes.setdefault(names[module], tuple(output.shape[1:]))

    handles = [module.register_forward_hook(remember) for module in names]
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(*inputs)
    finally:
        for handle in handles:
            handle.remove()
        model.train(was_training)
    flops = {name.partition(".")[2]: sum(ops.values()) for name, ops in counter.get_flop_counts().items()}
    found = {name: module for module, name in names.items()}
    layers = [
        Layer(name, type(found[name]).__name__, shape, sum(p.numel() for p in found[name].parameters()), flops.get(name, 0), spread(found[name]))
        for name, shape in shapes.items()
    ]
    total = sum(p.numel() for p in model.parameters())
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return Network(layers, total, trainable, counter.get_total_flops(), receptive_field(model, inputs))


def spread(module: nn.Module) -> str:
    """How a module's weight is spread, in words: standard deviation, and the textbook scheme it agrees with to 10 %."""
    weight = getattr(module, "weight", None)
    if not isinstance(weight, Tensor) or not weight.is_floating_point() or weight.numel() < 2:
        return ""
    value = weight.detach().float()
    std = value.std().item()
    if std == 0:
        return f"all {value.flatten()[0].item():g}"
    if value.dim() < 2 or isinstance(module, nn.Embedding):
        return f"std {std:.3f}"
    fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(value)  # torch has no public name for it
    schemes = {"He (normal)": math.sqrt(2 / fan_in), "Xavier": math.sqrt(2 / (fan_in + fan_out)), "LeCun": math.sqrt(1 / fan_in),
               "uniform 1/sqrt(fan in)": math.sqrt(1 / (3 * fan_in))}
    near = [name for name, expected in schemes.items() if abs(std / expected - 1) < 0.1]
    square = value.flatten(1)
    gram = square @ square.T if square.shape[0] <= square.shape[1] else square.T @ square
    scale = gram.diagonal().mean()
    if value.dim() == 4 and (value == 0).float().mean() > 0.5:
        near = ["Dirac (starts as the identity)"]
    elif gram.shape[0] > 1 and (gram / scale - torch.eye(len(gram))).abs().max() < 1e-3:
        near = ["orthogonal"]
    return f"std {std:.3f}" + (f", like {near[0]}" if near else "")


def receptive_field(model: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[int, int] | None:
    """Height and width of the input region that can change the central place of the last convolution's output.

    Measured by gradients with max-pooling read as averaging, over the first 4-D float tensor that flows in the network; None without convolutions.
    """
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.kernel_size != (1, 1)]
    if not convolutions:
        return None
    seen: dict[str, Tensor] = {}
    passes = []  # a network that looks at several views of a picture runs its layers once for each; the first is followed

    def first(module: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        passes.append(module)
        if len(passes) == 1:
            seen["in"] = torch.ones_like(arguments[0]).requires_grad_()  # positive everywhere: no rectifier hides a place
            return (seen["in"], *arguments[1:])
        return arguments

    def average(module: nn.MaxPool2d, arguments: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(arguments[0], module.kernel_size, module.stride, module.padding, module.ceil_mode)

    def ones(module: nn.Conv2d, arguments: tuple[Tensor, ...], output: Tensor) -> Tensor:
        padding = module.padding if isinstance(module.padding, str) else tuple(map(int, module.padding))
        weight = torch.ones_like(module.weight)
        out = nn.functional.conv2d(arguments[0], weight, None, module.stride, padding, module.dilation, module.groups)
        if len(passes) == 1:
            seen["out"] = out
        return out

    handles = [m.register_forward_pre_hook(first) for m in convolutions[:1]]
    handles += [m.register_forward_hook(ones) for m in model.modules() if isinstance(m, nn.Conv2d)]
    handles += [m.register_forward_hook(average) for m in model.modules() if isinstance(m, nn.MaxPool2d)]
    was_training = model.training
    try:
        model.eval()
        with torch.enable_grad():
            model(*inputs)
            if "out" not in seen or seen["out"].dim() != 4:
                return None
            out = seen["out"]
            (gradient,) = torch.autograd.grad(out[0, :, out.shape[2] // 2, out.shape[3] // 2].sum(), seen["in"], allow_unused=True)
    except (RuntimeError, TypeError):  # a network with in-place or non-differentiable pieces: better no figure than a wrong one
        return None
    finally:
        for handle in handles:
            handle.remove()
        model.train(was_training)
    if gradient is None:
        return None
    touched = gradient[0].abs().sum(0) > 0
    rows, columns = touched.any(1).nonzero(), touched.any(0).nonzero()
    if not len(rows):
        return None
    return int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1
