"""Folders of recordings: by table, by folder, by the names of the files."""

from pathlib import Path

import numpy as np
import pytest

from thuja.core.errors import DataError
from thuja.data.audio_folder import guess_pattern, is_audio_folder
from thuja.data.source import open_source
from thuja.fields.audio import wav
from thuja.settings import Data


def record(path: Path, tone: float = 440.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(wav(0.3 * np.sin(np.arange(800) * tone / 1273), 8000))
    return path


def opened(root: Path, **data: object) -> dict:
    return open_source(Data(path=str(root), **data))


def test_names_of_files_say_who_said_what(tmp_path: Path) -> None:
    for digit in range(3):
        for who in ("ann", "bo"):
            for take in range(5):
                record(tmp_path / "recordings" / f"{digit}_{who}_{take}.wav", 100 * digit + take + 1)
    source = opened(tmp_path)["all"]
    assert source.names == ("audio", "text", "speaker", "take")
    assert source.kinds == {"audio": "file", "text": "text", "speaker": "text", "take": "text"}
    assert len(source) == 30
    rows = source.take(np.array([5]))
    assert rows == {"audio": [tmp_path / "recordings" / "0_bo_0.wav"], "text": ["0"], "speaker": ["bo"], "take": ["0"]}
    assert source.ids(np.array([5])) == ["recordings/0_bo_0.wav"]
    typed = opened(tmp_path, pattern="{digit}_{rest}")["all"]
    assert typed.take(np.array([5]), ("digit", "rest")) == {"digit": ["0"], "rest": ["bo_0"]}
    assert typed.fingerprint() != source.fingerprint()


def test_hashes_and_fingerprint_follow_the_content(tmp_path: Path) -> None:
    record(tmp_path / "a_x_1.wav"), record(tmp_path / "b_x_2.wav"), record(tmp_path / "c_x_3.wav", 99)
    source = opened(tmp_path)["all"]
    one, two, three = source.hashes(np.arange(3), ("audio",))
    assert one == two != three
    before = source.fingerprint()
    assert opened(tmp_path)["all"].fingerprint() == before
    record(tmp_path / "c_x_3.wav", 98)
    assert opened(tmp_path)["all"].fingerprint() != before


def test_a_folder_for_each_word_with_and_without_parts(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for word in ("yes", "no"):
            record(tmp_path / "parts" / part / word / f"{part}.wav")
            record(tmp_path / "words" / word / f"{part}.wav")
    source = opened(tmp_path / "words")["all"]
    assert source.take(np.arange(4), ("text",)) == {"text": ["no", "no", "yes", "yes"]}
    parts = opened(tmp_path / "parts")
    assert set(parts) == {"train", "test"}
    assert parts["test"].ids(np.arange(2)) == ["test/no/test.wav", "test/yes/test.wav"]


def test_a_table_of_transcripts(tmp_path: Path) -> None:
    record(tmp_path / "clips" / "1.wav"), record(tmp_path / "clips" / "2.wav")
    (tmp_path / "metadata.csv").write_text("file_name,text\nclips/1.wav,good morning\nclips/2.wav,good night\n")
    (tmp_path / "words.csv").write_text("word\ngood\n")
    source = opened(tmp_path)["all"]
    assert source.kinds == {"file_name": "file", "text": "text"}
    assert source.take(np.array([1])) == {"file_name": [tmp_path / "clips" / "2.wav"], "text": ["good night"]}


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    record(tmp_path / "loose" / "one.wav"), record(tmp_path / "loose" / "two more.wav")
    record(tmp_path / "table" / "a.wav")
    (tmp_path / "table" / "notes.csv").write_text("a,b\n1,2\n")
    record(tmp_path / "odd" / "1_ann_0.wav"), record(tmp_path / "odd" / "strange.wav")
    with pytest.raises(DataError) as loose:
        opened(tmp_path / "loose")
    assert str(loose.value) == (
        f"{tmp_path / 'loose'}: expected recordings of which is known what was said, found 2 files such as one.wav. Add metadata.csv with file_name and text, "
        "put each word's files into a folder of its name, or write data.pattern, such as '{text}_{speaker}_{take}'.")
    with pytest.raises(DataError) as table:
        opened(tmp_path / "table")
    assert str(table.value) == (f"{tmp_path / 'table'}: expected a table with a column of file names, such as metadata.csv with file_name and text, "
                                "found notes.csv. Name the table metadata.csv, or give data.path the table's own name.")
    source = opened(tmp_path / "odd", pattern="{text}_{speaker}_{take}")["all"]
    assert [tuple(bad) for bad in source.bad] == [("strange.wav", "a name that does not fit {text}_{speaker}_{take}")]
    with pytest.raises(DataError) as none:
        opened(tmp_path / "odd", pattern="{text}-{speaker}")
    assert str(none.value) == ("data.pattern: expected names that fit {text}-{speaker}, found 1_ann_0.wav and 1 others that do not. "
                               "Correct the pattern; the ending of the files is no part of it.")
    for pattern in ("{audio}_{b}", "{a}_{a}", "plain", "{1}_{b}"):
        with pytest.raises(DataError, match="expected names of columns in braces"):
            opened(tmp_path / "odd", pattern=pattern)


def test_patterns_are_guessed_only_where_names_are_cut_alike() -> None:
    assert guess_pattern([f"{w}-{i}.wav" for w in ("yes", "no") for i in range(5)]) == "{text}-{take}"
    assert guess_pattern(["a.wav", "b.wav"]) == ""
    assert guess_pattern(["a_1.wav", "b_1_2.wav", "c.wav"]) == ""


def test_other_folders_are_not_taken_for_recordings(tmp_path: Path) -> None:
    record(tmp_path / "a.wav")
    assert is_audio_folder(tmp_path)
    (tmp_path / "b.jpg").write_bytes(b"")
    assert not is_audio_folder(tmp_path)
