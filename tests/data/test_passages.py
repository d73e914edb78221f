"""Texts as rows."""

from pathlib import Path

import numpy as np
import pytest

from thuja.core.errors import DataError
from thuja.data.passages import PASSAGE, PassageSource, is_prose, open_texts
from thuja.data.source import open_source
from thuja.data.split import split
from thuja.settings import Data, OrderSplit

PROSE = "It was a dark night, and the moon was up.\n\nNobody saw it; nobody, that is, but the 猫 and the naïve 😀 owl.\n" * 40


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


def text_of(source) -> str:
    return "".join(text for rows in source.batches(7) for text in rows["text"])


def test_passages_end_to_end_are_the_text(tmp_path: Path) -> None:
    for text in (PROSE, "a", "é" * 1000, "x" * PASSAGE, "\r\n\ta b" * 300):
        source = PassageSource([write(tmp_path / "a.txt", text)])
        assert text_of(source) == text
        assert len(set(source.ids(np.arange(len(source))))) == len(source)


def test_several_files_are_read_by_name_and_empty_ones_passed_over(tmp_path: Path) -> None:
    for name, text in (("b.txt", "second"), ("a.txt", "first "), ("c.txt", "")):
        write(tmp_path / name, text)
    (whole,) = open_texts(tmp_path).values()
    assert text_of(whole) == "first second"
    for part in ("train", "val", "test"):
        write(tmp_path / f"{part}.txt", part)
    assert {name: text_of(part) for name, part in open_texts(tmp_path).items()} == {"train": "train", "validation": "val", "test": "test"}


def test_prose_is_told_from_tables(tmp_path: Path) -> None:
    assert is_prose(write(tmp_path / "a.txt", PROSE))
    assert not is_prose(write(tmp_path / "b.txt", "name,age\nAda,36\nAlan,41\n"))
    assert not is_prose(write(tmp_path / "c.txt", "yes\tfine\nno\tbad\n"))
    assert not is_prose(write(tmp_path / "a.csv", PROSE))
    assert open_source(Data(path=str(tmp_path / "b.txt")))["all"].names == ("name", "age")
    assert open_source(Data(path=str(tmp_path / "a.txt")))["all"].names == ("text",)


def test_the_last_passages_test(tmp_path: Path) -> None:
    sources = {"all": PassageSource([write(tmp_path / "a.txt", PROSE * 5)])}
    parts = split(sources, Data(split=OrderSplit(validation=0.1, test=0.2)))
    assert "".join(map(text_of, parts.values())) == PROSE * 5
    assert list(parts) == ["train", "validation", "test"]
    assert abs(len(parts["test"]) - 0.2 * len(sources["all"])) <= 0.5
    assert list(split(sources, Data(split=OrderSplit(validation=0, test=0.5)))) == ["train", "test"]


def test_equal_content_has_an_equal_fingerprint(tmp_path: Path) -> None:
    one, other = PassageSource([write(tmp_path / "a.txt", PROSE)]), PassageSource([write(tmp_path / "b.txt", PROSE + "!")])
    assert one.fingerprint() == PassageSource([tmp_path / "a.txt"]).fingerprint() != other.fingerprint()
    assert np.array_equal(one.hashes(np.arange(5), ()), other.hashes(np.arange(5), ()))


def test_what_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"abc\xff")
    with pytest.raises(DataError) as caught:
        PassageSource([tmp_path / "a.txt"])
    assert str(caught.value) == f"{tmp_path}/a.txt, near byte 3: expected UTF-8 text, found the byte 0xff. Save the file as UTF-8."
    with pytest.raises(DataError, match="expected a text, found nothing in it"):
        PassageSource([write(tmp_path / "b.txt", "")])
