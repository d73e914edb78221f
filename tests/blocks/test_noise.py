"""Noise from integers: normal, independent, a function of seed, stream and place, and the same in onnxruntime."""

import numpy as np
import onnxruntime
import torch
from scipy import stats
from torch import Tensor, nn

from thuja.blocks.noise import normal
from thuja.graph.onnxwrite import to_onnx
from thuja.task import Program


def test_it_is_normal_in_the_middle_and_in_the_tails() -> None:
    drawn = normal(torch.arange(200), 1, 1001).numpy().ravel()
    assert stats.kstest(drawn, "norm").pvalue > 0.01
    assert abs(np.mean(drawn > 3) / stats.norm.sf(3) - 1) < 0.15
    assert np.abs(drawn).max() > 4


def test_places_rows_and_streams_have_nothing_in_common() -> None:
    drawn = normal(torch.arange(400), 1, 400).numpy()
    for one, other in ((drawn[:, :-1], drawn[:, 1:]), (drawn[:-1], drawn[1:]), (drawn[:, :200], drawn[:, 200:]), (drawn, normal(torch.arange(400), 2, 400))):
        assert abs(np.corrcoef(np.ravel(one), np.ravel(other))[0, 1]) < 0.012
    assert abs(np.corrcoef(drawn[:, :200].ravel() ** 2, drawn[:, 200:].ravel() ** 2)[0, 1]) < 0.012  # sine and cosine of one angle


def test_a_row_is_a_function_of_its_seed_alone() -> None:
    seeds = torch.tensor([5, 0, 2**53 - 1, 5])
    drawn = normal(seeds, 1, 30)
    assert torch.equal(drawn[0], drawn[3])
    assert torch.equal(drawn[2:3], normal(seeds[2:3], 1, 30))
    assert torch.equal(drawn[:, :7], normal(seeds, 1, 30)[:, :7])
    assert bool(torch.isfinite(drawn).all())


class Noise(nn.Module):
    def forward(self, seed: Tensor) -> Tensor:
        return normal(seed, 1, 33)


def test_onnxruntime_draws_the_same() -> None:
    seed = np.array([0, 1, 2**40, 2**53 - 1])
    session = onnxruntime.InferenceSession(to_onnx(Program(Noise().eval(), ("seed",), ("noise",)), {"seed": seed[:2]}), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"seed": seed})[0], normal(torch.from_numpy(seed), 1, 33), atol=1e-6)
