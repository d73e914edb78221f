"""Numbers as vectors."""

import numpy as np
import pytest
import torch

from thuja.blocks.numeric import PiecewiseLinear, signed_log


def block(quantiles, bins=4, width=3):
    torch.manual_seed(0)
    made = PiecewiseLinear([np.asarray(q, float) for q in quantiles], bins, width)
    with torch.no_grad():
        made.pieces.normal_()
    return made


def test_it_is_linear_between_quantiles_and_flat_outside():
    made = block([[0, 1, 2, 4, 8]])
    with torch.no_grad():
        made.line[:, 1] = 0  # the logarithm, which is curved
    at = made(torch.tensor([[2.0], [3.0], [4.0], [8.0], [9.0], [1e30]]))[:, 0]
    torch.testing.assert_close(at[1], (at[0] + at[2]) / 2)
    torch.testing.assert_close(at[3], at[4])
    torch.testing.assert_close(at[3], at[5])


def test_the_rank_is_standardised_over_the_training_rows():
    made = PiecewiseLinear([np.linspace(5, 9, 129)], 48, 1)
    with torch.no_grad():
        made.bias.zero_()
        made.line.zero_()
        made.line[:, 0] = 1
    out = made(torch.linspace(5, 9, 1001).unsqueeze(1)).flatten()
    assert out.mean().item() == pytest.approx(0, abs=1e-3)
    assert out.std().item() == pytest.approx(1, abs=1e-2)


def test_missing_is_the_median_until_training_says_otherwise():
    made = block([[0, 1, 2, 4, 8], [5, 6, 7, 8, 9]])
    one = made(torch.tensor([[float("nan"), 6.0]]))
    torch.testing.assert_close(one, made(torch.tensor([[2.0, 6.0]])))
    with torch.no_grad():
        made.missing[0] += 1
    torch.testing.assert_close(made(torch.tensor([[float("nan"), 6.0]]))[:, 0], one[:, 0] + 1)
    torch.testing.assert_close(made(torch.tensor([[float("nan"), 6.0]]))[:, 1], one[:, 1])


@pytest.mark.parametrize("quantiles", [[3.0], [0, 0, 0, 0, 1], [1e-42, 2e-42, 3e-42], [-3e38, 0, 3e38], [1e9, 1e9 + 1, 1e9 + 2]])
def test_odd_columns_give_finite_answers_and_gradients(quantiles):
    made = block([quantiles])
    values = torch.tensor([[quantiles[0]], [quantiles[-1]], [0.0], [3e38], [-3e38], [float("nan")]], dtype=torch.float32)
    out = made(values)
    assert torch.isfinite(out).all()
    out.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in made.parameters())


def test_columns_do_not_touch_each_other():
    made = block([[0, 1, 2], [0, 1, 2]])
    both = made(torch.tensor([[0.5, 0.5], [0.5, 1.5]]))
    torch.testing.assert_close(both[0, 0], both[1, 0])
    assert not torch.allclose(both[0, 1], both[1, 1])


def test_signed_log():
    torch.testing.assert_close(signed_log(torch.tensor([0.0, np.e - 1, 1 - np.e])), torch.tensor([0.0, 1.0, -1.0]))
