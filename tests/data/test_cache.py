import os
from pathlib import Path

import pytest

from thuja.core.errors import DataError, StorageError
from thuja.data import cache
from thuja.data.cache import file_digest


def test_root_follows_the_environment(monkeypatch):
    monkeypatch.setenv("THUJA_CACHE", "/somewhere")
    assert cache.root() == Path("/somewhere")
    monkeypatch.delenv("THUJA_CACHE")
    assert cache.root() == Path.home() / ".cache" / "thuja"


def test_a_settled_file_is_read_once_and_again_when_it_changes(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"one")
    os.utime(path, (1, 1))
    first = file_digest(path)
    monkeypatch.setattr(cache.digest, "of_file", lambda _: "read again")
    assert file_digest(path) == first
    os.utime(path, (2, 2))
    assert file_digest(path) == "read again"


def test_a_file_just_written_is_not_remembered(tmp_path):
    """It may change again within one tick of the file system's clock."""
    path = tmp_path / "a"
    path.write_bytes(b"one")
    stat = path.stat()
    first = file_digest(path)
    path.write_bytes(b"two")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert file_digest(path) != first


def test_a_damaged_record_is_ignored(tmp_path, cache_folder):
    path = tmp_path / "a"
    path.write_bytes(b"one")
    os.utime(path, (1, 1))
    first = file_digest(path)
    (record,) = (cache_folder / "digests").iterdir()
    right = record.read_bytes()
    for wrong in (b"{torn", b"[]", right.replace(first[:4].encode(), first[1:4].encode() + b"0")):
        record.write_bytes(wrong)
        assert file_digest(path) == first


def test_where_nothing_can_be_remembered_files_are_read_each_time(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"one")
    os.utime(path, (1, 1))
    first = file_digest(path)

    def refuse(place, data):
        raise StorageError(str(place), expected="a writable place", found="no space left")

    monkeypatch.setattr(cache, "write_atomic", refuse)
    os.utime(path, (2, 2))
    assert file_digest(path) == first


def test_absent_file(tmp_path):
    with pytest.raises(DataError) as caught:
        file_digest(tmp_path / "a")
    assert str(caught.value) == f"{tmp_path}/a: expected a readable file, found No such file or directory. Check that it is there and may be read."
