"""The questions of S12: titles and what is asked. `reliability/conformance_model.py` says of whom and how."""

import copy
import json
import math
from collections.abc import Callable
from typing import Any

from reliability.conformance_model import SIZES, Json, Model, answered, close, made_up, nested, outputs, refused, twice, unpacked, want

Check = Callable[[Model], None]
KINDS = (*SIZES, "BYTES")
STRANGER = "no-such-name"


def _metadata_tensors(model: Model, which: str) -> None:
    tensors = model.metadata[which]
    want(isinstance(tensors, list) and bool(tensors), "a list of tensors", repr(tensors))
    for tensor in tensors:
        want(isinstance(tensor["name"], str) and bool(tensor["name"]), "a name", repr(tensor))
        want(tensor["datatype"] in KINDS, "a datatype of the protocol", repr(tensor["datatype"]))
        want(all(type(d) is int and (d == -1 or d > 0) for d in tensor["shape"]), "lengths, -1 where they vary", repr(tensor["shape"]))


def _server(key: str, kind: type) -> Check:
    def check(model: Model) -> None:
        value = answered(model.ask("GET", "/v2", b"", {}))[key]
        want(isinstance(value, kind), f"{key}: {kind.__name__}", repr(value))

    return check


def _up(path: str) -> Check:
    return lambda model: want((status := model.ask("GET", path.format(model=model.name), b"", {}).status) == 200, "status 200", str(status))


def _good(model: Model) -> Json:
    return answered(model.infer(model.request))


def _one(holds: Callable[[Model, Json], bool], expected: str) -> Check:
    """Something true of the answer to a good request."""
    def check(model: Model) -> None:
        answer = _good(model)
        want(holds(model, answer), expected, json.dumps(answer))

    return check


def _as_described(place: int) -> Callable[[Model, Json], bool]:
    """Names, datatypes or shapes of outputs as the metadata say."""
    def holds(model: Model, answer: Json) -> bool:
        described, found = {o["name"]: o for o in model.metadata["outputs"]}, outputs(answer)
        if place == 0:
            return set(found) == set(described)
        if place == 1:
            return all(found[n][0] == described[n]["datatype"] for n in found)
        pairs = [(d["shape"], found[name][1]) for name, d in described.items()]
        return all(len(said) == len(have) and all(w in (-1, h) for w, h in zip(said, have, strict=True)) for said, have in pairs)

    return holds


def _whole(model: Model, answer: Json) -> bool:
    return all(len(data) == math.prod(shape) for _, shape, data in outputs(answer).values())


def _same(change: Callable[[Json], Json], expected: str) -> Check:
    """A request that means the same, and so has the same answer."""
    return lambda model: close(_good(model), answered(model.infer(change(copy.deepcopy(model.request)))), expected)


def _id(model: Model) -> None:
    for given in ("a", "ein Gruß", "0" * 64):
        found = answered(model.infer(model.request | {"id": given})).get("id")
        want(found == given, f"id {given!r}", repr(found))


def _rows(model: Model) -> None:
    one, two = outputs(_good(model)), outputs(answered(model.infer(twice(model.request))))
    for name, (_, shape, data) in one.items():
        want(two[name][1] == [2 * shape[0], *shape[1:]] and len(two[name][2]) == 2 * len(data), f"twice the rows of {name}", str(two[name][1]))


def _subset(model: Model) -> None:
    for output in model.metadata["outputs"]:
        found = list(outputs(answered(model.infer(model.request | {"outputs": [{"name": output["name"]}]}))))
        want(found == [output["name"]], f"only {output['name']}", repr(found))


def _bad(**first: Any) -> Check:
    """A request with something impossible in its first input."""
    return lambda model: refused(model.infer(model.changed(**first)))


def _broken(change: Callable[[Json], Any]) -> Check:
    return lambda model: refused(model.infer(change(copy.deepcopy(model.request))))


def _rank(model: Model) -> None:
    refused(model.infer(model.changed(shape=[*model.request["inputs"][0]["shape"], 1, 1])))


def _other_kind(model: Model) -> None:
    """Text where numbers belong, or the reverse."""
    tensor = model.request["inputs"][0]
    refused(model.infer(model.changed(**({"datatype": "FP32", "data": [0] * len(tensor["data"])} if tensor["datatype"] == "BYTES" else
                                         {"datatype": "BYTES", "data": ["x"] * len(tensor["data"])}))))


def _wrong_value(model: Model) -> None:
    tensor = model.request["inputs"][0]
    refused(model.infer(model.changed(data=[{"x": 1}] * max(1, len(tensor["data"])))))


def _kind(name: str, binary: bool) -> Check:
    """Any datatype of the protocol is answered or refused in the protocol's own form."""
    def check(model: Model) -> None:
        tensor = made_up(model.metadata["inputs"][0] | {"datatype": name, "shape": model.request["inputs"][0]["shape"]})
        request, blob = copy.deepcopy(model.request), b""
        if binary:
            if not model.binary:
                return
            request["inputs"][0], blob = model.packed(tensor)
        else:
            request["inputs"][0] = tensor
        reply = model.infer(request, blob)
        if reply.status == 200:
            answered(reply)
        else:
            refused(reply)

    return check


def _binary_in(model: Model) -> None:
    if model.binary:
        close(_good(model), answered(model.infer(*model.in_binary())), "the answer to the same request in JSON")


def _binary_out(model: Model) -> None:
    if model.binary:
        request = model.request | {"parameters": {"binary_data_output": True}}
        close(_good(model), unpacked(model.infer(request)), "the same answer in JSON")


def _binary_one(model: Model) -> None:
    if model.binary:
        names = [o["name"] for o in model.metadata["outputs"]]
        wanted = [{"name": name, "parameters": {"binary_data": i == 0}} for i, name in enumerate(names)]
        close(_good(model), unpacked(model.infer(model.request | {"outputs": wanted})), "the same answer in JSON")


def _binary_both(model: Model) -> None:
    if model.binary:
        head, blob = model.in_binary()
        close(_good(model), unpacked(model.infer(head | {"parameters": {"binary_data_output": True}}, blob)), "the same answer in JSON")


def _binary_bad(change: Callable[[Json, bytes], tuple[Json, bytes, dict[str, str]]]) -> Check:
    def check(model: Model) -> None:
        if model.binary:
            head, blob, headers = change(*model.in_binary())
            refused(model.infer(head, blob, **headers))

    return check


def _sized(size: Any) -> Check:
    def change(head: Json, blob: bytes) -> tuple[Json, bytes, dict[str, str]]:
        head["inputs"][0]["parameters"]["binary_data_size"] = size
        return head, blob, {}

    return _binary_bad(change)


def _header(value: str) -> Check:
    return _binary_bad(lambda head, blob: (head, blob, {"Inference_Header_Content_Length": value}))


def _get_infer(model: Model) -> None:
    reply = model.ask("GET", f"{model.path}/infer", b"", {})
    want(reply.status == 405, "status 405", str(reply.status))


def _versions(model: Model) -> None:
    for version in model.metadata.get("versions", ()):
        want(isinstance(version, str), "a version as text", repr(version))
        path = f"{model.path}/versions/{version}"
        want(answered(model.ask("GET", path, b"", {}))["name"] == model.name, "the same model", path)
        want(model.ask("GET", f"{path}/ready", b"", {}).status == 200, "ready", path)
        close(_good(model), answered(model.infer(model.request, path=path)), "the same answer by version")


def _stranger(method: str, path: str) -> Check:
    def check(model: Model) -> None:
        body = json.dumps(model.request).encode() if method == "POST" else b""
        refused(model.ask(method, path.format(model=model.name, stranger=STRANGER), body, {"Content-Type": "application/json"} if body else {}))

    return check


def _reversed(request: Json) -> Json:
    return request | {"inputs": request["inputs"][::-1]}


def _marked(request: Json) -> Json:
    request["inputs"][0]["parameters"] = {"a-parameter-nobody-knows": 1}
    return request


def _lists(request: Json) -> Json:
    for tensor in request["inputs"]:
        tensor["data"] = nested(tensor["data"], tensor["shape"])
    return request


CHECKS: dict[str, Check] = {
    "live": _up("/v2/health/live"), "ready": _up("/v2/health/ready"), "model ready": _up("/v2/models/{model}/ready"),
    "server: name": _server("name", str), "server: version": _server("version", str), "server: extensions": _server("extensions", list),
    "model: its name": lambda m: want(m.metadata["name"] == m.name, m.name, repr(m.metadata["name"])),
    "model: platform": lambda m: want(isinstance(m.metadata["platform"], str), "a text", repr(m.metadata)),
    "model: inputs": lambda m: _metadata_tensors(m, "inputs"), "model: outputs": lambda m: _metadata_tensors(m, "outputs"),
    "model: every version by its own path": _versions,
    "infer: the model's name": _one(lambda m, a: a["model_name"] == m.name, "model_name"),
    "infer: a version, if any, as text": _one(lambda m, a: isinstance(a.get("model_version", ""), str), "model_version"),
    "infer: outputs as described, names": _one(_as_described(0), "the outputs of the metadata"),
    "infer: outputs as described, datatypes": _one(_as_described(1), "the datatypes of the metadata"),
    "infer: outputs as described, shapes": _one(_as_described(2), "the shapes of the metadata"),
    "infer: as many values as the shape says": _one(_whole, "a value for every place"),
    "infer: id echoed": _id, "infer: no id unless one was sent": _one(lambda m, a: not a.get("id"), "no id"),
    "infer: two rows": _rows, "infer: nested data": _same(_lists, "the answer to flat data"),
    "infer: inputs in another order": _same(_reversed, "the same answer"),
    "infer: an empty list of outputs means all": _same(lambda r: r | {"outputs": []}, "all outputs"),
    "infer: only the outputs asked for": _subset,
    "infer: unknown parameters are passed over": _same(lambda r: r | {"parameters": {"a-parameter-nobody-knows": "x"}}, "the same answer"),
    "infer: unknown parameters of a tensor are passed over": _same(_marked, "the same answer"),
    "infer: a charset in the content type": lambda m: close(_good(m), answered(m.infer(m.request, Content_Type="application/json; charset=utf-8")), "the same"),
    "error: unknown model, metadata": _stranger("GET", "/v2/models/{stranger}"),
    "error: unknown model, ready": _stranger("GET", "/v2/models/{stranger}/ready"),
    "error: unknown model, infer": _stranger("POST", "/v2/models/{stranger}/infer"),
    "error: unknown version, metadata": _stranger("GET", "/v2/models/{model}/versions/{stranger}"),
    "error: unknown version, infer": _stranger("POST", "/v2/models/{model}/versions/{stranger}/infer"),
    "error: infer by GET": _get_infer,
    "error: no JSON": _broken(lambda r: b"{"), "error: an empty body": _broken(lambda r: b""), "error: a list": _broken(lambda r: []),
    "error: no UTF-8": _broken(lambda r: b'{"inputs": "\xff"}'),
    "error: NaN is no JSON": _broken(lambda r: json.dumps(r).encode().replace(b'"inputs"', b'"x": NaN, "inputs"', 1)),
    "error: no inputs": _broken(lambda r: {}), "error: an empty list of inputs": _broken(lambda r: {"inputs": []}),
    "error: an input missing": _broken(lambda r: r | {"inputs": r["inputs"][1:]}),
    "error: an input twice": _broken(lambda r: r | {"inputs": [*r["inputs"], r["inputs"][0]]}),
    "error: an unknown input": _bad(name=STRANGER),
    "error: an input too many": _broken(lambda r: r | {"inputs": [*r["inputs"], r["inputs"][0] | {"name": STRANGER}]}),
    "error: an id that is no text": _broken(lambda r: r | {"id": {"x": 1}}),
    "error: an unknown output": _broken(lambda r: r | {"outputs": [{"name": STRANGER}]}),
    "error: an unknown datatype": _bad(datatype="FP31"), "error: text for numbers, or numbers for text": _other_kind,
    "error: more places than values": _bad(shape=[977]), "error: a negative length": _bad(shape=[-1]), "error: no shape": _bad(shape=None),
    "error: a shape beyond counting": _bad(shape=[1 << 40, 1 << 40]), "error: a length beyond 64 bits": _bad(shape=[1 << 70]),
    "error: another rank": _rank, "error: values of another type": _wrong_value, "error: no data": _bad(data=None),
    "error: ragged data": _bad(data=[[0], [0, 0]]),
    "binary: in": _binary_in, "binary: out": _binary_out, "binary: one output": _binary_one, "binary: in and out": _binary_both,
    "binary error: bytes missing": _binary_bad(lambda head, blob: (head, blob[:-1] or b"\0", {})),
    "binary error: bytes too many": _binary_bad(lambda head, blob: (head, blob + b"\0", {})),
    "binary error: a negative size": _sized(-1), "binary error: a size that is no number": _sized("8"), "binary error: a size beyond the body": _sized(1 << 40),
    "binary error: a header length beyond the body": _header("999999999"), "binary error: a header length that is no number": _header("x"),
    "binary error: a negative header length": _header("-1"),
    **{f"datatype {name}": _kind(name, False) for name in KINDS}, **{f"datatype {name}, binary": _kind(name, True) for name in KINDS},
}
