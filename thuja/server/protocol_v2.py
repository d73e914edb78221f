"""The Open Inference Protocol, version 2, over REST: the same model under two names.

`<name>` takes the raw fields (a picture, a text or a category as BYTES, a number as FP64 or INT64) and gives the typed outputs. `<name>-tensors` takes
the program's own encoded arrays (`UINT8 [-1, height, width, channels]`, `INT64 [-1, -1]`, ...) and gives its raw outputs; whoever uses it encodes by itself.
Source: Open Inference Protocol, REST, as of 2024 (kserve/open-inference-protocol, specification/protocol/inference_rest.md).
"""

import functools
import math
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from starlette.responses import Response

from thuja.artifact.runtime import TensorSpec
from thuja.codec import DONE, HIDDEN, Columns
from thuja.core.errors import DataError
from thuja.fields import Audio, Field, Image, Number, Scores
from thuja.server import tensors
from thuja.server.model import Model
from thuja.server.problem import Refusal
from thuja.server.settings import ServeSettings
from thuja.server.tensors import Infer, Values, refused

TENSORS = "-tensors"
PROGRAM = "predict"
HEADER_LENGTH = "Inference-Header-Content-Length"
WHOLE = ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64")
NUMERIC = ("FP64", "FP32", "FP16", *WHOLE)


def server_metadata(version: str) -> dict[str, Any]:
    """`GET /v2`."""
    return {"name": "thuja", "version": version, "extensions": ["binary_tensor_data"]}


def find(model: Model, name: str, version: str | None) -> bool:
    """Whether `name` means the encoded tensors. Raises: Refusal 404 for a name or version that is not in service."""
    if name not in (model.kind, model.kind + TENSORS):
        raise Refusal(404, "model", expected=f"{model.kind} or {model.kind}{TENSORS}", found=repr(name[:60]))
    if version not in (None, model.version):
        raise Refusal(404, "version", expected=model.version, found=repr(version[:60]) if version else "nothing")
    return name.endswith(TENSORS)


def model_metadata(model: Model, encoded: bool) -> dict[str, Any]:
    """`GET /v2/models/<name>`: what goes in and out."""
    if encoded:
        predictor = model.predictor
        inputs, outputs = ([_metadata(s.name, tensors.datatype_of(s.dtype), [-1 if d is None else d for d in s.shape]) for s in specs]
                           for specs in (predictor.inputs[PROGRAM], _given(model)))
    else:
        inputs, outputs = ([_field_metadata(name, field) for name, field in fields.items()] for fields in (model.schema.inputs, model.schema.outputs))
    name = model.kind + (TENSORS if encoded else "")
    return {"name": name, "versions": [model.version], "platform": "onnxruntime_onnx", "inputs": inputs, "outputs": outputs}


def _given(model: Model) -> list[TensorSpec]:
    """What an answer is made of: the outputs of the program, but for what is nobody's (`thuja.codec.answer_of`)."""
    return [s for s in model.predictor.outputs[PROGRAM] if s.name != DONE and not s.name.startswith(HIDDEN)]


async def infer(model: Model, encoded: bool, body: bytes, header_length: str | None, settings: ServeSettings) -> Response:
    """`POST /v2/models/<name>/infer`. Raises: Refusal, DataError or ShapeError; all become a 400 of this protocol."""
    request, given = tensors.read(body, header_length, settings.max_elements, functools.partial(_look, model, encoded, settings.max_rows))
    known = [s.name for s in _given(model)] if encoded else list(model.schema.outputs)
    for wanted in request.outputs:
        if wanted.name not in known:
            raise refused("outputs", f"one of: {', '.join(known)}", repr(wanted.name[:60]))
    rows = request.inputs[0].shape[0]
    outputs = await (_run_encoded(model, given, rows) if encoded else _run_raw(model, request, given, rows))
    return _response(model, encoded, request, outputs)


async def _run_raw(model: Model, request: Infer, given: Mapping[str, Values], rows: int) -> dict[str, tuple[list[int], Values]]:
    kinds = {tensor.name: tensor for tensor in request.inputs}
    raw: dict[str, list[Any]] = {}
    for name, field in model.schema.inputs.items():
        tensor = kinds[name]
        allowed = NUMERIC if isinstance(field, Number) else ("BYTES",)
        if tensor.datatype not in allowed:
            raise refused(f"inputs[{name}].datatype", " or ".join(allowed[:3]), tensor.datatype)
        if tensor.shape not in ([rows], [rows, 1]):
            raise refused(f"inputs[{name}].shape", f"[{rows}] or [{rows}, 1]", str(tensor.shape)[:80])
        raw[name] = [_raw_value(field, value, f"rows[{i}].{name}") for i, value in enumerate(_elements(given[name]))]
    answer = await model.answer(raw, rows)
    return {name: _typed(field, answer[name]) for name, field in model.schema.outputs.items()}


async def _run_encoded(model: Model, given: Mapping[str, Values], rows: int) -> dict[str, tuple[list[int], Values]]:
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    columns: Columns = {}
    for spec in model.predictor.inputs[PROGRAM]:
        values = given[spec.name]
        if not isinstance(values, np.ndarray) or values.dtype != spec.dtype:
            found = tensors.datatype_of(values.dtype) if isinstance(values, np.ndarray) else "BYTES"
            raise refused(f"inputs[{spec.name}].datatype", tensors.datatype_of(spec.dtype), found)
        columns[spec.name] = values
    try:
        outputs = await model.run(columns, rows)
    except (state.InvalidArgument, state.Fail, state.RuntimeException, state.EPFail) as error:  # an index beyond the vocabulary, say
        raise refused("inputs", "numbers the program can take", "others") from error
    return {name: (list(array.shape), array) for name, array in outputs.items()}


def _response(model: Model, encoded: bool, request: Infer, outputs: Mapping[str, tuple[list[int], Values]]) -> Response:
    default = request.parameters.get("binary_data_output") is True
    wanted = [(w.name, w.parameters.get("binary_data", default) is True) for w in request.outputs] or [(name, default) for name in outputs]
    entries: list[dict[str, Any]] = []
    blobs: list[bytes] = []
    for name, binary in wanted:
        shape, values = outputs[name]
        entry: dict[str, Any] = _metadata(name, tensors.datatype_of(values.dtype) if isinstance(values, np.ndarray) else "BYTES", shape)
        if binary:
            blobs.append(tensors.write_binary(values))
            entry["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            entry["data"] = tensors.write_json(values)
        entries.append(entry)
    head = {"model_name": model.kind + (TENSORS if encoded else ""), "model_version": model.version, "outputs": entries}
    text = msgspec.json.encode({**head, "id": request.id} if request.id else head)
    if not blobs:
        return Response(text, media_type="application/json")
    return Response(b"".join([text, *blobs]), headers={HEADER_LENGTH: str(len(text))}, media_type="application/octet-stream")


def _look(model: Model, encoded: bool, max_rows: int, request: Infer) -> None:
    """The right names, as many rows in each and not too many, and in encoded tensors the program's own shapes."""
    shapes = {s.name: s.shape for s in model.predictor.inputs[PROGRAM]} if encoded else dict.fromkeys(model.schema.inputs)
    names = dict.fromkeys(tensor.name for tensor in request.inputs)
    if set(names) != set(shapes):
        raise refused("inputs", f"exactly: {', '.join(shapes)}", ", ".join(name[:60] for name in list(names)[:20]) or "nothing")
    _rows(request, max_rows)
    for tensor in request.inputs:
        shape = shapes[tensor.name]
        if shape is not None and (len(tensor.shape) != len(shape) or any(w not in (None, h) for w, h in zip(shape, tensor.shape, strict=True))):
            raise refused(f"inputs[{tensor.name}].shape", str([-1 if d is None else d for d in shape]), str(tensor.shape[:9])[:80])


def _rows(request: Infer, most: int) -> int:
    counts = {tensor.shape[0] if tensor.shape else 0 for tensor in request.inputs}
    if len(counts) != 1:
        raise refused("inputs", "the same first length in every shape", ", ".join(map(str, sorted(counts))))
    rows = counts.pop()
    if rows > most:
        raise refused("inputs", f"at most {most} rows", str(rows))
    return rows


def _elements(values: Values) -> list[Any]:
    return values.ravel().tolist() if isinstance(values, np.ndarray) else list(values)


def _raw_value(field: Field, value: Any, where: str) -> Any:
    if isinstance(field, Number):
        return field.from_json(None if isinstance(value, float) and math.isnan(value) else value, where)
    if isinstance(field, (Audio, Image)) and isinstance(value, bytes):
        field.check(value, where)
        return value
    if isinstance(value, bytes):
        try:
            value = value.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(where, expected="text in UTF-8", found=f"{len(value)} bytes of something else", fix="Encode the text as UTF-8.") from error
    return field.from_json(value, where)


def _typed(field: Field, values: list[Any]) -> tuple[list[int], Values]:
    if isinstance(field, Number):
        array = np.array([np.nan if v is None else v for v in values], np.int64 if field.integer and not field.missing else np.float64)
        return [len(values)], array
    if isinstance(field, Scores):
        return [len(values), len(field.names)], np.array([[row[name] for name in field.names] for row in values], np.float64)
    return [len(values)], ["" if v is None else str(v) for v in map(field.to_json, values)]


def _field_metadata(name: str, field: Field) -> dict[str, Any]:
    if isinstance(field, Number):
        return _metadata(name, "INT64" if field.integer and not field.missing else "FP64", [-1])
    if isinstance(field, Scores):
        return {**_metadata(name, "FP64", [-1, len(field.names)]), "parameters": {"names": list(field.names)}}
    return _metadata(name, "BYTES", [-1])


def _metadata(name: str, datatype: str, shape: list[int]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape}
