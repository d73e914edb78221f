"""Everything that must survive a crash is written here: a dozen operations on a `Disk`, and the safe recipes made of them.

A test passes another `Disk` that fails or stops at any operation. Recipe for a file: write beside it, sync, rename, sync the folder.
Recipe for a folder: write it whole under a temporary name, then rename once. Replacing a folder takes two renames, as no portable call swaps two folders;
a crash between them leaves the old one aside, and `recover` (a reader's first call) puts it back.
"""

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from thuja.core.errors import StorageError

TEMPORARY = ".tmp-"
ASIDE = f"{TEMPORARY}old-"


class Disk:
    """The operations; every one may fail, and a double may crash before or after any of them."""

    def write(self, path: Path, data: bytes | memoryview) -> None:
        """Create or replace `path` and sync its bytes (not its name)."""
        with path.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def append(self, path: Path, data: bytes) -> None:
        """Add bytes at the end and sync them."""
        with path.open("ab") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def truncate(self, path: Path, size: int) -> None:
        """Cut a file to `size` bytes and sync."""
        with path.open("r+b") as file:
            file.truncate(size)
            os.fsync(file.fileno())

    def read(self, path: Path) -> bytes:
        """All bytes of a file."""
        return path.read_bytes()

    def rename(self, old: Path, new: Path) -> None:
        """Replace `new` by `old` in one step."""
        os.replace(old, new)

    def sync_folder(self, path: Path) -> None:
        """Make names in a folder survive a power cut."""
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def make_folder(self, path: Path) -> None:
        """Create a folder and its parents; an existing one is fine."""
        path.mkdir(parents=True, exist_ok=True)

    def remove(self, path: Path) -> None:
        """Delete a file or a whole folder; an absent one is fine."""
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=False)
        else:
            path.unlink(missing_ok=True)

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
    """Replace a file so that a crash leaves the old bytes or the new ones, never a mixture.

    Raises: StorageError when the disk is full or read-only; the old file is untouched.
    """
    temporary = path.with_name(f"{TEMPORARY}{path.name}")
    with explained(path):
        disk.make_folder(path.parent)
        try:
            disk.write(temporary, data)
            disk.rename(temporary, path)
            disk.sync_folder(path.parent)
        except OSError:
            with contextlib.suppress(OSError):
                disk.remove(temporary)
            raise


def write_folder(path: Path, files: Mapping[str, bytes | memoryview], disk: Disk = DISK) -> None:
    """Create a folder with these files (plain names) in one step: it is there whole or not at all. Replaces an existing one.

    Raises: StorageError when the disk is full or read-only; an older folder of that name is untouched.
    """
    temporary = path.with_name(f"{TEMPORARY}{path.name}")
    aside = _aside(path)
    with explained(path):
        try:
            recover(path, disk)
            disk.remove(temporary)
            disk.make_folder(temporary)
            for name, data in files.items():
                assert "/" not in name and not name.startswith("."), name
                disk.write(temporary / name, data)
            disk.sync_folder(temporary)
            if path.exists():
                disk.remove(aside)
                disk.rename(path, aside)
            disk.rename(temporary, path)
            disk.sync_folder(path.parent)
        except OSError:
            with contextlib.suppress(OSError):
                recover(path, disk)
                disk.remove(temporary)
            raise
    with contextlib.suppress(OSError):  # the new folder is in place; what cannot be removed now goes with the next write
        disk.remove(aside)


def recover(path: Path, disk: Disk = DISK) -> None:
    """Finish what a crash left half done at `path`: if its replacement stopped between two renames, the old folder comes back. Cheap; call before reading."""
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


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path` while inside; the kernel frees it when its owner dies, so no lock is ever stale."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(file.fileno(), fcntl.LOCK_UN)
