"""The networks that the scripts of bare PyTorch, Lightning and skorch share, so that they differ in the trainer alone. torch only.

`ExampleNet` is that of the PyTorch example for MNIST (github.com/pytorch/examples, mnist/main.py), which Lightning's image classifier example uses too;
`TutorialText` that of PyTorch's tutorial on text classification; `TutorialNet` that of "Training a classifier"; `SmallNet`, `PaddedBag`, `Perceptron` and
`Residual9` are what an experienced user of PyTorch would take for speed: batch normalisation, early pooling, few channels.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class ExampleNet(nn.Module):
    """Two convolutions at full size, one pooling, dropout 0.25 and 0.5; images [rows, 1, 28, 28]."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 32, 3), nn.Conv2d(32, 64, 3)
        self.drop, self.drop_more = nn.Dropout(0.25), nn.Dropout(0.5)
        self.hidden, self.head = nn.Linear(9216, 128), nn.Linear(128, 10)

    def forward(self, images: Tensor) -> Tensor:
        x = functional.relu(self.second(functional.relu(self.first(images))))
        x = self.drop(functional.max_pool2d(x, 2)).flatten(1)
        return self.head(self.drop_more(functional.relu(self.hidden(x))))


def block(inputs: int, outputs: int, pool: bool = True) -> nn.Sequential:
    """Convolution, batch normalisation, activation, and pooling before the last two, where it is cheaper."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.MaxPool2d(2) if pool else nn.Identity(), nn.BatchNorm2d(outputs), nn.ReLU())


class SmallNet(nn.Sequential):
    """Three blocks for digits; images [rows, 1, 28, 28]."""

    def __init__(self) -> None:
        super().__init__(block(1, 24), block(24, 48), block(48, 96), nn.Flatten(), nn.Linear(96 * 9, 10))


class TutorialNet(nn.Module):
    """LeNet with three colours; images [rows, 3, 32, 32]."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 5), nn.Conv2d(6, 16, 5)
        self.one, self.two, self.three = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, images: Tensor) -> Tensor:
        x = functional.max_pool2d(functional.relu(self.first(images)), 2)
        x = functional.max_pool2d(functional.relu(self.second(x)), 2).flatten(1)
        return self.three(functional.relu(self.two(functional.relu(self.one(x)))))


class Skip(nn.Module):
    """Two blocks and a way around them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inside = nn.Sequential(block(channels, channels, pool=False), block(channels, channels, pool=False))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inside(x)


class Residual9(nn.Module):
    """The nine-layer residual network of the fast CIFAR-10 recipes (David Page, 2018), a quarter as wide; images [rows, 3, 32, 32]."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.body = nn.Sequential(block(3, width, pool=False), block(width, 2 * width), Skip(2 * width), block(2 * width, 4 * width),
                                  block(4 * width, 8 * width), Skip(8 * width), nn.AdaptiveMaxPool2d(1), nn.Flatten())
        self.head = nn.Linear(8 * width, 10, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        return 0.125 * self.head(self.body(images))


class TutorialText(nn.Module):
    """The mean of word vectors of 64 numbers and one linear layer; rows of ids one after another, and where each begins."""

    def __init__(self, words: int, width: int = 64, spread: float = 0.5) -> None:
        super().__init__()
        self.embedding, self.head = nn.EmbeddingBag(words, width), nn.Linear(width, 2)
        nn.init.uniform_(self.embedding.weight, -spread, spread)
        nn.init.uniform_(self.head.weight, -0.5, 0.5)
        nn.init.zeros_(self.head.bias)

    def forward(self, ids: Tensor, offsets: Tensor) -> Tensor:
        return self.head(self.embedding(ids, offsets))


class PaddedBag(nn.Module):
    """The same mean for a rectangle of ids [rows, words], with dropout on it."""

    def __init__(self, words: int, width: int = 64, spread: float = 0.05) -> None:
        super().__init__()
        self.embedding, self.drop, self.head = nn.EmbeddingBag(words, width, padding_idx=0), nn.Dropout(0.3), nn.Linear(width, 2)
        nn.init.uniform_(self.embedding.weight, -spread, spread)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.drop(self.embedding(ids)))


class Perceptron(nn.Module):
    """Embedded categories beside standardised numbers, two hidden layers with batch normalisation; the cells of both as one float array."""

    def __init__(self, numbers: int, sizes: tuple[int, ...], width: int = 256) -> None:
        super().__init__()
        self.numbers = numbers
        self.tables = nn.ModuleList(nn.Embedding(size, 16) for size in sizes)
        for table in self.tables:
            nn.init.uniform_(table.weight, -0.05, 0.05)
        inputs = numbers + 16 * len(sizes)
        hidden = [layer for a in (inputs, width) for layer in (nn.Linear(a, width), nn.BatchNorm1d(width), nn.GELU(), nn.Dropout(0.2))]
        self.body = nn.Sequential(*hidden, nn.Linear(width, 2))

    def forward(self, cells: Tensor) -> Tensor:
        codes = cells[:, self.numbers :].long()
        vectors = [table(codes[:, place]) for place, table in enumerate(self.tables)]
        return self.body(torch.cat([cells[:, : self.numbers], *vectors], dim=1))
