"""Soft actor-critic: learn from steps played earlier what actions are worth, and prefer the better ones while staying as undecided as one may.

Source: Haarnoja et al. 2018, "Soft actor-critic algorithms and applications", arXiv 1812.05905, with the temperature learned; numbers as in CleanRL's
sac_continuous_action.py. Differs: actor and temperature are one objective, whose two losses have no parameter in common; the actor is moved at every update
rather than twice at every second.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from thuja.apps.control.codec import Spaces
from thuja.apps.control.replay import Plan, Ways, replayed, room, towards
from thuja.apps.control.stretches import Played
from thuja.core.errors import SpecError
from thuja.core.seeds import mix
from thuja.models.policy import PolicyMlp, SoftActorCritic
from thuja.settings import AdamW, Section
from thuja.task import Batch, Choice, Draw, Loss, Objective


class Sac(Section):
    """Soft actor-critic: learns from all that was played, for actions that are numbers; the fewest steps of play, and the most time for each."""

    kind: Literal["sac"] = "sac"
    environments: PositiveInt = 1
    """Played side by side."""
    every: PositiveInt = 1
    """Steps of each before an update."""
    warm: PositiveInt = 1000
    """Steps of each at random before the first update."""
    remembered: PositiveInt = 100_000
    """Steps, of all environments together, that are drawn from."""
    discount: Annotated[float, Field(ge=0, le=1)] = 0.99
    """Worth of a reward one step later."""
    follow: Annotated[float, Field(gt=0, le=1)] = 0.005
    """Share of the way that the target critics go at every update."""
    learning_rate: PositiveFloat = 1e-3
    """Of the critics and the temperature."""
    actor_rate: PositiveFloat = 3e-4
    """Of the actor."""
    batch: PositiveInt = 256
    body: PolicyMlp = PolicyMlp(width=256, activation="relu")

    def settled(self, spaces: Spaces) -> "Sac":
        """Itself. Raises: SpecError where actions have names, or what is seen are pictures."""
        if spaces.names or spaces.pixels:
            found, better = ("sac, where one of a few actions is taken", "ppo or dqn") if spaces.names else ("sac, where pictures are seen", "ppo")
            raise SpecError("task.algorithm", expected=better, found=found, fix="Choose another, or leave task.algorithm at auto.")
        return self

    def build(self, spaces: Spaces) -> SoftActorCritic:
        """A fresh network with an empty replay."""
        model = SoftActorCritic(self.body, spaces.shape, spaces.lowest, spaces.highest)
        for part in (model.actor, model.head):
            for parameter in part.parameters():
                parameter.lr_scale = self.actor_rate / self.learning_rate  # type: ignore[attr-defined]
        model.memory = room(spaces, self.environments, self.remembered)
        return model

    def objectives(self, model: nn.Module) -> tuple[Objective, ...]:
        """The critics first, then the actor with the temperature."""
        assert isinstance(model, SoftActorCritic)
        actor = [*model.actor.parameters(), *model.head.parameters(), model.log_temperature]
        return (Objective("critics", list(model.critics.parameters()), lambda batch, rng: self.critics_loss(model, batch, rng)),
                Objective("actor", actor, lambda batch, rng: self.actor_loss(model, batch, rng)))

    def batches(self, model: nn.Module, played: Played, draw: Draw) -> Iterator[Batch]:
        """Steps of play, drawn evenly from all that are remembered."""
        assert isinstance(model, SoftActorCritic)
        target: list[Tensor] = list(model.target.parameters())
        online: list[Tensor] = list(model.critics.parameters())
        ways = Ways(lambda step, seen: self._act(model, step, seen, played.seed), lambda number: towards(target, online, self.follow))
        return replayed(model.memory, played, draw, Plan(self.warm, self.every), ways)

    def critics_loss(self, model: SoftActorCritic, batch: Batch, rng: torch.Generator) -> Loss:
        """Squared distance of both critics from the reward and the softer worth of what comes after."""
        action = (batch["action"] - model.middle) / model.reach
        with torch.no_grad():
            then, log = model.draw(batch["after"], noise(action, rng))
            worth = model.worth(model.target, batch["after"], then).amin(0) - model.log_temperature.exp() * log
            target = batch["reward"] + self.discount * worth * ~batch["over"]
        found = model.worth(model.critics, batch["before"], action)
        return Loss((found - target).square().mean(1).sum(), {"value": found.mean()})

    def actor_loss(self, model: SoftActorCritic, batch: Batch, rng: torch.Generator) -> Loss:
        """The softer worth of what the actor would do, and how far it is from as undecided as is wanted: an entropy of minus one for each number of an
        action, which lies between -1 and 1."""
        temperature = model.log_temperature.exp()
        action, log = model.draw(batch["before"], noise(batch["action"], rng))
        actor = (temperature.detach() * log - model.worth(model.critics, batch["before"], action).amin(0)).mean()
        balance = -(temperature * (log.detach() - action.shape[1])).mean()
        return Loss(actor + balance, {"temperature": temperature.detach(), "log_density": log.detach().mean()})

    def choices(self, timesteps: int) -> dict[str, Choice]:
        """How long and in what portions."""
        steps = max(1, (timesteps // self.environments - self.warm) // self.every)
        adam = AdamW(learning_rate=self.learning_rate, betas=(0.9, 0.999), weight_decay=0.0)
        return {"train.batch": Choice(self.batch, "steps of play drawn for an update, as the task says"),
                "train.steps": Choice(steps, f"{timesteps:,} steps of play, {self.environments * self.every} before each update"),
                "train.optimizer": Choice(adam, "Adam, as in the published recipes"),
                "train.schedule": Choice("constant", "as in the published recipes"),
                "train.warmup": Choice(0.0, "as in the published recipes")}

    def _act(self, model: SoftActorCritic, step: int, seen: Tensor, seed: int) -> Tensor:
        rng = torch.Generator().manual_seed(mix(seed, "act", step))
        shape = (len(seen), len(model.reach))
        if step < self.warm:
            return model.scaled((2 * torch.rand(shape, generator=rng) - 1).to(seen.device))
        return model.scaled(model.draw(seen, torch.randn(shape, generator=rng).to(seen.device))[0])


def noise(like: Tensor, rng: torch.Generator) -> Tensor:
    """Standard normal, of the same shape."""
    return torch.randn(like.shape, generator=rng, device=like.device)
