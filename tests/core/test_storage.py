import contextlib
import errno
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from thuja.core import storage
from thuja.core.errors import StorageError
from thuja.core.storage import Disk


class Crash(BaseException):
    """The machine stops here: not even `except OSError` runs."""


class Faulty(Disk):
    """Stops before (or after) the n-th operation that changes something, or answers it with an error."""

    def __init__(self, place: int, fault: Callable[[], BaseException], *, after: bool = False) -> None:
        self.place, self.fault, self.after, self.made = place, fault, after, 0

    def _do(self, operation: Callable[..., Any], *arguments: Any) -> Any:
        self.made += 1
        if self.made == self.place and not self.after:
            raise self.fault()
        done = operation(*arguments)
        if self.made == self.place:
            raise self.fault()
        return done

    def write(self, path: Path, data: bytes | memoryview) -> None:
        if self.made + 1 == self.place and not self.after:
            path.write_bytes(bytes(data)[: len(data) // 2])  # half of it is there
        self._do(super().write, path, data)

    def rename(self, old: Path, new: Path) -> None:
        self._do(super().rename, old, new)

    def sync_folder(self, path: Path) -> None:
        self._do(super().sync_folder, path)

    def make_folder(self, path: Path) -> None:
        self._do(super().make_folder, path)

    def remove(self, path: Path) -> None:
        self._do(super().remove, path)


OLD, NEW = {"a": b"old", "b": b"old too"}, {"a": b"new", "c": b"newer"}


def contents(folder: Path) -> dict[str, bytes]:
    storage.recover(folder)
    return {p.name: p.read_bytes() for p in folder.iterdir()} if folder.exists() else {}


def operations(write: Callable[[Disk], None]) -> int:
    disk = Faulty(0, Crash)
    write(disk)
    return disk.made


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("old", [{}, OLD])
def test_a_crash_at_any_operation_leaves_the_old_folder_or_the_new(tmp_path: Path, old: dict[str, bytes], after: bool) -> None:
    seen = set()
    total = operations(lambda disk: storage.write_folder(tmp_path / "count" / "x", NEW, disk)) + 4
    for place in range(1, total + 1):
        folder = tmp_path / str(place) / "x"
        if old:
            storage.write_folder(folder, old)
        with contextlib.suppress(Crash):
            storage.write_folder(folder, NEW, Faulty(place, Crash, after=after))
        assert contents(folder) in (old, NEW), place
        seen.add("new" if contents(folder) == NEW else "old")
        storage.write_folder(folder, NEW)  # and the next writer is not in the way of what is left
        assert contents(folder) == NEW
        assert storage.DISK.list(folder.parent) == ["x"]
    assert seen == {"old", "new"}


@pytest.mark.parametrize("old", [{}, OLD])
def test_a_full_disk_at_any_operation_leaves_the_old_folder_or_the_new(tmp_path: Path, old: dict[str, bytes]) -> None:
    for place in range(1, operations(lambda disk: storage.write_folder(tmp_path / "count" / "x", NEW, disk)) + 5):
        folder = tmp_path / str(place) / "x"
        if old:
            storage.write_folder(folder, old)
        try:
            storage.write_folder(folder, NEW, Faulty(place, lambda: OSError(errno.ENOSPC, "no space")))
        except StorageError as error:
            assert str(error) == (f"{folder}: expected a writable place, found no space left. "
                                  "Free some space or choose another folder; what was saved before is intact.")
            assert contents(folder) in (old, NEW)
        else:
            assert contents(folder) == NEW


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_at_any_operation_leaves_the_old_bytes_or_the_new(tmp_path: Path, after: bool) -> None:
    seen = set()
    for place in range(1, operations(lambda disk: storage.write_atomic(tmp_path / "count", b"", disk)) + 1):
        path = tmp_path / str(place)
        storage.write_atomic(path, b"old")
        with pytest.raises(Crash):
            storage.write_atomic(path, b"new", Faulty(place, Crash, after=after))
        seen.add(path.read_bytes())
    assert seen == {b"old", b"new"}


def test_sweep_removes_what_dead_writers_left_and_brings_back_what_they_put_aside(tmp_path: Path) -> None:
    storage.write_folder(tmp_path / "x", OLD)
    with pytest.raises(Crash):
        storage.write_folder(tmp_path / "x", NEW, Faulty(8, Crash))
    assert not (tmp_path / "x").exists()  # just between the two renames
    storage.sweep(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
    assert contents(tmp_path / "x") == OLD
    storage.sweep(tmp_path / "absent")


def test_recover_does_nothing_where_nothing_is_wrong(tmp_path: Path) -> None:
    storage.recover(tmp_path / "x")
    storage.write_folder(tmp_path / "x", OLD)
    storage.recover(tmp_path / "x")
    assert contents(tmp_path / "x") == OLD


FULL = """
import resource, signal, sys
from pathlib import Path
from thuja.core import log, storage
from thuja.core.errors import StorageError
folder, limit, record = Path(sys.argv[1]), int(sys.argv[2]), {"text": "x" * 100}
log.append(folder / "log", [record])
before = (folder / "log").read_bytes()
storage.write_atomic(folder / "file", b"old")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))  # the kernel's own refusal, at a chosen byte
refused = 0
for write in (lambda: storage.write_atomic(folder / "file", b"n" * 200), lambda: log.append(folder / "log", [record] * 2)):
    try:
        write()
    except StorageError:
        refused += 1
assert refused == 2, refused
assert (folder / "file").read_bytes() == b"old"
assert (folder / "log").read_bytes() == before
"""


@pytest.mark.parametrize("limit", [1, 100, 199])
def test_a_disk_that_is_full_at_some_byte(tmp_path: Path, limit: int) -> None:
    assert resource.RLIMIT_FSIZE is not None
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path), str(limit)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_place_that_may_not_be_written(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught, storage.explained(tmp_path):
        raise PermissionError(errno.EACCES, "no")
    assert str(caught.value) == (f"{tmp_path}: expected a writable place, found a place that may not be written. "
                                 "Choose another folder or change its permissions.")


def test_other_errors_are_ours(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), storage.explained(tmp_path):
        raise IsADirectoryError(errno.EISDIR, "a folder")


def test_the_lock_is_free_when_its_owner_dies(tmp_path: Path) -> None:
    program = "import os, sys; from pathlib import Path; from thuja.core import storage\nwith storage.locked(Path(sys.argv[1])): os._exit(9)"
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path / "lock")], check=False).returncode == 9
    with storage.locked(tmp_path / "lock"):
        pass


def test_free_bytes_of_a_folder_to_be(tmp_path: Path) -> None:
    assert storage.DISK.free_bytes(tmp_path / "not" / "yet") > 0


def test_names_of_unfinished_writes_are_not_listed(tmp_path: Path) -> None:
    (tmp_path / f"{storage.TEMPORARY}x").write_bytes(b"")
    (tmp_path / "y").write_bytes(b"")
    assert storage.DISK.list(tmp_path) == ["y"]
    assert storage.DISK.list(tmp_path / "absent") == []
    assert os.listdir(tmp_path) != ["y"]
