"""Metrics of language models against sums by hand."""

import math

import numpy as np

from thuja.metrics import METRICS, Outputs

ARRAYS = {"nll": np.array([10.0, 2.0], np.float32), "tokens": np.array([5, 1]), "right": np.array([4, 1]), "whole": np.array([1, 1]),
          "responses": np.array([3, 1]), "characters": np.array([20, 4]), "bytes": np.array([24, 6])}
OUTPUTS = Outputs(np.zeros(2), ARRAYS)


def test_ratios_of_sums() -> None:
    expected = {"nll_token": 2.0, "nll_character": 0.5, "bits_per_byte": 12 / 30 / math.log(2), "perplexity": math.exp(2), "response_accuracy": 0.5,
                "token_accuracy": 5 / 6}
    for name, value in expected.items():
        assert math.isclose(METRICS[name].value(OUTPUTS), value, rel_tol=1e-9), name


def test_a_weight_counts_a_row_as_often_and_nothing_is_undefined() -> None:
    for name in ("nll_token", "nll_character", "bits_per_byte", "perplexity", "response_accuracy", "token_accuracy"):
        twice = Outputs(np.zeros(3), {key: np.append(values, values[1]) for key, values in ARRAYS.items()})
        assert math.isclose(METRICS[name].value(OUTPUTS, np.array([1, 2])), METRICS[name].value(twice))
        assert math.isnan(METRICS[name].value(OUTPUTS, np.array([0, 0])))
