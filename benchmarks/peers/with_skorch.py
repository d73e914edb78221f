"""skorch: NeuralNetClassifier.fit. float32, not compiled, no test-time augmentation, all cores, no worker processes.

documented
    mnist    github.com/skorch-dev/skorch, notebooks/MNIST.ipynb: convolutions of 32 and 64 filters, each before a pooling, a dense layer of 100, dropout
             0.5, Adam 0.002, batch 128, 10 epochs, a fifth of the rows held out by default.
    sst2, adult, cifar10  none that trains a network of this kind from random weights.
tuned
    The recipes tuned for bare PyTorch, nothing held out, the rate by skorch's LRScheduler each step.
"""

from contextlib import suppress
from typing import Any

import torch
from bare_torch import accuracy, tuned
from clock import Clock, Over, job
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, LRScheduler
from torch import Tensor, nn
from torch.nn import functional
from torch_data import pictures


class Notebook(nn.Module):
    """The network of the notebook; images [rows, 1, 28, 28]."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.drop = nn.Conv2d(1, 32, 3), nn.Conv2d(32, 64, 3), nn.Dropout2d(0.5)
        self.hidden, self.head = nn.Linear(1600, 100), nn.Linear(100, 10)

    def forward(self, images: Tensor) -> Tensor:
        x = functional.relu(functional.max_pool2d(self.first(images), 2))
        x = functional.relu(functional.max_pool2d(self.drop(self.second(x)), 2)).flatten(1)
        return self.head(functional.dropout(functional.relu(self.hidden(x)), 0.5, self.training))


class Watch(Callback):
    """The stop-watch at the end of every epoch."""

    def __init__(self, clock: Clock, data: dict[str, Tensor]) -> None:
        self.clock, self.data = clock, data

    def on_epoch_end(self, net: NeuralNetClassifier, **_kept: Any) -> None:
        with self.clock.evaluating():
            reached = accuracy(net.module_, self.data["test_x"], self.data["test_y"])
        self.clock.epoch(reached)


def main() -> None:
    """Train until the goal, the time or the recipe ends."""
    asked = job(__doc__)
    torch.manual_seed(asked.seed)
    clock = Clock(asked)
    settings: dict[str, Any] = {"criterion": nn.CrossEntropyLoss, "iterator_train__shuffle": True, "verbose": 0}
    if asked.recipe == "documented":
        data = pictures(asked)
        net = NeuralNetClassifier(Notebook, max_epochs=10, lr=0.002, batch_size=128, optimizer=torch.optim.Adam, callbacks=[Watch(clock, data)], **settings)
    else:
        recipe, data = tuned(asked)
        model = recipe.model.to(memory_format=torch.channels_last) if data["train_x"].dim() == 4 else recipe.model
        steps = recipe.epochs * (len(data["train_x"]) // recipe.batch + 1) + 1
        schedule = LRScheduler(torch.optim.lr_scheduler.OneCycleLR, max_lr=recipe.rate, total_steps=steps, step_every="batch")
        net = NeuralNetClassifier(model, max_epochs=recipe.epochs, lr=recipe.rate, batch_size=recipe.batch, optimizer=torch.optim.AdamW, train_split=None,
                                  optimizer__weight_decay=recipe.decay, optimizer__fused=True, callbacks=[schedule, Watch(clock, data)], **settings)
    with suppress(Over):
        net.fit(data["train_x"], data["train_y"])


if __name__ == "__main__":
    main()
