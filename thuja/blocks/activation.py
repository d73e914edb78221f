"""Activations: what bends the weighted sum. Without one, a stack of layers is one linear layer.

| name | f(x) | when |
|---|---|---|
| relu | max(0, x) | the cheap default; a unit whose sum is always negative is dead |
| leaky_relu | x, or 0.1 x below zero | ReLU that cannot die |
| gelu | x P(Z < x), Z normal | smooth; transformers and small convnets |
| silu | x sigmoid(x) | smooth like GELU, a third cheaper on CPUs |
| tanh | (e^x - e^-x) / (e^x + e^-x) | outputs in (-1, 1): recurrent networks, policies |
| sigmoid | 1 / (1 + e^-x) | gates and probabilities, not hidden layers: its slope is at most 1/4 |
| identity | x | a linear layer |

Source: ReLU, Nair and Hinton 2010; leaky ReLU, Maas et al. 2013 (slope 0.01 there, 0.1 here as in YOLO); GELU, Hendrycks and Gimpel 2016, arXiv 1606.08415;
SiLU, Elfwing et al. 2017, arXiv 1702.03118. The functions are torch's.
"""

from collections.abc import Callable

from torch import nn

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.1),
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "identity": nn.Identity,
}


def activation(name: str) -> nn.Module:
    """A fresh activation module by name.

    >>> activation("silu")
    SiLU()
    """
    assert name in ACTIVATIONS, f"no activation {name!r}; there are {', '.join(ACTIVATIONS)}"
    return ACTIVATIONS[name]()
