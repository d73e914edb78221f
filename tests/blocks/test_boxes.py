"""Boxes as tensors."""

import numpy as np
import pytest
import torch

from thuja.blocks.boxes import area, complete_overlap, overlap


def brute(one: list[float], other: list[float]) -> float:
    """By counting cells of a fine grid."""
    y, x = np.mgrid[0:20:200j, 0:20:200j]
    a, b = ((x >= box[0]) & (x < box[2]) & (y >= box[1]) & (y < box[3]) for box in (one, other))
    return float((a & b).sum() / max((a | b).sum(), 1))


def test_the_overlap_is_what_counting_finds() -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        one, other = np.sort(rng.uniform(0, 20, (2, 2, 2)), axis=1).reshape(2, 4)
        assert float(overlap(torch.tensor(one), torch.tensor(other))) == pytest.approx(brute(one.tolist(), other.tolist()), abs=0.02)
    assert float(area(torch.tensor([5.0, 5.0, 3.0, 9.0]))) == 0
    pairs = overlap(torch.rand(2, 3, 1, 4), torch.rand(2, 1, 5, 4))
    assert pairs.shape == (2, 3, 5)


def test_the_complete_form_is_one_for_equals_and_has_a_slope_for_strangers() -> None:
    box = torch.tensor([[0.0, 0.0, 10.0, 20.0]])
    assert float(complete_overlap(box, box)) == pytest.approx(1.0, abs=1e-5)
    far = torch.tensor([[100.0, 100.0, 110.0, 120.0]], requires_grad=True)
    value = complete_overlap(far, box)
    assert float(value.detach()) < 0
    value.sum().backward()
    assert (far.grad[0, :2] < 0).all()  # nearer is better
    wide = torch.tensor([[-5.0, 5.0, 15.0, 15.0]])
    same_overlap = float(overlap(wide, box))
    assert float(complete_overlap(wide, box)) < same_overlap  # the same middle, another shape
