"""The velocity of a flow: what is put together from the linear guess and the rest, any size of picture, and the loss's own optimum."""

import pytest
import torch
from torch import Tensor

from thuja.models.unet_velocity import UNetVelocity, path_loss
from thuja.testing import check_model

SMALL = UNetVelocity(width=16, blocks=1)


@pytest.mark.parametrize(("settings", "channels", "size"), [
    (SMALL, 1, (10, 9)), (SMALL, 3, (8, 12)), (UNetVelocity(width=16, blocks=1, levels=3, fold=1), 1, (5, 7)), (UNetVelocity(width=16, levels=1, fold=4), 3,
                                                                                                                (9, 8))])
def test_pictures_of_any_size(settings: UNetVelocity, channels: int, size: tuple[int, int]) -> None:
    net = settings.build(channels, 4)
    inputs = [torch.randn(3, channels, *size), torch.tensor([0.0, 0.4, 1.0]), torch.tensor([0, 3, 4])]
    assert net(*inputs).shape == (3, channels, *size)
    check_model(net, inputs)


def test_it_begins_as_the_best_linear_guess() -> None:
    """Of the velocity d - n given x = (1 - t) n + t d, for independent numbers of variance 1: found by regression."""
    net, rng = SMALL.build(1, 2), torch.Generator().manual_seed(0)
    for time in (0.1, 0.5, 0.8):
        data, noise = torch.randn(2, 50, 1, 32, 32, generator=rng)
        x = (1 - time) * noise + time * data
        with torch.no_grad():
            guess = net(x, torch.full((50,), time), torch.zeros(50, dtype=torch.int64))
        slope = float((x * (data - noise)).sum() / x.square().sum())
        assert float((guess * x).sum() / x.square().sum()) == pytest.approx(slope, abs=0.02)


def test_velocity_and_rest_are_two_sides_of_one_target() -> None:
    """Where `rest` is what the loss wants, the velocity is that of the straight path."""
    net = SMALL.build(1, 2)
    data, noise, time = torch.randn(4, 1, 8, 8), torch.randn(4, 1, 8, 8), torch.rand(4)
    along = time[:, None, None, None]
    size = along.square() + (1 - along).square()
    net.rest = lambda x, t, label: ((1 - along) * data - along * noise) / size.sqrt()  # type: ignore[method-assign]
    torch.testing.assert_close(net((1 - along) * noise + along * data, time, torch.zeros(4, dtype=torch.int64)), data - noise)


def test_the_loss_of_a_fresh_network_is_one_and_of_a_perfect_one_nothing() -> None:
    net, rng = SMALL.build(1, 2), torch.Generator().manual_seed(0)
    pictures, label = torch.randn(64, 1, 8, 8, generator=rng), torch.zeros(64, dtype=torch.int64)
    assert float(path_loss(net, pictures, label, rng, 0.1).detach()) == pytest.approx(1.0, abs=0.05)
    seen: dict[str, Tensor] = {}

    def told(x: Tensor, time: Tensor, label: Tensor) -> Tensor:
        """Knows that all pictures are 2: x = t d + (1 - t) n gives the noise away."""
        seen.update(time=time, label=label)
        along = time[:, None, None, None]
        size = (along.square() + (1 - along).square()).sqrt()
        noise = (x * size - along * 2.0) / (1 - along)
        return ((1 - along) * 2.0 - along * noise) / size

    net.rest = told  # type: ignore[method-assign]
    assert float(path_loss(net, torch.full((4096, 1, 2, 2), 2.0), torch.zeros(4096, dtype=torch.int64), rng, 0.25)) < 1e-4
    assert float((seen["label"] == 2).float().mean()) == pytest.approx(0.25, abs=0.03)
    assert float(seen["time"].mean()) == pytest.approx(0.5, abs=0.01)
    assert float(((seen["time"] > 0.5 - 0.2311) & (seen["time"] < 0.5 + 0.2311)).float().mean()) == pytest.approx(0.683, abs=0.02)  # within one of the normal
    assert float(torch.corrcoef(torch.stack([seen["time"], torch.arange(4096.0)]))[0, 1].abs()) < 0.06
