"""Networks that play: from what is seen to what is done, and to what it is worth.

Source: actor and critic side by side with orthogonal weights, Andrychowicz et al. 2020, arXiv 2006.05990; twin critics and a squashed Gaussian, Haarnoja et
al. 2018, arXiv 1812.05905; filters over stacked frames, Mnih et al. 2015, Nature 518, made smaller for pictures of some 40 x 60 pixels.
Differs: numbers are standardised by running moments inside the network where the algorithm asks for it, so that the exported program takes raw ones.
"""

import copy
import math
from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from torch import Tensor, nn

from thuja.blocks.running import RunningMoments

ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU}
LOG_STD = (-5.0, 2.0)
"""Between these the logarithm of a Gaussian's width is kept."""


class PolicyMlp(BaseModel):
    """Layers over an observation of numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kind: Literal["mlp"] = "mlp"
    width: PositiveInt = 64
    depth: PositiveInt = 2
    """Hidden layers."""
    activation: Literal["tanh", "relu"] = "tanh"

    def body(self, shape: tuple[int, ...], more: int = 0) -> nn.Sequential:
        """[rows, numbers + more] to [rows, width]."""
        layers: list[nn.Module] = []
        for place in range(self.depth):
            layers += [_orthogonal(nn.Linear(shape[0] + more if place == 0 else self.width, self.width), math.sqrt(2)), ACTIVATIONS[self.activation]()]
        return nn.Sequential(*layers)


class PolicyCnn(BaseModel):
    """Filters over an observation of stacked grey pictures."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kind: Literal["cnn"] = "cnn"
    channels: PositiveInt = 16
    """Of the first layer; the next ones have twice as many."""
    width: PositiveInt = 128

    def body(self, shape: tuple[int, ...], more: int = 0) -> nn.Sequential:
        """uint8 [rows, frames, height, width] to [rows, width]."""
        assert not more, "an action is no picture"
        first, second = self.channels, 2 * self.channels
        layers: list[nn.Module] = [
            Brightness(), _orthogonal(nn.Conv2d(shape[0], first, 5, 2), math.sqrt(2)), nn.ReLU(), _orthogonal(nn.Conv2d(first, second, 3, 2), math.sqrt(2)),
            nn.ReLU(), _orthogonal(nn.Conv2d(second, second, 3, 2), math.sqrt(2)), nn.ReLU(), nn.Flatten()]
        with torch.no_grad():
            size = nn.Sequential(*layers)(torch.zeros(1, *shape)).shape[1]
        return nn.Sequential(*layers, _orthogonal(nn.Linear(size, self.width), math.sqrt(2)), nn.ReLU())


Body = Annotated[PolicyMlp | PolicyCnn, Field(discriminator="kind")]


class Brightness(nn.Module):
    """Grey pixels 0 to 255, dark on light, as 0 for light to 1 for dark."""

    def forward(self, pixels: Tensor) -> Tensor:
        """Of any shape and type to float32."""
        return 1 - pixels.float() / 255


class ActorCritic(nn.Module):
    """What to do, and what the state is worth. With `names` actions of which one is taken, else `numbers` of them, Gaussian with a width of their own."""

    def __init__(self, body: Body, shape: tuple[int, ...], actions: int, named: bool) -> None:
        super().__init__()
        self.moments = RunningMoments(shape) if len(shape) == 1 else None
        self.returns = RunningMoments()
        """Of the discounted rewards, by which rewards are scaled."""
        self.actor = body.body(shape)
        self.critic = body.body(shape) if len(shape) == 1 else None  # filters are shared: most of the work is there
        self.head, self.worth = _orthogonal(nn.Linear(body.width, actions), 0.01), _orthogonal(nn.Linear(body.width, 1), 1.0)
        self.log_std = None if named else nn.Parameter(torch.zeros(actions))
        self.memory: dict[str, Tensor] = {}

    def seen(self, observation: Tensor) -> Tensor:
        """What the layers get."""
        return observation if self.moments is None else self.moments(observation)

    def act(self, observation: Tensor) -> Tensor:
        """[rows, actions]: log-odds of named actions, or the middle of the Gaussian."""
        found: Tensor = self.head(self.actor(self.seen(observation)))
        return found

    def value(self, observation: Tensor) -> Tensor:
        """[rows]: the return expected from here on, in units of `returns.scale`."""
        found: Tensor = self.worth((self.critic or self.actor)(self.seen(observation)))
        return found[:, 0]

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Both."""
        seen = self.seen(observation)
        acting = self.actor(seen)
        return self.head(acting), self.worth(acting if self.critic is None else self.critic(seen))[:, 0]


class ActionValues(nn.Module):
    """What each named action is worth, and an older copy of the network to learn from."""

    def __init__(self, body: Body, shape: tuple[int, ...], actions: int) -> None:
        super().__init__()
        self.actions = actions
        self.online = nn.Sequential(body.body(shape), nn.Linear(body.width, actions))
        self.target = copy.deepcopy(self.online).requires_grad_(False)
        self.memory: dict[str, Tensor] = {}

    def forward(self, observation: Tensor) -> Tensor:
        """[rows, actions]."""
        found: Tensor = self.online(observation)
        return found


class SoftActorCritic(nn.Module):
    """A squashed Gaussian over numbers of an action, two critics, older copies of them, and the temperature."""

    middle: Tensor
    reach: Tensor

    def __init__(self, body: PolicyMlp, shape: tuple[int, ...], lowest: tuple[float, ...], highest: tuple[float, ...]) -> None:
        super().__init__()
        numbers = len(lowest)
        low, high = torch.tensor(lowest), torch.tensor(highest)
        self.register_buffer("middle", (low + high) / 2)
        self.register_buffer("reach", (high - low) / 2)
        self.actor, self.head = _plain(body.body(shape)), nn.Linear(body.width, 2 * numbers)
        self.critics = nn.ModuleList(nn.Sequential(_plain(body.body(shape, numbers)), nn.Linear(body.width, 1)) for _ in range(2))
        self.target = copy.deepcopy(self.critics).requires_grad_(False)
        self.log_temperature = nn.Parameter(torch.zeros(()))
        self.memory: dict[str, Tensor] = {}

    def draw(self, observation: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Actions between -1 and 1 [rows, numbers], and the logarithm of their density [rows], from standard normal noise of the actions' shape."""
        mean, spread = self.head(self.actor(observation)).chunk(2, dim=1)
        low, high = LOG_STD
        log_std = low + 0.5 * (high - low) * (torch.tanh(spread) + 1)
        raw = mean + log_std.exp() * noise
        action = torch.tanh(raw)
        normal = -0.5 * noise.square() - log_std - 0.5 * math.log(2 * math.pi)
        squash = 2 * (math.log(2) - raw - nn.functional.softplus(-2 * raw))  # log(1 - tanh^2), exact where that rounds to 0
        return action, (normal - squash).sum(1)

    def worth(self, critics: nn.ModuleList, observation: Tensor, action: Tensor) -> Tensor:
        """[2, rows]: what each critic makes of actions between -1 and 1."""
        together = torch.cat([observation, action], dim=1)
        return torch.stack([critic(together)[:, 0] for critic in critics])

    def scaled(self, action: Tensor) -> Tensor:
        """Actions from between -1 and 1 to the environment's own bounds."""
        return self.middle + self.reach * action

    def forward(self, observation: Tensor) -> Tensor:
        """The action without noise [rows, numbers], within the environment's bounds."""
        mean, _ = self.head(self.actor(observation)).chunk(2, dim=1)
        return self.scaled(torch.tanh(mean))


def _orthogonal(layer: nn.Module, gain: float) -> nn.Module:
    weight, bias = layer.weight, layer.bias
    assert isinstance(weight, Tensor) and isinstance(bias, Tensor)
    nn.init.orthogonal_(weight, gain)
    nn.init.zeros_(bias)
    return layer


def _plain(body: nn.Sequential) -> nn.Sequential:
    """With torch's own first weights, as in the published soft actor-critic."""
    for layer in body:
        if isinstance(layer, nn.Linear):
            layer.reset_parameters()
    return body
