"""Control: learn what to do by doing it, in an environment that answers with rewards."""

import time
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
from pydantic import Discriminator, PositiveInt
from torch import Tensor, nn

from thuja.apps.control import pictures, play
from thuja.apps.control.codec import OBSERVATION, SEED, WANTED, ControlCodec, Spaces
from thuja.apps.control.dqn import Dqn
from thuja.apps.control.environments import Ask, open_worlds
from thuja.apps.control.ppo import Ppo
from thuja.apps.control.sac import Sac
from thuja.apps.control.stretches import Played
from thuja.chart import Chart
from thuja.codec import Codec, Columns
from thuja.core.errors import DataError, SpecError, did_you_mean
from thuja.metrics import Outputs
from thuja.models.policy import ActionValues, ActorCritic, SoftActorCritic
from thuja.settings import Auto, Section
from thuja.task import Baseline, Batch, Choice, Draw, Facts, Goal, Loss, Objective, Part, Program, Source, Task

Algorithm = Annotated[Ppo | Dqn | Sac, Discriminator("kind")]
RANDOM_STEPS = 2048
"""Of random play, from which the usual range of observations is learned."""


class Pixels(Section):
    """How pictures are seen."""

    frames: PositiveInt = 4
    """The latest ones, which make an observation together."""
    height: PositiveInt = 40
    width: PositiveInt = 60


class Control(Task):
    """What to do in an environment, learned by playing in it. A row of the data is an episode, named by its seed."""

    kind: Literal["control"] = "control"
    environment: str
    """A name that gymnasium knows, or one registered with `thuja.apps.control.environments.register`."""
    algorithm: Auto | Algorithm = "auto"
    """ppo, dqn or sac, with its own keys. Auto: sac where actions are numbers and what is seen are numbers, else ppo."""
    timesteps: Auto | PositiveInt = "auto"
    """Steps of play in all, which set the number of updates where no budget is given. Auto: 200,000 for ppo, 50,000 for dqn, 20,000 for sac."""
    observe: Literal["state", "pixels"] = "state"
    """What the policy sees: what the environment says, or pictures of it."""
    pixels: Pixels = Pixels()
    backend: Auto | Literal["tensors", "gymnasium"] = "auto"
    """Auto: as tensors where the environment is written that way (CartPole-v1, Pendulum-v1), which gives the same episodes sooner."""
    wanted: Auto | float = "auto"
    """The return from which on an episode counts as a success. Auto: what gymnasium says, if it does."""

    def prepare(self, source: Source) -> tuple[Self, ControlCodec]:
        """Opens the environment, and plays a little at random to see what its observations are like.

        Raises: SpecError for an unknown environment, or an algorithm that does not fit it; DataError for observations or actions that are not supported, or
        without a column of seeds; MissingExtra.
        """
        if SEED not in source.names:
            raise DataError(SEED, expected="a column with the seeds of episodes", found=f"{len(source.names)} others", fix=did_you_mean(SEED, source.names))
        worlds = open_worlds(self._ask, 1)
        worlds.close()
        spaces = worlds.spaces if self.wanted == "auto" else worlds.spaces.model_copy(update={"wanted": self.wanted})
        algorithm = (Sac() if spaces.lowest and not spaces.pixels else Ppo()) if self.algorithm == "auto" else self.algorithm
        timesteps = {"ppo": 200_000, "dqn": 50_000, "sac": 20_000}[algorithm.kind] if self.timesteps == "auto" else self.timesteps
        algorithm = algorithm.settled(spaces, timesteps) if isinstance(algorithm, Dqn) else algorithm.settled(spaces)
        low, high = ((), ()) if spaces.pixels else self._range(spaces)
        settled = self.model_copy(update={"algorithm": algorithm, "timesteps": timesteps})
        return settled, ControlCodec(spaces=spaces, low=low, high=high, scores="preferences" if algorithm.kind == "dqn" else "probabilities")

    def inherit(self, source: Source, parent: Codec) -> tuple[Self, ControlCodec]:
        """As `prepare`: a policy goes on playing, in the same environment or one with the same observations and actions.

        Raises: SpecError where they differ.
        """
        settled, codec = self.prepare(source)
        if not isinstance(parent, ControlCodec) or _kind_of(parent.spaces) != _kind_of(codec.spaces):
            raise SpecError("parent", expected="a policy with the same observations and actions", found="another", fix="Leave `parent` out.")
        return settled, codec

    def _range(self, spaces: Spaces) -> tuple[tuple[float, ...], tuple[float, ...]]:
        seen = play.observed(self._ask, list(range(8)), play.random_chooser(spaces, 0), RANDOM_STEPS)
        low, high = (tuple(np.round(edge, 6).astype(float).tolist()) for edge in (seen.min(0), seen.max(0)))
        return low, high

    def build(self, codec: Codec) -> nn.Module:
        assert isinstance(codec, ControlCodec) and self.algorithm != "auto"
        return self.algorithm.build(codec.spaces)

    def loss(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        """That of the first objective."""
        return self.objectives(model)[0].loss(batch, rng)

    def objectives(self, model: nn.Module) -> tuple[Objective, ...]:
        assert self.algorithm != "auto"
        return self.algorithm.objectives(model)

    def memory(self, model: nn.Module) -> dict[str, Tensor]:
        """The rollout or the replay, and what was done since environments last started afresh."""
        assert isinstance(model, ActorCritic | ActionValues | SoftActorCritic)
        return model.memory

    def batches(self, model: nn.Module, columns: Columns, draw: Draw) -> Iterator[Batch]:
        """Plays, and yields what was played; see the algorithms. The rows give the seeds with which environments start."""
        assert self.algorithm != "auto" and self.algorithm.environments != "auto"
        worlds = open_worlds(self._ask, self.algorithm.environments, draw.device)
        try:
            yield from self.algorithm.batches(model, Played(worlds, np.asarray(columns[SEED]), draw.seed, draw.device), draw)
        finally:
            worlds.close()

    def programs(self, model: nn.Module, codec: Codec) -> dict[str, Program]:
        assert isinstance(codec, ControlCodec)
        policy = Policy(model, codec.spaces).eval()
        output = "probability" if codec.spaces.names else "action"
        return {"predict": Program(policy, (OBSERVATION,), (output,)),
                "play": Program(play.Play(policy, self._ask).eval(), (SEED,), ("return", "length"), exported=False)}

    @property
    def judged(self) -> str:
        return "play"

    def served(self, model: nn.Module, codec: Codec, part: Part) -> Source:
        """What the policy sees while it plays episodes of the part."""
        seeds = np.asarray(part.columns[SEED]).tolist()
        choose = play.chooser(self.programs(model, codec)["predict"].module)
        with torch.inference_mode():
            seen = play.observed(self._ask, seeds, choose, play.SEEN, str(next(model.parameters()).device))
        return play.Observed(seen, self.environment)

    def charts(self, model: nn.Module, codec: Codec, part: Part, outputs: Outputs) -> tuple[Chart, ...]:
        choose = play.chooser(self.programs(model, codec)["predict"].module)
        seed = int(np.asarray(part.columns[SEED])[0])
        with torch.inference_mode():
            frames = play.film(self._ask, seed, choose, str(next(model.parameters()).device))
        return pictures.charts(self.environment, seed, frames, outputs)

    def metrics(self, codec: Codec) -> tuple[str, ...]:
        assert isinstance(codec, ControlCodec)
        named = () if codec.spaces.wanted is None else ("success_share",)
        return ("mean_return", "median_return", *named, "episode_length")

    @property
    def goal(self) -> Goal:
        return Goal("mean_return", "max")

    @property
    def targets(self) -> tuple[str, ...]:
        return (WANTED,)

    def baseline(self, codec: Codec, train: Part, test: Part, seed: int) -> Baseline | None:
        """Random actions, on the same seeds."""
        assert isinstance(codec, ControlCodec)
        started, choose = time.perf_counter(), play.random_chooser(codec.spaces, seed)
        parts = [play.episodes(self._ask, part.tolist(), choose) for part in torch.split(torch.from_numpy(np.asarray(test.columns[SEED])), play.TOGETHER)]
        outputs = {"return": torch.cat([gained for gained, _ in parts]).numpy(), "length": torch.cat([lasted for _, lasted in parts]).numpy()}
        return Baseline("random actions", outputs, time.perf_counter() - started)

    def choices(self, codec: Codec, facts: Facts) -> dict[str, Choice]:
        assert self.algorithm != "auto" and self.timesteps != "auto"
        chosen: dict[str, Choice] = self.algorithm.choices(self.timesteps)
        if facts.budget_s is not None:
            del chosen["train.steps"]
        return chosen | {"train.threads": Choice(1, "networks that play are small: a second thread costs more than it gives")}

    @property
    def _ask(self) -> Ask:
        return Ask(self.environment, self.observe, self.pixels.frames, self.pixels.height, self.pixels.width, self.backend)


class Policy(nn.Module):
    """What is served: what is seen, to float32 `probability` [rows, actions], or to the numbers of the action [rows, numbers] within their bounds.

    Pictures come as uint8 [rows, frames * height, width, 1]. Of a network of action values, the probabilities are its preferences: their softmax.
    """

    low: Tensor
    high: Tensor

    def __init__(self, net: nn.Module, spaces: Spaces) -> None:
        super().__init__()
        self.net, self.shape, self.named = net, spaces.shape, bool(spaces.names)
        self.register_buffer("low", torch.tensor(spaces.lowest), persistent=False)
        self.register_buffer("high", torch.tensor(spaces.highest), persistent=False)
        self.to(next(net.parameters()).device)

    def forward(self, observation: Tensor) -> Tensor:
        """The answer without any noise."""
        if len(self.shape) == 3:
            observation = observation.reshape(-1, *self.shape)
        found: Any = self.net.act(observation) if isinstance(self.net, ActorCritic) else self.net(observation)
        return found.softmax(1) if self.named else torch.minimum(torch.maximum(found, self.low), self.high)


def _kind_of(spaces: Spaces) -> tuple[object, ...]:
    return spaces.shape, spaces.names, spaces.lowest, spaces.highest
