"""How the operator `thuja::kept` is written in ONNX: NonMaxSuppression, whose list of kept places becomes a mask of fixed size."""

from collections.abc import Callable
from typing import Any

import torch


def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """For `torch.onnx.export`: the operators of ours that are there, and what they are in ONNX."""
    if not hasattr(torch.ops.thuja, "kept"):  # nobody has imported thuja.blocks.nms, so no program has it
        return {}
    return {torch.ops.thuja.kept.default: _kept}


def _kept(boxes: Any, scores: Any, most: int, overlap: float, floor: float) -> Any:
    from onnxscript import opset20

    op: Any = opset20

    # Corners may come in any order of axes: an overlap does not change when x and y are exchanged.
    chosen = op.NonMaxSuppression(boxes, scores, op.Constant(value_ints=[most]), op.Constant(value_floats=[overlap]), op.Constant(value_floats=[floor]))
    nothing = op.Mul(scores, op.Constant(value_float=0.0))
    ones = op.Expand(op.Constant(value_floats=[1.0]), op.Shape(chosen, start=0, end=1))
    return op.ScatterND(nothing, chosen, ones)
