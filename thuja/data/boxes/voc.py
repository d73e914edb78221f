"""Pascal VOC: an XML file for each picture, with the official lists of `ImageSets/Main` where there are any.

Corners are taken as written, as edges counted from 0, which is what labelling tools mean today; the VOC of 2007 to 2012 itself counted from 1. `difficult`
objects are neither learned nor counted.

Source: Everingham et al. 2010, "The Pascal visual object classes challenge", IJCV 88; its development kit's annotation format.
"""

from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from thuja.core.errors import DataError
from thuja.core.storage import write_atomic
from thuja.data.boxes.labelled import Entries, Labelled, Part, number, part_of, pictures_below, size_of
from thuja.data.rows import Bad

FOLDERS = ("JPEGImages", "images", "Images", "")
LISTS = ("train", "val", "test", "trainval")
CORNERS = ("xmin", "ymin", "xmax", "ymax")


def find(folder: Path) -> Path | None:
    """The folder of a VOC data set: this one or the only one in it; None where there is none."""
    for place in (folder, *_single(folder)):
        if any((place / "Annotations").glob("*.xml")) or any(any(part.glob("*.xml")) for part in _parts(place).values()) or any(place.glob("*.xml")):
            return place
    return None


def read(folder: Path) -> dict[str, Part]:
    """The parts: by the official lists, else by folders (train/, valid/, test/), else one part "all". Raises: DataError for a list that names nothing."""
    lists = {name: path for name in LISTS if (path := folder / "ImageSets" / "Main" / f"{name}.txt").is_file()}
    pictures = {path.stem: path for place in dict.fromkeys(folder / name for name in FOLDERS) if place.is_dir() for path in reversed(pictures_below(place))}
    annotations = folder / "Annotations"
    if lists:
        lists = {name: path for name, path in lists.items() if name != "trainval" or "train" not in lists}
        return {part_of(name) if name != "trainval" else "train": _read([annotations / f"{stem}.xml" for stem in _stems(path)], pictures, folder)
                for name, path in lists.items()}
    if annotations.is_dir():
        return {"all": _read(sorted(annotations.glob("*.xml")), pictures, folder)}
    given = {part: place for part, place in _parts(folder).items() if any(place.glob("*.xml"))} or {"all": folder}
    return {part: _read(sorted(place.glob("*.xml")), {path.stem: path for path in reversed(pictures_below(place))}, folder) for part, place in given.items()}


def write(folder: Path, pictures: Iterable[Labelled]) -> None:
    """`Annotations/<picture>.xml` for each picture. Raises: DataError for a picture that cannot be read; StorageError."""
    for picture, boxes in pictures:
        width, height = size_of(picture)
        objects = "".join(_object(entry) for entry in boxes)
        size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
        text = f"<annotation>\n<filename>{escape(picture.name)}</filename>\n{size}\n{objects}</annotation>\n"
        write_atomic(folder / "Annotations" / f"{picture.stem}.xml", text.encode())


def _object(entry: dict) -> str:  # type: ignore[type-arg]
    corners = "".join(f"<{name}>{value:.10g}</{name}>" for name, value in zip(CORNERS, entry["box"], strict=True))
    score = f"<score>{entry['score']:.6g}</score>" if "score" in entry else ""
    return f"<object><name>{escape(entry['label'])}</name><difficult>{int(bool(entry.get('ignore')))}</difficult>{score}<bndbox>{corners}</bndbox></object>\n"


def _single(folder: Path) -> list[Path]:
    inner = [entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    return inner if len(inner) == 1 else []


def _parts(folder: Path) -> dict[str, Path]:
    return {part: entry for entry in sorted(folder.iterdir()) if entry.is_dir() and (part := part_of(entry.name))}


def _stems(path: Path) -> list[str]:
    stems = [line.split()[0] for line in path.read_text("utf-8").splitlines() if line.strip()]
    if not stems or any("/" in stem or "\\" in stem for stem in stems):
        raise DataError(str(path), expected="a name of a picture on each line", found="none" if not stems else "a path", fix="Write names without a folder.")
    return stems


def _read(files: list[Path], pictures: dict[str, Path], folder: Path) -> Part:
    rows, bad = [], []
    for file in files:
        name = str(file.relative_to(folder))
        try:
            picture, boxes = _annotation(file)
        except (OSError, ValueError, ElementTree.ParseError) as error:
            bad.append(Bad(name, f"expected a VOC annotation, found {'nothing there' if isinstance(error, OSError) else error}"))
            continue
        path = pictures.get(file.stem) or pictures.get(Path(picture).stem)
        if path is None:
            bad.append(Bad(name, f"expected its picture {Path(picture).name or file.stem}, found nothing there"))
        else:
            rows.append(Labelled(path, boxes))
    return Part(rows, bad)


def _annotation(file: Path) -> tuple[str, Entries]:
    """The name of the picture, and its boxes. Raises: ValueError for what is no annotation; OSError."""
    text = file.read_text("utf-8-sig")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:  # entities can grow without end; no annotation needs one
        raise ValueError("a document type, which no annotation needs")
    root = ElementTree.fromstring(text)  # noqa: S314 - entities are refused above
    boxes: Entries = []
    for place, one in enumerate(root.iter("object")):
        name, frame = (one.findtext("name") or "").strip(), one.find("bndbox")
        if not name or frame is None:
            raise ValueError(f"object {place + 1} without a name or a bndbox")
        entry = {"label": name, "box": [number(frame.findtext(corner) or "nothing") for corner in CORNERS]}
        boxes.append(entry | ({"ignore": True} if (one.findtext("difficult") or "0").strip() == "1" else {}))
    return (root.findtext("filename") or "").replace("\\", "/"), boxes
