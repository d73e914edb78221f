"""Batch normalisation that padding neither enters nor leaves."""

import torch

from thuja.blocks.sequence_norm import SequenceNorm


def test_padding_does_not_count_and_stays_zero():
    torch.manual_seed(0)
    x, mask = torch.randn(3, 4, 6), torch.tensor([[1.0] * 6, [1, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0]])[:, None]
    norm, wide = SequenceNorm(4), SequenceNorm(4)
    y = norm(x * mask, mask)
    padded = wide(torch.nn.functional.pad(x * mask, (0, 5), value=9.0), torch.nn.functional.pad(mask, (0, 5)))
    torch.testing.assert_close(padded[:, :, :6], y)
    assert (padded[:, :, 6:] == 0).all()
    assert (y * (1 - mask) == 0).all()
    there = x.transpose(1, 2)[mask[:, 0] > 0]
    torch.testing.assert_close(y.transpose(1, 2)[mask[:, 0] > 0], (there - there.mean(0)) / (there.var(0, correction=0) + 1e-5).sqrt())
    torch.testing.assert_close(norm.norm.running_mean, wide.norm.running_mean)


def test_without_padding_it_is_torchs():
    torch.manual_seed(0)
    x, mask = torch.randn(3, 4, 6), torch.ones(3, 1, 6)
    ours, theirs = SequenceNorm(4), torch.nn.BatchNorm1d(4)
    torch.testing.assert_close(ours(x, mask), theirs(x))
    torch.testing.assert_close(ours.eval()(x, mask), theirs.eval()(x))
