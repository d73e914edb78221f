"""Pictures with boxes drawn in them: Pascal VOC, COCO and YOLO, read into one form of rows and written from it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from thuja.core.errors import DataError
from thuja.data.boxes import coco, voc, yolo
from thuja.data.boxes.labelled import BoxesSource as BoxesSource
from thuja.data.boxes.labelled import Labelled as Labelled
from thuja.data.boxes.labelled import Part, sources

Format = Literal["voc", "coco", "yolo"]
FORMATS: tuple[Format, ...] = ("voc", "coco", "yolo")


def open_boxes(path: Path, format: str = "auto") -> dict[str, BoxesSource] | None:
    """The parts of the data at `path`; None where they are of none of these formats, or not of `format`.

    Raises: DataError for damaged annotations, or where no picture is there.
    """
    parts: dict[str, Part] | None = None
    folder = path if path.is_dir() else path.parent
    if format in ("auto", "yolo") and (names := yolo.find(path)) is not None:
        parts = yolo.read(names, folder)
    elif format in ("auto", "coco") and (files := coco.find(path)):
        parts = coco.read(path, files)
    elif format in ("auto", "voc") and path.is_dir() and (place := voc.find(path)) is not None:
        parts, folder = voc.read(place), place
    if parts is None and format != "auto":
        raise DataError("data.format", expected=f"annotations of the format {format}", found=f"none at {path}",
                        fix="Correct data.path, or set data.format to auto.")
    return None if parts is None else sources(folder, parts)


def write(path: Path, format: Format, pictures: Iterable[Labelled], names: tuple[str, ...] = ()) -> None:
    """Write boxes: `voc` and `yolo` into the folder `path`, `coco` as the file `path`. `names` are the classes in order (YOLO counts by them); default: those
    that come. Raises: DataError for a picture that cannot be read; StorageError."""
    match format:
        case "voc":
            voc.write(path, pictures)
        case "coco":
            coco.write(path, pictures)
        case "yolo":
            yolo.write(path, pictures, names)
