"""YOLO: a text file for each picture, a line for each box (number of the class, centre, width and height as shares of the sides), and the names in `data.yaml`
or `classes.txt`. A picture without a file has nothing in it. Outlines (three or more points in place of the four numbers) are read as the box around them.

Source: Redmon and Farhadi 2018, arXiv 1804.02767 (darknet's files); the layout of folders is that of Ultralytics' data sets.
"""

from collections.abc import Iterable
from pathlib import Path

from thuja.core.document import read_yaml
from thuja.core.errors import DataError, SpecError
from thuja.core.storage import write_atomic
from thuja.data.boxes.labelled import Entries, Labelled, Part, classes_of, number, part_of, pictures_below, size_of
from thuja.data.folder import is_picture
from thuja.data.rows import Bad

NAMES = ("classes.txt", "obj.names", "labels/classes.txt")
SLACK = 1e-3
"""By which a share may be beyond 0 and 1 through rounding."""


def find(path: Path) -> Path | None:
    """The file that names the classes; None where there is none."""
    if path.is_file():
        return path if path.suffix in (".yaml", ".yml") and _is_yaml(path) else None
    yaml = next((file for file in sorted([*path.glob("*.yaml"), *path.glob("*.yml")]) if _is_yaml(file)), None)
    return yaml or next((path / name for name in NAMES if (path / name).is_file() and _has_labels(path)), None)


def read(names: Path, folder: Path) -> dict[str, Part]:
    """The parts that the file `names` lists, or that the folders show. Raises: DataError for a damaged list, or one that leads nowhere."""
    if names.suffix in (".yaml", ".yml"):
        classes, listed = _yaml(names)
    else:
        classes, listed = [line.strip() for line in names.read_text("utf-8").splitlines() if line.strip()], {}
    if not listed:
        listed = {part: [place] for base in (folder / "images", folder) if base.is_dir() for place in sorted(base.iterdir())
                  if place.is_dir() and (part := part_of(place.name))}
        listed = listed if "train" in listed else {"all": [folder / "images" if (folder / "images").is_dir() else folder]}
    return {part: _read([picture for place in places for picture in _pictures(place)], classes, folder) for part, places in listed.items()}


def write(folder: Path, pictures: Iterable[Labelled], names: tuple[str, ...] = ()) -> None:
    """`labels/<picture>.txt` for each picture, and `classes.txt`; a score is the sixth number. What is to be ignored is left out: the format has no word for
    it. Raises: DataError for a class that is not in `names` (default: all there are), or a picture that cannot be read; StorageError."""
    rows = list(pictures)
    names = names or classes_of(rows)
    for picture, boxes in rows:
        width, height = size_of(picture)
        lines = []
        for entry in boxes:
            if entry["label"] not in names:
                raise DataError(str(picture), expected="a known class", found=repr(entry["label"]), fix=f"Choose from: {', '.join(names)}.")
            left, top, right, bottom = entry["box"]
            shares = ((left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width, (bottom - top) / height)
            score = [f"{entry['score']:.6g}"] if "score" in entry else []
            if not entry.get("ignore"):
                lines.append(" ".join([str(names.index(entry["label"])), *(f"{share:.10g}" for share in shares), *score]))
        write_atomic(folder / "labels" / f"{picture.stem}.txt", "".join(f"{line}\n" for line in lines).encode())
    write_atomic(folder / "classes.txt", "".join(f"{name}\n" for name in names).encode())


def _has_labels(folder: Path) -> bool:
    """Whether there are text files in a folder `labels`, or beside pictures of the same name: a list of classes alone may belong to something else."""
    if any(file.name != "classes.txt" for pattern in ("labels/*.txt", "labels/*/*.txt", "*/labels/*.txt") for file in folder.glob(pattern)):
        return True
    return any(is_picture(other.name) for pattern in ("*.txt", "*/*.txt") for file in folder.glob(pattern) for other in file.parent.glob(f"{file.stem}.*"))


def _is_yaml(file: Path) -> bool:
    text = file.read_text("utf-8", errors="replace")
    return "names:" in text and ("train:" in text or "val:" in text)


def _yaml(file: Path) -> tuple[list[str], dict[str, list[Path]]]:
    """Names in order, and where each part lies."""
    try:
        data = read_yaml(file.read_text("utf-8"), file.name).data
        given = data["names"]
        classes = [str(given[key]) for key in sorted(given, key=int)] if isinstance(given, dict) else [str(name) for name in given]
        base = file.parent / str(data.get("path") or "")
        entries = {part: data[key] for key in data for part in [part_of(str(key))] if part and data[key] and isinstance(data[key], (str, list))}
        listed = {part: [_place(str(one), base, file) for one in (value if isinstance(value, list) else [value])] for part, value in entries.items()}
    except (KeyError, TypeError, ValueError, SpecError) as error:
        raise DataError(str(file), expected="names of classes, and where train and val lie", found=str(error)[:120], fix="Correct the file.") from error
    return classes, listed


def _place(entry: str, base: Path, file: Path) -> Path:
    """A folder or list that the YAML file names: beside the file where its own path leads nowhere, as is common after a download."""
    tries = (base / entry, file.parent / entry, file.parent / entry.lstrip("./"))
    for place in tries:
        if place.exists():
            return place
    raise DataError(str(file), expected="folders of pictures", found=f"nothing at {tries[0]}", fix="Correct train, val and path in this file.")


def _pictures(place: Path) -> list[Path]:
    if place.is_dir():
        return pictures_below(place)
    return [place.parent / line.strip() for line in place.read_text("utf-8").splitlines() if line.strip()]


def _read(pictures: list[Path], classes: list[str], folder: Path) -> Part:
    rows, bad = [], []
    for picture in pictures:
        file = _labels(picture)
        try:
            rows.append(Labelled(picture, _boxes(file.read_text("utf-8-sig"), classes, size_of(picture)) if file.is_file() else []))
        except DataError as error:
            bad.append(Bad(str(picture.name), f"expected {error.expected}, found {error.found}"))
        except ValueError as error:
            bad.append(Bad(file.name, f"expected a class and four shares on each line, found {error}"))
    listed = {_labels(picture) for picture in pictures}
    known = {picture.suffix for picture in pictures}
    for place in sorted({file.parent for file in listed if file.parent.is_dir()}):
        alone = sorted(file for file in place.glob("*.txt") if file not in listed and f"{file.parent.name}/{file.name}" not in NAMES and file.name not in NAMES)
        bad += [Bad(file.name, "expected its picture, found nothing there") for file in alone if known]
    return Part(rows, bad)


def _labels(picture: Path) -> Path:
    """The file beside a picture, or in `labels` where the picture is in `images`."""
    parts = list(picture.with_suffix(".txt").parts)
    if "images" in parts:
        place = len(parts) - 1 - parts[::-1].index("images")
        return Path(*parts[:place], "labels", *parts[place + 1 :])
    return picture.with_suffix(".txt")


def _boxes(text: str, classes: list[str], size: tuple[int, int]) -> Entries:
    """Raises: ValueError naming the line that is none."""
    boxes: Entries = []
    for place, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        first, *rest = line.split()
        values = [number(value) for value in rest]
        if len(values) not in (4, 5) and (len(values) < 6 or len(values) % 2):
            raise ValueError(f"line {place} with {len(values)} numbers after the class")
        if not first.isdigit() or int(first) >= len(classes):
            raise ValueError(f"line {place} with class {first} of {len(classes)}")
        if len(values) >= 6:
            across, down = values[::2], values[1::2]
            corners = [min(across), min(down), max(across), max(down)]
        else:
            x, y, width, height = values[:4]
            corners = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
        if max(map(abs, values[:4])) > 1 + SLACK:
            raise ValueError(f"line {place} with {max(values[:4]):g}, which is no share of a side")
        boxes.append({"label": classes[int(first)], "box": [value * size[i % 2] for i, value in enumerate(corners)]})
    return boxes
