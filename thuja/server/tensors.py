"""Tensors on the wire, as the Open Inference Protocol writes them: JSON data, or raw little-endian bytes after the JSON.

Source: Open Inference Protocol, REST (kserve/open-inference-protocol) and its binary tensor data extension (triton-inference-server/server).
Here `null` in JSON data of a float type means NaN, which JSON cannot write.
"""

import math
import struct
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from thuja.server.frugal import SMALL, within
from thuja.server.problem import Refusal

PARTS = 100_000
"""Most texts and objects in the JSON of a request: BYTES as JSON, names and parameters."""
Parameter = str | int | float | bool | None
DATATYPES: dict[str, str] = {"BOOL": "?", "UINT8": "u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "INT8": "i1", "INT16": "<i2", "INT32": "<i4",
                             "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8"}
"""Names of the protocol and numpy's; BYTES besides."""
_NAMES = {np.dtype(code): name for name, code in DATATYPES.items()}


class Tensor(msgspec.Struct):
    """An input as it arrives; `data` is not looked at before shape and type are known."""

    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Parameter] = {}
    data: msgspec.Raw = msgspec.Raw(b"")


class Wanted(msgspec.Struct):
    """An output that is asked for."""

    name: str
    parameters: dict[str, Parameter] = {}


class Infer(msgspec.Struct):
    """The JSON of an inference request."""

    inputs: list[Tensor]
    id: str = ""
    parameters: dict[str, Parameter] = {}
    outputs: list[Wanted] = []


_INFER = msgspec.json.Decoder(Infer)

Values = np.ndarray | list[bytes] | list[str]
"""A numeric tensor in its shape, or the flat elements of a BYTES one: bytes where they came as bytes, text where they came in JSON."""


def datatype_of(dtype: np.dtype[Any]) -> str:
    """The protocol's name of a numpy type.

    >>> datatype_of(np.dtype("float32")), datatype_of(np.dtype("int64"))
    ('FP32', 'INT64')
    """
    return _NAMES[dtype.newbyteorder("<")]


def read(body: bytes, header_length: str | None, max_elements: int, look: Callable[[Infer], None] | None = None) -> tuple[Infer, dict[str, Values]]:
    """A request and its tensors by name. `header_length` is the header Inference-Header-Content-Length, if there is one.

    Args:
        look: is shown the request before any data are read, and raises for what will not be answered anyway.
    Raises: Refusal 400 for anything that is not exactly what it says it is, 413 for one of too many parts.
    """
    length = len(body)
    if header_length is not None:
        if not (header_length.isdigit() and len(header_length) < 12 and int(header_length) <= len(body)):
            raise refused("header Inference-Header-Content-Length", f"a number from 0 to {len(body)}", repr(header_length[:40]))
        length = int(header_length)
    if not within(memoryview(body)[:length], PARTS):
        raise Refusal(413, "body", expected=f"at most {PARTS} texts and objects", found="more", fix="Send them in several requests, or as binary tensors.")
    try:
        request = _INFER.decode(memoryview(body)[:length])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:  # a ValidationError is a DecodeError
        raise refused("body", "an inference request", str(error)[:100]) from error
    counts = [_elements(tensor, max_elements) for tensor in request.inputs]
    if look is not None:
        look(request)
    tensors: dict[str, Values] = {}
    for tensor, count in zip(request.inputs, counts, strict=True):
        if tensor.name in tensors:
            raise refused(_place(tensor), "each input once", "two of that name")
        size = tensor.parameters.get("binary_data_size")
        if size is None:
            tensors[tensor.name] = _from_json(tensor, count)
            continue
        if type(size) is not int or not 0 <= size <= len(body) - length:
            raise refused(f"{_place(tensor)}.parameters.binary_data_size", f"a number from 0 to {len(body) - length}", repr(size)[:40])
        tensors[tensor.name] = _from_binary(tensor, body[length : length + size], count)
        length += size
    if length != len(body):
        raise refused("body", f"{length} bytes, as its inputs say", str(len(body)))
    return request, tensors


def write_json(values: Values) -> list[Any]:
    """Flat JSON data of an output."""
    return values.ravel().tolist() if isinstance(values, np.ndarray) else [v.decode() if isinstance(v, bytes) else v for v in values]


def write_binary(values: Values) -> bytes:
    """Raw bytes of an output: row-major, little-endian; elements of BYTES with their length before them."""
    if isinstance(values, np.ndarray):
        return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).tobytes()
    encoded = [v.encode() if isinstance(v, str) else v for v in values]
    return b"".join(struct.pack("<I", len(v)) + v for v in encoded)


def refused(where: str, expected: str, found: str) -> Refusal:
    """The 400 of this protocol."""
    return Refusal(400, where, expected=expected, found=found)


def _place(tensor: Tensor) -> str:
    return f"inputs[{tensor.name[:60]}]"


def _elements(tensor: Tensor, most: int) -> int:
    if tensor.datatype != "BYTES" and tensor.datatype not in DATATYPES:
        raise refused(f"{_place(tensor)}.datatype", f"one of {', '.join(DATATYPES)}, BYTES", repr(tensor.datatype[:40]))
    if not 1 <= len(tensor.shape) <= 8 or any(not 1 <= d <= most for d in tensor.shape):
        raise refused(f"{_place(tensor)}.shape", "1 to 8 lengths of at least 1", str(tensor.shape[:9])[:80])
    count = math.prod(tensor.shape)
    if count > most:
        raise refused(f"{_place(tensor)}.shape", f"at most {most} elements", "more")
    return count


def _from_binary(tensor: Tensor, data: bytes, count: int) -> Values:
    if tensor.data:
        raise refused(_place(tensor), "data or binary_data_size", "both")
    if tensor.datatype == "BYTES":
        return _strings(tensor, data, count)
    dtype = np.dtype(DATATYPES[tensor.datatype])
    if len(data) != count * dtype.itemsize:
        raise refused(f"{_place(tensor)}.parameters.binary_data_size", f"{count * dtype.itemsize} for {tensor.datatype} {tensor.shape}", str(len(data)))
    if tensor.datatype == "BOOL":  # any byte but 0 and 1 would be no bool to C
        data, dtype = bytes(map(bool, data)), np.dtype(np.bool_)
    array: np.ndarray = np.frombuffer(data, dtype).reshape(tensor.shape)
    return array


def _strings(tensor: Tensor, data: bytes, count: int) -> list[bytes]:
    out: list[bytes] = []
    place = 0
    while place < len(data) and len(out) < count:
        if place + 4 > len(data):
            break
        (size,) = struct.unpack_from("<I", data, place)
        if place + 4 + size > len(data):
            break
        out.append(data[place + 4 : place + 4 + size])
        place += 4 + size
    if place != len(data) or len(out) != count:
        raise refused(_place(tensor), f"{count} elements, each after its length", f"{len(data)} bytes that are not that")
    return out


def _from_json(tensor: Tensor, count: int) -> Values:
    if not tensor.data:
        raise refused(_place(tensor), "data or binary_data_size", "neither")
    if tensor.datatype != "BYTES" and len(tensor.data) > SMALL and bytes(tensor.data).count(b",") != count - 1:  # before they become objects
        raise refused(f"{_place(tensor)}.data", f"{count} elements for shape {tensor.shape}", "more or fewer")
    kind: Any = str if tensor.datatype == "BYTES" else bool if tensor.datatype == "BOOL" else float | None if tensor.datatype.startswith("FP") else int
    flat = _flat(tensor, kind)
    if len(flat) != count:
        raise refused(f"{_place(tensor)}.data", f"{count} elements for shape {tensor.shape}", str(len(flat)))
    if tensor.datatype == "BYTES":
        return flat
    dtype = np.dtype(DATATYPES[tensor.datatype])
    if dtype.kind == "f":
        flat = [math.nan if v is None else v for v in flat]
    try:
        with np.errstate(over="raise"):
            array: np.ndarray = np.array(flat, dtype).reshape(tensor.shape)
    except (OverflowError, FloatingPointError) as error:
        raise refused(f"{_place(tensor)}.data", f"numbers within {tensor.datatype}", "a larger one") from error
    return array


def _flat(tensor: Tensor, kind: Any) -> list[Any]:
    """The data, given flat or nested like the shape."""
    nested: Any = list[kind]
    try:
        flat: list[Any] = msgspec.json.decode(tensor.data, type=nested)
        return flat
    except msgspec.DecodeError as error:
        message = str(error)
    except RecursionError:
        message = "nested too deeply"
    for _ in tensor.shape[1:]:
        nested = list[nested]
    try:
        value: list[Any] = msgspec.json.decode(tensor.data, type=nested)
    except msgspec.DecodeError as error:
        raise refused(f"{_place(tensor)}.data", f"{tensor.datatype}, flat or nested like the shape", message[:100]) from error
    return _unnested(tensor, value)


def _unnested(tensor: Tensor, value: list[Any]) -> list[Any]:
    for depth in range(len(tensor.shape) - 1):
        if any(len(part) != tensor.shape[depth + 1] for part in value):
            raise refused(f"{_place(tensor)}.data", f"data nested like the shape {tensor.shape}", "lists of another length")
        value = [v for part in value for v in part]
    return value
