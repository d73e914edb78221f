import numpy as np
import pytest
import torch

from thuja.models.convnet import PATCH
from thuja.models.face_embedder import FaceEmbedder, evened
from thuja.testing import check_model

SMALL = FaceEmbedder(widths=(8, 12), dim=16, patches=4)


def moments(channels: int) -> list[list[float]]:
    return np.eye(channels * PATCH**2).tolist()


@pytest.mark.parametrize(("channels", "height", "width"), [(1, 28, 23), (3, 16, 16), (1, 33, 41)])
def test_vectors_of_length_one_for_any_shape(channels, height, width) -> None:
    torch.manual_seed(0)
    network = SMALL.build(channels, height, width, moments(channels))
    check_model(network, [torch.randn(5, channels, height, width)])
    assert torch.allclose(network(torch.randn(5, channels, height, width)).norm(dim=1), torch.ones(5), atol=1e-5)


def test_light_and_contrast_of_a_photograph_change_nothing() -> None:
    torch.manual_seed(0)
    network = SMALL.build(1, 28, 23, moments(1)).eval()
    x = torch.randn(4, 1, 28, 23)
    assert torch.allclose(network(0.5 * x + 2), network(x), atol=1e-3)


def test_a_picture_of_one_colour_is_taken() -> None:
    flat = torch.full((2, 3, 16, 16), 7.0)
    assert torch.equal(evened(flat), torch.zeros_like(flat))
    network = SMALL.build(3, 16, 16, moments(3)).eval()
    assert bool(torch.isfinite(network(flat)).all())
