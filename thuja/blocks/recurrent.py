"""Recurrent cells: a vector that is carried from place to place and changed by what is read there.

Each cell is one step of torch's layer of the same name, written out so that it can be read; the models use torch's layers, whose loops are fused, and the
tests hold the two equal. With input x and state h, both joined to a matrix product a = W x + b + U h + c:

| cell | new state | what its gates do |
|---|---|---|
| `rnn` | h' = tanh(a) | none: what was read some ten places ago is mixed away, and its gradient with it |
| `gru` | h' = (1 - z) n + z h | z keeps the old, r lets the new be made without it |
| `lstm` | c' = f c + i g, h' = o tanh(c') | f forgets, i lets in, o lets out; c is changed by sums alone, so that a gradient passes many places |

Source: Elman 1990, "Finding Structure in Time"; LSTM: Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000; GRU: Cho et al. 2014,
arXiv 1406.1078. Differs from Cho: the reset gate acts after the matrix (on U h), as in cuDNN and torch.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

CELLS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
"""Torch's layers by the short name: `CELLS["lstm"](inputs, hidden, layers, batch_first=True)`."""


class Weights(NamedTuple):
    """Of one layer of one direction; the blocks of gates lie one under the other, in torch's order."""

    inputs: Tensor
    """W [gates * hidden, inputs]."""
    state: Tensor
    """U [gates * hidden, hidden]."""
    inputs_bias: Tensor
    state_bias: Tensor


def weights(layer: nn.RNNBase, number: int = 0) -> Weights:
    """Those of a torch layer."""
    return Weights(*(getattr(layer, f"{name}_l{number}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")))


def rnn(x: Tensor, h: Tensor, w: Weights) -> Tensor:
    """One place of Elman's network: x [B, inputs] and h [B, hidden] to the new h."""
    return torch.tanh(x @ w.inputs.mT + w.inputs_bias + h @ w.state.mT + w.state_bias)


def gru(x: Tensor, h: Tensor, w: Weights) -> Tensor:
    """One place of a gated recurrent unit: x [B, inputs] and h [B, hidden] to the new h."""
    read_reset, read_keep, read_new = (x @ w.inputs.mT + w.inputs_bias).chunk(3, dim=1)
    kept_reset, kept_keep, kept_new = (h @ w.state.mT + w.state_bias).chunk(3, dim=1)
    reset = torch.sigmoid(read_reset + kept_reset)
    keep = torch.sigmoid(read_keep + kept_keep)
    new = torch.tanh(read_new + reset * kept_new)
    return (1 - keep) * new + keep * h


def lstm(x: Tensor, h: Tensor, c: Tensor, w: Weights) -> tuple[Tensor, Tensor]:
    """One place of a long short-term memory: x [B, inputs], h and c [B, hidden] to the new h and c."""
    total = x @ w.inputs.mT + w.inputs_bias + h @ w.state.mT + w.state_bias
    let_in, forget, new, let_out = total.chunk(4, dim=1)
    c = torch.sigmoid(forget) * c + torch.sigmoid(let_in) * torch.tanh(new)
    return torch.sigmoid(let_out) * torch.tanh(c), c
