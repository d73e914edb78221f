"""How weights start: so that signals and gradients keep their size through many layers.

With fan_in inputs of variance 1, a sum has variance fan_in * var(w). Keep it at 1 and depth is harmless; let it drift by a factor g and n layers drift by g^n.

| function | weights | keeps | when |
|---|---|---|---|
| `xavier_` | uniform, var 2 / (fan_in + fan_out) | a compromise between signals and gradients | tanh, sigmoid, linear output layers |
| `he_` | normal, var 2 / fan_in | signals after a ReLU, which throws half away | ReLU and its relatives |
| `orthogonal_` | a random rotation | the length of every vector, exactly | recurrent and deep linear networks |
| `dirac_` | the identity as a filter, rest as torch | the picture itself | convolutions without a shortcut |
| `small_` | normal, std 0.01 | nothing is believed at first, yet gradients pass | the last layer of a classifier |
| `zeros_` | 0 | nothing: the branch starts silent | last layer of a residual branch, biases |

A network names its rules in one table: `initialise(model, {nn.Conv2d: he_, nn.Linear: xavier_})`.

Source: Glorot and Bengio 2010; He et al. 2015, arXiv 1502.01852; Saxe et al. 2013, arXiv 1312.6120; Goyal et al. 2017, arXiv 1706.02677 (small_);
Zagoruyko and Komodakis 2017, arXiv 1706.00388 (Dirac), in the partial form of cifar10-airbench (Jordan 2024, arXiv 2404.00498). The draws are torch's
(`torch.nn.init`).
"""

from collections.abc import Callable, Mapping

from torch import Tensor, nn
from torch.nn import init

Rule = Callable[[Tensor], object]
"""Fills a weight in place, drawing from torch's global generator."""


def xavier_(weight: Tensor) -> Tensor:
    """Uniform with variance 2 / (fan_in + fan_out)."""
    return init.xavier_uniform_(weight)


def he_(weight: Tensor) -> Tensor:
    """Normal with variance 2 / fan_in."""
    return init.kaiming_normal_(weight, nonlinearity="relu")


def orthogonal_(weight: Tensor) -> Tensor:
    """Rows (or columns, whichever are fewer) orthonormal."""
    return init.orthogonal_(weight)


def dirac_(weight: Tensor) -> Tensor:
    """A filter [out, in, kH, kW] that passes the first min(in, out) channels through; the other outputs are uniform with variance 1 / (3 fan_in)."""
    init.kaiming_uniform_(weight, a=5**0.5)
    init.dirac_(weight[: weight.shape[1]])
    return weight


def small_(weight: Tensor) -> Tensor:
    """Normal with standard deviation 0.01."""
    return init.normal_(weight, std=0.01)


def zeros_(weight: Tensor) -> Tensor:
    """All zero."""
    return init.zeros_(weight)


def initialise(model: nn.Module, table: Mapping[type[nn.Module], Rule]) -> None:
    """Fill the weight of every module by the rule of its own type, and its bias with zeros; types not in the table are left as they are."""
    for module in model.modules():
        rule = table.get(type(module))
        weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
        if rule is not None and isinstance(weight, Tensor):
            rule(weight)
            if isinstance(bias, Tensor):
                init.zeros_(bias)
