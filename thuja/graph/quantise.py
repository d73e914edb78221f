"""Weights in 8 bits: a file a quarter of the size, arithmetic still in float32.

Each large weight becomes int8 with one scale per output channel (symmetric, round to nearest) and a DequantizeLinear that onnxruntime folds away while
loading. Activations are left alone on purpose: scales measured over a batch would make an answer depend on its batch-mates, and fixed ones clip rows
unlike the calibration rows.

What a network holds besides its weights stays as it is: the sines of a spectrogram, the places of a sentence.

Source: per-channel symmetric weights as in Krishnamoorthi 2018, arXiv 1806.08342, section 3.1.1. Differs: weights only.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from thuja.core import digest

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

LEAST = 1024
"""Smaller weights are not worth a scale."""


def quantise(model: bytes, constants: Iterable[np.ndarray] = ()) -> bytes:
    """The same program with the large weights of its matrix products, convolutions and embeddings in int8; `constants` are arrays that are no weights, in any
    shape and order of axes: the exporter may have turned them."""
    import onnx
    from onnx import numpy_helper

    proto: ModelProto = onnx.load_model_from_string(model)
    axes: dict[str, int] = {}
    for node in proto.graph.node:
        _weights(node, axes)
    kept = {_values(array) for array in constants if array.dtype == np.float32 and array.size >= LEAST}
    extra: list[NodeProto] = []
    for tensor in list(proto.graph.initializer):
        array = numpy_helper.to_array(tensor)
        if tensor.name not in axes or array.dtype != np.float32 or array.ndim < 2 or array.size < LEAST or _values(array) in kept:
            continue
        axis = axes[tensor.name] % array.ndim
        packed, scale = to_int8(array, axis)
        proto.graph.initializer.remove(tensor)
        proto.graph.initializer.append(numpy_helper.from_array(packed, f"{tensor.name}.int8"))
        proto.graph.initializer.append(numpy_helper.from_array(scale, f"{tensor.name}.scale"))
        extra.append(onnx.helper.make_node("DequantizeLinear", [f"{tensor.name}.int8", f"{tensor.name}.scale"], [tensor.name], axis=axis))
    nodes = [*extra, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    data: bytes = proto.SerializeToString(deterministic=True)
    return data


def _values(array: np.ndarray) -> str:
    """What an array holds, however it lies."""
    return digest.of_bytes(np.sort(array, axis=None).tobytes())


def to_int8(array: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """int8 of the same shape and a float32 scale per place on `axis`, so that int8 x scale is within half a scale of `array`."""
    rest = tuple(i for i in range(array.ndim) if i != axis)
    scale = np.maximum(np.abs(array).max(axis=rest), np.finfo(np.float32).tiny * 127).astype(np.float32) / np.float32(127)
    shape = [-1 if i == axis else 1 for i in range(array.ndim)]
    return np.clip(np.rint(array / scale.reshape(shape)), -127, 127).astype(np.int8), scale


def _weights(node: "NodeProto", axes: dict[str, int]) -> None:
    """Note which inputs of a node are weights, and along which axis their output channels (or their rows, for a table) lie."""
    match node.op_type:
        case "Conv":
            axes[node.input[1]] = 0
        case "Gemm":
            turned = any(a.name == "transB" and a.i for a in node.attribute)
            axes[node.input[1]] = 0 if turned else 1
        case "MatMul":
            axes[node.input[1]] = -1
        case "Gather":
            axes[node.input[0]] = 0
        case _:
            pass
