"""Deep Q-learning: learn what each action is worth from steps played earlier, and take the best, or now and then any.

Source: Mnih et al. 2015, "Human-level control through deep reinforcement learning", Nature 518; the action chosen by one network and valued by the other, van
Hasselt et al. 2016, arXiv 1509.06461. Differs: no prioritised replay, no duelling streams.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from thuja.apps.control.codec import Spaces
from thuja.apps.control.replay import Plan, Ways, replayed, room, towards
from thuja.apps.control.stretches import Played
from thuja.core.errors import SpecError
from thuja.core.seeds import mix
from thuja.models.policy import ActionValues, Body, PolicyCnn, PolicyMlp
from thuja.settings import AdamW, Auto, Section
from thuja.task import Batch, Choice, Draw, Loss, Objective


class Dqn(Section):
    """Deep Q-learning: learns from all that was played, for named actions; needs fewer steps of play than PPO and more time for each."""

    kind: Literal["dqn"] = "dqn"
    environments: PositiveInt = 8
    """Played side by side."""
    every: PositiveInt = 1
    """Steps of each before an update."""
    warm: PositiveInt = 128
    """Steps of each at random before the first update."""
    remembered: Auto | PositiveInt = "auto"
    """Steps, of all environments together, that are drawn from. Auto: 50,000; 10,000 where pictures are seen, of which each step holds two."""
    explore: Auto | PositiveInt = "auto"
    """Steps of play over which random actions become rare. Auto: a quarter of the run."""
    least: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Share of random actions from then on."""
    discount: Annotated[float, Field(ge=0, le=1)] = 0.99
    """Worth of a reward one step later."""
    follow: PositiveInt = 250
    """Updates after which the target network is made equal to the one that learns."""
    learning_rate: PositiveFloat = 5e-4
    batch: PositiveInt = 128
    body: Auto | Body = "auto"
    """Auto: two layers of 128; filters where pictures are seen."""

    def settled(self, spaces: Spaces, timesteps: int) -> "Dqn":
        """Without blanks. Raises: SpecError where actions are numbers."""
        if not spaces.names:
            raise SpecError("task.algorithm", expected="ppo or sac, since the actions of this environment are numbers", found="dqn",
                            fix="Choose another, or leave task.algorithm at auto.")
        plain: dict[str, object] = {"explore": max(1, timesteps // 4), "remembered": 10_000 if spaces.pixels else 50_000,
                                    "body": PolicyCnn() if spaces.pixels else PolicyMlp(width=128, activation="relu")}
        return self.model_copy(update={name: value for name, value in plain.items() if getattr(self, name) == "auto"})

    def build(self, spaces: Spaces) -> ActionValues:
        """A fresh network with an empty replay."""
        assert self.body != "auto" and self.remembered != "auto"
        model = ActionValues(self.body, spaces.shape, len(spaces.names))
        model.memory = room(spaces, self.environments, self.remembered)
        return model

    def objectives(self, model: nn.Module) -> tuple[Objective, ...]:
        """One."""
        assert isinstance(model, ActionValues)
        return (Objective("loss", list(model.online.parameters()), lambda batch, rng: self.loss(model, batch)),)

    def batches(self, model: nn.Module, played: Played, draw: Draw) -> Iterator[Batch]:
        """Steps of play, drawn evenly from all that are remembered."""
        assert isinstance(model, ActionValues)
        plan = Plan(self.warm, self.every)
        return replayed(model.memory, played, draw, plan, Ways(lambda step, seen: self._act(model, step, seen, played.seed),
                                                               lambda number: self._follow(model, number)))

    def loss(self, model: ActionValues, batch: Batch) -> Loss:
        """How far the value of what was done is from what came of it, by Huber's measure."""
        value = model(batch["before"]).gather(1, batch["action"][:, None])[:, 0]
        with torch.no_grad():
            best = model(batch["after"]).argmax(1, keepdim=True)
            target = batch["reward"] + self.discount * model.target(batch["after"]).gather(1, best)[:, 0] * ~batch["over"]
        return Loss(functional.smooth_l1_loss(value, target), {"value": value.mean()})

    def choices(self, timesteps: int) -> dict[str, Choice]:
        """How long and in what portions."""
        steps = max(1, (timesteps // self.environments - self.warm) // self.every)
        adam = AdamW(learning_rate=self.learning_rate, betas=(0.9, 0.999), weight_decay=0.0)
        return {"train.batch": Choice(self.batch, "steps of play drawn for an update, as the task says"),
                "train.steps": Choice(steps, f"{timesteps:,} steps of play, {self.environments * self.every} before each update"),
                "train.optimizer": Choice(adam, "Adam, as in the published recipes"),
                "train.schedule": Choice("linear", "values that hardly move any more play better"),
                "train.warmup": Choice(0.0, "as in the published recipes")}

    def _act(self, model: ActionValues, step: int, seen: Tensor, seed: int) -> Tensor:
        rng = torch.Generator().manual_seed(mix(seed, "act", step))
        rare, count = self.rarity(step), len(seen)
        anything = torch.rand(count, generator=rng) < rare
        random = torch.randint(model.actions, (count,), generator=rng)
        if step < self.warm:
            return random.to(seen.device)
        best: Tensor = model(seen).argmax(1)
        return torch.where(anything.to(seen.device), random.to(seen.device), best)

    def rarity(self, step: int) -> float:
        """Share of random actions at a step of each environment."""
        assert self.explore != "auto"
        return max(self.least, 1 - (1 - self.least) * step * self.environments / self.explore)

    def _follow(self, model: ActionValues, number: int) -> None:
        if number % self.follow == 0:
            towards(list(model.target.parameters()), list(model.online.parameters()), 1)
