import errno
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from reliability.faults import PAGE, Bytes, Crash, Cut, Full, Names, Nodes, ReadOnly, Recorder, Sync, lay, workshop
from thuja.core.storage import Disk


def recorded(root: Path) -> Recorder:
    """`old` becomes `new`; then it is synced."""
    (root / "f").write_bytes(b"old")
    disk = Recorder(root)
    disk.create(root / ".n")
    disk.extend(root / ".n", b"new")
    disk.sync(root / ".n")
    disk.rename(root / ".n", root / "f")
    disk.sync_folder(root)
    return disk


def test_what_is_recorded_was_really_done(tmp_path: Path) -> None:
    disk = recorded(tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"f": b"new"} == disk.tree(Crash(len(disk.effects)))
    assert disk.effects == [Names(0, {".n": 2}), Bytes(2, 0, b"new"), Sync(2), Names(0, {".n": None, "f": 2}), Sync(0)]


def test_only_what_a_sync_covers_is_certain(tmp_path: Path) -> None:
    disk = recorded(tmp_path)
    assert [disk.pending(place) for place in range(6)] == [[], [0], [0, 1], [0], [0, 3], []]
    assert disk.tree(Crash(4, frozenset([0, 3]))) == {"f": b"old"}
    assert disk.tree(Crash(4, frozenset([0]))) == {"f": b"new"}  # a rename that survives needs no name before it
    assert disk.tree(Crash(2, frozenset([1]))) == {".n": b"", "f": b"old"}
    assert disk.tree(Crash(2, torn=(1, Bytes(2, 0, b"n")))) == {".n": b"n", "f": b"old"}


def test_all_ways_to_crash_are_tried_and_each_tree_once(tmp_path: Path) -> None:
    disk = recorded(tmp_path)
    found = [tree for _, tree in disk.different(disk.outright() + disk.mixed(random.Random(0), 3))]
    assert [tree for n, tree in enumerate(found) if tree in found[:n]] == []
    for wanted in ({"f": b"old"}, {"f": b"new"}, {".n": b"", "f": b"old"}, {".n": b"n", "f": b"old"}, {".n": b"\0\0\0", "f": b"old"}):
        assert wanted in found


def test_a_tree_is_told_apart_by_what_had_been_promised(tmp_path: Path) -> None:
    disk = Recorder(tmp_path)
    disk.mark()
    disk.extend(tmp_path / "f", b"")
    assert [disk.done(crash) for crash, _ in disk.different(disk.outright())] == [1, 1]


def test_bytes_without_those_before_leave_a_hole() -> None:
    nodes = Nodes({0: {"f": 1}}, {1: b""})
    for effect in (Bytes(1, 2, b"cd"), Bytes(1, 3, b"!"), Cut(1, 3)):
        nodes.apply(effect)
    assert nodes.tree() == {"f": b"\0\0c"}


def test_pages_are_lost_in_any_order(tmp_path: Path) -> None:
    disk = Recorder(tmp_path)
    disk.extend(tmp_path / "f", b"a" * PAGE + b"b" * PAGE)
    wanted = bytes(PAGE) + b"b" * PAGE
    assert any(disk.tree(crash) == {"f": wanted} for seed in range(8) for crash in disk.mixed(random.Random(seed), 1))


def test_folders_are_removed_name_by_name(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_bytes(b"x")
    disk = Recorder(tmp_path)
    disk.remove(tmp_path / "d")
    assert [disk.tree(Crash(place)) for place in range(3)] == [{"d": None, "d/f": b"x"}, {"d": None}, {}]
    disk.make_folder(tmp_path / "a" / "b")
    assert disk.tree(Crash(len(disk.effects))) == {"a": None, "a/b": None}


def test_a_state_is_laid_out_as_it_was_seen(tmp_path: Path) -> None:
    tree = {"d": None, "d/f": b"x", "g": b""}
    lay(tree, tmp_path / "root")
    assert Recorder(tmp_path / "root").tree(Crash(0)) == tree


def test_a_full_disk_takes_what_fits_and_says_so(tmp_path: Path) -> None:
    disk = Full(3)
    disk.extend(tmp_path / "f", b"ab")
    with pytest.raises(OSError, match="No space") as caught:
        disk.extend(tmp_path / "f", b"cd")
    assert caught.value.errno == errno.ENOSPC and (tmp_path / "f").read_bytes() == b"abc" and disk.written == 3
    with pytest.raises(OSError, match="No space"):
        disk.create_folder(tmp_path / "d")
    disk.unlink(tmp_path / "f")


CHANGES: list[Callable[[Disk, Path], None]] = [
    lambda disk, root: disk.create(root / "g"), lambda disk, root: disk.extend(root / "f", b"x"), lambda disk, root: disk.truncate(root / "f", 0),
    lambda disk, root: disk.rename(root / "f", root / "g"), lambda disk, root: disk.create_folder(root / "e"), lambda disk, root: disk.unlink(root / "f"),
    lambda disk, root: disk.remove_folder(root / "d"),
]


@pytest.mark.parametrize("place", range(len(CHANGES)))
def test_a_read_only_disk_takes_no_change(tmp_path: Path, place: int) -> None:
    (tmp_path / "f").write_bytes(b"old")
    (tmp_path / "d").mkdir()
    with pytest.raises(OSError, match="Read-only") as caught:
        CHANGES[place](ReadOnly(0), tmp_path)
    assert caught.value.errno == errno.EROFS
    assert sorted(os.listdir(tmp_path)) == ["d", "f"] and (tmp_path / "f").read_bytes() == b"old"
    CHANGES[place](ReadOnly(1), tmp_path)


def test_the_workshop_is_gone_at_the_end() -> None:
    with workshop() as folder:
        (folder / "f").write_bytes(b"x")
    assert not folder.exists()
