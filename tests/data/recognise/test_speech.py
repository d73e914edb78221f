"""What `thuja init` makes of recordings."""

from pathlib import Path

import numpy as np
import pytest

from thuja.core.errors import DataError
from thuja.data.infer import infer
from thuja.data.source import open_source
from thuja.fields.audio import wav
from thuja.settings import Data


def record(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(wav(np.zeros(80), 8000))


def test_recordings_by_name(tmp_path: Path) -> None:
    for name in ("0_ann_0", "0_bo_1", "1_ann_0", "1_bo_1"):
        record(tmp_path / f"{name}.wav")
    guess = infer(open_source(Data(path=str(tmp_path))))
    assert guess.task == {"kind": "speech-recognition", "audio": "audio", "target": "text"}
    assert guess.data == {"pattern": "{text}_{speaker}_{take}"}
    assert guess.notes == [
        "4 recordings.", "Recordings: 'audio'. What was said: 'text'.",
        "Names of files are read as {text}_{speaker}_{take}; correct data.pattern if that is wrong.",
        "'speaker' says who spoke: with `data.split: {kind: group, column: speaker}` the test is of voices never heard in training.",
        "Split: hash, because the rows have no time, group or given part; by hash, equal rows land together and adding rows moves none."]


def test_a_table_with_file_names(tmp_path: Path) -> None:
    record(tmp_path / "a.wav")
    (tmp_path / "said.csv").write_text("path,sentence\n" + "a.wav,good morning\n" * 3)
    parts = open_source(Data(path=str(tmp_path / "said.csv")))
    guess = infer(parts)
    assert (guess.task["audio"], guess.task["target"], guess.data) == ("path", "sentence", {"files": ["path"]})
    with pytest.raises(DataError) as caught:
        infer(parts, "sentense")
    assert str(caught.value) == "target: expected the name of a column, found 'sentense'. Did you mean 'sentence'?"


def test_other_data_are_left_to_others(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\nhello there,x\nyou too,y\n")
    assert infer(open_source(Data(path=str(tmp_path / "a.csv")))).task["kind"] != "speech-recognition"
