"""Environments by name: written as tensors where there is one, else gymnasium's, or the caller's own registered with gymnasium.

A spec names an environment and can never name code: what a name stands for was decided by who installed or registered it.
"""

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from thuja.apps.control.cart_pole import CartPoles
from thuja.apps.control.codec import Spaces
from thuja.apps.control.pendulum import Pendulums
from thuja.apps.control.worlds import After, Stacked, Worlds
from thuja.core.errors import DataError, MissingExtra, SpecError, did_you_mean

EXTRA = "Type: pip install 'thuja[control]'"
NAMES = {"LunarLander-v3": ("nothing", "left", "main", "right"), "Acrobot-v1": ("-1", "0", "+1"), "MountainCar-v0": ("left", "nothing", "right")}
"""Of the actions, where gymnasium's documentation has some."""


class Ask(NamedTuple):
    """Which environments are wanted."""

    name: str
    observe: Literal["state", "pixels"] = "state"
    frames: int = 4
    """Pictures that make an observation."""
    height: int = 40
    width: int = 60
    backend: Literal["auto", "tensors", "gymnasium"] = "auto"


def register(name: str, make: Callable[..., Any], limit: int | None = None) -> None:
    """Make an environment of the caller's own known by a name, in this process: `make()` gives a `gymnasium.Env`. It is kept in gymnasium's registry.

    Args: limit: steps after which an episode is cut off; None where each ends by itself.
    Raises: MissingExtra where gymnasium is not installed.
    """
    _gymnasium(name).register(id=name, entry_point=make, max_episode_steps=limit)


def open_worlds(ask: Ask, count: int, device: str = "cpu") -> Worlds:
    """`count` environments side by side.

    Raises: SpecError for an unknown name, or one that has no tensor version where that is asked for; DataError for observations or actions of a kind that no
    policy here can take or give; MissingExtra.
    """
    if ask.backend != "gymnasium":
        if ask.name == "CartPole-v1" and (ask.observe == "state" or (ask.height, ask.width) == (40, 60)):
            pixels = ask.observe == "pixels"
            carts = CartPoles(count, device, pixels)
            return Stacked(carts, ask.frames) if pixels else carts
        if ask.name == "Pendulum-v1" and ask.observe == "state":
            return Pendulums(count, device)
        if ask.backend == "tensors":
            raise SpecError("task.backend", expected="CartPole-v1 or Pendulum-v1, which are written as tensors", found=repr(ask.name),
                            fix="Leave task.backend at auto.")
    worlds = Gymnasium(ask, count, device)
    return Stacked(worlds, ask.frames) if worlds.spaces.pixels else worlds


class Gymnasium:
    """Environments of gymnasium, stepped one after the other in this process; the policy is asked for all of them at once."""

    def __init__(self, ask: Ask, count: int, device: str = "cpu") -> None:
        gymnasium = _gymnasium(ask.name)
        self.name, self.count, self.device = ask.name, count, device
        first = make(ask.name, "rgb_array" if ask.observe == "pixels" else None)
        wrapped = [_wrapped(first if place == 0 else make(ask.name, "rgb_array" if ask.observe == "pixels" else None), ask) for place in range(count)]
        self.spaces = spaces_of(ask.name, wrapped[0])
        ready = iter(wrapped)
        mode = gymnasium.vector.AutoresetMode.SAME_STEP
        self.vector = gymnasium.vector.SyncVectorEnv([lambda: next(ready)] * count, autoreset_mode=mode)
        self.first_action = int(getattr(wrapped[0].action_space, "start", 0))
        self.action_shape = wrapped[0].action_space.shape
        self.seeds: list[int] = []
        self.steps = 0

    def reset(self, seeds: Sequence[int]) -> Tensor:
        """See `Worlds`. Raises: DataError for an observation with a number that is none."""
        self.seeds, self.steps = [int(seed) for seed in seeds], 0
        seen, _ = self.vector.reset(seed=self.seeds)
        self._check(seen, "observation")
        return self._tensor(seen)

    def step(self, action: Tensor) -> After:
        """See `Worlds`. Raises: DataError for an observation or a reward with a number that is none, naming the environment, the step and the seed."""
        self.steps += 1
        seen, reward, terminated, truncated, more = self.vector.step(self._act(action))
        last = seen
        if (ended := terminated | truncated).any():
            last = seen.copy()
            last[ended] = np.stack(list(more["final_obs"][ended]))
        self._check(last, "observation")
        self._check(reward, "reward")
        if ended.any():
            self._check(seen, "observation")
        left = self._tensor(last)
        flags = [torch.from_numpy(flag).to(self.device) for flag in (terminated, truncated & ~terminated)]
        return After(self._tensor(seen) if last is not seen else left, torch.from_numpy(reward).float().to(self.device), flags[0], flags[1], left)

    def close(self) -> None:
        """See `Worlds`."""
        self.vector.close()

    def _act(self, action: Tensor) -> np.ndarray:
        given = action.cpu().numpy()
        if self.spaces.names:
            return np.asarray(given + self.first_action)
        return np.asarray(np.clip(given, self.spaces.lowest, self.spaces.highest).astype(np.float32).reshape(self.count, *self.action_shape))

    def _tensor(self, seen: np.ndarray) -> Tensor:
        if self.spaces.pixels:
            return torch.from_numpy(seen).to(self.device)
        return torch.from_numpy(seen.reshape(self.count, -1).astype(np.float32)).to(self.device)

    def _check(self, values: np.ndarray, what: str) -> None:
        if values.dtype.kind == "f" and not (fine := np.isfinite(values)).all():
            place = np.argwhere(~fine)[0]
            number = f" at place {place[1]}" if len(place) > 1 else ""
            raise DataError(f"{self.name}: {what}", expected="finite numbers", fix="Correct the environment: a policy cannot learn from what is no number.",
                            found=f"{values[tuple(place)]}{number}, {self.steps} steps after it began from seed {self.seeds[place[0]]}")


def make(name: str, render: str | None = None) -> Any:
    """One environment by its name. Raises: SpecError for an unknown one; MissingExtra where gymnasium, or what the environment is made of, is not there;
    DataError where it is to be drawn and cannot be."""
    gymnasium = _gymnasium(name)
    if name not in gymnasium.registry:
        raise SpecError("task.environment", expected="the name of an environment", found=repr(name),
                        fix=f"{did_you_mean(name, _near(name, gymnasium.registry))} Your own is made known with thuja.apps.control.environments.register.")
    try:
        made = gymnasium.make(name, disable_env_checker=True, **({} if render is None else {"render_mode": render}))
    except (ImportError, gymnasium.error.DependencyNotInstalled) as error:
        raise MissingExtra(name, expected="what the environment is made of", found=str(error).splitlines()[0], fix=f"{EXTRA}.") from error
    except TypeError as error:
        if render is None:
            raise
        raise _undrawn(name, "none that takes render_mode") from error
    if made.render_mode != render:
        raise _undrawn(name, f"render_mode {made.render_mode}")
    return made


def _undrawn(name: str, found: str) -> DataError:
    return DataError(f"{name}: pictures", expected="an environment that can be drawn (render_mode rgb_array)", found=found,
                     fix="Set task.observe to state, or teach the environment to render.")


def spaces_of(name: str, environment: Any) -> Spaces:
    """What an environment shows and takes. Raises: DataError for what is not supported."""
    from gymnasium import spaces

    seen, act = environment.observation_space, environment.action_space
    if not isinstance(seen, spaces.Box) or seen.dtype.kind not in "fiu":
        raise DataError(f"{name}: observations", expected="numbers of a fixed shape (Box) or one of a few (Discrete)", found=type(seen).__name__,
                        fix="Flatten them with gymnasium.wrappers.FlattenObservation where the environment is made.")
    pixels = seen.dtype == np.uint8 and len(seen.shape) == 2
    spec = environment.spec
    shared = {"environment": name, "shape": (1, *seen.shape) if pixels else (int(np.prod(seen.shape)),), "limit": spec.max_episode_steps or 0,
              "wanted": spec.reward_threshold}
    if isinstance(act, spaces.Discrete):
        names = NAMES.get(name, ())
        return Spaces(**shared, names=names if len(names) == act.n else tuple(str(act.start + place) for place in range(act.n)))
    if not isinstance(act, spaces.Box):
        raise DataError(f"{name}: actions", expected="one of a few (Discrete) or numbers within bounds (Box)", found=type(act).__name__,
                        fix="Wrap the environment so that an action is one choice or one list of numbers.")
    if not (np.isfinite(act.low).all() and np.isfinite(act.high).all()):
        raise DataError(f"{name}: actions", expected="numbers within bounds", found=f"bounds of {act.low.min():g} and {act.high.max():g}",
                        fix="Give the action space finite bounds, or rescale it with gymnasium.wrappers.RescaleAction.")
    low, high = (tuple(float(value) for value in bound.ravel()) for bound in (act.low, act.high))
    return Spaces(**shared, lowest=low, highest=high)


def _wrapped(environment: Any, ask: Ask) -> Any:
    """Observations as an array of numbers or a small grey picture."""
    import gymnasium

    seen = environment.observation_space
    picture = isinstance(seen, gymnasium.spaces.Box) and seen.dtype == np.uint8 and len(seen.shape) == 3
    if ask.observe == "pixels" and not picture:
        environment, picture = gymnasium.wrappers.AddRenderObservation(environment), True
    if picture:
        space = gymnasium.spaces.Box(0, 255, (ask.height, ask.width), np.uint8)
        return gymnasium.wrappers.TransformObservation(environment, lambda pixels: grey(pixels, ask.height, ask.width), space)
    return gymnasium.wrappers.FlattenObservation(environment) if isinstance(seen, gymnasium.spaces.Discrete) else environment


def grey(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """A picture uint8 [H, W, 3] as uint8 [height, width]: luminance, each new pixel the mean of those it covers."""
    from PIL import Image

    return np.asarray(Image.fromarray(pixels).convert("L").resize((width, height), Image.Resampling.BOX))


def _near(name: str, known: Sequence[str]) -> list[str]:
    """Names that share the first letters, so that the advice stays short."""
    alike = [other for other in known if other[:3].lower() == name[:3].lower()]
    return alike or [other for other in known if "/" not in other][:12]


def _gymnasium(name: str) -> ModuleType:
    try:
        import gymnasium
        import gymnasium.vector
    except ImportError as error:
        raise MissingExtra(name, expected="the package gymnasium", found="none", fix=f"{EXTRA}.") from error
    return gymnasium
