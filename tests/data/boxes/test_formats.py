"""Pascal VOC, COCO and YOLO: read, written, and read again."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from thuja.core.errors import DataError
from thuja.data import boxes
from thuja.data.boxes.labelled import Labelled, size_of
from thuja.data.infer import infer
from thuja.data.source import open_source
from thuja.settings import Data

DRAWN = [
    [{"label": "cat", "box": [1.5, 2.0, 30.0, 40.25]}, {"label": "dog", "box": [0.0, 0.0, 64.0, 48.0]}],
    [],
    [{"label": "dog", "box": [10.0, 5.0, 20.0, 15.0]}],
]


def pictures(folder: Path, names: tuple[str, ...] = ("a.jpg", "b.png", "c.jpg")) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for place, name in enumerate(names):
        Image.fromarray(np.full((48, 64, 3), 40 * place, np.uint8)).save(folder / name)
    return [folder / name for name in names]


def write(root: Path, format: str) -> None:
    place = pictures(root / ("JPEGImages" if format == "voc" else "images"))
    rows = [Labelled(path, drawn) for path, drawn in zip(place, DRAWN, strict=True)]
    boxes.write(root / "labels.json" if format == "coco" else root, format, rows)  # type: ignore[arg-type]


@pytest.mark.parametrize("format", boxes.FORMATS)
def test_what_is_written_is_read_back(tmp_path: Path, format: str) -> None:
    write(tmp_path, format)
    source = open_source(Data(path=str(tmp_path)))["all"]
    rows = source.take(np.arange(3))
    assert [path.name for path in rows["image"]] == ["a.jpg", "b.png", "c.jpg"]
    assert [[entry["label"] for entry in found] for found in rows["boxes"]] == [["cat", "dog"], [], ["dog"]]
    for found, drawn in zip(rows["boxes"], DRAWN, strict=True):
        for one, other in zip(found, drawn, strict=True):
            np.testing.assert_allclose(one["box"], other["box"], atol=1e-6)
    assert not source.bad
    assert source.fingerprint() == open_source(Data(path=str(tmp_path)))["all"].fingerprint()
    guess = infer({"all": source})
    assert guess.task == {"kind": "object-detection", "image": "image", "target": "boxes"}
    assert guess.notes[:3] == ["3 pictures.", "3 boxes of 2 classes: dog 2, cat 1.", "1 pictures have nothing in them; they teach what is background."]


@pytest.mark.parametrize("format", boxes.FORMATS)
def test_scores_are_written_and_do_not_disturb(tmp_path: Path, format: str) -> None:
    place = pictures(tmp_path / "images")
    rows = [Labelled(path, [entry | {"score": 0.5} for entry in drawn]) for path, drawn in zip(place, DRAWN, strict=True)]
    boxes.write(tmp_path / "labels.json" if format == "coco" else tmp_path, format, rows)  # type: ignore[arg-type]
    text = "".join(path.read_text("utf-8") for path in tmp_path.rglob("*") if path.suffix in (".xml", ".json", ".txt"))
    assert "0.5" in text
    assert len(open_source(Data(path=str(tmp_path)))["all"].take(np.array([0]))["boxes"][0]) == 2


def test_official_lists_of_voc(tmp_path: Path) -> None:
    write(tmp_path / "VOC", "voc")
    lists = tmp_path / "VOC" / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    for name, stems in {"train": "a\n", "val": "b 1\n", "test": "c\nlost\n", "trainval": "a\nb\n", "cat_train": "a -1\n"}.items():
        (lists / f"{name}.txt").write_text(stems)
    parts = open_source(Data(path=str(tmp_path)))
    assert {name: source.ids(np.arange(len(source))) for name, source in parts.items()} == {
        "train": ["JPEGImages/a.jpg"], "validation": ["JPEGImages/b.png"], "test": ["JPEGImages/c.jpg"]}
    assert [tuple(bad) for bad in parts["test"].bad] == [("Annotations/lost.xml", "expected a VOC annotation, found nothing there")]


def test_voc_bad_files_are_named(tmp_path: Path) -> None:
    write(tmp_path, "voc")
    notes = tmp_path / "Annotations"
    (notes / "alone.xml").write_text("<annotation><filename>alone.jpg</filename></annotation>")
    (notes / "broken.xml").write_text("<annotation>")
    (notes / "entity.xml").write_text('<!DOCTYPE a [<!ENTITY b "c">]><annotation/>')
    (notes / "words.xml").write_text("<annotation><object><name>cat</name><bndbox><xmin>x</xmin></bndbox></object></annotation>")
    (notes / "a.xml").write_text("<annotation><object><name>cat</name><difficult>1</difficult><bndbox><xmin>9</xmin><ymin>1</ymin><xmax>3</xmax>"
                                 "<ymax>4</ymax></bndbox></object></annotation>")
    source = open_source(Data(path=str(tmp_path)))["all"]
    assert source.take(np.array([0]))["boxes"] == [[{"label": "cat", "box": [9, 1, 3, 4], "ignore": True}]]  # inverted: left out later, and named
    assert [tuple(bad) for bad in source.bad] == [
        ("Annotations/alone.xml", "expected its picture alone.jpg, found nothing there"),
        ("Annotations/broken.xml", "expected a VOC annotation, found no element found: line 1, column 12"),
        ("Annotations/entity.xml", "expected a VOC annotation, found a document type, which no annotation needs"),
        ("Annotations/words.xml", "expected a VOC annotation, found could not convert string to float: 'x'"),
    ]


def test_coco_parts_and_bad_annotations(tmp_path: Path) -> None:
    for part in ("train2017", "val2017"):
        pictures(tmp_path / part)
        images = [{"id": i, "file_name": name} for i, name in enumerate(("a.jpg", "b.png", "gone.jpg", "c.jpg"))]
        annotations = [{"id": 7, "image_id": 0, "category_id": 3, "bbox": [1, 2, 3, 4], "iscrowd": 1},
                       {"id": 8, "image_id": 99, "category_id": 3, "bbox": [0, 0, 1, 1]},
                       {"id": 9, "image_id": 3, "category_id": 44, "bbox": [0, 0, 1, 1]}]
        file = tmp_path / "annotations" / f"instances_{part}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [{"id": 3, "name": "cat"}]}))
    parts = open_source(Data(path=str(tmp_path)))
    assert {name: source.ids(np.arange(len(source))) for name, source in parts.items()} == {
        "train": ["train2017/a.jpg", "train2017/b.png"], "validation": ["val2017/a.jpg", "val2017/b.png"]}
    assert parts["train"].take(np.array([0]))["boxes"] == [[{"label": "cat", "box": [1, 2, 4, 6], "ignore": True}]]
    assert [tuple(bad) for bad in parts["train"].bad] == [
        ("instances_train2017.json: annotation 8", "expected a picture of the list, found image_id 99"),
        ("instances_train2017.json: gone.jpg", "expected its picture, found nothing there"),
        ("instances_train2017.json: c.jpg", "expected a category and a bbox of four numbers, found category 44, which is not listed"),
    ]


def test_yolo_with_a_yaml_file_and_parts(tmp_path: Path) -> None:
    for part, names in {"train": ("a.jpg", "b.png"), "valid": ("c.jpg",)}.items():
        pictures(tmp_path / part / "images", names)
        (tmp_path / part / "labels").mkdir()
    (tmp_path / "train" / "labels" / "a.txt").write_text("1 0.5 0.5 0.5 0.25\n\n0 0.25 0.25 0.75 0.25 0.5 0.75\n")
    (tmp_path / "valid" / "labels" / "c.txt").write_text("0 0.5 0.5 0.1 0.1 0.875\n")
    (tmp_path / "data.yaml").write_text("train: ../train/images\nval: ../valid/images\nnc: 2\nnames: [cat, dog]\n")
    parts = open_source(Data(path=str(tmp_path)))
    assert parts["train"].take(np.arange(2))["boxes"] == [[{"label": "dog", "box": [16, 18, 48, 30]}, {"label": "cat", "box": [16, 12, 48, 36]}], []]
    assert parts["validation"].take(np.array([0]))["boxes"][0][0]["label"] == "cat"
    assert set(open_source(Data(path=str(tmp_path / "data.yaml"), format="yolo"))) == {"train", "validation"}


def test_yolo_bad_lines_are_named(tmp_path: Path) -> None:
    pictures(tmp_path / "images", ("a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"))
    (tmp_path / "images" / "f.jpg").write_bytes(b"no picture")
    (tmp_path / "labels").mkdir()
    (tmp_path / "classes.txt").write_text("cat\n")
    for name, line in {"a": "0 0.5 0.5 0.5 0.5", "b": "4 0.5 0.5 0.5 0.5", "c": "0 0.5 0.5", "d": "0 320 240 20 20", "f": "0 0.5 0.5 0.5 0.5",
                       "lost": "0 0.5 0.5 0.5 0.5"}.items():
        (tmp_path / "labels" / f"{name}.txt").write_text(line)
    source = open_source(Data(path=str(tmp_path)))["all"]
    assert source.ids(np.arange(len(source))) == ["images/a.jpg", "images/e.jpg"]
    assert [tuple(bad) for bad in source.bad] == [
        ("b.txt", "expected a class and four shares on each line, found line 1 with class 4 of 1"),
        ("c.txt", "expected a class and four shares on each line, found line 1 with 2 numbers after the class"),
        ("d.txt", "expected a class and four shares on each line, found line 1 with 320, which is no share of a side"),
        ("f.jpg", "expected a picture, found a file that cannot be read as one"),
        ("lost.txt", "expected its picture, found nothing there"),
    ]


def test_a_list_of_classes_alone_is_not_yolo(tmp_path: Path) -> None:
    pictures(tmp_path / "cat")
    pictures(tmp_path / "dog")
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    (tmp_path / "readme.txt").write_text("Pictures.")
    assert boxes.open_boxes(tmp_path) is None
    (tmp_path / "cat" / "a.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    assert boxes.open_boxes(tmp_path) is not None


def test_nothing_to_learn_from(tmp_path: Path) -> None:
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "a.xml").write_text("<annotation/>")
    with pytest.raises(DataError) as caught:
        open_source(Data(path=str(tmp_path)))
    assert str(caught.value) == (f"{tmp_path}: expected pictures with their boxes, found none that can be used: Annotations/a.xml "
                                 "(expected its picture a, found nothing there). Put the pictures beside the annotations.")
    with pytest.raises(DataError, match="format"):
        open_source(Data(path=str(tmp_path), format="yolo"))


def test_a_turned_picture_is_as_wide_as_it_is_seen(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.new("RGB", (64, 48)).save(tmp_path / "a.jpg", exif=exif)
    assert size_of(tmp_path / "a.jpg") == (48, 64)


def test_real_cells(real) -> None:  # type: ignore[no-untyped-def]
    parts = open_source(Data(path=str(real("bccd"))))
    assert {name: len(source) for name, source in parts.items()} == {"train": 205, "validation": 87, "test": 72}
    guess = infer(parts)
    assert guess.task["kind"] == "object-detection"
    assert guess.notes[:2] == ["205 train pictures, 87 validation pictures, 72 test pictures.",
                               "2,805 boxes of 3 classes: RBC 2,382, WBC 214, Platelets 209."]
    assert sum(len(entries) for source in parts.values() for entries in source.boxes) == 4888
