"""Folders of parallel texts: parts, languages, and what does not pair."""

import gzip

import numpy as np
import pytest

from thuja.core.errors import DataError
from thuja.data.parallel import groups, is_parallel
from thuja.data.source import open_source
from thuja.settings import Data


def write(folder, **texts):
    """Files named like `train_en` for `train.en`; a list of lines each."""
    for name, lines in texts.items():
        stem, _, language = name.rpartition("_")
        (folder / f"{stem}.{language}").write_text("".join(f"{line}\n" for line in lines), "utf-8")


def test_a_folder_becomes_parts_with_a_column_a_language(tmp_path):
    write(tmp_path, train_en=["a dog", "a cat"], train_de=["ein Hund", "eine Katze"], val_en=["one"], val_de=["eins"])
    for language, text in (("en", "two\n"), ("de", "zwei\n")):
        with gzip.open(tmp_path / f"test_2016_flickr.{language}.gz", "wt", encoding="utf-8") as file:
            file.write(text)
    parts = open_source(Data(path=str(tmp_path)))
    assert list(parts) == ["train", "validation", "test"]
    assert parts["train"].names == ("de", "en")
    assert parts["train"].take(np.array([1])) == {"de": ["eine Katze"], "en": ["a cat"]}
    assert parts["train"].ids(np.array([0, 1])) == ["train:1", "train:2"]
    assert parts["test"].ids(np.array([0])) == ["test_2016_flickr:1"]
    again = open_source(Data(path=str(tmp_path)))
    assert again["train"].fingerprint() == parts["train"].fingerprint() != parts["validation"].fingerprint()


def test_of_several_test_sets_the_shortest_name_is_taken_and_another_can_be_named(tmp_path):
    write(tmp_path, train_en=["a"], train_de=["b"], test_news_en=["c"], test_news_de=["d"], test_en=["e"], test_de=["f"])
    assert open_source(Data(path=str(tmp_path)))["test"].ids(np.array([0])) == ["test:1"]
    named = open_source(Data(path=str(tmp_path), test=str(tmp_path / "test_news.de")))
    assert named["test"].take(np.array([0])) == {"de": ["d"], "en": ["c"]}


def test_one_text_of_any_name_is_all_there_is(tmp_path):
    write(tmp_path, news_en=["x", ""], news_fr=["y", "z"])
    parts = open_source(Data(path=str(tmp_path)))
    assert list(parts) == ["all"]
    assert parts["all"].take(np.arange(2)) == {"en": ["x", ""], "fr": ["y", "z"]}


def test_only_a_line_feed_ends_a_line(tmp_path):
    (tmp_path / "train.en").write_bytes("a\u2028b\x0cc\rd\r\ne".encode())
    (tmp_path / "train.de").write_bytes(b"1\n2\n")
    assert open_source(Data(path=str(tmp_path)))["train"].take(np.arange(2)) == {"de": ["1", "2"], "en": ["a\u2028b\x0cc\rd", "e"]}


def test_unpaired_lines_are_refused_with_both_counts(tmp_path):
    write(tmp_path, train_en=["a", "b", "c"], train_de=["1", "2"])
    with pytest.raises(DataError) as caught:
        open_source(Data(path=str(tmp_path)))
    assert str(caught.value) == (f"{tmp_path}: expected as many lines in each language, found 2 in train.de and 3 in train.en. "
                                 "A line was lost or broken in two: take both files from one source again.")


@pytest.mark.parametrize(("content", "message"), [
    (b"\xff\xfe\n", "expected text in utf-8, found byte 0xff at 0. Set data.encoding, for example to latin-1 or cp1252, or save the file as UTF-8."),
    (b"", "expected at least one line, found none. Check that the right file was given."),
])
def test_other_bytes_and_nothing_are_refused(tmp_path, content, message):
    for language in ("de", "en"):
        (tmp_path / f"train.{language}").write_bytes(content)
    with pytest.raises(DataError) as caught:
        open_source(Data(path=str(tmp_path)))
    assert str(caught.value).endswith(message)


def test_a_folder_of_something_else_is_not_parallel(tmp_path):
    write(tmp_path, train_en=["a"])
    (tmp_path / "notes.txt").write_text("no")
    assert groups(tmp_path) == {}
    assert not is_parallel(tmp_path)
    with pytest.raises(DataError) as caught:
        open_source(Data(path=str(tmp_path), format="parallel"))
    assert str(caught.value) == (f"{tmp_path}: expected texts of equal lines, such as train.en and train.de, found none. "
                                 "Check data.path and the files' names.")
