"""A detector fits the contract: ragged boxes as targets, and a program that answers each picture with its k best boxes.

A centre heat map and a size per place (CenterNet, Zhou et al. 2019, arXiv 1904.07850, reduced to one class).
"""

from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss, max_pool2d

from thuja.codec import Arrays, Codec, Columns, Rows, ragged
from thuja.fields import Number, Schema
from thuja.settings import AdamW, Train
from thuja.task import Batch, Goal, Loss, Program, Source, Task
from thuja.training.look import answers, measure
from thuja.training.loop import begin, steps

SIZE, BEST = 24, 3


class BoxCodec(Codec):
    kind: Literal["boxes"] = "boxes"

    def schema(self) -> Schema:
        return Schema(inputs={}, outputs={"boxes": Number()})

    def encode(self, rows: Rows) -> Columns:
        """`image` uint8 [rows, SIZE, SIZE]; `boxes` ragged float32 [any, 4] as x0 y0 x1 y1 in pixels."""
        columns: Columns = {"image": np.stack([np.asarray(v, np.uint8) for v in rows["image"]])}
        if "boxes" in rows:
            columns["boxes"] = ragged([np.asarray(v, np.float32).reshape(-1, 4) for v in rows["boxes"]])
        return columns

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        return {"boxes": [b[s > 0.3].tolist() for b, s in zip(outputs["boxes"], outputs["score"], strict=True)]}


class BestBoxes(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        heat, size = maps(self.body, image)
        heat = heat.sigmoid()
        heat = heat * (heat == max_pool2d(heat[:, None], 3, 1, 1)[:, 0])  # only peaks
        score, place = heat.flatten(1).topk(BEST)
        centre = torch.stack([place % SIZE, place // SIZE], dim=-1) + 0.5
        half = size.flatten(2).gather(2, place[:, None].expand(-1, 2, -1)).mT / 2
        return torch.cat([centre - half, centre + half], dim=-1), score


def maps(body: nn.Module, image: Tensor) -> tuple[Tensor, Tensor]:
    """Logits of centres [rows, y, x] and sizes [rows, 2, y, x] in pixels."""
    out = body(image[:, None].float() / 255)
    return out[:, 0] - 3, out[:, 1:] * 8


class Detection(Task):
    kind: Literal["detection"] = "detection"

    def prepare(self, source: Source) -> tuple[Self, BoxCodec]:
        return self, BoxCodec()

    def build(self, codec: Codec) -> nn.Module:
        return nn.Sequential(nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.Conv2d(16, 16, 5, padding=2), nn.ReLU(), nn.Conv2d(16, 16, 5, padding=2), nn.ReLU(),
                             nn.Conv2d(16, 3, 1))

    def loss(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        heat, size = maps(model, batch["image"])
        boxes = batch["boxes"]  # padded with zeros: a box without width is no box
        row, which = torch.nonzero(boxes[..., 2] > boxes[..., 0], as_tuple=True)
        box = boxes[row, which]
        x, y = ((box[:, :2] + box[:, 2:]) / 2).long().unbind(1)
        wanted = torch.zeros_like(heat)
        wanted[row, y, x] = 1.0
        centre = binary_cross_entropy_with_logits(heat, wanted, pos_weight=torch.tensor(20.0))
        extent = l1_loss(size[row, :, y, x], box[:, 2:] - box[:, :2])
        return Loss(centre + 0.1 * extent, {"centre": centre, "extent": extent})

    def programs(self, model: nn.Module, codec: Codec) -> dict[str, Program]:
        return {"predict": Program(BestBoxes(model).eval(), ("image",), ("boxes", "score"))}

    @property
    def goal(self) -> Goal:
        return Goal("loss", "min")

    @property
    def targets(self) -> tuple[str, ...]:
        return ("boxes",)


def scenes(count: int, seed: int) -> dict[str, list[Any]]:
    """Pictures with 0 to 2 bright rectangles of odd sides that do not touch, on noise."""
    rng = np.random.default_rng(seed)
    images, boxes = [], []
    for _ in range(count):
        image, found = rng.integers(0, 60, (SIZE, SIZE)).astype(np.uint8), []
        for half in range(rng.integers(0, 3)):
            w, h = rng.choice([3, 5, 7, 9], 2)
            x, y = half * 12 + rng.integers(0, 12 - w), rng.integers(0, SIZE - h)
            image[y : y + h, x : x + w] = 220
            found.append([x, y, x + w, y + h])
        images.append(image)
        boxes.append(found)
    return {"image": images, "boxes": boxes}


def overlap(a: list[float], b: list[float]) -> float:
    """Intersection over union."""
    width, height = (max(0.0, min(a[i + 2], b[i + 2]) - max(a[i], b[i])) for i in (0, 1))
    area = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return width * height / (area - width * height)


def test_a_detector_finds_the_boxes() -> None:
    task, codec, held_out = Detection(), BoxCodec(), scenes(60, seed=1)
    train = Train(steps=300, batch=16, optimizer=AdamW(learning_rate=1e-2), schedule="linear", warmup=0.1, device="cpu")
    columns = codec.encode(scenes(400, seed=0))
    state = begin(task, codec, train)
    before, _ = measure(task, codec, state.model, codec.encode(held_out), train)
    for _ in steps(task, state, columns, train):
        pass
    after, _ = measure(task, codec, state.model, codec.encode(held_out), train)
    assert after < before / 3
    outputs = answers(task.programs(state.best_model, codec), codec.encode(held_out))
    assert outputs["boxes"].shape == (60, BEST, 4)
    found = codec.decode(outputs)["boxes"]
    true = [(i, box) for i, boxes in enumerate(held_out["boxes"]) for box in boxes]
    recall = np.mean([any(overlap(box, other) > 0.5 for other in found[i]) for i, box in true])
    precision = len(true) * recall / max(1, sum(map(len, found)))
    assert recall > 0.85
    assert precision > 0.7
