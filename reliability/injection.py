"""Specs that try to be more than data: names of code, templates, tags, floods of aliases, shell marks, in every key and value of a spec (X1).

Each case is read through a public way in (a file, `--set`, a dict, the JSON of a codec), and what is accepted goes on to `thuja.check`, which opens the data.
Python's audit events tell whether anything was run, imported or opened that had no business to be. A case passes when it is refused with an error that names
the line or the field, or taken as the very text that was written.
"""

import json
import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import thuja
from reliability.outcome import Control, Harness, Outcome
from thuja.apps import CODECS
from thuja.codec import load
from thuja.core.errors import ThujaError
from thuja.settings import Data
from thuja.spec import Spec, parse, plain, read_text, task_class

CANARY = "canary-5f1c9b"
"""The value of the variable THUJA_CANARY: a spec that holds it has read the environment."""
RAN = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect", "socket.getaddrinfo", "urllib.Request")
TASKS: dict[str, dict[str, Any]] = {
    "table": {"target": "y"}, "image-classification": {"image": "image", "target": "label"}, "text-classification": {"text": "text", "target": "label"},
}


LEAST = 100
"""Cases in which a planted bug must show: every whole text and every payload of a codec is among them."""


class Case(NamedTuple):
    """One try."""

    door: str
    """file, raw, set, dict or codec."""
    path: tuple[str, ...]
    """Where in the spec; for raw text, nowhere."""
    payload: Any


class Seen(NamedTuple):
    """What became of a case."""

    value: Any
    """What stands at the path in the accepted spec; None when refused."""
    error: ThujaError | None
    events: list[str]
    """What was run, imported or opened."""


class Watch:
    """Notes audit events while it is on; a hook of the interpreter cannot be taken out again, so there is one for the process."""

    def __init__(self) -> None:
        self.events: list[str] | None = None
        self.folder = ""
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.events is None:
            return
        if event in RAN:
            self.events.append(f"{event} {arguments[:2]!r}"[:120])
        if event == "open" and isinstance(arguments[0], str) and arguments[0].startswith(("/etc/passwd", f"{self.folder}/secret")):
            self.events.append(f"open {arguments[0]}")

    @contextmanager
    def on(self, folder: Path) -> Iterator[list[str]]:
        """The list that fills while inside."""
        self.folder, self.events = str(folder), []
        try:
            yield self.events
        finally:
            self.events = None


WATCH = Watch()


def values(mark: Path) -> list[Any]:
    """Payloads that stand where a value does; those that run something leave the file `mark`."""
    touch = f"touch {mark}"
    return [
        "os.system", "builtins.eval", "planted_module.Planted", "planted_module:Planted", "thuja.apps.table.task.Table", "__import__('planted_module')",
        "__class__", "__class__.__mro__", "{0.__class__.__init__.__globals__}", "().__class__.__base__.__subclasses__()", "${THUJA_CANARY}", "$THUJA_CANARY",
        "${oc.env:THUJA_CANARY}", "{{ env.THUJA_CANARY }}", "{% import os %}", "%(THUJA_CANARY)s", "%THUJA_CANARY%", "~root", f"$({touch})", f"`{touch}`",
        f"; {touch}", f"| {touch}", f"&& {touch}", f"\n{touch}\n", "file:///etc/passwd", "../../../../../../etc/passwd", f"{mark.parent}/secret", "\x00",
        "a" * 5000,
        {"_target_": "os.system", "_args_": [touch]}, {"class_path": "planted_module.Planted", "init_args": {}}, {"__class__": "planted_module.Planted"},
        {"kind": "planted_module:Planted"}, {"kind": "__class__"}, {"kind": ["table"]}, [touch], [["os.system"]], True, -1, 1e308, float("nan"), float("inf"),
        2**70, None,
    ]


def documents(mark: Path) -> list[str]:
    """Whole texts that use YAML itself."""
    touch = f"touch {mark}"
    laughs = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9))
    tags = [f"!!python/object/apply:os.system ['{touch}']", "!!python/name:os.system", "!!python/module:planted_module",
            "!!python/object:planted_module.Planted {}",
            f"!!python/object/new:os.system ['{touch}']", "!env THUJA_CANARY", "!include /etc/passwd", "!planted_module.Planted {}", "!!binary aGk=",
            "!!set {a}",
            "!<tag:yaml.org,2002:python/name:os.system>", f"!!python/object/apply:subprocess.check_output [[touch, '{mark}']]"]
    return [f"task: {{kind: table, target: {tag}}}\n" for tag in tags] + [f"{tag}\n" for tag in tags] + [f"task:\n  kind: {tag}\n" for tag in tags] + [
        laughs, "a: &a\n  b: *a\n", "<<: {task: {kind: table}}\ntask: {kind: table}\n", "task: {kind: table, kind: table}\n", "[" * 5000, "? {a: b}\n: c\n",
        "%TAG ! tag:yaml.org,2002:python/\n---\n!name:os.system x\n", "--- a\n--- b\n", "task: {kind: table\n",
        "x" * 2_000_000, "\ufeff\x00", "- 1\n", "", "a:\tb\n",
    ]


def leaves(data: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The dotted place of every key of nested tables."""
    for key, value in data.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))


def base(kind: str) -> dict[str, Any]:
    """A whole spec of this kind as plain data."""
    wanted: dict[str, Any] = {"thuja": 1, "task": {"kind": kind, **TASKS[kind]}, "data": {"path": "rows.csv"}}
    spec: Spec[Any] = parse(wanted)
    return plain(spec)


def cases(count: int, rng: random.Random, mark: Path) -> list[Case]:
    """Every raw text once, then random pairs of a place and a payload, through random doors; every kind of key too."""
    found = [Case("raw", (), text) for text in documents(mark)]
    found += [Case("codec", (), payload) for payload in values(mark)]
    whole = {kind: base(kind) for kind in TASKS}
    places = [(kind, path) for kind, data in whole.items() for path in leaves(data)]
    keys = ["_target_", "__class__", "class_path", "$ref", "__init__.__globals__", "kind.__class__", "${THUJA_CANARY}", "!!python/name:os.system"]
    while len(found) < count:
        kind, path = rng.choice(places)
        if rng.random() < 0.1:
            path = (*path[:-1], rng.choice(keys))
        found.append(Case(rng.choice(("file", "set", "dict")), (kind, *path), rng.choice(values(mark))))
    return found[:count] if count < len(found) else found


Reader = Callable[[Case], "Spec[Any] | None"]


def read(case: Case) -> "Spec[Any] | None":
    """The case through its door, by the code that ships."""
    match case.door:
        case "raw":
            return read_text(case.payload, "case.yaml")
        case "codec":
            load({"kind": case.payload}, CODECS)
            return None
        case "set":
            kind, *path = case.path
            return read_text(json.dumps(base(kind)), "case.yaml", [f"{'.'.join(path)}={json.dumps(case.payload)}"])
        case "file":
            return read_text(json.dumps(placed(case), allow_nan=True), "case.yaml")
        case _:
            return parse(placed(case), "case")


def placed(case: Case) -> dict[str, Any]:
    """The plain data of a whole spec with the payload in its place."""
    kind, *path = case.path
    data = base(kind)
    node = data
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = case.payload
    return data


def at(spec: "Spec[Any]", path: tuple[str, ...]) -> Any:
    """What an accepted spec holds at a place."""
    node: Any = plain(spec)
    for part in path:
        node = node[part]
    return node


def carry_out(case: Case, reader: Reader, folder: Path) -> Seen:
    """Read the case with the watch on; what is accepted and concerns the data is also opened and checked."""
    value, error = None, None
    with WATCH.on(folder) as events:
        try:
            spec = reader(case)
            if spec is not None and case.path:
                value = at(spec, case.path[1:])
                if case.path[1] in ("data", "check") or case.path[0] == "table":
                    thuja.check(spec.model_copy(update={"data": spec.data.model_copy(update={"path": absolute(spec.data, folder)})}))
        except ThujaError as refused:
            error = refused
    return Seen(value, error, events)


def absolute(data: Data, folder: Path) -> str:
    """The case's own path, or the rows that were put there for it."""
    return str(folder / "rows.csv") if data.path == "rows.csv" else data.path


def judge(case: Case, seen: Seen) -> str | None:
    """What is wrong with the outcome of a case, or None."""
    told = f"{case.door} {'.'.join(case.path)} {str(case.payload)[:60]!r}"
    if seen.events:
        return f"{told}: ran {seen.events[0]}"
    text = f"{seen.value!r} {seen.error or ''}"
    if CANARY in text:
        return f"{told}: the environment was read"
    if seen.error is not None:
        return None if seen.error.where.strip() else f"{told}: refused without saying where ({seen.error})"
    if isinstance(case.payload, str) and case.path and seen.value not in (case.payload, [case.payload]):
        return f"{told}: taken as {seen.value!r}"
    return None


@contextmanager
def surroundings() -> Iterator[Path]:
    """A folder with rows and a secret, a module that nobody may import, and a variable that nobody may read."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "rows.csv").write_text("a,b,y\n" + "".join(f"{i},{i * 7 % 13},{i % 2}\n" for i in range(200)))
        (folder / "secret").write_text(CANARY)
        (folder / "planted_module.py").write_text("import pathlib\npathlib.Path(__file__).with_name('ran').touch()\n")
        before, cache = os.environ.get("THUJA_CANARY"), os.environ.get("THUJA_CACHE")
        os.environ |= {"THUJA_CANARY": CANARY, "THUJA_CACHE": str(folder / "cache")}
        sys.path.insert(0, name)
        try:
            yield folder
        finally:
            sys.path.remove(name)
            for key, value in (("THUJA_CANARY", before), ("THUJA_CACHE", cache)):
                os.environ.pop(key) if value is None else os.environ.__setitem__(key, value)


def by_name(case: Case) -> "Spec[Any] | None":
    """Planted: a kind with a dot is looked up as code, as frameworks that instantiate from configuration do."""
    import importlib

    kind = placed(case)["task"]["kind"] if case.path else None
    for name in (kind, case.payload):
        if isinstance(name, str) and name.startswith("planted_module"):
            importlib.import_module("planted_module")
            sys.modules.pop("planted_module", None)
    return read(case)


def expanding(case: Case) -> "Spec[Any] | None":
    """Planted: variables are filled in."""
    if isinstance(case.payload, str):
        case = case._replace(payload=os.path.expandvars(case.payload))
    return read(case)


def with_tags(case: Case) -> "Spec[Any] | None":
    """Planted: a loader that obeys YAML's tags for Python objects."""
    if case.door == "raw" and "apply:os.system" in case.payload:
        os.system(case.payload.partition("['")[2].partition("']")[0])  # what an unsafe loader does with this tag
    return read(case)


def tries(count: int, rng: random.Random, reader: Reader) -> list[str]:
    """The complaints about so many cases."""
    found = []
    with surroundings() as folder:
        mark = folder / "ran"
        for case in cases(count, rng, mark):
            complaint = crash(case, reader, folder)
            if mark.exists():
                complaint = f"{case}: ran, and left its mark"
                mark.unlink()
            if complaint is not None:
                found.append(complaint)
    return found


def crash(case: Case, reader: Reader, folder: Path) -> str | None:
    """The complaint about one case; any error that is not ours is one."""
    try:
        return judge(case, carry_out(case, reader, folder))
    except Exception as error:  # noqa: BLE001  # whatever comes out here is the finding
        return f"{case.door} {'.'.join(case.path)} {str(case.payload)[:60]!r}: {type(error).__name__}: {str(error)[:100]}"


def inject(trials: int, rng: random.Random) -> Outcome:
    """X1."""
    task_class("table")
    failures = tries(trials, rng, read)
    planted = (by_name, expanding, with_tags)
    caught = sum(any(": ran" in c or "environment was read" in c for c in tries(max(trials // 2, LEAST), rng, bug)) for bug in planted)
    return Outcome(trials, failures, Control("a kind looked up as code; variables filled in; YAML tags obeyed", len(planted), caught))


HARNESSES = (Harness("X1", "a spec is data: nothing in it runs, is imported, filled in or read from elsewhere, and a refusal says where", inject,
                     short=100, long=1500),)
