import errno
from pathlib import Path

import pytest

from thuja.core import log
from thuja.core.errors import ArtifactError, StorageError
from thuja.core.storage import Disk

RECORDS = [{"step": 1, "loss": 0.1 + 0.2}, {"step": 2, "text": "naïve\nline"}, {"step": 3}]


def test_records_come_back(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert log.read(path) == ([], 0, 0)
    log.append(path, RECORDS[:1])
    log.append(path, RECORDS[1:])
    assert log.read(path) == (RECORDS, path.stat().st_size, 0)


def test_cut_at_any_byte_whole_records_remain_and_the_rest_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log.append(path, RECORDS)
    data = path.read_bytes()
    for size in range(len(data)):
        path.write_bytes(data[:size])
        whole = data[:size].count(b"\n")
        assert log.read(path) == (RECORDS[:whole], len(b"\n".join(data.split(b"\n")[:whole])) + (whole > 0), size - (data[:size].rfind(b"\n") + 1))


def test_what_a_power_cut_left_out_of_the_last_addition_is_a_torn_tail(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log.append(path, RECORDS[:1])
    log.append(path, RECORDS[1:])
    data = path.read_bytes()
    assert data.count(b"+ {") == 1
    path.write_bytes(data.replace(b"line", b"\0\0\0\0"))  # the second record is gone, the third, added with it, is whole
    assert log.read(path) == (RECORDS[:1], len(log.frame(RECORDS[0])), len(data) - len(log.frame(RECORDS[0])))
    log.append(path, RECORDS[:1])
    with pytest.raises(ArtifactError):  # what comes later proves that it had been whole
        log.read(path)


def test_a_flipped_bit_is_never_read_as_truth(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log.append(path, RECORDS)
    data = path.read_bytes()
    for place in range(len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        try:
            records, _, torn = log.read(path)
        except ArtifactError:
            continue
        assert records == RECORDS[: len(records)]
        assert len(records) < len(RECORDS) and torn


def test_a_damaged_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for record in RECORDS:
        log.append(path, [record])
    path.write_bytes(path.read_bytes().replace(b"line", b"lime"))
    with pytest.raises(ArtifactError) as caught:
        log.read(path)
    assert str(caught.value) == f"{path}:2: expected a whole record, found a damaged one. Restore the file from a copy; the lines before it are intact."


class Full(Disk):
    """Takes half of what is added, then refuses."""

    def append(self, path: Path, data: bytes) -> None:
        super().append(path, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "no space")


def test_a_full_disk_leaves_no_half_line_behind(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log.append(path, RECORDS[:1])
    with pytest.raises(StorageError) as caught:
        log.append(path, RECORDS[1:], Full())
    assert str(caught.value) == (f"{path}: expected a writable place, found no space left. "
                                 "Free some space or choose another folder; what was saved before is intact.")
    log.append(path, RECORDS[1:])
    assert log.read(path)[0] == RECORDS


def test_rewrite_replaces_all(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log.append(path, RECORDS)
    log.rewrite(path, RECORDS[:1])
    assert log.read(path)[0] == RECORDS[:1]


def test_what_is_no_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Out of range float values"):
        log.append(tmp_path / "log", [{"loss": float("nan")}])


@pytest.mark.parametrize("body", [b"\xda", b"{", b"[" * 100_000])
def test_a_right_checksum_over_what_is_no_record_is_damage_all_the_same(tmp_path: Path, body: bytes) -> None:
    line = log._framed(body, False) + b"\n"
    (tmp_path / "log").write_bytes(line + log.frame({"a": 1}) + log.frame({"a": 2}))
    with pytest.raises(ArtifactError):
        log.read(tmp_path / "log")
