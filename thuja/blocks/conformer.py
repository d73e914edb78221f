"""The conformer: attention for what is far away, convolution for what is near, and a small network before and after both.

Source: Gulati et al. 2020, arXiv 2005.08100 (Conformer), figures 1 to 4; subsampling by two strided convolutions, section 2.1. Differs: layer norm in place of
batch norm within the convolution, which would see the padding; rotary places in place of relative ones; what is beyond the end of a row is set to zero before
every convolution, so that padding never changes an answer; dropout only on what a branch adds; the last
matrix of each branch starts at zero (Zhang et al. 2019, arXiv 1901.09321).
"""

from torch import Tensor, nn
from torch.nn.functional import glu, silu

from thuja.blocks.attention import SelfAttention
from thuja.blocks.spectrogram import inside


class Subsampling(nn.Module):
    """Two 3 x 3 convolutions over time and pitch, then a matrix: [B, F, bands] to [B, ceil(F / factor), dim]."""

    def __init__(self, bands: int, dim: int, factor: int, channels: int = 16) -> None:
        """`factor`: 2 or 4 frames become one."""
        super().__init__()
        assert factor in (2, 4), factor
        self.strides = (2, factor // 2)
        self.first = nn.Conv2d(1, channels, 3, stride=(2, 2), padding=1)
        self.second = nn.Conv2d(channels, channels, 3, stride=(self.strides[1], 2), padding=1)
        self.output = nn.Linear(channels * -(-bands // 4), dim)

    def lengths(self, frames: Tensor) -> Tensor:
        """How many places become of int64 [B] frames."""
        for stride in self.strides:
            frames = (frames + stride - 1) // stride
        return frames

    def forward(self, x: Tensor, frames: Tensor) -> Tensor:
        """What is beyond `frames`, int64 [B], is not seen."""
        x = (x * inside(frames, x.shape[1])[:, :, None]).unsqueeze(1)
        for layer, stride in ((self.first, self.strides[0]), (self.second, self.strides[1])):
            frames = (frames + stride - 1) // stride
            x = silu(layer(x))
            x = x * inside(frames, x.shape[2])[:, None, :, None]
        placed: Tensor = self.output(x.transpose(1, 2).flatten(2))
        return placed


class Convolution(nn.Module):
    """Over time, each channel by itself, between two matrices, the first with a gate: [B, T, dim] to the same."""

    def __init__(self, dim: int, kernel: int) -> None:
        super().__init__()
        assert kernel % 2 == 1, kernel
        self.inputs = nn.Linear(dim, 2 * dim)
        self.depthwise = nn.Conv1d(dim, dim, kernel, padding=kernel // 2, groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.output = _from_zero(nn.Linear(dim, dim))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """`mask`: bool [B, T], True where there is something."""
        gated = glu(self.inputs(x), dim=-1) * mask[:, :, None]
        near = self.depthwise(gated.transpose(1, 2)).transpose(1, 2)
        mixed: Tensor = self.output(silu(self.norm(near)))
        return mixed


class ConformerLayer(nn.Module):
    """Half a network, attention, convolution, half a network, each added to a residual stream; then a norm."""

    def __init__(self, dim: int, heads: int, hidden: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(4))
        self.before, self.after = _network(dim, hidden), _network(dim, hidden)
        self.attention = SelfAttention(dim, heads)
        _from_zero(self.attention.output)
        self.convolution = Convolution(dim, kernel)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """[B, T, dim], with mask bool [B, T] True where there is something, to [B, T, dim]."""
        x = x + 0.5 * self.dropout(self.before(self.norms[0](x)))
        x = x + self.dropout(self.attention(self.norms[1](x), mask))
        x = x + self.dropout(self.convolution(self.norms[2](x), mask))
        x = x + 0.5 * self.dropout(self.after(self.norms[3](x)))
        normed: Tensor = self.norm(x)
        return normed


def _network(dim: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(dim, hidden), nn.SiLU(), _from_zero(nn.Linear(hidden, dim)))


def _from_zero(layer: nn.Linear) -> nn.Linear:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
