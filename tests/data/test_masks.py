"""Folders of pictures with masks: how they are told apart, and what lacks the other one."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from thuja.apps.segmentation.codec import SegmentationCodec
from thuja.core.errors import DataError
from thuja.data.columns import encoded
from thuja.data.infer import infer
from thuja.data.masks import is_mask_folder, open_masks
from thuja.data.source import open_source
from thuja.settings import Data


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(np.full((4, 5), len(name), np.uint8)).save(folder / name)


def rows(folder: Path, part: str = "all") -> list[tuple[str, str]]:
    source = open_masks(folder)[part]
    taken = source.take(np.arange(len(source)))
    return [(str(image.relative_to(folder)), str(mask.relative_to(folder))) for image, mask in zip(taken["image"], taken["mask"], strict=True)]


def test_two_folders(tmp_path: Path) -> None:
    write(tmp_path, "images/a.jpg", "images/b.png", "labels/a.png", "labels/b_mask.png")
    assert rows(tmp_path) == [("images/a.jpg", "labels/a.png"), ("images/b.png", "labels/b_mask.png")]
    assert {part: len(source) for part, source in open_source(Data(path=str(tmp_path))).items()} == {"all": 2}


def test_parts_with_two_folders_each(tmp_path: Path) -> None:
    write(tmp_path, "train/image/1.png", "train/label/1.png", "test/image/2.png", "test/label/2.png")
    assert (rows(tmp_path, "train"), rows(tmp_path, "test")) == ([("train/image/1.png", "train/label/1.png")], [("test/image/2.png", "test/label/2.png")])


def test_parts_with_masks_beside_them_and_names_of_classes(tmp_path: Path) -> None:
    write(tmp_path, "train/1.jpg", "trainannot/1.png", "val/2.jpg", "valannot/2.png")
    (tmp_path / "classes.txt").write_text("0 Sky\n1 Road\n2 Unlabelled\n")
    parts = open_masks(tmp_path)
    assert list(parts) == ["train", "validation"]
    guess = infer(open_source(Data(path=str(tmp_path))))
    assert guess.task == {"kind": "segmentation", "image": "image", "target": "mask", "values": [0, 1], "classes": ["Sky", "Road"], "void": [2]}
    assert guess.notes[1] == "Classes, from classes.txt: Sky, Road. Not judged: Unlabelled."


def test_masks_by_their_ending_and_two_eyes_of_a_patient(tmp_path: Path) -> None:
    write(tmp_path, *(f"Image_{patient}{eye}{end}" for patient in (1, 2) for eye in "LR" for end in (".jpg", "_1stHO.png", "_2ndHO.png")))
    assert rows(tmp_path)[0] == ("Image_1L.jpg", "Image_1L_1stHO.png")
    source = open_masks(tmp_path)["all"]
    assert source.take(np.arange(4), ("group",))["group"] == ["Image_1", "Image_1", "Image_2", "Image_2"]
    assert infer({"all": source}).data == {"group": "group"}


def test_a_table_beside_them_gives_more_columns(tmp_path: Path) -> None:
    write(tmp_path, "images/a.png", "images/b.png", "masks/a.png", "masks/b.png")
    (tmp_path / "index.csv").write_text("id,stain\nb,blue\n")
    source = open_masks(tmp_path)["all"]
    assert source.names == ("image", "mask", "stain")
    assert source.take(np.array([1, 0]))["stain"] == ["blue", None]


def test_what_lacks_the_other_is_bad_and_named(tmp_path: Path) -> None:
    write(tmp_path, "images/a.png", "images/b.png", "masks/a.png", "masks/c.png")
    source = open_masks(tmp_path)["all"]
    assert len(source) == 1
    assert source.bad == (("images/b.png", "a picture without a mask"), ("masks/c.png", "a mask without a picture"))
    assert infer({"all": source}).notes[1] == "2 files lack the other one, such as images/b.png."


def test_content_decides_hashes_and_fingerprint(tmp_path: Path) -> None:
    write(tmp_path, "images/a.png", "masks/a.png", "images/b.png", "masks/b.png")
    source = open_masks(tmp_path)["all"]
    before, hashes = source.fingerprint(), source.hashes(np.arange(2), ("image",))
    assert hashes[0] == hashes[1], "equal files"
    Pillow.fromarray(np.full((4, 5), 99, np.uint8)).save(tmp_path / "masks" / "b.png")
    again = open_masks(tmp_path)["all"]
    assert again.fingerprint() != before
    assert (again.hashes(np.arange(2), ("image",)) == hashes).all()
    assert again.hashes(np.array([1]), ("image", "mask")) != again.hashes(np.array([0]), ("image", "mask"))


def test_classes_of_pictures_are_no_masks(tmp_path: Path) -> None:
    write(tmp_path, "cat/1.png", "dog/1.png")
    assert not is_mask_folder(tmp_path)
    with pytest.raises(DataError) as caught:
        open_masks(tmp_path)
    assert str(caught.value) == (f"{tmp_path}: expected pictures with masks, such as images/1.png and masks/1.png, found no such pair. Give a mask the name of "
                                 "its picture, in a folder called masks, or with the ending _mask.")


def test_a_table_of_paths(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "b.png")
    (tmp_path / "rows.csv").write_text("photo,mask,patient\na.png,b.png,x\nb.png,a.png,y\n")
    guess = infer(open_source(Data(path=str(tmp_path / "rows.csv"))))
    assert (guess.task, guess.data) == ({"kind": "segmentation", "image": "photo", "target": "mask"}, {"files": ["photo", "mask"], "group": "patient"})


def test_more_of_them_than_allowed_stop_training(tmp_path: Path) -> None:
    write(tmp_path, "images/a.png", "images/b.png", "masks/a.png", "masks/c.png")
    source = open_masks(tmp_path)["all"]
    codec = SegmentationCodec(image="image", target="mask", names=("a", "b"), values=(11, 1), height=8, width=8, halo=2, align=2)
    with pytest.raises(DataError) as caught:
        encoded(source, codec, tmp_path / "cache", 0.01)
    assert str(caught.value) == ("data.bad_rows: expected at most 1.0% of 3 rows unusable, found 2 so far: images/b.png (a picture without a mask); "
                                 "masks/c.png (a mask without a picture). Repair or remove these rows, or raise data.bad_rows.")
    assert len(encoded(source, codec, tmp_path / "cache", 0.9).kept) == 1
