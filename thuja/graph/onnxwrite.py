"""A Program as ONNX bytes: one file, dynamic where the program says so, and nothing in it but the mathematics.

torch's exporter leaves stack traces, paths of the machine and class names in the graph; they are removed, so that two exports of one run are equal
byte for byte and nothing private leaves the house. Intermediate shapes (value_info) go too: for recurrent networks they are wrong.
"""

import inspect
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from thuja.codec import AFTER, Arrays
from thuja.core.errors import ArtifactError
from thuja.graph import nms
from thuja.task import Program

if TYPE_CHECKING:
    from onnx import FunctionProto, GraphProto, ModelProto, NodeProto

OPSET = 20
_OURS = "thuja:"
"""Before the names of inputs and outputs while exporting: torch names a value after its operator, so that `mean` may be taken inside the graph."""
LARGEST_BYTES = (1 << 31) - (1 << 20)
"""A protobuf message ends at 2 GB; larger networks need external data, which artefacts refuse."""


def to_onnx(program: Program, example: Arrays) -> bytes:
    """Export a program; `example` holds its inputs for at least two rows, and at least two places on every dynamic axis.

    Raises: ArtifactError when the network is too large for one file, or fixes an axis that was promised to vary.
    """
    inputs = {name: _at_least_two(example[name], (0, *program.dynamic.get(name, ()))) for name in program.inputs}
    rows = torch.export.Dim("rows")
    dims: dict[str, Any] = {}
    axes = tuple({0: rows, **{axis: dims.setdefault(word, torch.export.Dim(word)) for axis, word in _varying(program, name).items()}} for name in inputs)
    with _quiet(), torch.no_grad():
        exported = torch.onnx.export(
            program.module.eval(), tuple(torch.from_numpy(a) for a in inputs.values()), dynamo=True, verbose=False, external_data=False,
            dynamic_shapes=_nested(axes, program.module), input_names=[_OURS + n for n in inputs],
            output_names=[_OURS + n for n in _written(program)], opset_version=OPSET, custom_translation_table=nms.translations())
    assert exported is not None
    model: ModelProto = exported.model_proto
    _strip(model)
    _name(model)
    _check_shapes(model, program, inputs)
    if model.ByteSize() > LARGEST_BYTES:
        raise ArtifactError("export", expected="a network below 2 GB", found=f"{model.ByteSize() / 1e9:.1f} GB", fix="Choose a smaller network.")
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _nested(axes: tuple[Any, ...], module: torch.nn.Module) -> tuple[Any, ...]:
    """As the tracer wants them: what `forward(first, *others)` takes as others is one tuple."""
    parameters = inspect.signature(module.forward).parameters.values()
    named = sum(p.kind is not p.VAR_POSITIONAL for p in parameters)
    return axes if named == len(parameters) else (*axes[:named], axes[named:])


def _written(program: Program) -> list[str]:
    """The names of outputs in the file."""
    return [name + AFTER if name in program.inputs else name for name in program.outputs]


def _varying(program: Program, name: str) -> dict[int, str]:
    """The axes of an input that vary, each with the name of its length."""
    axes = program.dynamic.get(name, ())
    return axes if isinstance(axes, dict) else {axis: f"{name}_{axis}" for axis in axes}


def _at_least_two(array: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    """Repeat what is there until no axis that varies has length 1, which the tracer would take for a constant."""
    for axis in axes:
        if array.shape[axis] < 2:
            array = np.concatenate([array, array], axis=axis)
    return np.array(array)  # a copy: tensors want memory that may be written


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what is known and harmless: torchvision's absence (it must be absent), and the exporter's use of its own deprecated parts."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning, message=".*LeafSpec.*")
            warnings.filterwarnings("ignore", category=UserWarning, message="# The axis name: .* will not be used")
            yield
    finally:
        logger.setLevel(level)


def _strip(model: "ModelProto") -> None:
    from onnx import AttributeProto

    model.ClearField("metadata_props")
    model.ClearField("doc_string")
    model.producer_name, model.producer_version = "thuja", ""
    todo: list[GraphProto | FunctionProto] = [model.graph, *model.functions]
    while todo:
        graph = todo.pop()
        for field in ("metadata_props", "doc_string", "value_info"):
            graph.ClearField(field)
        if hasattr(graph, "initializer"):
            for tensor in graph.initializer:
                _strip_one(tensor)
            for value in (*graph.input, *graph.output):
                _strip_one(value)
        for node in graph.node:
            _strip_one(node)
            todo.extend(a.g for a in node.attribute if a.type == AttributeProto.GRAPH)
            todo.extend(g for a in node.attribute if a.type == AttributeProto.GRAPHS for g in a.graphs)


def _strip_one(proto: "NodeProto | Any") -> None:
    proto.ClearField("metadata_props")
    proto.ClearField("doc_string")


def _name(model: "ModelProto") -> None:
    """Give inputs and outputs their names; a value inside that has one of them gets another."""
    graph = model.graph
    ends = {value.name: value.name.removeprefix(_OURS) for value in (*graph.input, *graph.output)}
    used = {name for node in graph.node for name in node.output} | {tensor.name for tensor in graph.initializer}
    inside = used.intersection(ends.values()) - set(ends)
    names = ends | {name: _free(name, used | set(ends.values())) for name in inside}
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]


def _free(name: str, used: set[str]) -> str:
    while name in used:
        name += "_"
    return name


def _check_shapes(model: "ModelProto", program: Program, inputs: Arrays) -> None:
    """What varies varies, and types are the codec's."""
    from onnx import helper

    found = {value.name: value.type.tensor_type for value in model.graph.input}
    assert list(found) == list(inputs), (list(found), list(inputs))
    assert [value.name for value in model.graph.output] == _written(program), program.outputs
    for name, array in inputs.items():
        dtype = helper.tensor_dtype_to_np_dtype(found[name].elem_type)
        assert dtype == array.dtype, (name, dtype, array.dtype)
        for axis in (0, *program.dynamic.get(name, ())):
            if found[name].shape.dim[axis].HasField("dim_value"):
                raise ArtifactError(f"export: input {name}, axis {axis}", expected="an axis of any length",
                                    found=f"one fixed at {found[name].shape.dim[axis].dim_value}", fix="Let the network take its size from the input.")
    for value in model.graph.output:
        if value.type.tensor_type.shape.dim[0].HasField("dim_value"):
            raise ArtifactError(f"export: output {value.name}, axis 0", expected="one answer per row", found="a fixed number of rows",
                                fix="Let the network take its size from the input.")
