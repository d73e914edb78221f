import numpy as np
import pytest
from PIL import Image as Pillow

from thuja.core.errors import DataError
from thuja.data.infer import infer
from thuja.data.source import open_source
from thuja.settings import Data


def tree(folder, *people, each=3):
    for person in people:
        (folder / person).mkdir(parents=True)
        for take in range(each):
            Pillow.fromarray(np.full((8, 8), take, np.uint8)).save(folder / person / f"{take}.pgm")
    return folder


def guessed(folder, target=None):
    return infer(open_source(Data(path=str(folder))), target)


@pytest.mark.parametrize(("folder", "people", "why"), [
    ("orl_faces", ("ann", "bo"), "because of the name 'orl_faces'"),
    ("faces/train_set", ("ann", "bo"), "because of the name 'faces'"),
    ("things", ("s1", "s2", "s30"), "because folders are named after numbered people"),
    ("things", ("person_01", "person_02"), "because folders are named after numbered people"),
])
def test_a_folder_of_people(tmp_path, folder, people, why):
    guess = guessed(tree(tmp_path / folder, *people))
    assert guess.task == {"kind": "face-recognition"}
    assert guess.data == {"split": {"kind": "group", "column": "label"}}
    count = 3 * len(people)
    assert guess.notes[0] == f"{count} pictures of {len(people)} people, {why}. For names of anything else, set task.kind to image-classification."


@pytest.mark.parametrize(("folder", "people"), [
    ("surfaces", ("oak", "pine")), ("typefaces", ("a", "b")), ("things", ("s1", "cat")), ("things", ("n01440764", "n01443537")),
])
def test_other_pictures_are_not_taken_for_faces(tmp_path, folder, people):
    assert guessed(tree(tmp_path / folder, *people)).task["kind"] == "image-classification"


def test_people_with_one_picture_are_told_of_and_given_parts_are_kept(tmp_path):
    folder = tree(tmp_path / "faces", "ann", "bo")
    tree(folder, "cy", "di", each=1)
    assert "2 of 4 people have a single picture: they help little in training, and no pair can be made of them in a test." in guessed(folder).notes
    parts = tmp_path / "more_faces"
    tree(parts / "train", "ann", "bo")
    tree(parts / "test", "ann")
    guess = guessed(parts)
    assert guess.data == {} and guess.notes[-1] == "Split: given, because the data come in parts (train, test)."


def test_a_target_that_is_no_column(tmp_path):
    with pytest.raises(DataError) as caught:
        guessed(tree(tmp_path / "faces", "ann", "bo"), "who")
    assert str(caught.value) == "target: expected the name of a column, found 'who'. Choose from: image, label."
