"""Everything that must survive a crash is written here: the operations of a `Disk`, and the safe recipes made of them.

A test passes another `Disk` that records, fails or stops at any operation. What counts on a disk: bytes survive a power cut after `sync` of their file,
names after `sync_folder` of their folder, and nothing else is certain. Recipe for a file: write beside it, sync, rename, sync the folder.
Recipe for a folder: write it whole under a temporary name, sync, then rename once. Replacing a folder takes two renames, as no portable call swaps two
folders; a crash between them leaves the old one aside, where `current` finds it for readers and `recover` puts it back for writers.
"""

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from thuja.core.errors import StorageError, ThujaError

TEMPORARY = ".tmp-"
ASIDE = f"{TEMPORARY}old-"
GONE = f"{TEMPORARY}gone-"
TRIES = 20
"""How often a reader looks again for a folder that is being replaced."""

Answer = TypeVar("Answer")


class Disk:
    """The operations; every one may fail, and a double may crash before or after any of them. `write`, `append`, `make_folder` and `remove` are made of the
    others."""

    def create(self, path: Path) -> None:
        """An empty file; one that is there is emptied. Neither its name nor its emptiness is synced."""
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666))

    def extend(self, path: Path, data: bytes | memoryview) -> None:
        """Add bytes at the end of a file, which is made where it is not there. Not synced. A view must be of bytes, one-dimensional."""
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(handle, view) :]
        finally:
            os.close(handle)

    def truncate(self, path: Path, size: int) -> None:
        """Cut a file to `size` bytes. Not synced."""
        os.truncate(path, size)

    def sync(self, path: Path) -> None:
        """Make the bytes of a file survive a power cut (not its name)."""
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def rename(self, old: Path, new: Path) -> None:
        """Replace `new` by `old` in one step."""
        os.replace(old, new)

    def create_folder(self, path: Path) -> None:
        """A new folder in one that is there. Raises: FileExistsError."""
        path.mkdir()

    def sync_folder(self, path: Path) -> None:
        """Make names in a folder survive a power cut. Some file systems know no such call and need none."""
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise
        finally:
            os.close(handle)

    def unlink(self, path: Path) -> None:
        """Delete a file. Raises: FileNotFoundError."""
        path.unlink()

    def remove_folder(self, path: Path) -> None:
        """Delete an empty folder."""
        path.rmdir()

    def read(self, path: Path, start: int = 0) -> bytes:
        """The bytes of a file, from `start` on."""
        with path.open("rb") as file:
            file.seek(start)
            return file.read()

    def list(self, path: Path) -> list[str]:
        """Sorted names in a folder, without those of unfinished writes; an absent folder is empty."""
        if not path.is_dir():
            return []
        return sorted(name for name in os.listdir(path) if not name.startswith(TEMPORARY))

    def free_bytes(self, path: Path) -> int:
        """Free space where `path` is (or will be)."""
        place = path
        while not place.exists():
            place = place.parent
        return shutil.disk_usage(place).free

    def write(self, path: Path, data: bytes | memoryview) -> None:
        """Create or replace `path` and sync its bytes (not its name)."""
        self.create(path)
        self.extend(path, data)
        self.sync(path)

    def append(self, path: Path, data: bytes) -> None:
        """Add bytes at the end and sync them."""
        self.extend(path, data)
        self.sync(path)

    def make_folder(self, path: Path) -> None:
        """Create a folder and its parents, names synced; an existing one is fine."""
        missing = []
        while not path.is_dir():
            missing.append(path)
            path = path.parent
        for folder in reversed(missing):
            try:
                self.create_folder(folder)
            except FileExistsError:  # another process was faster, or it is a file
                if not folder.is_dir():
                    raise
            self.sync_folder(folder.parent)

    def remove(self, path: Path) -> None:
        """Delete a file or a whole folder, not in one step; an absent one is fine."""
        if path.is_dir() and not path.is_symlink():
            for name in sorted(os.listdir(path)):
                self.remove(path / name)
            self.remove_folder(path)
        else:
            with contextlib.suppress(FileNotFoundError):
                self.unlink(path)


DISK = Disk()


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals into a four-part error."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            found, fix = "no space left", "Free some space or choose another folder; what was saved before is intact."
        elif error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            found, fix = "a place that may not be written", "Choose another folder or change its permissions."
        else:
            raise
        raise StorageError(str(path), expected="a writable place", found=found, fix=fix) from error


def write_atomic(path: Path, data: bytes, disk: Disk = DISK) -> None:
    """Replace a file so that a crash leaves the old bytes or the new ones, never a mixture. Several processes may do so at once: one of them is last.

    Raises: StorageError when the disk is full or read-only; the old file is untouched.
    """
    with explained(path):
        disk.make_folder(path.parent)
        with _turn(path.parent), build_file(path, disk) as temporary:
            disk.extend(temporary, data)


@contextlib.contextmanager
def build_file(path: Path, disk: Disk = DISK) -> Iterator[Path]:
    """A file written piece by piece: gives an empty one to `extend`, which takes its place at `path` at the end, or vanishes when the body raises.

    Raises: StorageError when the disk is full or read-only; the old file is untouched.
    """
    temporary = path.with_name(f"{TEMPORARY}{path.name}")
    with explained(path):
        disk.make_folder(path.parent)
        try:
            disk.create(temporary)
            yield temporary
            disk.sync(temporary)
            disk.rename(temporary, path)
            disk.sync_folder(path.parent)
        finally:
            with contextlib.suppress(OSError):
                disk.remove(temporary)


def write_folder(path: Path, files: Mapping[str, bytes | memoryview], disk: Disk = DISK) -> None:
    """Create a folder with these files (plain names) in one step: it is there whole or not at all. Replaces an existing one; several processes may at once.

    Raises: StorageError when the disk is full or read-only; an older folder of that name is untouched.
    """
    with explained(path):
        disk.make_folder(path.parent)
        with _turn(path.parent), build_folder(path, disk) as temporary:
            for name, data in files.items():
                assert "/" not in name and not name.startswith("."), name
                disk.create(temporary / name)
                disk.extend(temporary / name, data)


@contextlib.contextmanager
def build_folder(path: Path, disk: Disk = DISK) -> Iterator[Path]:
    """A folder too large for memory, by one writer at a time: gives an empty one, whose files need no sync; it takes its place at `path` at the end, in one
    step, or vanishes when the body raises.

    Raises: StorageError when the disk is full or read-only; an older folder of that name is untouched.
    """
    temporary = path.with_name(f"{TEMPORARY}{path.name}")
    with explained(path):
        disk.make_folder(path.parent)
        try:
            recover(path, disk)
            for stale in (temporary, _gone(path)):
                disk.remove(stale)
            disk.create_folder(temporary)
            yield temporary
            for name in sorted(os.listdir(temporary)):
                disk.sync(temporary / name)
            disk.sync_folder(temporary)
            _put(temporary, path, disk)
        finally:
            with contextlib.suppress(OSError):
                recover(path, disk)
                disk.remove(temporary)
    with contextlib.suppress(OSError, StorageError):  # the new folder is in place; what cannot be removed now goes with the next write
        discard(_aside(path), disk)


def _put(temporary: Path, path: Path, disk: Disk) -> None:
    if path.exists():
        disk.remove(_aside(path))
        disk.rename(path, _aside(path))
    disk.rename(temporary, path)
    disk.sync_folder(path.parent)


def discard(path: Path, disk: Disk = DISK) -> None:
    """Delete a folder so that a crash leaves it whole or takes it all: it loses its name before its files. An absent one is fine. Raises: StorageError."""
    if path.exists():
        gone = _gone(path)
        with explained(path):
            disk.remove(gone)
            disk.rename(path, gone)
            disk.sync_folder(path.parent)
            disk.remove(gone)


def current(path: Path) -> Path:
    """What a reader opens: the folder, or the old one that a writer has set aside for the moment between its two renames. Takes no lock, writes nothing."""
    aside = _aside(path)
    return aside if not path.exists() and aside.exists() else path


def read_folder(path: Path, read: Callable[[Path], Answer]) -> Answer:
    """`read` of what is at `path`, again where the folder was replaced under its hands: it may have failed, or have read one file before and one after."""
    for _ in range(TRIES - 1):
        place = current(path)
        before = _identity(place)
        try:
            answer = read(place)
        except (OSError, ThujaError):
            if _identity(current(path)) == before:
                raise
        else:
            if _identity(place) == before:
                return answer
    return read(current(path))


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino, stat.st_ctime_ns


def recover(path: Path, disk: Disk = DISK) -> None:
    """Finish what a crash left half done at `path`: if its replacement stopped between two renames, the old folder comes back. For writers; readers ask
    `current`."""
    aside = _aside(path)
    if not path.exists() and aside.exists():
        disk.rename(aside, path)
        disk.sync_folder(path.parent)


def sweep(folder: Path, disk: Disk = DISK) -> None:
    """Remove what writers that died left in `folder`. Only while no other writer is at work there."""
    if not folder.is_dir():
        return
    for name in sorted(os.listdir(folder)):
        if name.startswith(ASIDE):
            recover(folder / name.removeprefix(ASIDE), disk)
    for name in sorted(os.listdir(folder)):
        if name.startswith(TEMPORARY):
            disk.remove(folder / name)


def _aside(path: Path) -> Path:
    return path.with_name(f"{ASIDE}{path.name}")


def _gone(path: Path) -> Path:
    return path.with_name(f"{GONE}{path.name.removeprefix(ASIDE)}")


@contextlib.contextmanager
def locked(path: Path, disk: Disk = DISK) -> Iterator[None]:
    """Hold an exclusive lock on `path` while inside; the kernel frees it when its owner dies, so no lock is ever stale. Raises: StorageError."""
    with explained(path):
        disk.make_folder(path.parent)
        file = path.open("a+b")
    with file:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """Writers in one folder take turns, by a lock on the folder itself, which leaves no file behind. A few network file systems have none: there it is up to
    their user that two processes do not write one name at once."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
