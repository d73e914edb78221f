"""Metrics of language models: how surprised one is by a text, per token, character and byte; and whether its likeliest answer is the true one.

Source: perplexity as in Jelinek et al. 1977; bits per byte, which vocabularies do not change, as in Gao et al. 2020, arXiv 2101.00027, section 3.1; accuracy
per response as in Bordes et al. 2016, arXiv 1605.07683. All are ratios of sums over rows, not means of rows, so that a long text counts by its length.
"""

import math
from collections.abc import Callable

import numpy as np

from thuja.metrics.metric import Metric, Outputs, Weighted, ratio


def per(unit: str, scale: float = 1.0) -> Callable[[Outputs], Weighted]:
    """The sum of "nll" (nats) over the sum of `unit` ("tokens", "characters" or "bytes", each [rows]), times `scale`."""

    def prepare(outputs: Outputs) -> Weighted:
        above, below = (outputs.arrays[name].astype(np.float64) for name in ("nll", unit))
        return lambda weights: scale * ratio(weights @ above, weights @ below)

    return prepare


def perplexity(outputs: Outputs) -> Weighted:
    """e to the nats a token: among how many equally likely tokens the model seems to choose."""
    nats = per("tokens")(outputs)
    return lambda weights: np.exp(nats(weights))


def share(above: str, below: str) -> Callable[[Outputs], Weighted]:
    """The sum of one count over that of another, each [rows]."""

    def prepare(outputs: Outputs) -> Weighted:
        part, whole = (outputs.arrays[name].astype(np.float64) for name in (above, below))
        return lambda weights: ratio(weights @ part, weights @ whole)

    return prepare


METRICS = (
    Metric("nll_token", "Nats a token", "min", "nll", per("tokens")),
    Metric("nll_character", "Nats a character", "min", "nll", per("characters")),
    Metric("bits_per_byte", "Bits a byte", "min", "nll", per("bytes", 1 / math.log(2))),
    Metric("perplexity", "Perplexity a token", "min", "nll", perplexity),
    Metric("response_accuracy", "Responses right", "max", "whole", share("whole", "responses"), percent=True),
    Metric("token_accuracy", "Tokens right", "max", "right", share("right", "tokens"), percent=True),
)
"""`whole` of `responses`: answers whose every token was the likeliest one. An answer is made of the likeliest tokens where its temperature is 0, so these are
the answers that such a model gives to the letter."""
