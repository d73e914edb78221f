"""fastai: a Learner and fit_one_cycle. float32, not compiled, no test-time augmentation, all cores, no worker processes.

documented
    mnist    github.com/fastai/fastbook, chapter 13: five strided convolutions with batch normalisation, batch 512, fit_one_cycle at 0.06; 5 epochs.
    adult    docs.fast.ai/tutorial.tabular, which is about this very set: six categories, three numbers, tabular_learner, batch 64, fit_one_cycle; 3 epochs.
    sst2, cifar10  none from random weights: its tutorials begin with weights that others trained.
tuned
    mnist    the network tuned for bare PyTorch, batch 256, fit_one_cycle(3, 0.01).
    adult    all categories and numbers, layers of 200 and 100, batch 512, fit_one_cycle(8, 0.01).
"""

import warnings
from contextlib import suppress
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from clock import Clock, Job, Over, job
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Callback, Learner
from fastai.tabular.all import Categorify, CategoryBlock, FillMissing, Normalize, TabularPandas, tabular_learner
from networks import SmallNet
from torch import nn
from torch.nn.functional import cross_entropy
from torch_data import pictures

CATEGORIES = ("workclass", "education", "marital-status", "occupation", "relationship", "race", "sex", "native-country")
NUMBERS = ("age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week")


class Watch(Callback):
    """The stop-watch at the end of every epoch. (fastai calls a method by its name.)"""

    order = 90

    def __init__(self, clock: Clock, test: object) -> None:
        self.clock, self.test = clock, test

    def after_epoch(self) -> None:
        with self.clock.evaluating(), torch.no_grad():
            self.model.eval()
            found = [(self.model(*batch[:-1]).argmax(1) == batch[-1].flatten()).float() for batch in self.test]
            self.model.train()
        self.clock.epoch(float(torch.cat(found).mean()))


def strided() -> nn.Module:
    """The book's network: five convolutions, each two pixels apart."""
    widths, pieces = (1, 8, 16, 32, 64), []
    for place, (inputs, outputs) in enumerate(pairwise(widths)):
        size = 5 if place == 0 else 3
        pieces += [nn.Conv2d(inputs, outputs, size, stride=2, padding=size // 2), nn.ReLU(), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*pieces, nn.Conv2d(64, 10, 3, stride=2, padding=1), nn.Flatten())


def mnist(asked: Job, clock: Clock) -> None:
    """Digits."""
    data, documented = pictures(asked), asked.recipe == "documented"
    x, y = data["train_x"].contiguous(), data["train_y"]
    batch = 512 if documented else 256
    held = DataLoader([0], bs=1, create_batch=lambda _places: (x[:1], y[:1]))  # a Learner wants validation rows; the test rows are asked by Watch
    loader = DataLoader(list(range(len(x))), bs=batch, shuffle=True, num_workers=0, create_batch=lambda places: (x[places], y[places]))
    test = list(zip(data["test_x"].split(500), data["test_y"].split(500), strict=True))
    model = strided() if documented else SmallNet().to(memory_format=torch.channels_last)
    learner = Learner(DataLoaders(loader, held), model, loss_func=cross_entropy, cbs=Watch(clock, test))
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(*((5, 0.06) if documented else (3, 0.01)))


def frame(arrays: dict[str, np.ndarray], part: str) -> pd.DataFrame:
    """The rows of a part as the tutorial has them."""
    columns = dict(zip(NUMBERS, arrays[f"{part}_numbers"].T, strict=True)) | dict(zip(CATEGORIES, arrays[f"{part}_categories"].T, strict=True))
    return pd.DataFrame(columns | {"salary": arrays[f"{part}_y"]})


def adult(asked: Job, clock: Clock) -> None:
    """People."""
    arrays, documented = asked.read(), asked.recipe == "documented"
    train, test = frame(arrays, "train"), frame(arrays, "test")
    categories, numbers = (list(CATEGORIES[:6]), list(NUMBERS[:3])) if documented else (list(CATEGORIES), list(NUMBERS))
    places = np.random.default_rng(asked.seed).permutation(len(train))
    held = len(train) // 5 if documented else 500
    table = TabularPandas(train, [Categorify, FillMissing, Normalize], categories, numbers, y_names="salary", y_block=CategoryBlock(),
                          splits=(places[held:].tolist(), places[:held].tolist()))
    loaders = table.dataloaders(bs=64 if documented else 512)
    with clock.evaluating():
        rows = list(loaders.test_dl(test))
    learner = tabular_learner(loaders, layers=[200, 100])
    learner.add_cb(Watch(clock, rows))
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(3 if documented else 8, 1e-3 if documented else 1e-2)


def main() -> None:
    """Train until the goal, the time or the recipe ends."""
    asked = job(__doc__)
    warnings.filterwarnings("ignore")
    torch.manual_seed(asked.seed)
    with suppress(Over):
        {"mnist": mnist, "adult": adult}[asked.workload](asked, Clock(asked))


if __name__ == "__main__":
    main()
