"""Refuse ONNX files that point outside themselves, before any runtime sees them; standard library only.

External data have been a way to read arbitrary files in four advisories (CVE-2022-25882, CVE-2024-27318, CVE-2026-27489, GHSA-q56x-g2fj-4rj6), and a
runtime that is given bytes resolves them against the working directory. The serving environment has no `onnx` package, so the protobuf wire format
is walked here: only the messages that can hold a tensor are entered, everything else is skipped by its length.

Source: field numbers from onnx.proto (onnx 1.17 to 1.20); wire format from the Protocol Buffers encoding guide.
"""

from collections.abc import Iterator

from thuja.core.errors import ArtifactError

_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "function": {7: "node", 11: "attribute"},
    "training": {1: "graph", 2: "graph"},
}
"""For each message, which fields hold a message that may (in the end) hold a tensor."""

_EXTERNAL_DATA, _DATA_LOCATION = 13, 14


def refuse_external_data(model: bytes, where: str) -> None:
    """Pass an ONNX model whose tensors are all inside it. Raises: ArtifactError for one with external data, and for what is no ONNX file."""
    view = memoryview(model)
    todo = [("model", 0, len(view))]
    graphs = 0
    while todo:
        message, start, end = todo.pop()
        for field, low, high in _fields(view, start, end, where):
            if message == "tensor":
                if field == _EXTERNAL_DATA or (field == _DATA_LOCATION and view[low] != 0):
                    raise ArtifactError(where, expected="all numbers inside the file", found="a tensor kept in another file",
                                        fix="Do not use this artefact: it was not written by Thuja.")
            elif field in _INSIDE[message]:
                graphs += message == "model" and field == 7
                todo.append((_INSIDE[message][field], low, high))
    if graphs != 1:
        raise _no_onnx(where)


def _fields(view: memoryview, start: int, end: int, where: str) -> Iterator[tuple[int, int, int]]:
    """The fields of one message as (number, first byte of the value, end of the value)."""
    at = start
    while at < end:
        key, at = _varint(view, at, end, where)
        match key & 7:
            case 0:
                low = at
                _, at = _varint(view, at, end, where)
            case 1:
                low, at = at, at + 8
            case 2:
                length, low = _varint(view, at, end, where)
                at = low + length
            case 5:
                low, at = at, at + 4
            case _:
                raise _no_onnx(where)
        if at > end or key >> 3 == 0:
            raise _no_onnx(where)
        yield key >> 3, low, at


def _varint(view: memoryview, at: int, end: int, where: str) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        byte = view[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise _no_onnx(where)


def _no_onnx(where: str) -> ArtifactError:
    return ArtifactError(where, expected="an ONNX model", found="damaged bytes", fix="Export the artefact again.")
