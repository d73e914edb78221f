"""S2: whatever bytes arrive, a reader answers or says a ThujaError; it never falls over, hangs, or takes memory that its limits do not allow.

The long tier is atheris (libFuzzer), each reader in a process of its own with its memory and time per input limited, guided by which lines it reaches:
`python -m reliability.fuzz READER FOLDER SECONDS`. The short tier changes the same seeds by hand, without a guide.
"""

import asyncio
import importlib.util
import json
import math
import os
import random
import re
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import numpy as np

from reliability.outcome import Control, Harness, Outcome
from thuja.core.errors import MissingExtra, ThujaError
from thuja.fields import Category, Image, Number, Schema, Text

SECONDS = 600
"""Of processor time, over all readers, in the long tier."""
LARGEST = 1 << 14
MEMORY_MB = 1500
INPUT_S = 10
Reader = Callable[[bytes], object]
SCHEMA = Schema(inputs={"age": Number(missing=True), "city": Category(names=("Bonn", "Lima"), unknown=True), "note": Text(max_characters=1000),
                        "photo": Image(max_pixels=1 << 16)}, outputs={})
ALONE = Schema(inputs={"photo": Image(max_pixels=1 << 16)}, outputs={})


def read_body(data: bytes) -> object:
    """A JSON request."""
    from thuja.server.wire import read_json

    return read_json(data, SCHEMA, 16)


def read_form(data: bytes) -> object:
    """A form, with a picture in it perhaps."""
    from starlette.datastructures import Headers

    from thuja.server.wire import read

    return asyncio.run(read(data, Headers({"content-type": "multipart/form-data; boundary=b"}), SCHEMA, 16))


def read_tensors(data: bytes) -> object:
    """An inference request; the first two bytes say how long its JSON is."""
    from thuja.server.tensors import read

    length = int.from_bytes(data[:2], "little")
    return read(data[2:], str(length) if length else None, 1 << 16)


def read_spec(data: bytes) -> object:
    """A spec, from YAML to a checked value."""
    from thuja.core.document import read_yaml
    from thuja.spec import from_document

    return from_document(read_yaml(data.decode("utf-8", "surrogateescape"), "spec"))


def read_log(data: bytes) -> object:
    """A log on disk."""
    from thuja.core.log import read

    return read(_written("log.jsonl", data))


def read_manifest(data: bytes) -> object:
    """An artefact whose manifest is this."""
    from thuja.artifact.folder import Artifact

    return Artifact.open(_written("manifest.json", data).parent)


def read_program(data: bytes) -> object:
    """An ONNX file."""
    from thuja.artifact.onnxscan import scan

    return scan(data, "x.onnx")


def read_picture(data: bytes) -> object:
    """A picture file, header and pixels."""
    return ALONE.inputs["photo"].decode(data, "photo")  # type: ignore[union-attr]


def read_trusting(data: bytes) -> object:
    """The planted bug: an inference request whose shapes and datatypes nobody looks at."""
    with patch("thuja.server.tensors._elements", lambda tensor, most: math.prod(tensor.shape)):
        return read_tensors(data)


def _written(name: str, data: bytes) -> Path:
    path = Path(tempfile.gettempdir()) / f"thuja-fuzz-{os.getpid()}" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path


class Target(NamedTuple):
    """A reader and where to begin."""

    read: Reader
    seeds: Callable[[], list[bytes]]


def _photos() -> list[bytes]:
    from io import BytesIO

    from PIL import Image as Pillow

    out = []
    for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM"):
        file = BytesIO()
        Pillow.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(file, kind)
        out.append(file.getvalue())
    return out + Image().fake(np.random.default_rng(0), 8)[1:3]


def _program() -> list[bytes]:
    from onnx import TensorProto, helper, numpy_helper

    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"]), helper.make_node("Constant", [], ["c"], value_ints=[1, 2]),
             helper.make_node("Expand", ["y", "c"], ["z"])]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])],
                              [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)], [numpy_helper.from_array(np.ones((2, 1), np.float32), "w")])
    return [helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9).SerializeToString()]


def _tensors() -> list[bytes]:
    plain = {"inputs": [{"name": "a", "shape": [2, 1], "datatype": "FP32", "data": [[0.5], [None]]}], "id": "x", "outputs": [{"name": "y"}]}
    texts = b"\x02\0\0\0hi\x01\0\0\0x"
    head = json.dumps({"inputs": [{"name": "b", "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": len(texts)}}]}).encode()
    numbers = json.dumps({"inputs": [{"name": "c", "shape": [2], "datatype": "BOOL", "parameters": {"binary_data_size": 2}}]}).encode()
    return [b"\0\0" + json.dumps(plain).encode(), struct.pack("<H", len(head)) + head + texts, struct.pack("<H", len(numbers)) + numbers + b"\0\2"]


def _forms() -> list[bytes]:
    part = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    whole = part % (b"age", b"3.5") + part % (b"city", b"Bonn") + part % (b"note", b"x") + part % (b'photo"; filename="p.png', _photos()[0]) + b"--b--\r\n"
    return [whole, part % (b"age", b"1e999") + b"--b--\r\n"]


def _manifest() -> list[bytes]:
    from thuja.artifact.folder import FileEntry, Manifest

    made = Manifest(thuja=1, kind="table", created=1.0, files={"codec.json": FileEntry(sha256="0" * 64, bytes=2)}, digest="", seal="")
    made = made.model_copy(update={"digest": made.identity()})
    return [made.model_copy(update={"seal": made.sealed()}).render(), b'{"thuja": 1}']


def _log() -> list[bytes]:
    from thuja.core.log import frame

    return [frame({"event": "step", "loss": 0.5}) + frame({"event": "look", "é": [1, None, {}]}), frame({}) + b"561bacaf 7 {"]


SPEC = """thuja: 1
task: {kind: table, target: bought, positive: yes, model: {kind: mlp}}
data: {path: people.csv, split: [0.7, 0.15, 0.15], drop: &d [a, b], columns: *d}
train: {steps: 100, batch: 32, optimizer: {kind: adamw, learning_rate: 1e-3}}
"""
TARGETS: dict[str, Target] = {
    "body": Target(read_body, lambda: [b'{"age": 3, "city": "Bonn", "note": "a\\u00e9", "photo": "iVBORw0KGgo="}', b'{"rows": [{"age": null}, {}]}', b"[[1]]"]),
    "form": Target(read_form, _forms), "tensors": Target(read_tensors, _tensors), "spec": Target(read_spec, lambda: [SPEC.encode(), b"a: [1, {b: 2}]\n"]),
    "log": Target(read_log, _log), "manifest": Target(read_manifest, _manifest), "program": Target(read_program, _program),
    "picture": Target(read_picture, _photos),
}


PLANTED = "planted"
EVERY = TARGETS | {PLANTED: Target(read_trusting, _tensors)}


def one(read: Reader, data: bytes) -> str:
    """What is wrong with how a reader took some bytes; empty if nothing is."""
    try:
        read(data)
    except ThujaError:
        return ""
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
        return f"{type(error).__name__}: {error}"[:200]
    return ""


def changed(seed: bytes, rng: random.Random) -> bytes:
    """A seed with a few bytes changed, taken out, doubled or put in."""
    data = bytearray(seed)
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(6):
            case 0 if data:
                data[at % len(data)] ^= 1 << rng.randrange(8)
            case 1:
                data[at:at] = rng.choice((b"\xff", b"\0", b'"', b"{", b"]", b"1e999", b"\xed\xa0\x80", b"-", b"\\", b"\n", b"null", b"9" * 30, b": ", b"&a "))
            case 2:
                del data[at : at + rng.randrange(1, 9)]
            case 3:
                data[at:at] = data[at : at + rng.randrange(1, 40)]
            case 4:
                del data[at:]
            case _:
                data[at : at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\0\0\0\x80", b"\x7f\xff\xff\xff", bytes(4)))
    return bytes(data[:LARGEST])


def by_hand(name: str, trials: int, rng: random.Random) -> list[str]:
    """Changed seeds for one reader; the findings."""
    target = EVERY[name]
    seeds = target.seeds()
    tried = [*seeds, b"", *(changed(rng.choice(seeds), rng) for _ in range(trials))]
    return [f"{name}: {wrong} on {data[:60]!r}" for data in tried if (wrong := one(target.read, data))]


def guided(name: str, seconds: int, seed: int) -> tuple[int, list[str]]:
    """Let atheris look for a while in a process of its own. Returns: inputs tried, findings."""
    with tempfile.TemporaryDirectory() as folder:
        for i, data in enumerate(EVERY[name].seeds()):
            (Path(folder) / f"seed{i}").write_bytes(data)
        command = [sys.executable, "-m", "reliability.fuzz", name, folder, str(seconds), str(seed)]
        done = subprocess.run(command, capture_output=True, cwd=folder, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}, check=False)
        said = (done.stdout + done.stderr).decode("utf-8", "replace")  # atheris tells of an exception on the first, libFuzzer of its end on the second
    tried = re.search(r"number_of_executed_units: *(\d+)", said)
    found = re.search(r"(=== Uncaught Python exception: ===\n.*|.*ERROR: libFuzzer: .*)", said)
    count = int(tried.group(1)) if tried else 0
    if done.returncode == 0 and count:
        return count, []
    tail = said.strip().splitlines()[-1:] or [""]
    return count, [f"{name}: {found.group(1) if found else tail[0]}"[:400]]


def fuzz(name: str, folder: str, seconds: str, seed: str) -> None:
    """The child: ends the process."""
    import atheris

    with atheris.instrument_imports(include=["thuja", "msgspec", "PIL", "multipart", "python_multipart", "ruamel"]):
        import thuja.artifact.folder
        import thuja.core.document
        import thuja.core.log
        import thuja.server.tensors
        import thuja.server.wire  # noqa: F401 - instrumented by being imported
    read = EVERY[name].read
    for data in EVERY[name].seeds():
        one(read, data)  # what is imported on first use is no part of the time for one input

    def test(data: bytes) -> None:
        try:
            read(data)
        except ThujaError:
            return

    options = [f"-max_total_time={seconds}", f"-seed={int(seed) % (1 << 31) or 1}", f"-max_len={LARGEST}", f"-rss_limit_mb={MEMORY_MB}",
               f"-timeout={INPUT_S}", "-print_final_stats=1", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *options, folder], test)
    atheris.Fuzz()


def require() -> None:
    """Raises: MissingExtra where atheris is not installed."""
    if importlib.util.find_spec("atheris") is None:
        raise MissingExtra("S2", expected="atheris", found="not installed", fix="Type: pip install 'thuja[fuzz]'.")


def run(trials: int, rng: random.Random) -> Outcome:
    """Few trials: seeds changed by hand. Many: ten minutes of atheris over the readers."""
    failures, number, long = list[str](), 0, trials >= SHORT * 10
    if long:
        require()
    for name in TARGETS:
        each = trials // len(TARGETS)
        tried, found = guided(name, SECONDS // len(TARGETS), rng.getrandbits(31)) if long else (each, by_hand(name, each, rng))
        number, failures = number + tried, failures + found
    caught = sum(bool(by_hand(PLANTED, 3000, rng)) for _ in range(3)) + (long and bool(guided(PLANTED, 20, 1)[1]))
    control = Control("an inference request whose shapes and datatypes nobody looks at", 3 + long, caught)
    return Outcome(number, failures, control, {"readers": len(TARGETS)})


SHORT = 160
HARNESSES = (Harness("S2", "any bytes are read or refused by every reader of what strangers send", run, short=SHORT, long=1_000_000),)

if __name__ == "__main__":
    fuzz(*sys.argv[1:5])
