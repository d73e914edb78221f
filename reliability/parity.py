"""E1 and E3: what training code, artefact and server make of the same input is the same.

E1: made-up rows, odd ones among them, asked alone, in threes and in seventeens: torch against onnxruntime, array by array, and against the server, value by
value. E3: files. Training reads a picture from its path as a Source gives it; the server gets its bytes as a body, as a form, as base64 or as a tensor.
"""

import base64
import json
import os
import random
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np

from reliability import applications
from reliability.hostile import Forgetful
from reliability.inprocess import Client, asked
from reliability.outcome import Control, Harness, Outcome
from thuja.artifact import folder
from thuja.artifact.folder import Artifact
from thuja.artifact.runtime import Predictor
from thuja.codec import Arrays, Codec, Columns, take
from thuja.core.errors import BadRows
from thuja.core.seeds import stream
from thuja.fields import Image, Number, Scores
from thuja.run import Run
from thuja.server.app import create_app
from thuja.server.settings import ServeSettings
from thuja.task import Program

SIZES = (1, 3, 17)
RELATIVE, ABSOLUTE = 1e-3, 1e-5
"""As ONNX's own backend tests compare, with a firmer absolute bound than PyTorch's exporter check needs."""
PICTURES = (".jpg", ".jpeg", ".png")
JSON = {"Content-Type": "application/json"}


class Trained(NamedTuple):
    """What training made, in torch."""

    codec: Codec
    program: Program

    def answers(self, columns: Columns) -> Arrays:
        """The program's outputs as torch computes them."""
        from thuja.training.look import answers

        return answers({"predict": self.program}, columns)


def trained(artifact: Path) -> Trained:
    """The run that an artefact lies in, opened in torch."""
    from thuja.spec import parse
    from thuja.training.checkpoint import load_model

    run = Run(artifact.parent)
    spec, codec = parse(run.spec_data(), "spec"), run.codec()
    model = spec.task.build(codec)
    load_model(run.best_checkpoint(), model)
    return Trained(codec, spec.task.programs(model.eval(), codec)["predict"])


def usable(codec: Codec, count: int, seed: int) -> dict[str, list[Any]]:
    """Made-up rows without those that the codec refuses."""
    rows = {name: field.fake(stream(seed, "parity"), count) for name, field in codec.schema().inputs.items()}
    try:
        codec.encode(rows)
    except BadRows as error:
        rows = {name: [v for i, v in enumerate(values) if i not in error.rows] for name, values in rows.items()}
    return rows


def apart(expected: Arrays, found: Arrays, place: str) -> list[str]:
    """Arrays that are not close."""
    out = []
    for name, array in expected.items():
        far = ~np.isclose(found[name], array, rtol=RELATIVE, atol=ABSOLUTE)
        if found[name].shape != array.shape or far.any():
            out.append(f"{place}, {name}: {np.abs(found[name] - array).max():.3g} apart")
    return out


def unlike(codec: Codec, expected: dict[str, Any], found: dict[str, Any]) -> str:
    """What differs between two typed answers to one row, empty if nothing does; two classes closer than the tolerance are a tie."""
    for name, field in codec.schema().outputs.items():
        one, two = expected[name], found.get(name)
        if isinstance(field, Scores):
            same = two is not None and all(np.isclose(two[k], v, rtol=RELATIVE, atol=ABSOLUTE) for k, v in one.items())
        elif isinstance(field, Number):
            same = two is not None and bool(np.isclose(two, one, rtol=RELATIVE, atol=ABSOLUTE))
        else:
            scores = next((s for n, s in expected.items() if isinstance(codec.schema().outputs[n], Scores)), {})
            same = one == two or abs(scores.get(one, 0.0) - scores.get(two, 1.0)) <= ABSOLUTE
        if not same:
            return f"{name}: {two} instead of {one}"
    return ""


def batches(count: int) -> Iterator[np.ndarray]:
    """Every row alone, in threes and in seventeens."""
    for size in SIZES:
        for start in range(0, count, size):
            yield np.arange(start, min(start + size, count))


async def _over_http(made: Trained, rows: dict[str, list[Any]], expected: list[dict[str, Any]], client: Client) -> list[str]:
    """The same rows as JSON, in the same batches."""
    fields = made.codec.schema().inputs
    failures = []
    for index in batches(len(expected)):
        sent = [{name: field.to_json(rows[name][i]) for name, field in fields.items()} for i in index]
        answer = await client.ask("POST", "/predict", json.dumps({"rows": sent}).encode(), JSON)
        if answer.status != 200:
            failures.append(f"the server refused rows {index.tolist()}: {answer.body[:200]!r}")
            continue
        for i, found in zip(index, json.loads(answer.body)["rows"], strict=True):
            if wrong := unlike(made.codec, expected[i], found):
                failures.append(f"server, row {i} among {len(index)}: {wrong}")
    return failures


def compared(made: Trained, artifact: Path, count: int, seed: int) -> list[str]:
    """E1 for one application."""
    rows = usable(made.codec, count, seed)
    columns = made.codec.encode(rows)
    right = made.answers(columns)
    predictor = Predictor(Artifact.open(artifact))
    failures = []
    total = len(next(iter(rows.values())))
    for index in batches(total):
        part = {name: array[index] for name, array in right.items()}
        failures += apart(part, predictor.run(take(columns, index)), f"onnxruntime, rows {index.tolist()[:3]} of {len(index)}")
    typed = made.codec.decode(right)
    expected = [{name: typed[name][i] for name in typed} for i in range(total)]
    return failures + asked(create_app(artifact, ServeSettings()), partial(_over_http, made, rows, expected))


@contextmanager
def shifted(artifact: Path) -> Iterator[Path]:
    """The planted bug: an artefact whose largest weight is two per cent larger than what was trained."""
    import onnx
    from onnx import numpy_helper

    files = {p.name: p.read_bytes() for p in artifact.iterdir() if p.name != folder.MANIFEST}
    model = onnx.load_model_from_string(files["predict.onnx"])
    weights = [t for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT and len(t.dims) >= 2]
    for tensor in weights:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(1.02), tensor.name))
    with tempfile.TemporaryDirectory() as place:
        files["predict.onnx"] = model.SerializeToString()
        folder.write(Path(place) / "artifact", files, kind="shifted", disk=Forgetful())
        yield Path(place) / "artifact"


def run_programs(trials: int, rng: random.Random) -> Outcome:
    """E1: about `trials` rows, shared among the applications."""
    failures, number, caught = list[str](), 0, 0
    places = applications.artifacts()
    for name, path in places.items():
        made, each = trained(path), max(1, trials // len(places))
        number += each
        failures += [f"{name}: {line}" for line in compared(made, path, each, rng.getrandbits(30))]
        with shifted(path) as wrong:
            caught += bool(compared(made, wrong, 10, rng.getrandbits(30)))
    control = Control("weights two per cent larger than those that were trained", len(places), caught)
    return Outcome(number, failures, control, {"asked alone, in threes and in seventeens": 3 * number})


def files(count: int, place: Path, rng: random.Random) -> tuple[list[Path], str]:
    """Picture files: of the real data where there are any, else those of the demo."""
    root = Path(os.environ.get("THUJA_DATA", ""))
    found = sorted(p for p in root.glob("*/**/*") if p.suffix.lower() in PICTURES) if os.environ.get("THUJA_DATA") else []
    kind = "of the real data sets"
    if len(found) < count:
        found, kind = sorted(p for p in applications.cells(place).parent.rglob("*") if p.suffix in PICTURES), "of the demo"
    return rng.sample(found, min(count, len(found))), kind


def ways(name: str) -> dict[str, Callable[[bytes], tuple[str, bytes, dict[str, str]]]]:
    """How the bytes of a picture reach a server: path, body, headers."""
    def form(data: bytes) -> tuple[str, bytes, dict[str, str]]:
        head = f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="x"\r\n\r\n'.encode()
        return "/predict", head + data + b"\r\n--b--\r\n", {"Content-Type": "multipart/form-data; boundary=b"}

    def tensor(data: bytes) -> tuple[str, bytes, dict[str, str]]:
        blob = struct.pack("<I", len(data)) + data
        head = json.dumps({"inputs": [{"name": name, "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": len(blob)}}]}).encode()
        return "/v2/models/image-classification/infer", head + blob, {"Inference-Header-Content-Length": str(len(head))}

    return {"body": lambda data: ("/predict", data, {"Content-Type": "image/jpeg"}), "form": form, "tensor": tensor,
            "base64": lambda data: ("/predict", json.dumps({name: base64.b64encode(data).decode()}).encode(), JSON)}


async def _file_by_file(made: Trained, pictures: list[Path], client: Client) -> list[str]:
    """Each picture read as training reads it, and sent in one of the ways, in turn."""
    name, *_ = made.codec.schema().inputs
    sending = list(ways(name).items())
    failures = []
    for number, path in enumerate(pictures):
        typed = made.codec.decode(made.answers(made.codec.encode({name: [path]})))
        expected = {k: v[0] for k, v in typed.items()}
        way, make = sending[number % len(sending)]
        answer = await client.ask("POST", *make(path.read_bytes()))
        if answer.status != 200:
            failures.append(f"{path.name} as {way}: status {answer.status} {answer.body[:120]!r}")
            continue
        found = json.loads(answer.body)
        if way == "tensor":
            outputs = {o["name"]: o["data"] for o in found["outputs"]}
            names = next(f.names for f in made.codec.schema().outputs.values() if isinstance(f, Scores))
            found = {k: dict(zip(names, v, strict=True)) if isinstance(made.codec.schema().outputs[k], Scores) else v[0] for k, v in outputs.items()}
        if wrong := unlike(made.codec, expected, found):
            failures.append(f"{path.name} as {way}: {wrong}")
    return failures


def _swapped(true: Callable[..., np.ndarray], self: Image, value: Any, *how: Any) -> np.ndarray:
    """The planted bug: the server decodes to blue, green, red."""
    pixels = true(self, value, *how)
    return pixels if isinstance(value, Path) else np.ascontiguousarray(pixels[:, :, ::-1])


def _unturned(true: Callable[..., np.ndarray], self: Image, value: Any, *how: Any) -> np.ndarray:
    """Another: the server turns pictures upside down, as where EXIF is read twice or not at all."""
    pixels = true(self, value, *how)
    return pixels if isinstance(value, Path) else np.ascontiguousarray(np.rot90(pixels, 2))


def run_files(trials: int, rng: random.Random) -> Outcome:
    """E3: about `trials` files."""
    path = applications.artifacts()["image"]
    made = trained(path)
    with tempfile.TemporaryDirectory() as place:
        pictures, kind = files(trials, Path(place), rng)
        failures = asked(create_app(path, ServeSettings()), partial(_file_by_file, made, pictures))
        caught = 0
        true = Image.decode
        for broken in (_swapped, _unturned):
            with patch.object(Image, "decode", lambda self, value, *how, broken=broken: broken(true, self, value, *how)):
                caught += bool(asked(create_app(path, ServeSettings()), partial(_file_by_file, made, pictures[:12])))
    control = Control("the server decodes to blue, green, red; upside down", 2, caught)
    return Outcome(len(pictures), failures, control, {"files": kind})


HARNESSES = (
    Harness("E1", "torch, onnxruntime and the server answer alike, whatever the batch", run_programs, short=60, long=600),
    Harness("E3", "a file is decided alike by the code that trained and by the server that got its bytes", run_files, short=24, long=500),
)
