import contextlib
import errno
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from thuja.core import storage
from thuja.core.errors import StorageError
from thuja.core.storage import Disk

CHANGES = ("create", "extend", "truncate", "sync", "rename", "create_folder", "sync_folder", "unlink", "remove_folder")
"""The operations that a crash may come between."""


class Crash(BaseException):
    """The machine stops here: not even `except OSError` runs."""


class Faulty(Disk):
    """Stops, or fails, at the n-th operation that changes something; a machine that has stopped does nothing more."""

    def __init__(self, place: int, fault: Callable[[], BaseException]) -> None:
        self.place, self.fault, self.made = place, fault, 0

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name in CHANGES:
            self.made += 1
            if self.made == self.place or (self.made > self.place > 0 and self.fault is Crash):
                raise self.fault()
        return found


OLD, NEW = {"a": b"old", "b": b"old too"}, {"a": b"new", "c": b"newer"}


def contents(folder: Path) -> dict[str, bytes]:
    place = storage.current(folder)
    return {p.name: p.read_bytes() for p in place.iterdir()} if place.exists() else {}


def operations(write: Callable[[Disk], None]) -> int:
    disk = Faulty(0, Crash)
    write(disk)
    return disk.made


@pytest.mark.parametrize("old", [{}, OLD])
def test_a_crash_at_any_operation_leaves_the_old_folder_or_the_new(tmp_path: Path, old: dict[str, bytes]) -> None:
    seen = set()
    total = operations(lambda disk: storage.write_folder(tmp_path / "count" / "x", NEW, disk)) + 8
    for place in range(1, total + 1):
        folder = tmp_path / str(place) / "x"
        if old:
            storage.write_folder(folder, old)
        with contextlib.suppress(Crash):
            storage.write_folder(folder, NEW, Faulty(place, Crash))
        assert contents(folder) in (old, NEW), place
        seen.add("new" if contents(folder) == NEW else "old")
        storage.write_folder(folder, NEW)  # and the next writer is not in the way of what is left
        assert contents(folder) == NEW
        assert os.listdir(folder.parent) == ["x"]
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


def test_a_crash_at_any_operation_leaves_the_old_bytes_or_the_new(tmp_path: Path) -> None:
    seen = set()
    for place in range(1, operations(lambda disk: storage.write_atomic(tmp_path / "count", b"", disk)) + 1):
        path = tmp_path / str(place)
        storage.write_atomic(path, b"old")
        with pytest.raises(Crash):
            storage.write_atomic(path, b"new", Faulty(place, Crash))
        seen.add(path.read_bytes())
    assert seen == {b"old", b"new"}


def between_renames(folder: Path) -> None:
    """Leave `folder` as a writer does that dies between its two renames."""
    storage.write_folder(folder, OLD)
    place = 1
    while folder.exists():
        with pytest.raises(Crash):
            storage.write_folder(folder, NEW, Faulty(place, Crash))
        place += 1


def test_sweep_removes_what_dead_writers_left_and_brings_back_what_they_put_aside(tmp_path: Path) -> None:
    between_renames(tmp_path / "x")
    storage.sweep(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
    assert contents(tmp_path / "x") == OLD
    storage.sweep(tmp_path / "absent")


def test_a_reader_finds_the_old_folder_between_the_renames_and_writes_nothing(tmp_path: Path) -> None:
    between_renames(tmp_path / "x")
    before = sorted(os.listdir(tmp_path))
    assert storage.read_folder(tmp_path / "x", lambda place: (place / "a").read_bytes()) == b"old"
    assert sorted(os.listdir(tmp_path)) == before


def test_a_reader_looks_again_when_the_folder_was_replaced_under_its_hands(tmp_path: Path) -> None:
    storage.write_folder(tmp_path / "x", OLD)
    seen = []

    def read(place: Path) -> bytes:
        seen.append(place)
        if len(seen) == 1:
            storage.write_folder(tmp_path / "x", NEW)
        return (place / ("b" if len(seen) == 1 else "c")).read_bytes()

    assert storage.read_folder(tmp_path / "x", read) == b"newer"
    assert len(seen) == 2


def test_a_reader_does_not_ask_again_for_what_is_really_not_there(tmp_path: Path) -> None:
    storage.write_folder(tmp_path / "x", OLD)
    asked = []
    for path in (tmp_path / "x", tmp_path / "absent"):
        with pytest.raises(FileNotFoundError):
            storage.read_folder(path, lambda place: (asked.append(place), (place / "none").read_bytes()))
    assert asked == [tmp_path / "x", tmp_path / "absent"]


def test_a_reader_gives_up_on_a_folder_that_is_replaced_for_ever(tmp_path: Path) -> None:
    asked = []

    def read(place: Path) -> None:
        asked.append(place)
        storage.write_folder(tmp_path / "x", NEW)
        raise FileNotFoundError(place)

    with pytest.raises(FileNotFoundError):
        storage.read_folder(tmp_path / "x", read)
    assert len(asked) == storage.TRIES


def test_discard_takes_a_folder_whole_or_not_at_all(tmp_path: Path) -> None:
    storage.discard(tmp_path / "x")
    for place in range(1, 8):
        storage.write_folder(tmp_path / "x", OLD)
        with contextlib.suppress(Crash):
            storage.discard(tmp_path / "x", Faulty(place, Crash))
        assert contents(tmp_path / "x") in (OLD, {})
    storage.discard(tmp_path / "x")
    storage.sweep(tmp_path)
    assert os.listdir(tmp_path) == []


def test_what_is_built_piece_by_piece_is_there_at_the_end_and_never_when_the_body_raises(tmp_path: Path) -> None:
    for build, name in ((storage.build_file, ""), (storage.build_folder, "part")):
        for wrong in (True, False):
            with contextlib.suppress(KeyError), build(tmp_path / "deep" / "x") as temporary:
                for piece in (b"a", b"", np.arange(2, dtype=np.uint8).data):
                    storage.DISK.extend(temporary / name if name else temporary, piece)
                assert not (tmp_path / "deep" / "x").exists()
                if wrong:
                    raise KeyError
            assert os.listdir(tmp_path / "deep") == ([] if wrong else ["x"])
        assert (tmp_path / "deep" / "x" / name).read_bytes() == b"a\0\1"
        storage.DISK.remove(tmp_path / "deep")


def test_writers_of_one_name_take_turns(tmp_path: Path) -> None:
    wrong: list[str] = []

    def write(value: bytes) -> None:
        for _ in range(20):
            storage.write_atomic(tmp_path / "f", value * 1000)
            storage.write_folder(tmp_path / "x", {"a": value, "b": value})
            if len(set((tmp_path / "f").read_bytes())) != 1 or len(storage.read_folder(tmp_path / "x", lambda p: {f.read_bytes() for f in p.iterdir()})) != 1:
                wrong.append("mixed")

    threads = [threading.Thread(target=write, args=(value,)) for value in (b"1", b"2", b"3")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [] and sorted(os.listdir(tmp_path)) == ["f", "x"]


def test_a_folder_that_is_replaced_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    storage.write_folder(tmp_path / "x", {"a": b"1", "b": b"1"})
    tries: list[set[bytes]] = []

    def read(place: Path) -> set[bytes]:
        first = (place / "a").read_bytes()
        if not tries:
            storage.write_folder(tmp_path / "x", {"a": b"2", "b": b"2"})
        tries.append({first, (place / "b").read_bytes()})
        return tries[-1]

    assert storage.read_folder(tmp_path / "x", read) == {b"2"} and tries == [{b"1", b"2"}, {b"2"}]


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
