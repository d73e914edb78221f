"""Proximal policy optimisation: play a while with the present policy, learn from it a few times over, play on.

Source: Schulman et al. 2017, arXiv 1707.06347; advantages, Schulman et al. 2016, arXiv 1506.02438; the details as collected by Huang et al. 2022, "The 37
implementation details of proximal policy optimization" (ICLR blog track), and CleanRL's ppo_continuous_action.py. Differs: the value loss is not clipped, which
Andrychowicz et al. 2020 (arXiv 2006.05990) found to help nowhere; observations are standardised by the rollouts before the present one, so that old and new
probabilities are of the same network; environments start afresh now and then (`stretches`).
"""

import math
from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from thuja.apps.control.codec import Spaces
from thuja.apps.control.stretches import Played, Stretches, empty, memory
from thuja.core.seeds import mix, stream
from thuja.models.policy import ActorCritic, Body, PolicyCnn, PolicyMlp
from thuja.settings import AdamW, Auto, Section
from thuja.task import Batch, Choice, Draw, Loss, Objective

LEARNED = ("observation", "action", "chance", "advantage", "target")
"""What a batch consists of."""
PARTS = 4
"""Batches that make a rollout, where nobody says otherwise."""


class Ppo(Section):
    """Proximal policy optimisation: learns from what the present policy plays; for named actions and for numbers."""

    kind: Literal["ppo"] = "ppo"
    environments: Auto | PositiveInt = "auto"
    """Played side by side. Auto: 32 for named actions, 8 for numbers."""
    length: Auto | PositiveInt = "auto"
    """Steps of each before learning. Auto: 128 for named actions, 256 for numbers."""
    passes: PositiveInt = 4
    """Times that what was played is learned from."""
    discount: Annotated[float, Field(ge=0, le=1)] = 0.99
    """Worth of a reward one step later."""
    trace: Annotated[float, Field(ge=0, le=1)] = 0.95
    """How far ahead rewards are counted before the critic is believed: 0 one step, 1 to the end."""
    clip: PositiveFloat = 0.2
    """Largest change of a probability, as a share of it, that is rewarded."""
    entropy: Auto | NonNegativeFloat = "auto"
    """Weight of undecidedness. Auto: 0.01 for named actions, 0 for numbers."""
    value_weight: NonNegativeFloat = 0.5
    learning_rate: Auto | PositiveFloat = "auto"
    """Falls to zero over the run. Auto: 0.001 for named actions, 0.0003 for numbers."""
    body: Auto | Body = "auto"
    """Auto: two layers of 64; filters where pictures are seen."""
    stretch: PositiveInt = 2048
    """Steps, rounded up to whole rollouts, after which environments start afresh."""

    def settled(self, spaces: Spaces) -> "Ppo":
        """Without blanks."""
        named = bool(spaces.names)
        plain: dict[str, object] = {
            "environments": 32 if named else 8, "length": 128 if named else 256, "entropy": 0.01 if named else 0.0,
            "learning_rate": 1e-3 if named else 3e-4, "body": PolicyCnn() if spaces.pixels else PolicyMlp()}
        return self.model_copy(update={name: value for name, value in plain.items() if getattr(self, name) == "auto"})

    def build(self, spaces: Spaces) -> ActorCritic:
        """A fresh network with room for a rollout."""
        assert self.body != "auto" and self.environments != "auto" and self.length != "auto"
        model = ActorCritic(self.body, spaces.shape, len(spaces.names or spaces.lowest), bool(spaces.names))
        rows = self.environments * self.length
        whole = -(-self.stretch // self.length) * self.length
        model.memory = memory(spaces, self.environments, whole) | {
            "observation": empty(spaces, rows), "chance": torch.zeros(rows), "advantage": torch.zeros(rows), "target": torch.zeros(rows),
            "action": torch.zeros(rows, dtype=torch.int64) if spaces.names else torch.zeros(rows, len(spaces.lowest)), "carry": torch.zeros(self.environments)}
        return model

    def objectives(self, model: nn.Module) -> tuple[Objective, ...]:
        """One."""
        assert isinstance(model, ActorCritic)
        return (Objective("loss", list(model.parameters()), lambda batch, rng: self.loss(model, batch)),)

    def batches(self, model: nn.Module, played: Played, draw: Draw) -> Iterator[Batch]:
        """Each rollout is passed over `passes` times, in random order each time. One that was begun when a run stopped lies in the memory."""
        assert isinstance(model, ActorCritic) and self.length != "auto"
        stretches, rows = Stretches(played, model.memory), len(model.memory["chance"])
        parts = -(-rows // draw.size)
        number, place = divmod(draw.start, self.passes * parts)
        stretches.go_to((number + (place > 0)) * self.length)
        while True:
            if place == 0:
                self._play(model, stretches, number)
            for turn in range(place, self.passes * parts):
                order = stream(draw.seed, "order", number, turn // parts).permutation(rows)
                index = torch.from_numpy(order[turn % parts * draw.size :][: draw.size])
                yield {name: model.memory[name][index].to(draw.device) for name in LEARNED}
            place, number = 0, number + 1

    def loss(self, model: ActorCritic, batch: Batch) -> Loss:
        """Clipped policy gradient, squared error of the value, and undecidedness."""
        assert self.entropy != "auto"
        found, value = model(batch["observation"])
        chance, entropy = chances(model, found, batch["action"])
        ratio, advantage = (chance - batch["chance"]).exp(), batch["advantage"]
        policy = -torch.minimum(ratio * advantage, ratio.clamp(1 - self.clip, 1 + self.clip) * advantage).mean()
        worth = 0.5 * (value - batch["target"]).square().mean()
        entropy = entropy.mean()
        return Loss(policy + self.value_weight * worth - self.entropy * entropy, {"policy": policy, "worth": worth, "entropy": entropy})

    def choices(self, timesteps: int) -> dict[str, Choice]:
        """How long and in what portions."""
        assert self.environments != "auto" and self.length != "auto" and self.learning_rate != "auto"
        rows = self.environments * self.length
        rollouts = -(-timesteps // rows)
        adam = AdamW(learning_rate=self.learning_rate, betas=(0.9, 0.999), weight_decay=0.0)
        return {"train.batch": Choice(max(1, rows // PARTS), f"a quarter of the {rows:,} steps that are played before learning"),
                "train.steps": Choice(rollouts * self.passes * PARTS, f"{rollouts:,} rollouts make {rollouts * rows:,} steps of play"),
                "train.optimizer": Choice(adam, "Adam, as in the published recipes"),
                "train.schedule": Choice("linear", "a policy that hardly moves any more plays better"),
                "train.warmup": Choice(0.0, "as in the published recipes")}

    def _play(self, model: ActorCritic, stretches: Stretches, number: int) -> None:
        """Fill the memory with a rollout: what was seen and done, how likely it was, and by how much it was better than expected."""
        assert self.length != "auto"
        played, room = stretches.played, model.memory
        if model.moments is not None and number:
            model.moments.update(room["observation"].to(played.device))
        seen, last, actions, found, rewards, ended, over = [], [], [], [], [], [], []
        rng = torch.Generator().manual_seed(mix(played.seed, "rollout", number))
        with torch.no_grad():
            for _ in range(self.length):
                seen.append(stretches.seen)
                found.append(model.act(stretches.seen))
                actions.append(drawn(model, found[-1], rng))
                after = stretches.step(actions[-1])
                last.append(after.last)
                rewards.append(after.reward)
                ended.append(after.ended)
                over.append(after.terminated)
            before = torch.cat(seen)
            action = torch.cat(actions)
            room["chance"].copy_(chances(model, torch.cat(found), action)[0])
            room["observation"].copy_(before)
            room["action"].copy_(action)
            value, after_value = values(model, before), values(model, torch.cat(last))
        shape = (self.length, -1)
        reward, cut, final = (torch.stack(kind).cpu().numpy() for kind in (rewards, ended, over))
        reward = self._scaled(model, reward, cut, first=number == 0)
        advantage = advantages(reward, value.view(shape).cpu().numpy(), after_value.view(shape).cpu().numpy(), cut, final, (self.discount, self.trace))
        flat = torch.from_numpy(advantage.reshape(-1))
        room["target"].copy_(flat + value.cpu())
        room["advantage"].copy_((flat - flat.mean()) / (flat.std() + 1e-8))

    def _scaled(self, model: ActorCritic, reward: np.ndarray, ended: np.ndarray, first: bool) -> np.ndarray:
        """Rewards [steps, environments] in units of the spread of the discounted returns so far."""
        if first:
            model.returns.reset()
            model.memory["carry"].zero_()
        carry, found = model.memory["carry"].numpy().copy(), np.empty_like(reward)
        for t in range(len(reward)):
            found[t] = carry = self.discount * carry + reward[t]
            carry = np.where(ended[t], 0.0, carry).astype(np.float32)
        model.memory["carry"].copy_(torch.from_numpy(carry))
        model.returns.update(torch.from_numpy(found.reshape(-1)).to(model.returns.mean.device))
        return np.asarray(reward / float(model.returns.scale))


def advantages(reward: np.ndarray, value: np.ndarray, after: np.ndarray, ended: np.ndarray, over: np.ndarray, rates: tuple[float, float]) -> np.ndarray:
    """Generalised advantages [steps, environments]: by how much what was done was better than expected. An episode that was cut off could have gone on, so what
    came after it counts; one that is `over` could not. `after`: the value of what an action led to. `rates`: discount and trace."""
    discount, trace = rates
    surprise = reward + discount * after * ~over - value
    gain, found = np.zeros(reward.shape[1], np.float32), np.empty_like(surprise)
    for t in reversed(range(len(reward))):
        found[t] = gain = surprise[t] + discount * trace * gain * ~ended[t]
    return np.asarray(found)


def values(model: ActorCritic, observation: Tensor, rows: int = 4096) -> Tensor:
    """[rows]: the value of many observations, some thousands at a time."""
    return torch.cat([model.value(part) for part in torch.split(observation, rows)])


def drawn(model: ActorCritic, found: Tensor, rng: torch.Generator) -> Tensor:
    """An action for each row; noise is drawn on the CPU, so that it is the same everywhere."""
    if model.log_std is None:
        noise = torch.rand(found.shape, generator=rng).clamp(1e-9, 1 - 1e-7).to(found.device)
        return (found - (-noise.log()).log()).argmax(1)  # the largest of log-odds with Gumbel noise: a draw by the probabilities
    return found + model.log_std.exp() * torch.randn(found.shape, generator=rng).to(found.device)


def chances(model: ActorCritic, found: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
    """The logarithm of the probability (or density) of actions [rows], and the entropy [rows]."""
    if model.log_std is None:
        logs = found.log_softmax(1)
        return logs.gather(1, action[:, None])[:, 0], -(logs.exp() * logs).sum(1)
    spread = model.log_std
    apart = (action - found) / spread.exp()
    constant = 0.5 * math.log(2 * math.pi)
    return (-0.5 * apart.square() - spread - constant).sum(1), (spread + 0.5 + constant).sum().expand(len(found))
