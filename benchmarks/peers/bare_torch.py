"""Bare PyTorch: a loop written by hand. float32, not compiled, no test-time augmentation, all cores, no worker processes.

documented
    mnist    github.com/pytorch/examples, mnist/main.py: batch 64, Adadelta 1.0, the rate times 0.7 an epoch, 14 epochs, a DataLoader.
    cifar10  docs.pytorch.org/tutorials/beginner/blitz/cifar10_tutorial.html: LeNet, batch 4, SGD 0.001 momentum 0.9 (it stops after 2 epochs; here it
             goes on until the time is up).
    sst2     docs.pytorch.org/tutorials/beginner/text_sentiment_ngrams_tutorial.html: EmbeddingBag of 64, batch 64, SGD 5.0, clipping at 0.1, the rate times
             0.1 when the accuracy falls (of the tutorial's validation rows; here of the test rows, which favours it), 10 epochs.
    adult    none: PyTorch documents no table.
tuned
    Batches gathered from one tensor, channels last, fused AdamW or SGD, one rise and fall of the rate (OneCycleLR), the networks of networks.py. Rates,
    epochs and sizes were chosen by hand in an hour for the shortest time to the goal.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

import torch
from clock import Clock, Job, Over, job
from networks import ExampleNet, PaddedBag, Perceptron, Residual9, SmallNet, TutorialNet, TutorialText
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad
from torch.utils.data import DataLoader, TensorDataset
from torch_data import pictures, sentences, table
from words import numbered


class Recipe(NamedTuple):
    """How a tuned network is trained."""

    model: nn.Module
    epochs: int
    batch: int
    rate: float
    decay: float = 0.01
    sgd: bool = False
    smoothing: float = 0.0
    shifted: int = 0
    """Pixels by which pictures are moved at random; mirrored too where this is more than 2."""


def tuned(asked: Job) -> tuple[Recipe, dict[str, Tensor]]:
    """What an hour of trying ends with."""
    if asked.workload == "mnist":
        return Recipe(SmallNet(), 3, 256, 1e-2), pictures(asked)
    if asked.workload == "cifar10":
        return Recipe(Residual9(), 7, 256, 0.2, decay=5e-4, sgd=True, smoothing=0.1, shifted=4), pictures(asked)
    if asked.workload == "sst2":
        data, words = sentences(asked, pairs=True, least=2)
        return Recipe(PaddedBag(words), 3, 64, 1e-2), data
    data, sizes = table(asked)
    return Recipe(Perceptron(6, sizes), 4, 512, 5e-3), data


def moved(x: Tensor, by: int) -> Tensor:
    """Pictures moved by up to `by` pixels, the whole batch alike, and each mirrored or not."""
    right, down = torch.randint(0, 2 * by + 1, (2,)).tolist()
    x = pad(x, (by, by, by, by), mode="reflect")[:, :, down : down + x.shape[2], right : right + x.shape[3]]
    return torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x.flip(3), x) if by > 2 else x


def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Share of right answers, in evaluation mode."""
    model.eval()
    with torch.inference_mode():
        right = sum(int((model(part).argmax(1) == label).sum()) for part, label in zip(x.split(500), y.split(500), strict=True))
    model.train()
    return right / len(y)


def run_tuned(asked: Job, clock: Clock) -> None:
    """A hand-written loop over gathered batches."""
    recipe, data = tuned(asked)
    model = recipe.model.to(memory_format=torch.channels_last) if data["train_x"].dim() == 4 else recipe.model
    x, y = data["train_x"], data["train_y"]
    optimizer = (torch.optim.SGD(model.parameters(), recipe.rate, momentum=0.9, nesterov=True, weight_decay=recipe.decay, fused=True) if recipe.sgd
                 else torch.optim.AdamW(model.parameters(), recipe.rate, weight_decay=recipe.decay, fused=True))
    steps = len(x) // recipe.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.rate, total_steps=recipe.epochs * steps + 1)
    for _ in range(recipe.epochs):
        for index in torch.randperm(len(x))[: steps * recipe.batch].split(recipe.batch):
            batch = x.index_select(0, index)
            loss = cross_entropy(model(moved(batch, recipe.shifted) if recipe.shifted else batch), y.index_select(0, index), label_smoothing=recipe.smoothing)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
        with clock.evaluating():
            reached = accuracy(model, data["test_x"], data["test_y"])
        clock.epoch(reached)


def run_example(asked: Job, clock: Clock) -> None:
    """The PyTorch example (mnist) or tutorial (cifar10) on pictures."""
    data, mnist = pictures(asked), asked.workload == "mnist"
    model: nn.Module = ExampleNet() if mnist else TutorialNet()
    optimizer = torch.optim.Adadelta(model.parameters(), 1.0) if mnist else torch.optim.SGD(model.parameters(), 0.001, momentum=0.9)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.7 if mnist else 1.0)
    loader = DataLoader(TensorDataset(data["train_x"].contiguous(), data["train_y"]), batch_size=64 if mnist else 4, shuffle=True)
    for _ in range(14 if mnist else 10**6):
        for x, y in loader:
            optimizer.zero_grad()
            cross_entropy(model(x), y).backward()
            optimizer.step()
        schedule.step()
        with clock.evaluating():
            reached = accuracy(model, data["test_x"].contiguous(), data["test_y"])
        clock.epoch(reached)


def bags(rows: list[Tensor], y: Tensor, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Labels, ids one after another, offsets: the tutorial's collate function."""
    chosen = [rows[place] for place in index.tolist()]
    return y[index], torch.cat(chosen), torch.tensor([0] + [len(row) for row in chosen[:-1]]).cumsum(0)


def shuffled(count: int, batch: int) -> Iterator[Tensor]:
    """Places of the rows of each batch."""
    yield from torch.randperm(count).split(batch)


def run_tutorial_text(asked: Job, clock: Clock) -> None:
    """PyTorch's tutorial on text classification."""
    arrays = asked.read()
    train, test, words = numbered(arrays["train_x"], arrays["test_x"])
    rows, others = [torch.from_numpy(row) for row in train], [torch.from_numpy(row) for row in test]
    y, wanted = torch.from_numpy(arrays["train_y"]), torch.from_numpy(arrays["test_y"])
    model = TutorialText(words)
    optimizer = torch.optim.SGD(model.parameters(), 5.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.1)
    best = 0.0
    for _ in range(10):
        for index in shuffled(len(rows), 64):
            label, ids, offsets = bags(rows, y, index)
            optimizer.zero_grad()
            cross_entropy(model(ids, offsets), label).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            optimizer.step()
        with clock.evaluating(), torch.inference_mode():
            label, ids, offsets = bags(others, wanted, torch.arange(len(others)))
            reached = float((model(ids, offsets).argmax(1) == label).float().mean())
        clock.epoch(reached)
        if best > reached:
            schedule.step()
        best = max(best, reached)


def main() -> None:
    """Train until the goal, the time or the recipe ends."""
    asked = job(__doc__)
    torch.manual_seed(asked.seed)
    clock = Clock(asked)
    run = run_tuned if asked.recipe == "tuned" else {"mnist": run_example, "cifar10": run_example, "sst2": run_tutorial_text}[asked.workload]
    with suppress(Over):
        run(asked, clock)


if __name__ == "__main__":
    main()
