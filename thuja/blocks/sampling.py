"""Choosing the next token: temperature, the k likeliest, the likeliest that hold a share p of the probability, and numbers drawn from a seed.

A sample from softmax(z / T) is the largest of z + T g, g being Gumbel noise: with T = 0 it is the likeliest token, without a case of its own. The noise is a
function of (seed, step, token), by integer arithmetic that is the same in every runtime: the same request gets the same answer, whoever else is in the batch.

Source: the Gumbel-max trick, Gumbel 1954, as in Maddison et al. 2014, arXiv 1411.0030. The k likeliest: Fan et al. 2018, arXiv 1805.04833; the share p:
Holtzman et al. 2019, arXiv 1904.09751. Random integers: cubes modulo a prime with a constant added in each round, as the block cipher MiMC, Albrecht et al.
2016, https://eprint.iacr.org/2016/492. Differs from it: 31 bits and few rounds, for looks and not for secrecy.
"""

from typing import NamedTuple

import torch
from torch import Tensor

PRIME = 2147483579
"""The largest prime below 2**31 that is 2 modulo 3: cubing is then one to one, and products of two residues fit an int64."""
ROUNDS = (738197503, 1103515245, 1640531513, 277803737, 461845907)
"""Constants of the rounds, arbitrary and different."""


class Sampling(NamedTuple):
    """How each row [B] chooses."""

    temperature: Tensor
    """float32; 0: the likeliest."""
    top_k: Tensor
    """int64: only this many of the likeliest; 0 for all."""
    top_p: Tensor
    """float32: only the likeliest that together have this probability; 1 for all."""
    seed: Tensor
    """int64, not negative."""


def cube(x: Tensor) -> Tensor:
    """x**3 modulo `PRIME`, for int64 in 0 .. PRIME - 1."""
    return x * x % PRIME * x % PRIME


def uniform(seed: Tensor, step: Tensor, tokens: int) -> Tensor:
    """Numbers in (0, 1): float64 [B, tokens], a function of seed and step, int64 [B] and not negative, and of the token."""
    x = cube((seed % PRIME + ROUNDS[0]) % PRIME)
    x = cube((x + seed // PRIME + ROUNDS[1]) % PRIME)
    x = cube((x + step + ROUNDS[2]) % PRIME)
    y = cube((x.unsqueeze(1) + torch.arange(tokens, device=seed.device) + ROUNDS[3]) % PRIME)
    y = cube((y + ROUNDS[4]) % PRIME)
    return (y.to(torch.float64) + 0.5) / PRIME


def admitted(logits: Tensor, sampling: Sampling) -> Tensor:
    """Which tokens of [B, tokens] may be chosen, bool. The likeliest always may, and whatever is as likely as one that may: tokens that were never seen in
    training can be exactly equal, and which of them comes first differs between runtimes."""
    tokens = logits.shape[1]
    ordered = logits.topk(tokens, dim=1).values
    sharpened = (ordered / sampling.temperature.clamp_min(1e-3).unsqueeze(1)).softmax(dim=1)
    before = sharpened.cumsum(dim=1) - sharpened
    most = torch.where(sampling.top_k > 0, sampling.top_k, tokens).unsqueeze(1)
    rank = torch.arange(tokens, device=logits.device)
    good = (rank < most) & ((before < sampling.top_p.unsqueeze(1)) | (rank == 0))
    return logits >= ordered.masked_fill(~good, float("inf")).amin(dim=1, keepdim=True)


def choose(logits: Tensor, sampling: Sampling, step: Tensor) -> Tensor:
    """The next token of each row: float [B, tokens] and the number of the step, int64 [B], to int64 [B]."""
    logits = logits.float()
    noise = -(-uniform(sampling.seed, step, logits.shape[1]).log()).log()
    scores = logits.to(torch.float64) + sampling.temperature.to(torch.float64).unsqueeze(1) * noise
    return scores.masked_fill(~admitted(logits, sampling), float("-inf")).argmax(dim=1)
