"""Low-rank changes of matrices that stay as they are: what tuning has to learn and to keep is a hundredth of the network.

Source: LoRA, Hu et al. 2021, arXiv 2106.09685, eq. 3: W x + B A x, with A drawn at random and B zero, so that a fresh adapter changes nothing. Differs: no
factor alpha / rank (the learning rate does its work); A has the spread of a fresh linear layer.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn.functional import linear


class LowRank(nn.Module):
    """A linear layer whose weight does not move, and a change of it of low rank. Its weight keeps its name, so that weights of the plain layer load."""

    def __init__(self, plain: nn.Linear, rank: int) -> None:
        super().__init__()
        self.weight, self.bias = plain.weight, plain.bias
        self.down = nn.Parameter(torch.randn(rank, plain.in_features) * plain.in_features**-0.5)
        self.up = nn.Parameter(torch.zeros(plain.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        """[..., inputs] to [..., outputs]."""
        return linear(x, self.weight, self.bias) + linear(linear(x, self.down), self.up)


def adapt(model: nn.Module, rank: int) -> None:
    """Give every linear layer a change of rank `rank`; only these changes want a gradient from now on."""
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for name, layer in list(model.named_modules()):
        if isinstance(layer, nn.Linear):
            setattr(model.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2], LowRank(layer, rank))


@torch.no_grad()
def merged(model: nn.Module) -> nn.Module:
    """A copy in which every change is added to its weight: plain linear layers again, as fast as before."""
    whole = copy.deepcopy(model)
    for name, layer in list(whole.named_modules()):
        if isinstance(layer, LowRank):
            outputs, inputs = layer.weight.shape
            plain = nn.Linear(inputs, outputs, bias=layer.bias is not None, device=layer.weight.device)
            plain.weight.copy_(layer.weight + layer.up @ layer.down)
            if layer.bias is not None:
                plain.bias.copy_(layer.bias)
            setattr(whole.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2], plain)
    return whole
