"""What `thuja init` makes of pictures with boxes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from thuja.core.errors import DataError
from thuja.data.boxes import Labelled, write
from thuja.data.infer import infer
from thuja.data.source import open_source
from thuja.settings import Data
from thuja.verbs.init import init


def layout(folder: Path) -> Path:
    for part, count in (("train", 4), ("valid", 2)):
        (folder / part / "images").mkdir(parents=True)
        files = [folder / part / "images" / f"{part}{i}.png" for i in range(count)]
        for place, file in enumerate(files):
            Image.fromarray(np.full((20, 30, 3), 9 * place, np.uint8)).save(file)
        rows = [Labelled(file, [{"label": "cell" if i % 2 else "dust", "box": [1, 1, 9, 9]}][: i % 3]) for i, file in enumerate(files)]
        write(folder / part, "yolo", rows, ("cell", "dust"))
        (folder / part / "classes.txt").rename(folder / "classes.txt")
    return folder


def test_a_spec_for_a_folder_of_boxes(tmp_path: Path) -> None:
    spec, notes = init(layout(tmp_path / "cells"), out=tmp_path / "thuja.yaml")
    assert notes == ["4 train pictures, 2 validation pictures.", "2 boxes of 2 classes: cell 1, dust 1.",
                     "2 pictures have nothing in them; they teach what is background.", "Split: given, because the data come in parts (train, validation)."]
    assert "kind: object-detection" in spec.read_text("utf-8")


def test_another_target_is_refused(tmp_path: Path) -> None:
    parts = open_source(Data(path=str(layout(tmp_path / "cells"))))
    with pytest.raises(DataError) as caught:
        infer(parts, "label")
    assert str(caught.value) == "target: expected the column of boxes, 'boxes', found 'label'. Leave it out."
