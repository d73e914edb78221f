"""Reinforcement learning fits the contract: `batches` plays with the model and yields what it saw.

Proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347) on the cart-pole of Barto, Sutton and Anderson 1983, with many carts at once.
Deviation: advantages are normalised per rollout. Everything random is drawn from (seed, rollout), so a run can be picked up at a rollout's first step.
"""

from collections.abc import Iterator
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn

from thuja.codec import Arrays, Codec, Columns, Rows
from thuja.core.seeds import stream
from thuja.fields import Number, Schema
from thuja.settings import AdamW, Train
from thuja.task import Batch, Draw, Goal, Loss, Program, Source, Task
from thuja.training.loop import begin, steps

CARTS, LENGTH, PASSES, LIMIT = 16, 128, 4, 500
GAMMA, LAMBDA, CLIP = 0.99, 0.95, 0.2


def advance(state: np.ndarray, push: np.ndarray) -> np.ndarray:
    """The next states [carts, 4] (place, speed, angle, angular speed) after a push left (0) or right (1); Euler steps of 0.02 s."""
    x, v, angle, spin = state.T
    force = np.where(push == 1, 10.0, -10.0)
    sine, cosine = np.sin(angle), np.cos(angle)
    part = (force + 0.05 * spin**2 * sine) / 1.1
    turn = (9.8 * sine - cosine * part) / (0.5 * (4 / 3 - 0.1 * cosine**2 / 1.1))
    return np.stack([x + 0.02 * v, v + 0.02 * (part - 0.05 * turn * cosine / 1.1), angle + 0.02 * spin, spin + 0.02 * turn], axis=1)


def fallen(state: np.ndarray) -> np.ndarray:
    return (np.abs(state[:, 0]) > 2.4) | (np.abs(state[:, 2]) > 12 * np.pi / 180)


def rollout(model: nn.Module, rng: np.random.Generator) -> dict[str, Tensor]:
    """`CARTS` fresh carts played for `LENGTH` steps and flattened, with returns and advantages (generalised, Schulman et al. 2016)."""
    state = rng.uniform(-0.05, 0.05, (CARTS, 4))
    seen, pushes, chances, values, ended = [], [], [], [], []
    for _ in range(LENGTH):
        logits, value = evaluated(model, state)
        push = (rng.random(CARTS) < 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))).astype(np.int64)
        seen.append(state.astype(np.float32))
        pushes.append(push)
        chances.append(logits[np.arange(CARTS), push] - np.logaddexp(*logits.T))
        values.append(value)
        state = advance(state, push)
        ended.append(fallen(state))
        state = np.where(ended[-1][:, None], rng.uniform(-0.05, 0.05, (CARTS, 4)), state)
    values.append(evaluated(model, state)[1])
    gain, gains = np.zeros(CARTS), []
    for t in reversed(range(LENGTH)):
        alive = 1.0 - ended[t]
        gain = 1.0 + GAMMA * values[t + 1] * alive - values[t] + GAMMA * LAMBDA * alive * gain
        gains.append(gain)
    advantage = np.concatenate(gains[::-1])
    played: dict[str, Any] = {"state": np.concatenate(seen), "push": np.concatenate(pushes), "chance": np.concatenate(chances),
                              "worth": advantage + np.concatenate(values[:-1]), "advantage": (advantage - advantage.mean()) / (advantage.std() + 1e-8)}
    return {n: torch.from_numpy(a if a.dtype == np.int64 else a.astype(np.float32)) for n, a in played.items()}


def evaluated(model: nn.Module, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with torch.no_grad():
        logits, value = model(torch.from_numpy(state.astype(np.float32)))
    return logits.double().numpy(), value.double().numpy()


class ActorCritic(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.actor = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 2))
        self.critic = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
        for net, gain in ((self.actor, 0.01), (self.critic, 1.0)):
            for layer in net:
                if isinstance(layer, nn.Linear):
                    nn.init.orthogonal_(layer.weight, gain if layer is net[-1] else 2**0.5)
                    nn.init.zeros_(layer.bias)

    def forward(self, state: Tensor) -> tuple[Tensor, Tensor]:
        return self.actor(state), self.critic(state)[:, 0]


class CartCodec(Codec):
    kind: Literal["cart"] = "cart"

    def schema(self) -> Schema:
        return Schema(inputs={n: Number() for n in ("place", "speed", "angle", "spin")}, outputs={"push": Number(integer=True)})

    def encode(self, rows: Rows) -> Columns:
        return {"state": np.stack([np.asarray(rows[n], np.float32) for n in self.schema().inputs], axis=1)}

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        return {"push": outputs["probability"].argmax(axis=1).tolist()}


class Policy(nn.Module):
    def __init__(self, body: ActorCritic) -> None:
        super().__init__()
        self.actor = body.actor

    def forward(self, state: Tensor) -> Tensor:
        return self.actor(state).softmax(-1)


class CartPole(Task):
    kind: Literal["cart"] = "cart"

    def prepare(self, source: Source) -> tuple[Self, CartCodec]:
        return self, CartCodec()

    def build(self, codec: Codec) -> nn.Module:
        return ActorCritic()

    def batches(self, model: nn.Module, columns: Columns, draw: Draw) -> Iterator[Batch]:
        """Each rollout is passed over `PASSES` times in random order. The rows come from play, so `columns` is empty."""
        each = CARTS * LENGTH // draw.size
        assert draw.start % (PASSES * each) == 0, "resume at the first step of a rollout"
        number = draw.start // (PASSES * each)
        while True:
            rng = stream(draw.seed, "rollout", number)
            played = rollout(model, rng)
            for _ in range(PASSES):
                for index in torch.from_numpy(rng.permutation(CARTS * LENGTH)).split(draw.size):
                    yield {n: t[index] for n, t in played.items()}
            number += 1

    def loss(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        logits, value = model(batch["state"])
        log = logits.log_softmax(-1)
        ratio = (log.gather(1, batch["push"][:, None])[:, 0] - batch["chance"]).exp()
        policy = -torch.minimum(ratio * batch["advantage"], ratio.clamp(1 - CLIP, 1 + CLIP) * batch["advantage"]).mean()
        worth = (value - batch["worth"]).square().mean()
        entropy = -(log.exp() * log).sum(-1).mean()
        return Loss(policy + 0.5 * worth / 100 - 0.01 * entropy, {"policy": policy, "worth": worth, "entropy": entropy})

    def programs(self, model: nn.Module, codec: Codec) -> dict[str, Program]:
        return {"predict": Program(Policy(model).eval(), ("state",), ("probability",))}

    @property
    def goal(self) -> Goal:
        return Goal("loss", "min")


def survival(task: CartPole, model: nn.Module) -> float:
    """Mean steps before a fall, at most LIMIT, of 50 carts pushed the likelier way."""
    program = task.programs(model, CartCodec())["predict"].module
    state, alive, lived = np.random.default_rng(7).uniform(-0.05, 0.05, (50, 4)), np.ones(50, bool), np.zeros(50)
    for _ in range(LIMIT):
        with torch.no_grad():
            push = program(torch.from_numpy(state.astype(np.float32))).argmax(-1).numpy()
        state = advance(state, push)
        alive &= ~fallen(state)
        lived += alive
    return float(lived.mean())


def test_the_pole_stays_up() -> None:
    task = CartPole()
    train = Train(steps=30 * 32, batch=256, optimizer=AdamW(learning_rate=3e-3), schedule="linear", warmup=0.0, clip=0.5, device="cpu")
    state = begin(task, CartCodec(), train)
    before = survival(task, state.model)
    for _ in steps(task, state, {}, train):
        pass
    assert before < 60
    assert survival(task, state.model) > 400


def test_rollouts_are_a_function_of_seed_and_place() -> None:
    task, train = CartPole(), Train(steps=64, batch=256, optimizer=AdamW(), device="cpu", warmup=0.0, schedule="constant")
    whole, broken = begin(task, CartCodec(), train), begin(task, CartCodec(), train)
    for _ in steps(task, whole, {}, train):
        pass
    for step in steps(task, broken, {}, train):
        if step.number == 32:
            break
    for _ in steps(task, broken, {}, train):
        pass
    assert all(torch.equal(a, b) for a, b in zip(whole.model.parameters(), broken.model.parameters(), strict=True))
