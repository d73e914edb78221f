"""Environments: those written as tensors against gymnasium's, step by step; pictures; and what is refused, with the words."""

import sys
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from thuja.apps.control import cart_pole, environments, play
from thuja.apps.control.environments import Ask, open_worlds
from thuja.apps.control.task import Control, Pixels
from thuja.core.errors import DataError, MissingExtra, SpecError
from thuja.data.source import open_source
from thuja.settings import Data

SEEDS = [0, 7, 2_000_003, 12345]


@pytest.mark.parametrize(("name", "steps"), [("CartPole-v1", 300), ("Pendulum-v1", 450)])
def test_tensors_play_gymnasiums_episodes(name: str, steps: int) -> None:
    """The same seeds and actions give the same observations, rewards and ends, fresh episodes included."""
    ours, theirs = open_worlds(Ask(name, backend="tensors"), 4), open_worlds(Ask(name, backend="gymnasium"), 4)
    torch.testing.assert_close(ours.reset(SEEDS), theirs.reset(SEEDS), rtol=0, atol=0)
    rng, ended = torch.Generator().manual_seed(0), 0
    for _ in range(steps):
        action = torch.randint(0, 2, (4,), generator=rng) if name == "CartPole-v1" else torch.rand(4, 1, generator=rng) * 5 - 2.5
        one, other = ours.step(action), theirs.step(action)
        for field in ("seen", "reward", "last"):
            torch.testing.assert_close(getattr(one, field), getattr(other, field), rtol=1e-6, atol=1e-6)
        assert torch.equal(one.terminated, other.terminated) and torch.equal(one.truncated, other.truncated)
        ended += int(one.ended.sum())
    assert ended >= 8


def test_carts_are_cut_off_after_500_steps_as_gymnasiums_are() -> None:
    """A rule keeps the pole up: the push goes where the pole falls."""
    ours, theirs = open_worlds(Ask("CartPole-v1"), 2), open_worlds(Ask("CartPole-v1", backend="gymnasium"), 2)
    seen, other = ours.reset([0, 1]), theirs.reset([0, 1])
    for step in range(1, 501):
        action = (seen[:, 2] + seen[:, 3] + 0.1 * seen[:, 1] + 0.05 * seen[:, 0] > 0).long()
        one, two = ours.step(action), theirs.step(action)
        seen = one.seen
        assert torch.equal(one.truncated, two.truncated) and torch.equal(one.terminated, two.terminated)
        assert bool(one.truncated.all()) == (step == 500)
    torch.testing.assert_close(one.seen, two.seen, rtol=0, atol=1e-6)
    del other


def test_pictures_of_carts_show_where_they_are() -> None:
    """Brightness gives place and angle back; many are drawn as one is."""
    states = torch.tensor([[0.0, 0, 0, 0], [1.2, 0, 0, 0], [0.0, 0, 0.2, 0]], dtype=torch.float64)
    pictures = cart_pole.drawn(states)
    assert pictures.shape == (3, 40, 60) and pictures.dtype == torch.uint8
    dark = 255 - pictures[:, 34].float()
    centre = (dark * torch.arange(60)).sum(1) / dark.sum(1)
    torch.testing.assert_close(centre, torch.tensor([29.5, 44.5, 29.5]), rtol=0, atol=0.3)
    top = 255 - pictures[:, 10].float()
    leaning = (top * torch.arange(60)).sum(1) / top.sum(1)
    assert abs(leaning[0] - 29.5) < 0.3 and leaning[2] > 33
    torch.testing.assert_close(cart_pole.drawn(states[2:]), pictures[2:], rtol=0, atol=0)


@pytest.mark.parametrize("backend", ["tensors", "gymnasium"])
def test_stacked_pictures_begin_alike_and_move_on(backend: Any) -> None:
    worlds = open_worlds(Ask("CartPole-v1", "pixels", 3, backend=backend), 2)
    first = worlds.reset([0, 1])
    assert first.shape == (2, 3, 40, 60) and torch.equal(first[:, 0], first[:, 2])
    after, seen, steps = worlds.step(torch.ones(2, dtype=torch.int64)), first, 1
    while not after.ended.any():
        torch.testing.assert_close(after.seen[:, :2], seen[:, 1:])
        after, seen, steps = worlds.step(torch.ones(2, dtype=torch.int64)), after.seen, steps + 1
    assert 5 < steps < 30
    place = int(after.ended.nonzero()[0])
    assert torch.equal(after.seen[place, 0], after.seen[place, 2]) and not torch.equal(after.last[place, 0], after.last[place, 2])
    worlds.close()


class Odd(gymnasium.Env[Any, Any]):
    """An environment that goes wrong when it is told to."""

    def __init__(self, seen: Any = None, act: Any = None, wrong: str = "") -> None:
        self.observation_space = seen or spaces.Box(-1, 1, (2,), np.float32)
        self.action_space = act or spaces.Discrete(3, start=5)
        self.wrong, self.steps, self.taken = wrong, 0, []

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        return self._seen(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action), action
        self.steps += 1
        bad = float("nan") if self.wrong and self.steps == 3 else 0.5
        seen = self._seen()
        if self.wrong == "observation":
            seen[1] = bad
        return seen, bad if self.wrong == "reward" else 1.0, self.steps == 9, False, {}

    def _seen(self) -> Any:
        return 4 if isinstance(self.observation_space, spaces.Discrete) else np.full(self.observation_space.shape, 0.25, np.float32)


def known(name: str, **settings: Any) -> str:
    gymnasium.registry.pop(name, None)
    environments.register(name, lambda: Odd(**settings))
    return name


def opened(name: str, **task: Any) -> Any:
    return Control(environment=name, **task).prepare(open_source(Data(path=name, format="episodes"))["train"])


def test_an_environment_of_ones_own_is_known_by_its_name() -> None:
    worlds = open_worlds(Ask(known("Odd-v0")), 2)
    assert worlds.spaces.names == ("5", "6", "7")
    worlds.reset([0, 1])
    assert torch.equal(worlds.step(torch.tensor([0, 2])).reward, torch.ones(2))
    returns, lengths = play.episodes(Ask("Odd-v0"), [3, 4, 5], lambda seen: torch.zeros(len(seen), dtype=torch.int64))
    assert returns.tolist() == [9.0, 9.0, 9.0] and lengths.tolist() == [9, 9, 9]


def test_one_of_a_few_observations_is_one_hot() -> None:
    worlds = open_worlds(Ask(known("Few-v0", seen=spaces.Discrete(6))), 1)
    assert worlds.spaces.shape == (6,) and worlds.reset([0]).tolist() == [[0, 0, 0, 0, 1, 0]]


@pytest.mark.parametrize("wrong", ["observation", "reward"])
def test_what_is_no_number_is_named(wrong: str) -> None:
    worlds = open_worlds(Ask(known("Wrong-v0", wrong=wrong)), 3)
    worlds.reset([41, 42, 43])
    for _ in range(2):
        worlds.step(torch.zeros(3, dtype=torch.int64))
    with pytest.raises(DataError) as error:
        worlds.step(torch.zeros(3, dtype=torch.int64))
    place = " at place 1" if wrong == "observation" else ""
    assert str(error.value) == (f"Wrong-v0: {wrong}: expected finite numbers, found nan{place}, 3 steps after it began from seed 41. "
                                "Correct the environment: a policy cannot learn from what is no number.")


@pytest.mark.parametrize(("settings", "said"), [
    ({"act": spaces.Dict({"a": spaces.Discrete(2)})}, "Bad-v0: actions: expected one of a few (Discrete) or numbers within bounds (Box), found Dict. "
     "Wrap the environment so that an action is one choice or one list of numbers."),
    ({"act": spaces.Tuple((spaces.Discrete(2),))}, "Bad-v0: actions: expected one of a few (Discrete) or numbers within bounds (Box), found Tuple. "
     "Wrap the environment so that an action is one choice or one list of numbers."),
    ({"act": spaces.Box(-np.inf, np.inf, (2,))}, "Bad-v0: actions: expected numbers within bounds, found bounds of -inf and inf. "
     "Give the action space finite bounds, or rescale it with gymnasium.wrappers.RescaleAction."),
    ({"seen": spaces.Dict({"a": spaces.Box(0, 1, (2,))})}, "Bad-v0: observations: expected numbers of a fixed shape (Box) or one of a "
     "few (Discrete), found Dict. "
     "Flatten them with gymnasium.wrappers.FlattenObservation where the environment is made."),
])
def test_spaces_that_no_policy_takes_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError) as error:
        opened(known("Bad-v0", **settings))
    assert str(error.value) == said


@pytest.mark.parametrize(("task", "said"), [
    ({"name": "CartPol-v1"}, "task.environment: expected the name of an environment, found 'CartPol-v1'. Did you mean 'CartPole-v1'? "
     "Your own is made known with thuja.apps.control.environments.register."),
    ({"name": "Acrobot-v1", "backend": "tensors"}, "task.backend: expected CartPole-v1 or Pendulum-v1, which are written as tensors, found 'Acrobot-v1'. "
     "Leave task.backend at auto."),
    ({"name": "CartPole-v1", "algorithm": {"kind": "sac"}}, "task.algorithm: expected ppo or dqn, found sac, where one of a few actions is taken. "
     "Choose another, or leave task.algorithm at auto."),
    ({"name": "Pendulum-v1", "algorithm": {"kind": "dqn"}}, "task.algorithm: expected ppo or sac, since the actions of this environment are numbers, "
     "found dqn. "
     "Choose another, or leave task.algorithm at auto."),
])
def test_what_does_not_fit_is_refused(task: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError) as error:
        opened(**task)
    assert str(error.value) == said


def test_pictures_of_what_cannot_be_drawn_are_refused() -> None:
    with pytest.raises(DataError) as error:
        opened(known("Dark-v0"), observe="pixels", pixels=Pixels(frames=2))
    assert str(error.value) == ("Dark-v0: pictures: expected an environment that can be drawn (render_mode rgb_array), found none that takes render_mode. "
                                "Set task.observe to state, or teach the environment to render.")


def test_without_gymnasium_it_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(MissingExtra) as error:
        open_worlds(Ask("Acrobot-v1"), 1)
    assert str(error.value) == "Acrobot-v1: expected the package gymnasium, found none. Type: pip install 'thuja[control]'."
    assert open_worlds(Ask("CartPole-v1"), 1).reset([0]).shape == (1, 4)


def test_an_environment_whose_parts_are_missing_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "Box2D", None)
    monkeypatch.delitem(sys.modules, "gymnasium.envs.box2d.lunar_lander", raising=False)
    monkeypatch.delitem(sys.modules, "gymnasium.envs.box2d", raising=False)
    with pytest.raises(MissingExtra) as error:
        open_worlds(Ask("LunarLander-v3"), 1)
    assert str(error.value).startswith("LunarLander-v3: expected what the environment is made of, found Box2D is not installed")
    assert str(error.value).endswith("Type: pip install 'thuja[control]'.")
