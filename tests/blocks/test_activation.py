import math

import pytest
import torch

from thuja.blocks.activation import ACTIVATIONS, activation


@pytest.mark.parametrize(("name", "at_minus_one", "at_two"), [
    ("relu", 0.0, 2.0), ("leaky_relu", -0.1, 2.0), ("gelu", -0.5 * (1 + math.erf(-(0.5**0.5))), 1 + math.erf(2**0.5)),
    ("silu", -1 / (1 + math.e), 2 / (1 + math.exp(-2))), ("tanh", math.tanh(-1), math.tanh(2)), ("sigmoid", 1 / (1 + math.e), 1 / (1 + math.exp(-2))),
    ("identity", -1.0, 2.0),
])
def test_values(name: str, at_minus_one: float, at_two: float) -> None:
    torch.testing.assert_close(activation(name)(torch.tensor([-1.0, 2.0])), torch.tensor([at_minus_one, at_two]))


def test_each_call_gives_a_fresh_module() -> None:
    assert all(activation(name) is not activation(name) for name in ACTIVATIONS)


def test_unknown_name_is_our_mistake() -> None:
    with pytest.raises(AssertionError, match="no activation 'softplus'"):
        activation("softplus")
