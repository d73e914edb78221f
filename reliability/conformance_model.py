"""A model behind a server that speaks the Open Inference Protocol: how it is asked, how answers are read and compared (`reliability/conformance.py`)."""

import base64
import copy
import json
import math
import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

SIZES = {"BOOL": 1, "UINT8": 1, "UINT16": 2, "UINT32": 4, "UINT64": 8, "INT8": 1, "INT16": 2, "INT32": 4, "INT64": 8, "FP16": 2, "FP32": 4, "FP64": 8}
FORMATS = {"BOOL": "?", "UINT8": "B", "UINT16": "H", "UINT32": "I", "UINT64": "Q", "INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q", "FP16": "e",
           "FP32": "f", "FP64": "d"}
LENGTH = "inference-header-content-length"
Json = dict[str, Any]


class Reply(NamedTuple):
    """An answer as it came."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


Ask = Callable[[str, str, bytes, Mapping[str, str]], Reply]
"""Method, path, body, headers."""


class Deviation(AssertionError):
    """What was expected and what was found."""


class Model:
    """A model behind a server, and a request that it can answer."""

    def __init__(self, ask: Ask, name: str, sample: Json | None = None) -> None:
        self.ask, self.name = ask, name
        self.path = f"/v2/models/{name}"
        self.metadata: Json = _json(ask("GET", self.path, b"", {}))
        self.request = sample or {"inputs": [made_up(tensor) for tensor in self.metadata["inputs"]]}
        self.raw: dict[str, bytes] = {}
        """What a text of the request means as bytes, where that is not its UTF-8: from {"b64": ...} in a sample."""
        for tensor in self.request["inputs"]:
            for i, value in enumerate(tensor["data"]):
                if isinstance(value, dict):
                    tensor["data"][i] = value["b64"]
                    self.raw[value["b64"]] = base64.b64decode(value["b64"])

    @property
    def binary(self) -> bool:
        """Whether the server says that it takes binary tensors."""
        return "binary_tensor_data" in _json(self.ask("GET", "/v2", b"", {})).get("extensions", ())

    def infer(self, request: Any, blobs: bytes = b"", path: str = "", **headers: str) -> Reply:
        """POST an inference request; plain JSON, or JSON and then `blobs`."""
        text = request if isinstance(request, bytes) else json.dumps(request).encode()
        kind = {"Content-Type": "application/json"}
        if blobs:
            kind = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(text))}
        return self.ask("POST", (path or self.path) + "/infer", text + blobs, kind | {k.replace("_", "-"): v for k, v in headers.items()})

    def packed(self, tensor: Json) -> tuple[Json, bytes]:
        """An input as binary: its JSON and its bytes."""
        values = _flat(tensor["data"])
        if tensor["datatype"] == "BYTES":
            texts = [self.raw.get(v, v.encode()) for v in values]
            blob = b"".join(struct.pack("<I", len(text)) + text for text in texts)
        else:
            blob = struct.pack(f"<{len(values)}{FORMATS[tensor['datatype']]}", *values)
        return {k: v for k, v in tensor.items() if k != "data"} | {"parameters": {"binary_data_size": len(blob)}}, blob

    def in_binary(self) -> tuple[Json, bytes]:
        """The request with all inputs as binary."""
        pairs = [self.packed(tensor) for tensor in self.request["inputs"]]
        return {**self.request, "inputs": [head for head, _ in pairs]}, b"".join(blob for _, blob in pairs)

    def changed(self, **first: Any) -> Json:
        """The request with other values in its first input."""
        request = copy.deepcopy(self.request)
        request["inputs"][0] |= first
        return request


def made_up(tensor: Json) -> Json:
    """Zeros, or empty texts, for an input: one where a length may vary."""
    shape = [1 if length < 0 else length for length in tensor["shape"]]
    zero: Any = "" if tensor["datatype"] == "BYTES" else False if tensor["datatype"] == "BOOL" else 0
    return {"name": tensor["name"], "datatype": tensor["datatype"], "shape": shape, "data": [zero] * math.prod(shape)}


def twice(request: Json) -> Json:
    """The same rows again after themselves."""
    return {**request, "inputs": [t | {"shape": [2 * t["shape"][0], *t["shape"][1:]], "data": _flat(t["data"]) * 2} for t in request["inputs"]]}


def nested(flat: list[Any], shape: list[int]) -> list[Any]:
    """Flat data as lists in lists."""
    for length in shape[:0:-1]:
        flat = [flat[i : i + length] for i in range(0, len(flat), length)]
    return flat


def unpacked(reply: Reply) -> Json:
    """An answer with its binary outputs read back as data."""
    length = reply.headers.get(LENGTH)
    want(length is not None and length.isdigit(), f"the header {LENGTH}", str(length))
    head, rest = json.loads(reply.body[: int(length or 0)]), reply.body[int(length or 0) :]
    for output in head["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        if size is None:
            continue
        blob, rest = rest[:size], rest[size:]
        count, kind = math.prod(output["shape"]), output["datatype"]
        output["data"] = _texts(blob) if kind == "BYTES" else list(struct.unpack(f"<{count}{FORMATS[kind]}", blob))
    want(not rest, "no bytes after the last output", f"{len(rest)}")
    return dict(head)


def _texts(blob: bytes) -> list[str]:
    out = []
    while blob:
        (size,) = struct.unpack_from("<I", blob)
        out.append(blob[4 : 4 + size].decode())
        blob = blob[4 + size :]
    return out


def _flat(data: Any) -> list[Any]:
    return [v for part in data for v in (_flat(part) if isinstance(part, list) else [part])]


def want(holds: bool, expected: str, found: str) -> None:
    """Raises: Deviation unless it holds."""
    if not holds:
        raise Deviation(f"expected {expected}, found {found[:300]}")


def _strict(text: bytes) -> Any:
    def refuse(name: str) -> Any:
        raise Deviation(f"expected JSON, found {name} in it")

    return json.loads(text, parse_constant=refuse)


def _json(reply: Reply, status: int = 200) -> Json:
    want(reply.status == status, f"status {status}", f"{reply.status}: {reply.body[:200]!r}")
    want(reply.headers.get("content-type", "").startswith("application/json"), "content type application/json", str(reply.headers.get("content-type")))
    value = _strict(reply.body)
    want(isinstance(value, dict), "an object", repr(value))
    return dict(value)


def answered(reply: Reply) -> Json:
    """The JSON of a good answer."""
    return _json(reply)


def refused(reply: Reply) -> None:
    """A 4xx whose body is `{"error": "..."}`."""
    want(400 <= reply.status < 500, "status 4xx", f"{reply.status}: {reply.body[:200]!r}")
    text = _json(reply, reply.status).get("error")
    want(isinstance(text, str) and bool(text), 'a text in "error"', repr(reply.body[:200]))


def outputs(answer: Json) -> dict[str, tuple[str, list[int], list[Any]]]:
    """Outputs by name, their data flat."""
    return {o["name"]: (o["datatype"], o["shape"], _flat(o["data"])) for o in answer["outputs"]}


def close(first: Json, second: Json, expected: str) -> None:
    """Two answers with the same outputs. Numbers may differ by rounding."""
    a, b = outputs(first), outputs(second)
    same = a.keys() == b.keys() and all(a[n][:2] == b[n][:2] and len(a[n][2]) == len(b[n][2]) and all(
        x == y or (isinstance(x, float) and math.isclose(x, y, rel_tol=1e-4, abs_tol=1e-5)) for x, y in zip(a[n][2], b[n][2], strict=True)) for n in a)
    want(same, expected, f"{a} and {b}")
