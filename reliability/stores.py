"""All that Thuja keeps, as scenarios for harnesses that crash, fill and damage it: checkpoints, artefacts, the column cache, the log, the files of a run.

Everything is written and read by the code that training, export and serving use; only the disk is another.
"""

import functools
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reliability.work import Rings, RingsCodec, columns
from thuja.artifact import folder as artifact
from thuja.artifact.folder import Artifact
from thuja.codec import Ragged
from thuja.core.digest import canonical
from thuja.core.errors import ArtifactError
from thuja.core.storage import DISK, TEMPORARY, Disk
from thuja.data.columns import encoded
from thuja.data.objects import from_object
from thuja.data.rows import Source
from thuja.run import Run
from thuja.settings import AdamW, Train
from thuja.training import checkpoint
from thuja.training.loop import State, begin, steps

KINDS = {"rings": "reliability.work:RingsCodec"}
TRAIN = Train(steps=100, batch=16, optimizer=AdamW(), schedule="constant", warmup=0.0, ema=0.9, precision="float32", device="cpu")
ROWS = 1200
EVER = 1 << 30
"""A step beyond all."""


class Scenario(NamedTuple):
    """A store, how it comes to be, and what may be found in it."""

    name: str
    prepare: Callable[[Path], None]
    """What is there before, whole and synced."""
    steps: tuple[Callable[[Path, Disk], None], ...]
    """Each makes the next generation and returns when it has promised that it survives."""
    look: Callable[[Path], Any]
    """Recover and read as a user would: which generation is it? Raises when it cannot be read."""
    again: Callable[[Path, Disk], None]
    """Recover and write once more."""
    then: Callable[[Any], Any]
    """The generation that `again` makes of one."""
    prefix: bool = False
    """Whether a part of what is being added may be there, from its beginning."""

    def allowed(self, old: Any, new: Any, found: Any) -> bool:
        """Whether `found` may be there while `new` was being made of `old`."""
        if self.prefix:
            return bool(found[: len(old)] == old and new[: len(found)] == found)
        return bool(found in (old, new))


def nothing(root: Path) -> None:
    """A store that begins empty."""


@functools.cache
def trained(number: int, width: int = 8) -> State:
    """A state with weights, averages and moments of its own, said to be at step `number`."""
    state = begin(Rings(width=width), RingsCodec(), TRAIN.model_copy(update={"seed": number}))
    for step in steps(Rings(width=width), state, columns(32), TRAIN):
        if step.number == 2:
            break
    state.step = number
    return state


def save(number: int, keep: int | None = None, width: int = 8) -> Callable[[Path, Disk], None]:
    """A save of step `number`."""
    return lambda root, disk: _save(root, number, keep, width, disk)


def _save(root: Path, number: int, keep: int | None, width: int, disk: Disk) -> None:
    checkpoint.save(Run(root).checkpoints, trained(number, width), {"keep": keep}, best=keep, disk=disk)


def restored(root: Path, width: int = 8) -> tuple[int, str, str]:
    """Step, weights and best checkpoint of what training goes on from; every checkpoint that is there must be whole."""
    run, state = Run(root), trained(EVER, width)
    found = checkpoint.restore(run.checkpoints, state)
    if found is None:
        return 0, "", ""
    assert not found.damaged, found.damaged
    left = [name for name in os.listdir(run.checkpoints) if name.startswith(TEMPORARY)]
    assert not left, left
    for name in DISK.list(run.checkpoints):
        checkpoint.verify(run.checkpoints / name)
    best = run.best_checkpoint()
    weights = b"".join(tensor.numpy().tobytes() for tensor in (*state.best_model.state_dict().values(), *state.model.state_dict().values()))
    checkpoint.verify(best)
    return state.step, hashlib.sha256(weights).hexdigest(), best.name


def checkpoints(width: int = 8) -> Scenario:
    """Four saves: the first of a run, two that keep a best one, of which the last prunes."""
    def look(root: Path) -> tuple[int, str, str]:
        return restored(root, width)

    def then(_: Any) -> tuple[int, str, str]:
        return _ninth(width)

    saves = tuple(save(number, 1 if number > 1 else None, width) for number in (1, 2, 3, 4))
    return Scenario("save and prune", nothing, saves, look, save(9, None, width), then)


@functools.cache
def _ninth(width: int) -> tuple[int, str, str]:
    state = trained(9, width)
    weights = b"".join(tensor.numpy().tobytes() for tensor in (*state.best_model.state_dict().values(), *state.model.state_dict().values()))
    return 9, hashlib.sha256(weights).hexdigest(), "00000009"


@functools.cache
def program() -> bytes:
    """A program by hand: two features of a point, weighed."""
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [helper.make_node("MatMul", ["point", "weight"], ["logits"]), helper.make_node("Softmax", ["logits"], ["probability"])], "rings",
        [helper.make_tensor_value_info("point", TensorProto.FLOAT, ["rows", 2])],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["rows", 2])],
        [numpy_helper.from_array(np.array([[1, -1], [2, -2]], np.float32), "weight")])
    model: bytes = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9).SerializeToString()
    return model


def artifact_files(number: int, size: int = 6000) -> dict[str, bytes]:
    """The files of an artefact, `size` bytes of weights among them."""
    codec = RingsCodec()
    plain = {name: f"{name} {number}\n".encode() for name in ("spec.yaml", "card.md", "requirements.txt")}
    made = {name: canonical({"number": number}) for name in ("reference.json", "scores.json", "certificate.json")}
    weights = np.random.default_rng(number).bytes(size)
    return {**plain, **made, "codec.json": codec.dumps(), "schema.json": canonical(codec.schema().model_dump(mode="json")), "weights.safetensors": weights,
            "predict.onnx": program()}


def export(number: int, size: int = 6000) -> Callable[[Path, Disk], None]:
    """An artefact, in place of the one that is there."""
    return lambda root, disk: artifact.write(root / "artifact", artifact_files(number, size), kind="rings", clock=lambda: float(number), disk=disk)


def opened(root: Path) -> int:
    """Which artefact a server opens; it recovers nothing and writes nothing."""
    before = sorted(os.listdir(root))
    if not any(name == "artifact" or name.endswith("-artifact") for name in before):
        return 0
    try:
        found = Artifact.open(root / "artifact", KINDS)
    except ArtifactError:
        if not (root / "artifact").exists() and not (root / f"{TEMPORARY}old-artifact").exists():
            return 0  # the first one had not been finished
        raise
    number = int(found.manifest.created)
    assert {name: found.read(name) for name in found.manifest.files} == artifact_files(number, len(found.read("weights.safetensors")))
    assert sorted(os.listdir(root)) == before
    return number


def exports(size: int = 6000) -> Scenario:
    """An export, and its promotion over the one before."""
    return Scenario("export and promote", nothing, (export(1, size), export(2, size)), opened, export(9, size), lambda _: 9)


def log(*numbers: int, size: int = 10) -> Callable[[Path, Disk], None]:
    """One addition of records to the log."""
    records = [{"event": "step", "step": number, "text": "x" * size} for number in numbers]
    return lambda root, disk: Run(root, disk).log(*records)


def logged(root: Path) -> tuple[int, ...]:
    """The steps in the log, before and after training has made it fit to go on."""
    run = Run(root)
    first = [r for r in run.records() if r["event"] != "torn"]
    run.rewind(EVER)
    assert [r for r in run.records() if r["event"] != "torn"] == first
    return tuple(r["step"] for r in first)


def more(root: Path, disk: Disk) -> None:
    """Training that goes on."""
    run = Run(root, disk)
    run.rewind(EVER)
    run.log({"event": "step", "step": 99})


def logs(size: int = 3000) -> Scenario:
    """The first record, one more, several pages at once, one more."""
    return Scenario("log append", nothing, (log(1), log(2), log(3, 4, 5, 6, size=size), log(7)), logged, more, lambda found: (*found, 99), prefix=True)


def rewinds() -> Scenario:
    """The log rewritten without the steps that will be made again."""
    def prepare(root: Path) -> None:
        log(1, 2, 3, 4, 5)(root, DISK)

    return Scenario("log rewind", prepare, (lambda root, disk: Run(root, disk).rewind(3),), logged, more, lambda found: (*found, 99))


def scored(number: int) -> Callable[[Path, Disk], None]:
    """A file of a run, replaced."""
    return lambda root, disk: Run(root, disk).write("scores.json", {"number": number, "text": "x" * 5000})


def scores() -> Scenario:
    """Scores written and replaced."""
    def look(root: Path) -> int:
        return int(Run(root).read("scores.json")["number"]) if (root / "scores.json").exists() else 0

    return Scenario("scores", nothing, (scored(1), scored(2)), look, scored(9), lambda _: 9)


def began(root: Path, disk: Disk) -> None:
    """A run up to step one, in the order of `training.prepare`."""
    run = Run.create(root / "runs", disk)
    run.write("codec.json", RingsCodec().model_dump(mode="json"))
    run.write("reasons.json", {"train.steps": [100, "typed"]})
    run.write("data.json", {"base": ".", "fingerprints": {"train": "0"}})
    run.write_spec("thuja: 1\ntask:\n  kind: rings\n")
    run.log({"event": "begin", "step": 0})


def begun(root: Path) -> int:
    """How many runs have begun; each must be whole."""
    for run in (runs := Run.all(root / "runs")):
        assert run.spec_data()["task"] == {"kind": "rings"} and run.codec(KINDS) == RingsCodec()
        assert run.read("data.json")["base"] == "." and json.loads((run.path / "reasons.json").read_bytes())
    return len(runs)


def creations() -> Scenario:
    """Two runs created, one after another."""
    return Scenario("create a run", nothing, (began, began), begun, began, lambda found: found + 1)


@functools.cache
def rows() -> Source:
    """A source of some rows; encoding them takes several chunks."""
    rng = np.random.default_rng(0)
    words = ["".join(map(chr, rng.integers(97, 123, length))) for length in rng.integers(1, 12, ROWS)]
    return from_object({"x": rng.normal(size=ROWS).tolist(), "y": rng.normal(size=ROWS).tolist(), "words": words})


def cache(root: Path, disk: Disk) -> None:
    """The encoded columns of `rows`, from the cache or into it."""
    encoded(rows(), RingsCodec(), root, 0.0, disk)


def cached(root: Path) -> bool:
    """Whether the columns were in the cache; what training gets must be right in any case, and nothing there may have been damaged."""
    there = any((root / "columns").glob("[0-9a-f]*[0-9a-f]/manifest.json"))
    found = encoded(rows(), RingsCodec(), root, 0.0)
    assert found.notes == (), found.notes
    words, wanted = found.columns["words"], RingsCodec().encode(rows().take(np.arange(ROWS)))
    expected = wanted["words"]
    assert isinstance(words, Ragged) and isinstance(expected, Ragged)
    assert np.array_equal(words.values, expected.values) and np.array_equal(words.offsets, expected.offsets)
    assert np.array_equal(found.columns["point"], wanted["point"]) and np.array_equal(found.kept, np.arange(ROWS))
    return there


def caches() -> Scenario:
    """The column cache built."""
    return Scenario("cache build", nothing, (cache,), cached, cache, lambda _: True)


def scenarios() -> tuple[Scenario, ...]:
    """All of them, small."""
    return checkpoints(), exports(), logs(), rewinds(), scores(), creations(), caches()
