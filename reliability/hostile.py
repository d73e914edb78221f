"""E2: artefacts made to harm whoever opens them, every hash in them right: refused before a runtime sees a byte.

Two families: programs (ONNX files that reach outside themselves, claim more than they hold, or are more than arithmetic) and folders (links, strange names,
extra files, wrong sizes, manifests that point elsewhere). Each is opened as a server would, with a runtime that reports when it is reached.
"""

import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from reliability import applications
from reliability.outcome import Control, Harness, Outcome
from thuja.artifact import folder
from thuja.artifact.folder import Artifact
from thuja.artifact.onnxscan import NODES
from thuja.artifact.runtime import Predictor
from thuja.core.errors import ArtifactError
from thuja.core.storage import Disk

Program = Callable[[Any, random.Random], None]
"""Spoils an onnx.ModelProto."""
Folder = Callable[[Path, random.Random], None]
"""Spoils an artefact's folder that was whole."""
PLACES = ("../../../etc/passwd", "/etc/passwd", "..\\..\\secret", "link", "C:\\secret", "a/../../b", "./weights.bin", "file:///etc/passwd",
          "\\\\host\\share\\w", "..%2f..%2fetc%2fpasswd")
CROWD = NODES + 1
NAMES = ("../outside.bin", "..", ".", "/etc/passwd", "a/b", "..\\x", "A.BIN", "x y", "é.bin", "", "manifest.json", "x\0y", "a" * 200, "-rf")


class Forgetful(Disk):
    """What is forged need not survive a power cut."""

    def sync(self, path: Path) -> None: ...

    def sync_folder(self, path: Path) -> None: ...


def outside(tensor: Any, rng: random.Random) -> None:
    """Let a tensor's numbers lie in another file."""
    tensor.Clear()
    tensor.name, tensor.data_type, tensor.data_location = "w", 1, 1
    tensor.dims.append(2)
    for key, value in (("location", rng.choice(PLACES)), ("offset", "0"), ("length", "8")):
        tensor.external_data.add(key=key, value=value)


def attribute(model: Any, rng: random.Random) -> Any:
    """A new attribute of some operator."""
    return rng.choice(model.graph.node).attribute.add(name="value")


def nested(model: Any, depth: int) -> Any:
    """The innermost of graphs in operators in graphs."""
    graph = model.graph
    for _ in range(depth):
        graph = graph.node.add(op_type="Identity", input=[""], output=[f"deep{depth}"]).attribute.add(name="body", type=5).g
    return graph


def operator(kind: str, domain: str = "") -> Program:
    """A program with one more operator."""
    return lambda model, rng: model.graph.node.add(op_type=kind, domain=domain, input=[model.graph.input[0].name], output=["made"]) and None


def tensor(**given: Any) -> Program:
    """A program with one more tensor."""
    return lambda model, rng: model.graph.initializer.add(name="made", **given) and None


def asks_for(kind: str, *sizes: int) -> Program:
    """A program with an operator that makes far more numbers than memory holds."""
    def spoil(model: Any, rng: random.Random) -> None:
        import numpy as np
        from onnx import numpy_helper

        model.graph.initializer.append(numpy_helper.from_array(np.array(sizes, np.int64), "sizes"))
        inputs = ["sizes"] if kind == "ConstantOfShape" else [model.graph.input[0].name, "sizes"]
        model.graph.node.add(op_type=kind, input=inputs, output=["made"])

    return spoil


def cycle(model: Any, rng: random.Random) -> None:
    first = model.graph.node[0]
    first.input[0] = model.graph.node[-1].output[0]


def crowded(model: Any, rng: random.Random) -> None:
    for i in range(CROWD):
        model.graph.node.add(op_type="Identity", input=[model.graph.input[0].name], output=[f"c{i}"])


def retyped(kind: str) -> Program:
    """A program whose first input is no array of numbers."""
    def spoil(model: Any, rng: random.Random) -> None:
        value = model.graph.input[0].type
        value.Clear()
        {"text": value.tensor_type, "sequence": value.sequence_type.elem_type.tensor_type, "optional": value.optional_type.elem_type.tensor_type,
         "sparse": value.sparse_tensor_type}[kind].elem_type = 8 if kind == "text" else 1

    return spoil


PROGRAMS: dict[str, Program] = {
    "external initializer": lambda m, rng: outside(m.graph.initializer.add(), rng),
    "external weight": lambda m, rng: outside(m.graph.initializer[0], rng),
    "external sparse values": lambda m, rng: outside(m.graph.sparse_initializer.add().values, rng),
    "external sparse indices": lambda m, rng: outside(m.graph.sparse_initializer.add().indices, rng),
    "external attribute": lambda m, rng: outside(attribute(m, rng).t, rng),
    "external attribute list": lambda m, rng: outside(attribute(m, rng).tensors.add(), rng),
    "external sparse attribute": lambda m, rng: outside(attribute(m, rng).sparse_tensor.values, rng),
    "external in a nested graph": lambda m, rng: outside(nested(m, 1).initializer.add(), rng),
    "external in a deep graph": lambda m, rng: outside(nested(m, 90).initializer.add(), rng),
    "external in a function": lambda m, rng: outside(m.functions.add(name="f").node.add(op_type="Constant").attribute.add(name="value").t, rng),
    "external in training": lambda m, rng: outside(m.training_info.add().algorithm.initializer.add(), rng),
    "sparse tensor": lambda m, rng: m.graph.sparse_initializer.add(dims=[4]) and None,
    "function": lambda m, rng: m.functions.add(name="f", domain="x", output=["y"]) and None,
    "function calling itself": lambda m, rng: m.functions.add(name="f", domain="x").node.add(op_type="f", domain="x") and None,
    "deep graphs": lambda m, rng: nested(m, 90) and None,
    "loop": operator("Loop"), "scan": operator("Scan"), "branch": operator("If"), "map": operator("SequenceMap"),
    "unknown operator": operator("RunShell"), "picture decoder": operator("ImageDecoder"), "regex": operator("RegexFullMatch"),
    "random numbers": operator("RandomNormalLike"), "custom domain": operator("Identity", "evil.ops"),
    "runtime's own domain": operator("FusedMatMul", "com.microsoft"), "python operator": operator("PythonOp", "com.microsoft"),
    "custom operator set": lambda m, rng: m.opset_import.add(domain="evil.ops", version=1) and None,
    "text tensor": tensor(data_type=8, dims=[1], string_data=[b"x"]), "claimed tensor": tensor(data_type=1, dims=[1 << 20, 1 << 20], raw_data=b"\0" * 4),
    "overflowing tensor": tensor(data_type=1, dims=[1 << 32, 1 << 32], raw_data=b"\0" * 4), "negative tensor": tensor(data_type=1, dims=[-1, -4]),
    "huge fill": asks_for("ConstantOfShape", 1 << 20, 1 << 20), "huge expand": asks_for("Expand", 1 << 40), "huge tile": asks_for("Tile", 1 << 20, 1 << 20),
    "cycle": cycle, "crowd": crowded, "text input": retyped("text"), "sequence input": retyped("sequence"), "optional input": retyped("optional"),
    "sparse input": retyped("sparse"),
}


def linked(path: Path, rng: random.Random) -> None:
    name = rng.choice(["predict.onnx", "codec.json", "card.md", "weights.safetensors"])
    shutil.move(path / name, path.parent / "moved")
    (path / name).symlink_to(path.parent / "moved")


def linked_away(path: Path, rng: random.Random) -> None:
    (path / "card.md").unlink()
    (path / "card.md").symlink_to(rng.choice(["/etc/passwd", "../../../etc/passwd", "/dev/zero", "/proc/self/environ"]))


def linked_hard(path: Path, rng: random.Random) -> None:
    (path.parent / "other").write_bytes(b"not what was exported")
    (path / "card.md").unlink()
    os.link(path.parent / "other", path / "card.md")


def linked_manifest(path: Path, rng: random.Random) -> None:
    shutil.move(path / "manifest.json", path.parent / "moved.json")
    (path / "manifest.json").symlink_to(path.parent / "moved.json")


def pipe(path: Path, rng: random.Random) -> None:
    (path / "card.md").unlink()
    os.mkfifo(path / "card.md")


def extra(path: Path, rng: random.Random) -> None:
    (path / rng.choice(["weights.bin", "x.so", "__init__.py", ".hidden", "model.pkl", "sitecustomize.py"])).write_bytes(b"x")


def extra_folder(path: Path, rng: random.Random) -> None:
    (path / rng.choice(["data", "__pycache__"])).mkdir()


def longer(path: Path, rng: random.Random) -> None:
    with (path / rng.choice(["predict.onnx", "card.md"])).open("ab") as file:
        file.write(b"\0")


def shorter(path: Path, rng: random.Random) -> None:
    name = rng.choice(["predict.onnx", "codec.json"])
    os.truncate(path / name, (path / name).stat().st_size // 2)


def missing(path: Path, rng: random.Random) -> None:
    (path / rng.choice(["predict.onnx", "codec.json", "card.md", "manifest.json"])).unlink()


def flipped(path: Path, rng: random.Random) -> None:
    name = rng.choice(["predict.onnx", "codec.json", "schema.json"])
    data = bytearray((path / name).read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    (path / name).write_bytes(data)


def renamed(path: Path, rng: random.Random) -> None:
    """One more file, under a name that leads elsewhere or is no plain one; digest and seal are right."""
    edit(path, lambda m: m["files"].__setitem__(rng.choice(NAMES), {"sha256": "0" * 64, "bytes": 0}))


def sized(path: Path, rng: random.Random) -> None:
    edit(path, lambda m: m["files"]["card.md"].__setitem__("bytes", rng.choice([1 << 60, 0, -1, 1.5, "9"])))


def hashed(path: Path, rng: random.Random) -> None:
    edit(path, lambda m: m["files"]["card.md"].__setitem__("sha256", rng.choice(["", "0" * 64, "../x", "0" * 63 + "g"])))


def newer(path: Path, rng: random.Random) -> None:
    edit(path, lambda m: m.__setitem__("thuja", rng.choice([2, "1", True, 1.0, None, -1])))


def unknown_key(path: Path, rng: random.Random) -> None:
    edit(path, lambda m: m.__setitem__(rng.choice(["code", "__class__", "entry_point"]), "os.system"))


def deep_manifest(path: Path, rng: random.Random) -> None:
    (path / "manifest.json").write_bytes(b'{"files":' + b"[" * 200_000 + b"]" * 200_000 + b"}")


def large_manifest(path: Path, rng: random.Random) -> None:
    with (path / "manifest.json").open("ab") as file:
        file.truncate(8 << 30)  # a sparse file: no room is taken


FOLDERS: dict[str, Folder] = {
    "linked file": linked, "link elsewhere": linked_away, "hard link elsewhere": linked_hard, "linked manifest": linked_manifest, "pipe": pipe,
    "extra file": extra, "extra folder": extra_folder, "longer file": longer, "shorter file": shorter, "missing file": missing, "flipped bit": flipped,
    "name elsewhere": renamed, "wrong size": sized, "wrong hash": hashed, "newer version": newer, "unknown key": unknown_key, "deep manifest": deep_manifest,
    "endless manifest": large_manifest,
}
FORGED_CODECS: dict[str, dict[str, Any]] = {
    "codec that names code": {"kind": "os:system"}, "codec of dotted path": {"kind": "thuja.apps.table.codec:TableCodec"},
    "codec with a class": {"__class__": "os.system", "kind": "table"}, "codec that is no table": {"kind": ["table"]},
}


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the manifest and make digest and seal right again, as a forger would."""
    from thuja.core import digest

    value = json.loads((path / "manifest.json").read_bytes())
    change(value)
    value["digest"] = digest.of_data({k: value[k] for k in ("thuja", "kind", "files")})
    value["seal"] = digest.of_data({k: v for k, v in value.items() if k != "seal"})
    (path / "manifest.json").write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", "utf-8")


def forged(source: Path, out: Path, case: str, rng: random.Random) -> None:
    """The artefact at `source` spoilt as `case` says."""
    files = {p.name: p.read_bytes() for p in source.iterdir() if p.name != folder.MANIFEST}
    if case in PROGRAMS:
        import onnx

        model = onnx.load_model_from_string(files["predict.onnx"])
        PROGRAMS[case](model, rng)
        files["predict.onnx"] = model.SerializeToString()
    if case in FORGED_CODECS:
        files["codec.json"] = json.dumps(FORGED_CODECS[case]).encode()
    folder.write(out, files, kind="table", disk=Forgetful())
    if case in FOLDERS:
        FOLDERS[case](out, rng)


@contextmanager
def watched() -> Iterator[list[int]]:
    """A runtime that notes what reaches it and opens nothing."""
    reached: list[int] = []

    def session(model: bytes, *_: Any, **__: Any) -> Any:
        reached.append(len(model))
        raise RuntimeError("reached the runtime")

    with patch("onnxruntime.InferenceSession", session):
        yield reached


def opened(path: Path) -> str:
    """What is wrong with how an artefact was met; empty if it was refused in time, with a message of ours."""
    with watched() as reached:
        try:
            Predictor(Artifact.open(path))
        except ArtifactError:
            return "the runtime had it first" if reached else ""
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            return "opened by the runtime" if reached else f"{type(error).__name__}: {error}"[:200]
    return "accepted"


def attempt(case: str, rng: random.Random) -> str:
    """Forge and open one."""
    with tempfile.TemporaryDirectory() as place:
        forged(applications.artifacts()["table"], Path(place) / "artifact", case, rng)
        return opened(Path(place) / "artifact")


def run(trials: int, rng: random.Random) -> Outcome:
    """Every case once, then again with other names and places until there are enough."""
    cases = [*PROGRAMS, *FOLDERS, *FORGED_CODECS]
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as place:
        shutil.copytree(applications.artifacts()["table"], Path(place) / "whole")
        if opened(Path(place) / "whole") != "opened by the runtime":
            failures.append("an honest artefact did not reach the runtime, so that nothing is shown")
    chosen = [cases[i % len(cases)] for i in range(max(trials, len(cases)))]
    for case in chosen:
        if found := attempt(case, rng):
            failures.append(f"{case}: {found}")
    with patch("thuja.artifact.folder.scan", lambda *_: None):
        caught = sum(bool(attempt(case, rng)) for case in PROGRAMS)
    control = Control("programs are not scanned", len(PROGRAMS), caught)
    return Outcome(len(chosen), failures, control, {"kinds of attack": len(cases)})


HARNESSES = (Harness("E2", "a hostile artefact, every hash right, is refused before a runtime opens it", run, short=62, long=620),)
