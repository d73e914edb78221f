"""Piano rolls as text and back."""

import json

import pytest

from thuja.core.errors import DataError
from thuja.data.infer import infer
from thuja.data.pianoroll import is_rolls, open_rolls, read, written
from thuja.data.source import open_source
from thuja.settings import Data

PIECE = [[60, 72, 79, 88], [72, 60], [], [21, 108]]


def rolls(tmp_path, **parts):
    (path := tmp_path / "rolls.json").write_text(json.dumps(parts))
    return path


def test_every_music_has_one_text_and_comes_back():
    assert read(written(PIECE)) == [sorted(step) for step in PIECE]
    assert written(PIECE) == written([list(reversed(step)) for step in PIECE])
    assert written(PIECE).count(" ") == len(PIECE)
    assert read(written(PIECE[:3], up=-5)) == [[pitch - 5 for pitch in sorted(step)] for step in PIECE[:3]]
    assert read(written(PIECE)[:-1]) == read(written(PIECE))


def test_parts_and_bad_pieces(tmp_path):
    path = rolls(tmp_path, train=[PIECE, [], [[130]], [["x"]]], valid=[PIECE], test=[PIECE])
    parts = open_source(Data(path=str(path)))
    assert {name: len(part) for name, part in parts.items()} == {"train": 1, "validation": 1, "test": 1}
    assert [tuple(bad) for bad in parts["train"].bad] == [
        ("rolls.json:train:1", "a piece without a step"), ("rolls.json:train:2", "the pitch 130, which no piano has"),
        ("rolls.json:train:3", "invalid literal for int() with base 10: 'x'")]
    guess = infer(parts)
    assert (guess.task["kind"], guess.task["vocabulary"]) == ("language-model", "characters")
    assert guess.notes[0] == "1 train pieces, 1 validation pieces, 1 test pieces."
    assert len({parts[name].fingerprint() for name in parts}) == 3


def test_what_is_no_roll(tmp_path):
    assert not is_rolls(rolls(tmp_path, rows=[1]))
    path = rolls(tmp_path, train=[[[60]]])
    assert is_rolls(path)
    path.write_text(path.read_text()[:-3])
    with pytest.raises(DataError) as caught:
        open_rolls(path)
    assert str(caught.value) == f"{path}: expected piano rolls as JSON, found a damaged file. Fetch it again."
    with pytest.raises(DataError, match="an object with train, valid and test"):
        open_rolls(rolls(tmp_path, valid=[[[60]]]))
