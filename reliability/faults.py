"""Disks that record, fill up or turn read-only, and the states in which a crash may leave what was written.

`Recorder` carries every operation out and keeps its effects: bytes in a file, names in a folder, and the syncs. What a crash leaves is the state before,
and of the effects made so far all that a later sync covers; of the others any may be missing, alone or together, and bytes may be there in part.

Source: Pillai et al. 2014, "All file systems are not created equal" (ALICE), its weakest model: nothing is ordered but by a sync of the same file or folder,
names are not synced with the file, and a file may have grown while its new bytes are still zeros. One folder's change of names in a rename is one effect.
"""

import errno
import hashlib
import itertools
import os
import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from thuja.core.storage import Disk

PAGE = 4096
ROOT = 0
"""The node of the folder that is recorded."""


class Bytes(NamedTuple):
    """Bytes put into a file."""

    node: int
    offset: int
    data: bytes


class Cut(NamedTuple):
    """A file cut to a size."""

    node: int
    size: int


class Names(NamedTuple):
    """Names in a folder that now mean other nodes, or none; all at once."""

    node: int
    names: dict[str, int | None]


class Sync(NamedTuple):
    """All effects so far on this node survive."""

    node: int


Effect = Bytes | Cut | Names | Sync
Tree = dict[str, bytes | None]
"""Files by relative path; None for a folder."""


@dataclass
class Nodes:
    """Files and folders by number, as on a disk: a file whose name is lost is still there and cannot be reached."""

    folders: dict[int, dict[str, int]] = field(default_factory=lambda: {ROOT: {}})
    files: dict[int, bytes] = field(default_factory=dict)

    def copy(self) -> "Nodes":
        """One that can be changed alone."""
        return Nodes({node: dict(names) for node, names in self.folders.items()}, dict(self.files))

    def apply(self, effect: Effect) -> None:
        """Carry an effect out; effects on a file before it are not needed (what was never written is zeros)."""
        if isinstance(effect, Bytes):
            data = self.files[effect.node].ljust(effect.offset, b"\0")
            self.files[effect.node] = data[: effect.offset] + effect.data + data[effect.offset + len(effect.data) :]
        elif isinstance(effect, Cut):
            self.files[effect.node] = self.files[effect.node][: effect.size]
        elif isinstance(effect, Names):
            for name, node in effect.names.items():
                if node is None:
                    self.folders[effect.node].pop(name, None)
                else:
                    self.folders[effect.node][name] = node

    def tree(self, node: int = ROOT, prefix: str = "") -> Tree:
        """What can be reached by names."""
        found: Tree = {}
        for name, child in sorted(self.folders[node].items()):
            if child in self.files:
                found[prefix + name] = self.files[child]
            else:
                found[prefix + name] = None
                found |= self.tree(child, f"{prefix}{name}/")
        return found


class Crash(NamedTuple):
    """One way in which everything may have stopped."""

    place: int
    """After how many effects."""
    missing: frozenset[int] = frozenset()
    """Effects before it, by number, that did not reach the disk."""
    torn: tuple[int, Bytes] | None = None
    """One that did so in part, and what of it."""


class Recorder(Disk):
    """Works in `root`, whose content at the start counts as synced, and keeps the effects of all that is done there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.start = Nodes()
        self.effects: list[Effect] = []
        self.marks: list[int] = []
        self._numbers = itertools.count(ROOT + 1)
        self._load(root, ROOT)
        self.live = self.start.copy()

    def _load(self, path: Path, node: int) -> None:
        for entry in sorted(os.scandir(path), key=lambda e: e.name):
            child = next(self._numbers)
            self.start.folders[node][entry.name] = child
            if entry.is_dir(follow_symlinks=False):
                self.start.folders[child] = {}
                self._load(Path(entry.path), child)
            else:
                self.start.files[child] = Path(entry.path).read_bytes()

    def mark(self) -> None:
        """Something has been promised from here on."""
        self.marks.append(len(self.effects))

    def node(self, path: Path) -> int | None:
        """The number of what is at `path`, or None."""
        found: int | None = ROOT
        for name in path.relative_to(self.root).parts:
            found = self.live.folders[found].get(name) if found in self.live.folders else None
        return found

    def _at(self, path: Path) -> int:
        node = self.node(path)
        assert node is not None, f"{path} was not made through this disk"
        return node

    def _note(self, effect: Effect) -> None:
        self.effects.append(effect)
        self.live.apply(effect)

    def create(self, path: Path) -> None:
        super().create(path)
        self._created(path)

    def _created(self, path: Path) -> None:
        node = self.node(path)
        if node is None:
            node = next(self._numbers)
            self.start.files[node] = self.live.files[node] = b""
            self._note(Names(self._at(path.parent), {path.name: node}))
        elif self.live.files[node]:
            self._note(Cut(node, 0))

    def extend(self, path: Path, data: bytes | memoryview) -> None:
        super().extend(path, data)
        if self.node(path) is None:
            self._created(path)
        node = self._at(path)
        if len(data):
            self._note(Bytes(node, len(self.live.files[node]), bytes(data)))

    def truncate(self, path: Path, size: int) -> None:
        super().truncate(path, size)
        self._note(Cut(self._at(path), size))

    def sync(self, path: Path) -> None:
        super().sync(path)
        self._note(Sync(self._at(path)))

    def rename(self, old: Path, new: Path) -> None:
        assert old.parent == new.parent, (old, new)
        super().rename(old, new)
        self._note(Names(self._at(old.parent), {old.name: None, new.name: self._at(old)}))

    def create_folder(self, path: Path) -> None:
        super().create_folder(path)
        node = next(self._numbers)
        self.start.folders[node], self.live.folders[node] = {}, {}
        self._note(Names(self._at(path.parent), {path.name: node}))

    def sync_folder(self, path: Path) -> None:
        super().sync_folder(path)
        if path == self.root or self.root in path.parents:
            self._note(Sync(self._at(path)))

    def unlink(self, path: Path) -> None:
        super().unlink(path)
        self._note(Names(self._at(path.parent), {path.name: None}))

    def remove_folder(self, path: Path) -> None:
        super().remove_folder(path)
        self._note(Names(self._at(path.parent), {path.name: None}))

    def tree(self, crash: Crash) -> Tree:
        """What a crash leaves."""
        nodes = self.start.copy()
        for number, effect in enumerate(self.effects[: crash.place]):
            if number not in crash.missing:
                nodes.apply(crash.torn[1] if crash.torn and crash.torn[0] == number else effect)
        return nodes.tree()

    def done(self, crash: Crash) -> int:
        """How many marks had been passed."""
        return sum(mark <= crash.place for mark in self.marks)

    def pending(self, place: int) -> list[int]:
        """The effects among the first `place` that no sync has covered."""
        found, synced = [], set()
        for number in range(place - 1, -1, -1):
            effect = self.effects[number]
            if isinstance(effect, Sync):
                synced.add(effect.node)
            elif effect.node not in synced:
                found.append(number)
        return found[::-1]

    def outright(self) -> list[Crash]:
        """After each effect: everything reached the disk, or nothing that was not synced did."""
        places = range(len(self.effects) + 1)
        return [Crash(place) for place in places] + [Crash(place, frozenset(pending)) for place in places if (pending := self.pending(place))]

    def mixed(self, rng: random.Random, subsets: int) -> list[Crash]:
        """After each effect: all unsynced ones but one, one alone, `subsets` times any of them, and the newest bytes in part."""
        found = []
        for place in range(len(self.effects) + 1):
            pending = self.pending(place)
            every = frozenset(pending)
            for number in pending if len(pending) > 1 else ():
                found += [Crash(place, frozenset([number])), Crash(place, every - {number})]
            for _ in range(subsets if len(pending) > 2 else 0):
                found.append(Crash(place, frozenset(number for number in pending if rng.random() < 0.5)))
            newest = next((number for number in reversed(pending) if isinstance(self.effects[number], Bytes)), None)
            if newest is not None:
                for torn in _torn(self.effects[newest], rng):
                    found += [Crash(place, torn=(newest, torn)), Crash(place, every - {newest}, (newest, torn))]
        return found

    def different(self, crashes: Iterable[Crash]) -> Iterator[tuple[Crash, Tree]]:
        """The crashes that leave different trees, or have different promises behind them, with what they leave."""
        seen = set()
        for crash in crashes:
            tree = self.tree(crash)
            key = (self.done(crash), _digest(tree))
            if key not in seen:
                seen.add(key)
                yield crash, tree

    def words(self, crash: Crash) -> str:
        """A crash as a person reads it."""
        last = type(self.effects[crash.place - 1]).__name__ if crash.place else "nothing"
        torn = f", {crash.torn[0]} in part ({len(crash.torn[1].data)} bytes)" if crash.torn else ""
        return f"after effect {crash.place} ({last}), without {sorted(crash.missing)}{torn}"


def _torn(effect: Effect, rng: random.Random) -> Iterator[Bytes]:
    """Bytes that are there in part: the first of them; a file that has grown and holds zeros; pages in any order."""
    assert isinstance(effect, Bytes)
    data = effect.data
    for size in sorted({1, len(data) // 2, rng.randrange(len(data))} - {0, len(data)}):
        yield effect._replace(data=data[:size])
    yield effect._replace(data=bytes(len(data)))
    pages = range(0, len(data), PAGE)
    for _ in range(3 if len(pages) > 1 else 0):
        yield effect._replace(data=b"".join(data[at : at + PAGE] if rng.random() < 0.5 else bytes(len(data[at : at + PAGE])) for at in pages))


def _digest(tree: Tree) -> bytes:
    digest = hashlib.sha256()
    for name, data in tree.items():
        digest.update(f"{name}\0{-1 if data is None else len(data)}\0".encode())
        digest.update(data or b"")
    return digest.digest()


def lay(tree: Tree, root: Path) -> None:
    """Make a tree under `root`, a new folder."""
    root.mkdir()
    for name, data in tree.items():
        if data is None:
            (root / name).mkdir()
        else:
            (root / name).write_bytes(data)


@contextmanager
def workshop() -> Iterator[Path]:
    """A folder for thousands of short-lived files, in memory where the system has such a place: what a sync is worth is modelled, not waited for."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(prefix="thuja-faults-", dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


class Full(Disk):
    """Has room for so many more bytes; the write that finds none left leaves what fitted. No new name can be made either, deleting still works."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.written = 0

    def extend(self, path: Path, data: bytes | memoryview) -> None:
        fits = memoryview(data)[: self.room]
        super().extend(path, fits)
        self.room -= len(fits)
        self.written += len(fits)
        if len(fits) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    def create_folder(self, path: Path) -> None:
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        super().create_folder(path)


class ReadOnly(Disk):
    """Takes so many changes, then none for ever, as a file system does that was remounted after an error."""

    def __init__(self, changes: int) -> None:
        self.changes = changes
        self.made = 0

    def _change(self, path: Path) -> None:
        self.made += 1
        if self.made > self.changes:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    def create(self, path: Path) -> None:
        self._change(path)
        super().create(path)

    def extend(self, path: Path, data: bytes | memoryview) -> None:
        self._change(path)
        super().extend(path, data)

    def truncate(self, path: Path, size: int) -> None:
        self._change(path)
        super().truncate(path, size)

    def rename(self, old: Path, new: Path) -> None:
        self._change(new)
        super().rename(old, new)

    def create_folder(self, path: Path) -> None:
        self._change(path)
        super().create_folder(path)

    def unlink(self, path: Path) -> None:
        self._change(path)
        super().unlink(path)

    def remove_folder(self, path: Path) -> None:
        self._change(path)
        super().remove_folder(path)


class Unsynced(Recorder):
    """Planted bug: bytes are never synced."""

    def sync(self, path: Path) -> None:
        pass


class Nameless(Recorder):
    """Planted bug: names are never synced."""

    def sync_folder(self, path: Path) -> None:
        pass
