"""Control carried the whole way, on few steps of play."""

import json
import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

import thuja
from thuja.apps.control import environments
from thuja.apps.control.codec import ControlCodec, Spaces
from thuja.apps.control.dqn import Dqn
from thuja.apps.control.ppo import Ppo
from thuja.apps.control.sac import Sac
from thuja.apps.control.task import Control, Pixels
from thuja.artifact.runtime import Predictor
from thuja.codec import count
from thuja.core.errors import BadRows, DataError, SpecError
from thuja.data.source import open_source
from thuja.models.policy import PolicyCnn, PolicyMlp
from thuja.settings import Check, Data, Train
from thuja.spec import Spec
from thuja.task import Part
from thuja.testing import check_codec, check_task
from thuja.training import checkpoint
from thuja.training.loop import State, begin, steps
from thuja.verbs.init import init

SMALL = PolicyMlp(width=16, depth=1)
PPO = Ppo(environments=4, length=16, body=SMALL, stretch=32)
DQN = Dqn(environments=2, warm=8, remembered=64, follow=4, explore=100, body=SMALL)
SAC = Sac(warm=8, remembered=64, batch=16, body=PolicyMlp(width=16, activation="relu"))


def rows(environment: str, size: int, limit: float = 1.0) -> dict[str, list[Any]]:
    """Seeds with observations of the right length beside them."""
    rng = np.random.default_rng(0)
    return {"seed": list(range(24)), "observation": rng.uniform(-limit, limit, (24, size)).tolist()}


@pytest.mark.parametrize(("environment", "size", "algorithm"), [("CartPole-v1", 4, PPO), ("CartPole-v1", 4, DQN), ("Pendulum-v1", 3, PPO), ("Pendulum-v1", 3, SAC)])
def test_the_contract(environment: str, size: int, algorithm: Any) -> None:
    check_task(Control(environment=environment, algorithm=algorithm, timesteps=1000), rows(environment, size))


def settled(task: Control) -> tuple[Control, ControlCodec, Any]:
    sources = open_source(Data(path=task.environment, format="episodes"))
    task, codec = task.prepare(sources["train"])
    return task, codec, codec.encode(sources["train"].take(np.arange(50)))


def run(task: Control, codec: ControlCodec, columns: Any, train: Train, state: State, until: int) -> State:
    for step in steps(task, state, columns, train):
        if step.number == until:
            break
    return state


@pytest.mark.parametrize(("task", "stops"), [
    (Control(environment="CartPole-v1", algorithm=PPO), (3, 16, 41)),
    (Control(environment="CartPole-v1", algorithm=PPO, backend="gymnasium"), (23,)),
    (Control(environment="CartPole-v1", algorithm=DQN), (1, 37)),
    (Control(environment="Pendulum-v1", algorithm=SAC), (1, 37)),
    (Control(environment="Acrobot-v1", algorithm=DQN), (29,)),
])
def test_a_run_is_taken_up_at_any_step_to_the_same_bits(task: Control, stops: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of a rollout, of a stretch, of an episode: weights, memory and where the environments are."""
    monkeypatch.setattr("thuja.apps.control.replay.STRETCH", 20)
    task, codec, columns = settled(task)
    train = Train(steps=60, batch=16, device="cpu", warmup=0.0, schedule="constant")
    whole = run(task, codec, columns, train, begin(task, codec, train), 60)
    for stop in stops:
        half = run(task, codec, columns, train, begin(task, codec, train), stop)
        checkpoint.save(tmp_path / str(stop), half, {})
        fresh = begin(task, codec, train)
        checkpoint.restore(tmp_path / str(stop), fresh)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            run(task, codec, columns, train, fresh, 60)
        ended, wanted = fresh.model.state_dict(), whole.model.state_dict()
        assert [name for name in wanted if not torch.equal(wanted[name], ended[name])] == []
        assert [name for name in whole.memory if not torch.equal(whole.memory[name], fresh.memory[name])] == []
