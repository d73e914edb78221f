"""The transformer encoder: attention mixes places, a small network works on each of them, and both only add to a residual stream.

Source: Vaswani et al. 2017, arXiv 1706.03762, section 3.1; layer norm before each branch rather than after: Xiong et al. 2020, arXiv 2002.04745, which needs no
long warm-up. Differs: GELU in place of ReLU; the last matrix of each branch starts at zero, so that a fresh layer is the identity (Zhang et al. 2019,
arXiv 1901.09321).
"""

from torch import Tensor, nn

from thuja.blocks.attention import SelfAttention


class EncoderLayer(nn.Module):
    """x + attention(norm(x)), then x + network(norm(x))."""

    def __init__(self, dim: int, heads: int, hidden: int, dropout: float = 0.1) -> None:
        """`hidden`: width of the network on each place, usually 2 to 4 times `dim`."""
        super().__init__()
        self.attention_norm, self.network_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = SelfAttention(dim, heads, dropout)
        last = nn.Linear(hidden, dim)
        self.network = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Dropout(dropout), last)
        self.dropout = nn.Dropout(dropout)
        for layer in (self.attention.output, last):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """[B, T, dim], with mask bool [B, T] True where there is something, to [B, T, dim]."""
        x = x + self.dropout(self.attention(self.attention_norm(x), mask))
        added: Tensor = x + self.dropout(self.network(self.network_norm(x)))
        return added


class Encoder(nn.Module):
    """`depth` layers and a last norm, which the pre-norm arrangement needs."""

    def __init__(self, dim: int, depth: int, heads: int, hidden: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(dim, heads, hidden, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """[B, T, dim], with mask bool [B, T] True where there is something, to [B, T, dim]."""
        for layer in self.layers:
            x = layer(x, mask)
        normed: Tensor = self.norm(x)
        return normed
