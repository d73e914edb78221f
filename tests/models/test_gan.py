"""Forger and critic: shapes, rows on their own, and what the losses push where."""

import pytest
import torch

from thuja.models.gan import Gan, critic_loss, forger_loss
from thuja.testing import check_model

SMALL = Gan(width=8, noise=8)


@pytest.mark.parametrize(("channels", "shape"), [(1, (10, 9)), (3, (8, 16))])
def test_both_sides_take_any_size(channels: int, shape: tuple[int, int]) -> None:
    net, label = SMALL.build(channels, shape, 3), torch.tensor([0, 2, 1])
    assert net.forger(torch.randn(3, 8), label).shape == (3, channels, *shape)
    assert net.critic(torch.randn(3, channels, *shape), label).shape == (3,)
    check_model(net.forger, [torch.randn(3, 8), label])
    check_model(net.critic, [torch.randn(3, channels, *shape), label])


def test_the_critic_learns_to_tell_and_the_forger_to_be_taken_for_real() -> None:
    torch.manual_seed(0)
    net, rng = SMALL.build(1, (8, 8), 2), torch.Generator().manual_seed(0)
    real, label = 1.5 + 0.1 * torch.randn(32, 1, 8, 8, generator=rng), torch.arange(32) % 2
    sides = [torch.optim.Adam(side.parameters(), 2e-3, betas=(0.0, 0.9)) for side in (net.critic, net.forger)]
    fresh, first = critic_loss(net, real, label, rng)[0].detach(), forger_loss(net, real, label, rng).detach()
    for _ in range(20):
        sides[0].zero_grad()
        critic_loss(net, real, label, rng)[0].backward()
        sides[0].step()
    assert float(critic_loss(net, real, label, rng)[0].detach()) < float(fresh)
    fooled = forger_loss(net, real, label, rng).detach()
    assert float(fooled) > float(first)
    before = [p.clone() for p in net.critic.parameters()]
    for _ in range(20):
        sides[1].zero_grad()
        forger_loss(net, real, label, rng).backward()
        sides[1].step()
    assert float(forger_loss(net, real, label, rng).detach()) < float(fooled)
    assert all(torch.equal(a, b) for a, b in zip(before, net.critic.parameters(), strict=True))


def test_the_penalty_is_the_critics_squared_slope() -> None:
    net = SMALL.build(1, (8, 8), 2).double()
    real, label = torch.randn(4, 1, 8, 8, dtype=torch.float64), torch.tensor([0, 1, 0, 1])
    net.forger.forward = lambda noise, label: real  # type: ignore[method-assign]
    slope = critic_loss(net, real, label, torch.Generator())[1]
    wanted = torch.stack([torch.autograd.functional.jacobian(lambda x, i=i: net.critic(x, label)[i], real).square().sum() for i in range(4)]).mean()
    assert float(slope.detach()) == pytest.approx(2 * float(wanted), rel=1e-6)
    with torch.no_grad():
        assert bool(torch.isfinite(critic_loss(net, real, label, torch.Generator())[0]))
