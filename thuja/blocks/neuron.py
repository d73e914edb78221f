"""The neuron, and a layer of neurons.

A neuron weighs its inputs, adds a bias, and bends the sum: y = f(w . x + b). Everything else in a network is neurons that share work: a dense layer is
many neurons that see the same inputs, so its weights are a matrix and all sums are one matrix product (`nn.Linear`); a convolution is one neuron that
visits every place of a picture.

Source: McCulloch and Pitts 1943 (the weighted sum and threshold), Rosenblatt 1958 (learned weights). Differs: the threshold is any differentiable function,
so that the chain rule reaches the weights (Rumelhart, Hinton and Williams 1986).
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from thuja.blocks.activation import activation


class Neuron(nn.Module):
    """One neuron, written out: float [B, inputs] to float [B]. To read and to teach with; `Dense` is the one to build with."""

    def __init__(self, inputs: int, function: Callable[[Tensor], Tensor] = torch.tanh) -> None:
        """`function` bends the weighted sum; it must have a slope almost everywhere."""
        super().__init__()
        # Random, so that two neurons differ; small, so that the sum of `inputs` terms of size one is itself of size one.
        self.weight = nn.Parameter(torch.randn(inputs) / inputs**0.5)
        self.bias = nn.Parameter(torch.zeros(()))
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        """f(w . x + b), for each row."""
        weighted_sum = (x * self.weight).sum(dim=1) + self.bias
        return self.function(weighted_sum)


class Dense(nn.Sequential):
    """A layer of `outputs` neurons that share their inputs: float [..., inputs] to float [..., outputs].

    Row i of the weight matrix is the weight vector of neuron i, so `x @ weight.T + bias` is what `outputs` calls of `Neuron` would give.
    """

    def __init__(self, inputs: int, outputs: int, function: str = "relu") -> None:
        """`function` is a name from `thuja.blocks.activation`; "identity" leaves the layer linear."""
        super().__init__(nn.Linear(inputs, outputs), activation(function))
