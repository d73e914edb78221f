"""What is served: the network on one tile of each picture at a time, so that a picture of any size takes no more memory than a tile does."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from thuja.blocks.normalisation import Standardise
from thuja.task import Program


class Segmenter(nn.Module):
    """What is trained: uint8 (or float of that range) [B, H, W, C] to logits [B, classes, H, W]."""

    weight: Tensor

    def __init__(self, standardise: Standardise, network: nn.Module, weight: Tensor) -> None:
        """`weight`: float [classes], how much a pixel of each class counts in the loss."""
        super().__init__()
        self.standardise, self.network = standardise, network
        self.register_buffer("weight", weight)

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.network(self.standardise(pictures))
        return logits


class Seen(NamedTuple):
    """One tile of each row, answered."""

    classes: Tensor
    """uint8 [B, H, W]"""
    total: Tensor
    """float [B, classes]: the sum of the probabilities over the pixels that the tile owns."""


class Begin(nn.Module):
    """Program `predict`: the first tile of each picture. Tiles uint8 [B, N, H, W, C], owned int64 [B, N, 4], size int64 [B, 2]."""

    def __init__(self, segmenter: Segmenter) -> None:
        super().__init__()
        self.segmenter = segmenter

    def forward(self, tiles: Tensor, owned: Tensor, size: Tensor) -> tuple[Tensor, ...]:
        """mask, share, size, and what `step` goes on from: _tiles, _owned, _place, _total, done."""
        seen = answered(self.segmenter, tiles[:, 0], owned[:, 0])
        first = torch.arange(tiles.shape[1], device=tiles.device)[None, :, None, None] == 0
        mask = torch.where(first, seen.classes[:, None], torch.zeros_like(seen.classes)[:, None])
        place = torch.ones_like(size[:, 0])
        return mask, _share(seen.total, size), size.clone(), tiles.clone(), owned.clone(), place, seen.total, place >= _count(owned)


class Step(nn.Module):
    """Program `step`: one more tile of each picture; one that is finished stays as it is."""

    def __init__(self, segmenter: Segmenter) -> None:
        super().__init__()
        self.segmenter = segmenter

    def forward(self, tiles: Tensor, owned: Tensor, place: Tensor, total: Tensor, mask: Tensor, size: Tensor) -> tuple[Tensor, ...]:
        """mask, share, _place, _total, done."""
        count, rows = _count(owned), torch.arange(tiles.shape[0], device=tiles.device)
        open_ = place < count
        at = rows * tiles.shape[1] + torch.minimum(place, count - 1)
        seen = answered(self.segmenter, tiles.flatten(0, 1).index_select(0, at), owned.flatten(0, 1).index_select(0, at))
        here = (torch.arange(tiles.shape[1], device=tiles.device)[None] == place[:, None]) & open_[:, None]
        mask = torch.where(here[:, :, None, None], seen.classes[:, None], mask)
        total = total + seen.total * open_[:, None]
        place = place + open_
        return mask, _share(total, size), place, total, place >= count


def answered(segmenter: nn.Module, tile: Tensor, owned: Tensor) -> Seen:
    """The likeliest class of each pixel, and how much of each class there is where the tile decides."""
    probability = segmenter(tile).softmax(dim=1)
    down, across = (torch.arange(length, device=tile.device)[None] for length in tile.shape[1:3])
    inside = ((down >= owned[:, :1]) & (down < owned[:, 1:2]))[:, :, None] & ((across >= owned[:, 2:3]) & (across < owned[:, 3:]))[:, None]
    return Seen(probability.argmax(dim=1).to(torch.uint8), (probability * inside[:, None]).sum((2, 3)))


def programs(segmenter: Segmenter, image: str, size: str, owned: str) -> dict[str, Program]:
    """Both, for columns of these names."""
    tiles = {1: "tiles"}
    begin = Program(Begin(segmenter).eval(), (image, owned, size), ("mask", "share", "size", "_tiles", "_owned", "_place", "_total", "done"),
                    {image: tiles, owned: tiles})
    step = Program(Step(segmenter).eval(), ("_tiles", "_owned", "_place", "_total", "mask", "size"), ("mask", "share", "_place", "_total", "done"),
                   {"_tiles": tiles, "_owned": tiles, "mask": tiles})
    return {"predict": begin, "step": step}


def _count(owned: Tensor) -> Tensor:
    """Tiles of each row: those that are padding own nothing."""
    return (owned[:, :, 1] > 0).sum(1)


def _share(total: Tensor, size: Tensor) -> Tensor:
    return total / size.prod(1, keepdim=True)
