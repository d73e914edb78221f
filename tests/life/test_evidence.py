"""Evidence: named by content, refused when it is other, erased for good."""

import pytest

from thuja.core.errors import ArtifactError
from thuja.life.evidence import Evidence


def test_what_is_kept_comes_back_and_is_written_once(tmp_path):
    evidence = Evidence(tmp_path)
    name = evidence.keep(b"a table")
    place = tmp_path / name[:2] / name
    stamp = place.stat().st_mtime_ns
    assert evidence.keep(b"a table") == name and place.stat().st_mtime_ns == stamp
    assert evidence.get(name) == b"a table"
    assert evidence.get_data(evidence.keep_data({"b": 1, "a": [None, 2.5]})) == {"a": [None, 2.5], "b": 1}


def test_other_bytes_and_none_are_refused(tmp_path):
    evidence = Evidence(tmp_path)
    name = evidence.keep(b"a table")
    (tmp_path / name[:2] / name).write_bytes(b"a tabel")
    with pytest.raises(ArtifactError, match=f"evidence {name[:12]}: expected the file that the ledger names, found other bytes"):
        evidence.get(name)
    assert evidence.erase(name) and not evidence.erase(name)
    with pytest.raises(ArtifactError, match="found nothing"):
        evidence.get(name)
