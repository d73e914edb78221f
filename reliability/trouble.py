"""Numbers that are not finite, in bursts, while a run trains: does it come to a finite end as good as an undisturbed one? (T5)

The run is 600 steps of a small network with batch normalisation, dropout and a moving average on a noisy regression. A burst of 1, 5 or 50 steps hits a loss,
a gradient, a cell of the inputs (these come again whenever the step is made again, as bad rows do) or a weight (once, as a flipped bit does), at a random
place. Compared is the mean squared error on 4,096 rows that training never saw: it is near the noise that nothing can predict, 1, for every sound run.
"""

import math
import random
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn

from reliability.outcome import Control, Harness, Outcome
from thuja.codec import Arrays, Codec, Columns, Rows
from thuja.fields import Schema
from thuja.run import Run
from thuja.settings import AdamW, Train
from thuja.spec import Spec
from thuja.task import Batch, Goal, Loss, Program, Source, Task
from thuja.training.loop import State, begin, step_seeds, steps
from thuja.training.prepare import Prepared
from thuja.training.session import Session
from thuja.verbs import train as verb

STEPS, INPUTS, TOLERANCE = 600, 8, 0.02
TRAIN = Train(steps=STEPS, batch=64, optimizer=AdamW(learning_rate=1e-2), schedule="linear", warmup=0.1, ema=0.9, precision="float32", compile=False,
              device="cpu", evaluate_every=100, save_every=25)
PLACES = ("loss", "gradient", "input", "weight")
LENGTHS = (1, 5, 50)
NUMBER = {step_seeds(TRAIN.seed, step)[1]: step + 1 for step in range(STEPS)}
"""The step that a generator's seed belongs to."""


class CurveCodec(Codec):
    kind: Literal["curve"] = "curve"

    def schema(self) -> Schema:  # type: ignore[override]  # pydantic still has a deprecated class method of that name
        return Schema(inputs={}, outputs={})

    def encode(self, rows: Rows) -> Columns:
        return {name: np.asarray(values, np.float32) for name, values in rows.items()}

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        return {"value": outputs["value"].tolist()}


class Curve(Task):
    """A noisy function of eight numbers; at the steps of `burst`, trouble of the kind `place`."""

    kind: Literal["curve"] = "curve"
    place: str = ""
    burst: ClassVar[set[int]] = set()

    def prepare(self, source: Source) -> tuple[Self, CurveCodec]:
        return self, CurveCodec()

    def build(self, codec: Codec) -> nn.Module:
        return nn.Sequential(nn.Linear(INPUTS, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.05), nn.Linear(32, 1))

    def augment(self, batch: Batch, rng: torch.Generator) -> Batch:
        if self.place == "input" and NUMBER[rng.initial_seed()] in self.burst:
            batch["x"][3, 2] = float("nan")
        return batch

    def loss(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        step = NUMBER.get(rng.initial_seed())  # None for a look
        hit = step in self.burst
        if hit and self.place == "weight":
            self.burst.discard(step or 0)
            with torch.no_grad():
                next(model.parameters())[1, 1] = float("nan")
        total = (model(batch["x"])[:, 0] - batch["y"]).square().mean()
        if hit and self.place == "loss":
            total = total * float("inf")
        if hit and self.place == "gradient":
            total = total + (0 * next(model.parameters()).sum()).sqrt()  # worth 0, with a gradient that is no number
        return Loss(total)

    def programs(self, model: nn.Module, codec: Codec) -> dict[str, Program]:
        return {}

    @property
    def goal(self) -> Goal:
        return Goal("loss", "min")


def columns(rows: int, seed: int) -> Columns:
    """Rows with noise of variance 1."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, INPUTS), np.float32)
    return {"x": x, "y": (np.sin(x[:, 0]) + x[:, 1] * x[:, 2] + rng.standard_normal(rows)).astype(np.float32)}


def error(model: nn.Module) -> float:
    """Mean squared error on rows that training never saw; NaN where an answer is no number."""
    rows = columns(4096, seed=1)
    with torch.no_grad():
        answers: Tensor = model.eval()(torch.from_numpy(rows["x"]))[:, 0]
    return float((answers - torch.from_numpy(np.asarray(rows["y"]))).square().mean())


def with_engine(folder: Path, task: Curve) -> State:
    """The state that `thuja train` ends with."""
    folder.mkdir()
    prepared = Prepared(Run(folder), Spec(task=task, train=TRAIN), CurveCodec(), columns(8192, seed=0), columns(512, seed=2))
    verb.carry_out(prepared)
    return Session(prepared, None).state


def without_care(_folder: Path, task: Curve) -> State:
    """The planted bug: the same steps, each made whatever it does."""
    state = begin(task, CurveCodec(), TRAIN)
    for _ in steps(task, state, columns(8192, seed=0), TRAIN):
        pass
    return state


def verdict(state: State, clean: float) -> str:
    """What is wrong with the end of a run; empty when nothing is."""
    tensors = [*state.model.state_dict().values(), *state.best_model.state_dict().values()]
    if not all(bool(t.isfinite().all()) for t in tensors):
        return "weights that are no numbers"
    found = error(state.best_model)
    return "" if found <= clean * (1 + TOLERANCE) else f"an error of {found:.4f} where the undisturbed run has {clean:.4f}"


@contextmanager
def burst(numbers: Iterable[int]) -> Iterator[None]:
    """Trouble at these steps."""
    Curve.burst.update(numbers)
    try:
        yield
    finally:
        Curve.burst.clear()


def survive(trials: int, rng: random.Random) -> Outcome:
    """So many bursts, kinds and lengths in turn, each at a random place of a run of its own; and each kind once without the engine's care."""
    torch.set_num_threads(1)
    failures: list[str] = []
    worst, caught = -math.inf, 0
    with tempfile.TemporaryDirectory() as home:
        clean = error(with_engine(Path(home, "clean"), Curve()).best_model)
        kinds = [(place, length) for length in LENGTHS for place in PLACES]
        rng.shuffle(kinds)
        for trial in range(trials):
            place, length = kinds[trial % len(kinds)]
            first = rng.randint(1, STEPS - length)
            with burst(range(first, first + length)):
                state = with_engine(Path(home, str(trial)), Curve(place=place))
            said = verdict(state, clean)
            failures += [f"{length} steps of {place} from step {first}: {said}"] if said else []
            worst = max(worst, error(state.best_model) / clean - 1)
        for place in PLACES:
            with burst([rng.randint(1, STEPS - 1)]):
                caught += bool(verdict(without_care(Path(home), Curve(place=place)), clean))
    figures: dict[str, float | str] = {"steps of a run": STEPS, "error of the undisturbed run": round(clean, 4), "worst beside it, %": round(100 * worst, 2)}
    return Outcome(trials, failures, Control("a loop that makes every update, finite or not", len(PLACES), caught), figures)


HARNESSES = (Harness("T5", "a burst of 1, 5 or 50 steps with a loss, gradient, input or weight that is no number: a finite end, error within 2 % of the "
                           "undisturbed run's after 600 steps", survive, short=4, long=120),)
