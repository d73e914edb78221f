"""Networks that play: their contract, and the squashed Gaussian against torch's own distributions."""

import pytest
import torch
from torch import distributions, nn

from thuja.models.policy import ActionValues, ActorCritic, PolicyCnn, PolicyMlp, SoftActorCritic
from thuja.testing import check_model

PICTURES = torch.randint(0, 256, (5, 4, 40, 60), dtype=torch.uint8)


@pytest.mark.parametrize(("model", "inputs"), [
    (ActorCritic(PolicyMlp(), (6,), 3, True), torch.randn(5, 6)), (ActorCritic(PolicyCnn(channels=4, width=16), (4, 40, 60), 3, True), PICTURES),
    (ActionValues(PolicyMlp(activation="relu"), (6,), 3), torch.randn(5, 6)), (ActionValues(PolicyCnn(channels=4, width=16), (4, 40, 60), 3), PICTURES)])
def test_the_contract(model: nn.Module, inputs: torch.Tensor) -> None:
    check_model(model, [inputs])


def test_the_squashed_gaussian_is_torchs() -> None:
    torch.manual_seed(0)
    model = SoftActorCritic(PolicyMlp(width=16), (3,), (-2.0, -1.0), (2.0, 3.0))
    seen, noise = torch.randn(50, 3), torch.randn(50, 2)
    action, log = model.draw(seen, noise)
    mean, spread = model.head(model.actor(seen)).chunk(2, dim=1)
    std = (-5 + 3.5 * (torch.tanh(spread) + 1)).exp()
    theirs = distributions.TransformedDistribution(distributions.Normal(mean, std), [distributions.TanhTransform(cache_size=1)])
    torch.testing.assert_close(action, torch.tanh(mean + std * noise))
    inside = action.abs().amax(1) < 0.999
    torch.testing.assert_close(log[inside], theirs.log_prob(action).sum(1)[inside], rtol=1e-3, atol=1e-3)
    assert torch.isfinite(model.draw(seen, 100 * noise)[1]).all()


def test_answers_stay_within_bounds_and_reach_them() -> None:
    model = SoftActorCritic(PolicyMlp(width=16), (3,), (-2.0, -1.0), (2.0, 3.0))
    nn.init.constant_(model.head.bias, 30.0)
    torch.testing.assert_close(model(torch.zeros(1, 3)), torch.tensor([[2.0, 3.0]]))
    nn.init.constant_(model.head.bias, -30.0)
    torch.testing.assert_close(model(torch.zeros(1, 3)), torch.tensor([[-2.0, -1.0]]))


def test_a_target_network_is_a_copy_that_wants_no_gradient() -> None:
    model = ActionValues(PolicyMlp(), (4,), 2)
    assert all(torch.equal(a, b) and not b.requires_grad for a, b in zip(model.online.parameters(), model.target.parameters(), strict=True))
