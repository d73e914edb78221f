"""Is all randomness distinct where it should be, and equal where it must be? (T8)

A draw is the first 62 bits of a stream. There is one for each (seed, step) and each of the two generators that a step has (the global one, which dropout
uses, and that of augmentation and losses), and for each epoch's order; a million of them may not hold two that are equal. Then the engine itself is asked:
the masks of dropout and the noise of augmentation in real steps differ between rows and steps, and are the same in a second run. torch's generator on the CPU
keeps only the lower 32 bits of its seed, so the steps of a run must differ in those.
"""

import random
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from reliability.outcome import Control, Harness, Outcome
from reliability.work import RingsCodec, columns
from thuja.codec import Codec
from thuja.core.seeds import stream
from thuja.settings import AdamW, Train
from thuja.task import Batch, Goal, Loss, Program, Source, Task
from thuja.training.loop import begin, step_seeds, steps

SEEDS = 10
BITS = 62
Seeds = Callable[[int, int], tuple[int, int]]
"""From (seed of the run, step) to the seeds of a step's two generators."""


def draws(seed: int, count: int, seeds: Seeds) -> Iterator[int]:
    """The first draw of every stream of a run with so many steps, and of an epoch's order for every tenth."""
    generator = torch.Generator()
    for step in range(count):
        for place in seeds(seed, step):
            generator.manual_seed(place)
            yield int(torch.randint(1 << BITS, (1,), generator=generator))
        if step % 10 == 0:
            yield int(stream(seed, "order", step).integers(1 << BITS))


def collisions(trials: int, run_seeds: list[int], seeds: Seeds) -> int:
    """How many of about so many draws, over several runs, are not distinct."""
    each = max(1, round(trials / len(run_seeds) / 2.1))
    found = np.fromiter((d for seed in run_seeds for d in draws(seed, each, seeds)), np.int64)
    return len(found) - len(np.unique(found))


class Masks(Task):
    """Nothing is learned: it keeps what dropout and augmentation drew."""

    kind: str = "masks"

    def prepare(self, source: Source) -> tuple["Masks", RingsCodec]:
        return self, RingsCodec()

    def build(self, codec: Codec) -> nn.Module:
        return nn.Sequential(nn.Linear(2, 64), nn.Dropout(0.5))

    def augment(self, batch: Batch, rng: torch.Generator) -> Batch:
        return batch | {"noise": torch.rand(len(batch["point"]), generator=rng, dtype=torch.float64)}

    def loss(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        assert isinstance(model, nn.Sequential)
        batch["mask"] = model[1](torch.ones(len(batch["point"]), 64)) > 0
        batch["later"] = torch.rand(len(batch["point"]), generator=rng, dtype=torch.float64)
        return Loss(model(batch["point"]).square().mean())

    def programs(self, model: nn.Module, codec: Codec) -> dict[str, Program]:
        return {}

    @property
    def goal(self) -> Goal:
        return Goal("loss", "min")


def drawn(task: Task, count: int, seed: int) -> list[np.ndarray]:
    """What so many real steps of 32 rows drew: masks of dropout, noise of augmentation, noise of the loss, a value per row each."""
    train = Train(steps=count, batch=32, optimizer=AdamW(), seed=seed, schedule="constant", warmup=0.0, ema=0.0, precision="float32", compile=False,
                  device="cpu")
    state = begin(task, RingsCodec(), train)
    kept: list[tuple[Tensor, ...]] = [(s.batch["mask"], s.batch["noise"], s.batch["later"]) for s in steps(task, state, columns(64), train)]
    masks = np.packbits(torch.cat([m for m, _, _ in kept]).numpy(), axis=1).view(np.uint64)[:, 0]
    return [masks, *(torch.cat(column).numpy() for column in ([n for _, n, _ in kept], [later for _, _, later in kept]))]


def rows_alike(task: Task, count: int, seed: int) -> list[str]:
    """What is equal that should differ, or differs that should be equal."""
    first, second = drawn(task, count, seed), drawn(task, count, seed)
    names = ("masks of dropout", "noise of augmentation", "noise of the loss")
    wrong = [f"{len(a) - len(np.unique(a))} {name} of {len(a)} are not distinct" for name, a in zip(names, first, strict=True) if len(np.unique(a)) < len(a)]
    wrong += [f"a second run has other {name}" for name, a, b in zip(names, first, second, strict=True) if not np.array_equal(a, b)]
    noise = np.concatenate(first[1:])
    return wrong + (["augmentation and loss share noise"] if len(np.unique(noise)) < len(noise) else [])


class AsLoaded(Masks):
    """The planted bug, found in most training code in its day: every batch is augmented by a generator that begins anew."""

    def augment(self, batch: Batch, rng: torch.Generator) -> Batch:
        return super().augment(batch, torch.Generator().manual_seed(0))


def side_by_side(seed: int, step: int) -> tuple[int, int]:
    """The planted bug: seeds that are added up, so that neighbouring runs and steps share them."""
    return seed + step, seed + step + 1_000_000


def run(trials: int, rng: random.Random) -> Outcome:
    """About so many draws, and a hundredth of them as rows of real steps."""
    torch.set_num_threads(1)
    run_seeds = [*range(SEEDS // 2), *(rng.getrandbits(31) for _ in range(SEEDS // 2))]
    equal = collisions(trials, run_seeds, step_seeds)
    failures = [f"{equal} of {trials} draws are not distinct"] if equal else []
    made = max(3, trials // 100 // 32)
    failures += rows_alike(Masks(), made, rng.getrandbits(31))
    seen = bool(rows_alike(AsLoaded(), made, rng.getrandbits(31))) + bool(collisions(min(trials, 20_000), list(range(SEEDS)), side_by_side))
    control = Control("augmentation that begins anew at every batch; seeds of steps that are added up", 2, seen)
    return Outcome(trials, failures, control, {"runs": len(run_seeds), "collisions": equal, "rows of real steps": 32 * made})


HARNESSES = (Harness("T8", "a million draws over seeds, steps and places: no two alike; dropout and augmentation differ by row and step, not by rerun", run,
                     short=20_000, long=1_000_000),)
