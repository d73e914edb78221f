"""From ids to vectors: a table per id, and a table for every n-gram of ids.

Source: word vectors as a learned table: Bengio et al. 2003, "A Neural Probabilistic Language Model", JMLR 3. Hashed features: Weinberger et al. 2009,
arXiv 0902.2206. Bags of n-grams: Joulin et al. 2016, arXiv 1607.01759 (fastText, eq. 1); of characters: Bojanowski et al. 2017, arXiv 1607.04606. Deviations
are named in each class.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

PRIME = 1_000_003
MODULUS = 2**31 - 1
"""Hashes stay below this prime, so that a product with `PRIME` cannot overflow int64."""


class Embedding(nn.Module):
    """A vector for each id: row `ids` of a table; id 0 is padding and gives zeros, whatever training did to its row.

    It is the product of a one-hot vector and a matrix, without the multiplications. `std` is that of the first values.
    """

    def __init__(self, ids: int, dim: int, std: float = 0.1) -> None:
        super().__init__()
        self.table = nn.Embedding(ids, dim)
        nn.init.normal_(self.table.weight, std=std)

    def forward(self, ids: Tensor) -> Tensor:
        """int64 [B, T] to [B, T, dim]."""
        vectors: Tensor = self.table(ids)
        return vectors * (ids != 0).unsqueeze(-1)


def ngram_hashes(ids: Tensor, longest: int) -> list[Tensor]:
    """For n = 1 .. `longest`, an int64 [B, T] whose place t holds a hash, in 0 .. 2**31 - 2, of the n ids from t on; 0 at padding is an id like any other.

    A polynomial of the ids, made one id longer at a time: h(n) = (h(n - 1) * p + id) mod (2**31 - 1). Integer arithmetic: the same in every runtime.
    """
    ahead = pad(ids, (0, longest - 1))
    places = ids.shape[1]
    hashed = torch.zeros_like(ids)
    hashes = []
    for n in range(longest):
        hashed = (hashed * PRIME + ahead[:, n : n + places] * 8191 + n + 1) % MODULUS
        hashes.append(hashed)
    return hashes


class NgramBag(nn.Module):
    """The sum of a learned vector for every n-gram of a row, n = 1 .. `longest`, divided by the root of their number.

    N-grams share `buckets` vectors by hash, so that no dictionary has to be kept and unseen ones cost nothing. With `dim` = number of classes it is a linear
    model of n-grams, whose gradient needs no back-propagation through hidden layers: strong where there are few rows. Its table asks for ten times the learning
    rate (`lr_scale`, see `thuja.training.optim`): most n-grams come in few batches, and would stay near their start.
    Differs from fastText: the root of the number, not the number, keeps long rows more certain; a share `drop` of the n-grams is left out at random while
    training; tables start at zero.
    """

    def __init__(self, longest: int, buckets: int, dim: int, drop: float = 0.3) -> None:
        super().__init__()
        self.longest, self.buckets, self.drop = longest, buckets, drop
        self.table = nn.Embedding(buckets, dim)
        nn.init.zeros_(self.table.weight)
        setattr(self.table.weight, "lr_scale", 10.0)  # noqa: B010  # a plain attribute that torch's types do not know

    def forward(self, ids: Tensor) -> Tensor:
        """int64 [B, T], 0 where there is none (at the end only), to [B, dim]."""
        lengths = (ids != 0).sum(1)[:, None, None]
        first = torch.arange(ids.shape[1], device=ids.device)
        sizes = torch.arange(1, self.longest + 1, device=ids.device)[:, None]
        there = (first <= lengths - sizes).flatten(1).to(self.table.weight.dtype)  # [B, longest * T]
        number = there.sum(1, keepdim=True)
        if self.training and self.drop:
            there = there * (torch.rand_like(there) >= self.drop) / (1 - self.drop)
        buckets = torch.cat(ngram_hashes(ids, self.longest), dim=1) % self.buckets  # one look-up, so that there is one gradient of the whole table
        total = torch.einsum("btd,bt->bd", self.table(buckets), there)
        return total / number.clamp_min(1).sqrt()
