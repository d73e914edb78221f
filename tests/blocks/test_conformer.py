"""The conformer: shapes, and that what lies beyond the end of a row is never seen."""

import pytest
import torch

from thuja.blocks.conformer import ConformerLayer, Subsampling
from thuja.blocks.spectrogram import inside


@pytest.mark.parametrize("factor", [2, 4])
def test_subsampling_sees_no_padding(factor: int) -> None:
    torch.manual_seed(0)
    layer = Subsampling(20, 12, factor)
    x = torch.randn(3, 23, 20)
    frames = torch.tensor([23, 9, 1])
    whole, lengths = layer(x, frames), layer.lengths(frames)
    assert whole.shape == (3, -(-23 // factor), 12)
    assert lengths.tolist() == [-(-n // factor) for n in (23, 9, 1)]
    for row, (n, m) in enumerate(zip(frames.tolist(), lengths.tolist(), strict=True)):
        alone = layer(x[row : row + 1, :n], frames[row : row + 1])
        torch.testing.assert_close(alone[0, :m], whole[row, :m])


def test_a_layer_sees_no_padding_and_starts_as_a_norm() -> None:
    torch.manual_seed(0)
    layer = ConformerLayer(16, 2, 32, 5, 0.0).eval()
    x, lengths = torch.randn(2, 11, 16), torch.tensor([11, 4])
    torch.testing.assert_close(layer(x, inside(lengths, 11)), torch.nn.functional.layer_norm(x, (16,)))
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    whole = layer(x, inside(lengths, 11))
    alone = layer(x[1:, :4], inside(lengths[1:], 4))
    torch.testing.assert_close(alone[0], whole[1, :4], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(layer(x[:, :4], inside(torch.tensor([4, 4]), 4))[0], whole[0, :4], atol=1e-2)  # what is there is seen
