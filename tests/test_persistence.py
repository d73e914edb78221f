"""Everything that outlives the process is written through `thuja.core.storage`: no other way of writing, moving or deleting files, except the ones listed."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import thuja

ROOT = Path(thuja.__file__).parent
STORAGE = "core/storage.py"
WAYS = {
    "write_bytes", "write_text", "touch", "mkdir", "makedirs", "rename", "renames", "replace", "unlink", "rmdir", "rmtree", "removedirs", "truncate",
    "symlink_to", "hardlink_to", "link", "symlink", "copyfile", "copytree", "move", "fdopen", "OSFile", "extractall", "savez", "tofile", "save_file",
    "NamedTemporaryFile", "TemporaryFile", "TemporaryDirectory", "SpooledTemporaryFile", "mkdtemp", "mkstemp", "savefig", "write_table", "ParquetWriter",
    "connect",
}
MODULES = {"os", "shutil", "sqlite3", "tempfile", "Path", "path", "folder", "place"}
"""Owners of the names that strings, arrays and data frames have as well."""
COMMON = {"rename", "replace", "link", "move", "truncate", "touch", "connect"}
ALLOWED = {
    ("cli/ship.py", "open"): "a pipe or a device that the user names takes answers as they come",
    ("cli/demo.py", "extractall"): "the demo unpacks its pictures into a folder that it can be asked for again",
    ("data/parallel.py", "OSFile"): "pyarrow writes itself, into a folder of build_folder, which syncs and names it",
    ("data/table.py", "OSFile"): "pyarrow writes itself, into a folder of build_folder, which syncs and names it",
    ("life/index.py", "connect"): "a cache of the label files, which are the truth: it may be lost at any moment, and is made again from them",
    ("life/registry.py", "connect"): "asks whether MLflow's own database is locked, and changes nothing; what MLflow shows is made again from the ledger",
    ("proof/live.py", "TemporaryFile"): "what a server that is being tried says; gone with the process",
    ("report/outputs.py", "write_table"): "into memory, for write_atomic",
    ("report/plots.py", "savefig"): "into memory, for the page",
    ("testing.py", "TemporaryDirectory"): "the checks for others' code work in a folder that is gone when they end",
    ("training/calibrate.py", "TemporaryDirectory"): "a checkpoint is timed and thrown away",
    ("verbs/drill.py", "TemporaryDirectory"): "a copy of a deployment, for a rehearsal; gone with it",
    ("verbs/watch.py", "TemporaryFile"): "what a training in a process of its own says; gone with the watcher",
    ("verbs/export.py", "TemporaryDirectory"): "drafts of an artefact, compared before the real one is written",
}


def ways(path: Path) -> Iterator[tuple[str, int]]:
    """Calls in a file that write, move or delete: what is called, and the line."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id if isinstance(node.func, ast.Name) else ""
            owner = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
            if (name == "open" and writes(node, owner)) or (name in WAYS and (name not in COMMON or owner in MODULES)):
                yield name, node.lineno


def writes(node: ast.Call, owner: str) -> bool:
    """Whether an `open` writes: its mode says so."""
    if owner == "os":
        return any(flag in ast.unparse(node) for flag in ("O_WRONLY", "O_RDWR", "O_CREAT"))
    if owner[:1].isupper():
        return False  # the `open` of a class of ours, or of Pillow
    modes = node.args[0 if owner else 1 :] + [keyword.value for keyword in node.keywords if keyword.arg == "mode"]
    return any(isinstance(mode, ast.Constant) and isinstance(mode.value, str) and set(mode.value) <= set("rwaxbt+") and set(mode.value) & set("wax+")
               for mode in modes)


@cache
def found() -> dict[tuple[str, str], list[int]]:
    lines: dict[tuple[str, str], list[int]] = {}
    for path in sorted(ROOT.rglob("*.py")):
        where = path.relative_to(ROOT).as_posix()
        for name, line in ways(path) if where != STORAGE else ():
            lines.setdefault((where, name), []).append(line)
    return lines


def test_there_is_no_other_way_of_writing() -> None:
    assert {key: lines for key, lines in found().items() if key not in ALLOWED} == {}


def test_what_is_allowed_is_still_there() -> None:
    there = {path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py")}
    assert {key for key in ALLOWED if key[0] in there} - set(found()) == set()


@pytest.mark.parametrize("line", ["open(p, 'w')", "open(p, mode='ab')", "p.open('x')", "p.open(mode='r+b')", "p.write_text(s)", "os.replace(a, b)",
                                  "os.open(p, os.O_WRONLY)", "shutil.rmtree(p)", "path.unlink()", "tempfile.mkdtemp()", "pa.OSFile(p, 'wb')",
                                  "sqlite3.connect(p)"])
def test_the_rule_sees(tmp_path: Path, line: str) -> None:
    (tmp_path / "x.py").write_text(line)
    assert list(ways(tmp_path / "x.py"))


@pytest.mark.parametrize("line", ["open(p)", "open(p, 'rb')", "p.open('rb')", "text.replace(a, b)", "Artifact.open(path)",
                                  "frame.rename(columns)", "client.connect(p)", "os.open(p, os.O_RDONLY)"])
def test_the_rule_lets_reading_be(tmp_path: Path, line: str) -> None:
    (tmp_path / "x.py").write_text(line)
    assert not list(ways(tmp_path / "x.py"))
