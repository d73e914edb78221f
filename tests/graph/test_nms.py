"""Non-maximum suppression, in torch and in ONNX, against a plain loop."""

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from thuja.artifact.onnxscan import scan
from thuja.blocks.nms import kept
from thuja.graph.onnxwrite import to_onnx
from thuja.task import Program


def naive(boxes: np.ndarray, scores: np.ndarray, most: int, limit: float, floor: float) -> np.ndarray:
    """One picture, one class, one box after the other."""
    keep = np.zeros_like(scores)
    for row, of_classes in enumerate(scores):
        for number, score in enumerate(of_classes):
            chosen: list[int] = []
            for place in sorted(np.flatnonzero(score > floor), key=lambda i: (-score[i], i)):
                if len(chosen) < most and all(iou(boxes[row, place], boxes[row, other]) <= limit for other in chosen):
                    chosen.append(place)
            keep[row, number, chosen] = 1
    return keep


def iou(one: np.ndarray, other: np.ndarray) -> np.float32:
    sides = np.maximum(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), np.float32(0))
    common = sides[0] * sides[1]
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)]
    union = areas[0] + areas[1] - common
    return np.float32(common / union) if union > 0 else np.float32(0)


def made_up(seed: int, rows: int = 3, classes: int = 2, count: int = 60, *, ties: bool = False) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    corner, side = rng.uniform(0, 60, (rows, count, 2)), rng.uniform(1, 40, (rows, count, 2))
    boxes = np.concatenate([corner, corner + side], axis=2).astype(np.float32)
    scores = rng.random((rows, classes, count)).astype(np.float32)
    return (np.round(boxes), np.round(scores, 1)) if ties else (boxes, scores)


class Kept(nn.Module):
    def forward(self, boxes: Tensor, scores: Tensor) -> Tensor:
        return kept(boxes, scores, 20, 0.5, 0.05)


@pytest.fixture(scope="module")
def session() -> onnxruntime.InferenceSession:
    boxes, scores = made_up(0)
    data = to_onnx(Program(Kept().eval(), ("boxes", "scores"), ("mask",)), {"boxes": boxes, "scores": scores})
    scan(data, "predict.onnx")
    return onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("ties", [False, True])
def test_exact_in_torch_and_in_onnx(session: onnxruntime.InferenceSession, seed: int, ties: bool) -> None:
    boxes, scores = made_up(seed, rows=1 + seed, ties=ties)
    expected = naive(boxes, scores, 20, 0.5, 0.05)
    np.testing.assert_array_equal(Kept()(torch.from_numpy(boxes), torch.from_numpy(scores)).numpy(), expected)
    np.testing.assert_array_equal(session.run(None, {"boxes": boxes, "scores": scores})[0], expected)


def test_at_most_so_many_of_a_class_and_nothing_below_the_floor(session: onnxruntime.InferenceSession) -> None:
    apart = np.stack([np.array([i * 10, 0, i * 10 + 5, 5], np.float32) for i in range(60)])[None]
    scores = np.linspace(0.01, 1, 120, dtype=np.float32).reshape(1, 2, 60)
    mask = session.run(None, {"boxes": apart, "scores": scores})[0]
    assert mask.sum(2).tolist() == [[20, 20]]
    nothing = np.full((1, 2, 60), 0.05, np.float32)
    assert session.run(None, {"boxes": apart, "scores": nothing})[0].sum() == 0
    assert Kept()(torch.from_numpy(apart), torch.from_numpy(nothing)).sum() == 0
    assert kept(torch.zeros(1, 3, 4), torch.ones(1, 1, 3), 9, 0.5, 0.0).tolist() == [[[1, 1, 1]]]  # boxes of no area overlap nothing
