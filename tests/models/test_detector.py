"""The detector."""

import torch

from thuja.models.detector import Detector
from thuja.testing import check_model

SMALL = Detector(widths=(8, 12, 16, 16), depth=(1, 0, 1, 0), dim=8)


def test_the_promises_of_a_model_and_its_shapes() -> None:
    torch.manual_seed(0)
    net = SMALL.build((64, 96, 3), 2, (50.0,) * 3, (40.0,) * 3)
    pictures = torch.randint(0, 256, (3, 64, 96, 3), dtype=torch.uint8)
    check_model(net, [pictures])
    with torch.no_grad():
        logits, distance = net.eval()(pictures)
    count = 8 * 12 + 4 * 6 + 2 * 3
    assert (logits.shape, distance.shape, net.places.centre.shape) == ((3, count, 2), (3, count, 4), (count, 2))
    assert (distance > 0).all()
    assert abs(float(logits.sigmoid().mean()) - 0.01) < 0.005
    assert 1.5 < float(distance.mean()) < 2.7


def test_places_are_no_weights_and_the_last_layers_are_heads() -> None:
    net = SMALL.build((64, 64, 1), 2, (50.0,), (40.0,))
    assert not {"centre", "stride"} & set(net.state_dict())
    heads = [name for name, _ in net.named_parameters() if "head" in name.split(".")]
    assert len(heads) == 12


def test_the_default_is_small() -> None:
    net = Detector().build((256, 320, 3), 3, (50.0,) * 3, (40.0,) * 3)
    assert 1.0e6 < sum(p.numel() for p in net.parameters()) < 2e6
