"""How many augmented pictures a second one core makes ready for the network, beside torch's DataLoader.

Every loader gives batches of 512 pictures of cifar10 (uint8 [512, 32, 32, 3]) and labels, each row once an epoch in random order, shifted by up to 2 pixels,
with reflection, and mirrored half of the time. Thuja is what training runs: `ImageClassification.batches` over the memory-mapped cache, then `augment`. Peers:

- DataLoader as tutorials write it: a data set whose `__getitem__` shifts and mirrors one picture (with slices of an array padded beforehand, which is several
  times faster than torchvision's transforms on Pillow pictures), 0, 1 and 2 workers;
- DataLoader tuned by us: a batched sampler, so that `__getitem__` gets 512 indices and gathers with `index_select`, then one gather of pixels for the batch.

One process, one thread each, in turn, with the load average. Two figures each: pictures a second by the clock, and pictures a second of processor time, workers
included, which is what one core yields and hardly depends on who else is at work. Each is also given with the conversion to float32 (and 1/255), which Thuja
leaves to the network.

    THUJA_DATA=../shared/data python benchmarks/loader.py
"""

import multiprocessing
import os
import statistics
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import record
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler

from thuja.apps.image_classification.task import ImageClassification
from thuja.codec import Columns
from thuja.data.columns import encoded
from thuja.data.rows import Subset
from thuja.data.source import open_source
from thuja.settings import Data
from thuja.task import Draw
from thuja.training.allocator import keep_freed_memory

BATCH, SHIFT, ROUNDS, BATCHES = 512, 2, 5, 60


def cached(folder: Path, rows: int) -> Columns:
    """The first rows of the training pictures of cifar10, unpacked, decoded, encoded and memory-mapped."""
    root = Path(os.environ.get("THUJA_DATA", Path(__file__).parents[2] / "shared" / "data"))
    with tarfile.open(root / "cifar10_jpeg" / "train.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    source = open_source(Data(path=str(folder / "train")))["all"]
    index = np.linspace(0, len(source) - 1, min(rows, len(source))).astype(np.int64)
    part = Subset(source, index)
    _, codec = ImageClassification(channels=3).prepare(part)
    return encoded(part, codec, folder / "cache", 0.0).columns


def thuja(columns: Columns, *, colour: bool = True) -> Iterator[Tensor]:
    """As training does it."""
    task = ImageClassification(channels=3 if colour else 1, flip=colour, translate=SHIFT)
    rng = torch.Generator()
    for step, batch in enumerate(task.batches(torch.nn.Identity(), columns, Draw(BATCH, seed=0))):
        rng.manual_seed(step)
        yield task.augment(batch, rng)["image"]


class Single(Dataset[tuple[Tensor, Tensor]]):
    """A picture at a time, as tutorials have it."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        wide = torch.nn.functional.pad(images.permute(0, 3, 1, 2).float(), [SHIFT] * 4, mode="reflect")
        self.padded, self.labels = wide.to(torch.uint8).permute(0, 2, 3, 1).contiguous(), labels
        self.height, self.width = images.shape[1:3]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        y, x, turn = torch.randint(0, 2 * SHIFT + 1, (3,)).tolist()
        picture = self.padded[index, y : y + self.height, x : x + self.width]
        return (picture.flip(1) if turn % 2 else picture.contiguous()), self.labels[index]


class Batched(Single):
    """A batch at a time: the index is a list."""

    def __getitem__(self, index: Any) -> tuple[Tensor, Tensor]:
        rows = torch.as_tensor(index)
        pictures = self.padded.flatten(1).index_select(0, rows).view(-1, *self.padded.shape[1:])
        count, high, wide, channels = pictures.shape
        shift = torch.randint(0, 2 * SHIFT + 1, (count, 2))
        y = torch.arange(self.height) + shift[:, :1]
        x = torch.where(torch.rand(count, 1) < 0.5, torch.arange(self.width), torch.arange(self.width - 1, -1, -1)) + shift[:, 1:]
        places = (torch.arange(count)[:, None] * high + y)[:, :, None] * wide + x[:, None, :]
        return pictures.view(-1, channels).index_select(0, places.flatten()).view(count, self.height, self.width, channels), self.labels.index_select(0, rows)


def single(data: Single, workers: int) -> Iterator[Tensor]:
    """The tutorial's loader, epoch after epoch."""
    loader = DataLoader(data, BATCH, shuffle=True, drop_last=True, num_workers=workers, persistent_workers=workers > 0)
    while True:
        for pictures, _ in loader:
            yield pictures


def batched(data: Batched, workers: int) -> Iterator[Tensor]:
    """The tuned loader: one index is a batch."""
    sampler = BatchSampler(RandomSampler(data), BATCH, drop_last=True)
    loader = DataLoader(data, batch_size=None, sampler=sampler, num_workers=workers, persistent_workers=workers > 0)
    while True:
        for pictures, _ in loader:
            yield pictures


def gathered(columns: Columns) -> Iterator[Tensor]:
    """What no loader can beat by much: rows gathered at random, nothing else."""
    flat = torch.from_numpy(np.asarray(columns["image"])).flatten(1)
    while True:
        yield flat.index_select(0, torch.randint(0, len(flat), (BATCH,)))


def floats(batches: Iterator[Tensor]) -> Iterator[Tensor]:
    """The same as float32 in 0..1."""
    return (pictures.float().mul_(1 / 255) for pictures in batches)


class Rate(NamedTuple):
    """Pictures a second."""

    clock: float
    core: float
    """Of processor time, this process and its workers together."""


def processor_s() -> float:
    """Processor time of this process and its living workers, in seconds."""
    workers = (Path(f"/proc/{child.pid}/schedstat") for child in multiprocessing.active_children())
    return time.process_time() + sum(int(path.read_text().split()[0]) / 1e9 for path in workers)


def rate(batches: Iterator[Tensor], count: int) -> Rate:
    """Of the next `count` batches."""
    processor, started = processor_s(), time.perf_counter()
    for _ in range(count):
        next(batches)
    return Rate(count * BATCH / (time.perf_counter() - started), count * BATCH / (processor_s() - processor))


def summary(rates: list[Rate]) -> dict[str, int]:
    """The median by processor time, the extremes of it, and the median by the clock."""
    core = [r.core for r in rates]
    return {"a_core": round(statistics.median(core)), "lowest": round(min(core)), "highest": round(max(core)),
            "by_the_clock": round(statistics.median(r.clock for r in rates))}


def measure(loaders: dict[str, Iterator[Tensor]], rounds: int = ROUNDS) -> dict[str, dict[str, int]]:
    """Each loader in turn, another one first each time."""
    found: dict[str, list[Rate]] = {name: [] for name in loaders}
    for batches in loaders.values():
        rate(batches, 3)  # starts workers, maps pages
    for turn in range(rounds):
        names = list(loaders)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            found[name].append(rate(loaders[name], BATCHES // 10 if name.startswith("DataLoader, ") else BATCHES))
    return {name: summary(rates) for name, rates in found.items()}


def in_process(columns: Columns, one: Single, many: Batched) -> dict[str, Iterator[Tensor]]:
    """Every loader without workers."""
    grey = {"image": np.ascontiguousarray(np.asarray(columns["image"])[:, 2:30, 2:30, :1]), "label": columns["label"]}
    return {"thuja": thuja(columns), "thuja, float32": floats(thuja(columns)), "gather alone": gathered(columns),
            "thuja, grey 28x28, edge repeated": thuja(grey, colour=False),
            "DataLoader, 0 workers": single(one, 0), "DataLoader tuned, 0 workers": batched(many, 0),
            "DataLoader tuned, 0 workers, float32": floats(batched(many, 0))}


def main() -> None:
    keep_freed_memory()
    torch.set_num_threads(1)
    load = round(os.getloadavg()[0], 2)
    with tempfile.TemporaryDirectory() as folder:
        columns = cached(Path(folder), 50_000)
        images, labels = torch.from_numpy(np.asarray(columns["image"])), torch.from_numpy(np.asarray(columns["label"]))
        one, many = Single(images, labels), Batched(images, labels)
        found = measure(in_process(columns, one, many))
        for workers in (1, 2):  # apart, since their workers read ahead while others are measured
            found |= measure({f"DataLoader, {workers} workers": single(one, workers)})
            found |= measure({f"DataLoader tuned, {workers} workers": batched(many, workers)})
    ours = found["thuja"]
    tutorials = [value for name, value in found.items() if name.startswith("DataLoader, ")]
    tuned = [value for name, value in found.items() if name.startswith("DataLoader tuned") and "float32" not in name]
    times = {f"times_{what}_{how}": round(ours[how] / max(value[how] for value in peers), 2)
             for what, peers in (("tutorial", tutorials), ("tuned", tuned)) for how in ("a_core", "by_the_clock")}
    record.save("loader", {
        "goal": "at least 400,000 augmented 32x32 pictures a second on one core; at least 5 times the DataLoader", "unit": "pictures a second",
        "rates": found, "against_the_best_of_0_1_2_workers": times, "passed": ours["a_core"] >= 400_000 and times["times_tutorial_a_core"] >= 5}, load)


if __name__ == "__main__":
    main()
