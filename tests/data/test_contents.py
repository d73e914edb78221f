"""What is said of a path that is no data set as it is: what lies there, and what to type."""

import gzip
import json
from pathlib import Path

import pytest

from thuja.core.errors import DataError
from thuja.data.source import open_source
from thuja.settings import Data

JSON = "Write a row a line (.jsonl), or read it in Python and pass the rows: thuja.train(spec, data=rows)."


def refused(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        open_source(Data(path=str(path)))
    return str(caught.value)


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def test_a_folder_of_data_sets_names_them(tmp_path: Path) -> None:
    for name in ("raw", "tok"):
        for language, line in (("en", "a dog\n"), ("de", "ein Hund\n")):
            written(tmp_path / "captions" / name / f"train.{language}", line * 3)
    written(tmp_path / "captions" / "LICENSE", "free")
    assert refused(tmp_path / "captions") == (
        f"{tmp_path}/captions: expected one data set, found a folder of several: raw, tok. Name one of them, such as: thuja init captions/raw")
    assert len(open_source(Data(path=str(tmp_path / "captions" / "raw")))["train"]) == 3


def test_folders_of_nothing_known_are_still_asked_for_pictures(tmp_path: Path) -> None:
    written(tmp_path / "cat" / "notes.bin", "x")
    assert "expected a folder of pictures for each class" in refused(tmp_path)


def test_a_folder_of_json_says_so(tmp_path: Path) -> None:
    written(tmp_path / "a.json", "[]")
    written(tmp_path / "b.json", "[]")
    assert refused(tmp_path) == f"{tmp_path}: expected files of a known kind, found JSON documents: a.json, b.json. {JSON}"


def test_a_small_table_beside_large_json_is_not_taken_for_the_data(tmp_path: Path) -> None:
    written(tmp_path / "full.json", json.dumps(["a row"] * 100))
    table = written(tmp_path / "hyperparameters.csv", "name,value\nrate,0.1\nsteps,3\n")
    said = f"{tmp_path}: expected files of a known kind, found JSON documents: full.json beside hyperparameters.csv. {JSON} A table is opened by its name."
    assert refused(tmp_path) == said
    assert len(open_source(Data(path=str(table)))["all"]) == 2
    written(tmp_path / "full.json", "{}")
    assert len(open_source(Data(path=str(tmp_path)))["all"]) == 2


@pytest.mark.parametrize(("text", "found"), [
    ('{"train": [], "test": []}', "an object with 'train', 'test'"), ("[1, 2, 3]", "a list of 3 values"), ("7", "a single value"),
    ('{"a": 1}\n{"a": 2}', "damaged, or of several values")])
def test_a_json_document_is_described(tmp_path: Path, text: str, found: str) -> None:
    path = written(tmp_path / "rows.json", text)
    assert refused(path) == f"{path}: expected a row a line, found one JSON document, {found}. {JSON}"


def test_dialogues_are_no_table(tmp_path: Path) -> None:
    text = b"1 good morning\thello\n2 a table please\ton it\n\n1 hi\thello\n"
    (tmp_path / "talk.txt").write_bytes(text)
    (tmp_path / "talk.txt.gz").write_bytes(gzip.compress(text))
    for path in (tmp_path / "talk.txt", tmp_path / "talk.txt.gz"):
        assert refused(path) == (f"{path}: expected rows, found dialogues in bAbI's form, numbered lines of a question, a tab and an answer. Write a dialogue "
                                 'a line as JSONL: {"messages": [{"role": "user", "content": ...}, {"role": "assistant", "content": ...}]}.')


def test_a_numbered_table_is_a_table(tmp_path: Path) -> None:
    path = written(tmp_path / "rows.csv", "id,city\n1,Rome\n2,Oslo\n")
    assert len(open_source(Data(path=str(path)))["all"]) == 2
