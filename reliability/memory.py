"""Memory that does not suffice for a whole batch: does the run cut it finer and come to the same weights? (T6)

Each run is a process of its own whose data segment may grow by so many megabytes and no further, a number drawn at random between a quarter and a half of
what its batch needs: PyTorch's allocator is really refused. The network has neither dropout nor batch normalisation, so the update of a batch
in parts equals that of the whole batch, up to rounding; compared are the weights after four updates with those of a run that had all the memory.
"""

import contextlib
import functools
import json
import random
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn

from reliability.forks import finish, home
from reliability.outcome import Control, Harness, Outcome
from thuja.codec import Arrays, Codec, Columns, Rows
from thuja.fields import Schema
from thuja.run import Run
from thuja.settings import SGD, Train
from thuja.spec import Spec
from thuja.task import Batch, Goal, Loss, Program, Source, Task
from thuja.training import checkpoint, update
from thuja.training.loop import begin
from thuja.training.prepare import Prepared
from thuja.verbs.train import carry_out

BATCH, WIDTH, LAYERS, STEPS = 2048, 1024, 6, 4
WHOLE_MIB = 2 * LAYERS * BATCH * WIDTH * 4 >> 20
"""About what the activations of a whole batch take."""
ROOM_MIB = (WHOLE_MIB // 4, WHOLE_MIB // 2)
TRAIN = Train(steps=STEPS, batch=BATCH, optimizer=SGD(learning_rate=0.05), schedule="constant", warmup=0.0, ema=0.0, precision="float32", compile=False,
              device="cpu", evaluate_every=STEPS, save_every=2, watch=False)
CLOSE = 1e-4
"""Largest difference of a weight, as a share of how far the weights moved: rounding gives some 1e-6."""


class SumsCodec(Codec):
    kind: Literal["sums"] = "sums"

    def schema(self) -> Schema:  # type: ignore[override]  # pydantic still has a deprecated class method of that name
        return Schema(inputs={}, outputs={})

    def encode(self, rows: Rows) -> Columns:
        return {name: np.asarray(values, np.float32) for name, values in rows.items()}

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        return {}


class Wide(nn.Module):
    """Wide activations from few weights: memory goes to rows."""

    def __init__(self) -> None:
        super().__init__()
        self.gain, self.shift = nn.Parameter(torch.ones(LAYERS, WIDTH)), nn.Parameter(torch.zeros(LAYERS, WIDTH))
        self.phase: Tensor
        self.register_buffer("phase", torch.linspace(0, 6, WIDTH))
        self.head = nn.Linear(WIDTH, 1)

    def forward(self, x: Tensor) -> Tensor:
        found = x[:, None] + self.phase
        for gain, shift in zip(self.gain, self.shift, strict=True):
            found = torch.sin(found * gain + shift)
        answer: Tensor = self.head(found)[:, 0]
        return answer


class Sums(Task):
    kind: Literal["sums"] = "sums"

    def prepare(self, source: Source) -> tuple[Self, SumsCodec]:
        return self, SumsCodec()

    def build(self, codec: Codec) -> nn.Module:
        return Wide()

    def loss(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        return Loss((model(batch["x"]) - batch["y"]).square().mean())

    def programs(self, model: nn.Module, codec: Codec) -> dict[str, Program]:
        return {}

    @property
    def goal(self) -> Goal:
        return Goal("loss", "min")


def train(folder: Path, room_mib: int | None) -> None:
    """The run, with room for so many megabytes more than this process has already (None: as many as it likes)."""
    torch.set_num_threads(1)
    x = np.linspace(-3, 3, 2 * BATCH, dtype=np.float32)
    prepared = Prepared(Run(folder), Spec(task=Sums(), train=TRAIN), SumsCodec(), {"x": x, "y": np.sin(3 * x)}, {"x": x[:0], "y": x[:0]})
    if room_mib is not None:
        limit = data_bytes() + (room_mib << 20)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    carry_out(prepared)


def data_bytes() -> int:
    """What the kernel counts against RLIMIT_DATA now."""
    line = next(line for line in Path("/proc/self/status").read_text("ascii").splitlines() if line.startswith("VmData"))
    return int(line.split()[1]) << 10


def weights(folder: Path) -> Tensor:
    """Of the last checkpoint."""
    state = begin(Sums(), SumsCodec(), TRAIN)
    restored = checkpoint.restore(folder / "checkpoints", state)
    assert restored is not None and state.step == STEPS, state.step
    return nn.utils.parameters_to_vector(state.model.parameters()).detach()


def ended(folder: Path, work: Callable[[], None]) -> str:
    """Carry out `work` in a process; what went wrong, or nothing."""
    folder.mkdir()
    end = finish(work, log=str(folder / "said"))
    said = (folder / "said").read_text("utf-8", "replace").strip().splitlines()
    return "" if end.code == 0 else f"exit code {end.code}: {said[-1] if said else ''}"


def verdict(folder: Path, whole: Tensor, start: Tensor) -> str:
    """What is wrong with a run that had too little memory; empty when nothing is."""
    parts = [record["parts"] for record in Run(folder).records() if record["event"] == "memory"]
    if not parts:
        return "it says nothing of memory"
    plain = json.loads((folder / f"checkpoints/{STEPS:08d}/state.json").read_bytes())
    if plain["parts"] != parts[-1]:
        return f"the checkpoint has {plain['parts']} parts, the log {parts[-1]}"
    apart = float((weights(folder) - whole).abs().max() / (whole - start).abs().max())
    return "" if apart <= CLOSE else f"the weights differ by {apart:.1e} of their way"


@contextlib.contextmanager
def dropping() -> Iterator[None]:
    """The planted bug: rows that do not fit are dropped, so that the batch is smaller than it says."""
    cut = update.cut

    def first(batch: Batch, parts: int) -> Iterator[tuple[Batch, float]]:
        yield next(cut(batch, parts))[0], 1.0

    update.cut = first
    try:
        yield
    finally:
        update.cut = cut


def shrink(trials: int, rng: random.Random) -> Outcome:
    """So many runs with too little memory, and a tenth as many (at least two) with the planted bug."""
    torch.set_num_threads(1)
    failures: list[str] = []
    controls, caught, parts = max(2, trials // 10), 0, []
    start = nn.utils.parameters_to_vector(begin(Sums(), SumsCodec(), TRAIN).model.parameters()).detach().clone()
    with home() as folder:
        assert not ended(folder / "whole", functools.partial(train, folder / "whole", None))
        whole = weights(folder / "whole")
        for trial in range(trials):
            place, room = folder / str(trial), rng.randint(*ROOM_MIB)
            said = ended(place, functools.partial(train, place, room)) or verdict(place, whole, start)
            failures += [f"{room} MiB: {said}"] if said else []
            parts += [record["parts"] for record in Run(place).records() if record["event"] == "memory"][-1:]
        with dropping():
            for trial in range(controls):
                place = folder / f"planted{trial}"
                said = ended(place, functools.partial(train, place, rng.randint(*ROOM_MIB))) or verdict(place, whole, start)
                caught += said.startswith("the weights differ")
    figures: dict[str, float | str] = {"activations of a whole batch, MiB": WHOLE_MIB, "room, MiB": f"{ROOM_MIB[0]} to {ROOM_MIB[1]}",
                                       "parts it came to": f"{min(parts, default=0)} to {max(parts, default=0)}"}
    return Outcome(trials, failures, Control("rows that do not fit are dropped", controls, caught), figures)


HARNESSES = (Harness("T6", "memory does not suffice for a batch: it is made in parts, with the same updates, and the log and the checkpoint say so", shrink,
                     short=4, long=200),)
