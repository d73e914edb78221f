"""Attention: every place reads from all places, as much from each as its query matches their keys.

Source: Vaswani et al. 2017, arXiv 1706.03762, eq. 1 and section 3.2.2. Differs: rotary places (Su et al. 2021, arXiv 2104.09864) in place of added ones,
if asked.
"""

from torch import Tensor, nn
from torch.nn import functional

from thuja.blocks.position import Rotary


def attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """softmax(Q K^T / sqrt(dim)) V, eq. 1, in plain steps: what `functional.scaled_dot_product_attention` computes faster; the tests compare the two.

    Args:
        query: [..., T, dim]. key: [..., S, dim]. value: [..., S, out].
        mask: bool, broadcast to [..., T, S]; True where T may read S. A place that may read nothing is not allowed.
    Returns: [..., T, out].
    """
    scores = query @ key.mT * query.shape[-1] ** -0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    read: Tensor = scores.softmax(-1) @ value
    return read


class SelfAttention(nn.Module):
    """`heads` attentions side by side, each on its own part of the vector; one matrix makes queries, keys and values, one mixes the heads."""

    def __init__(self, dim: int, heads: int, dropout: float = 0.0, rotary: bool = True) -> None:
        super().__init__()
        assert dim % heads == 0, (dim, heads)
        self.heads, self.dropout = heads, dropout
        self.inputs = nn.Linear(dim, 3 * dim)
        self.output = nn.Linear(dim, dim)
        self.rotary = Rotary(dim // heads) if rotary else None

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """[B, T, dim], with mask bool [B, T] True where there is something, to [B, T, dim]; each row needs at least one such place."""
        parts = self.inputs(x).unflatten(-1, (3, self.heads, -1))  # [B, T, 3, heads, dim / heads]
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)  # each [B, heads, T, dim / heads]
        if self.rotary is not None:
            query, key = self.rotary(query), self.rotary(key)
        visible = None if mask is None else mask[:, None, None, :]
        read = functional.scaled_dot_product_attention(query, key, value, visible, self.dropout if self.training else 0.0)
        mixed: Tensor = self.output(read.transpose(1, 2).flatten(2))
        return mixed
