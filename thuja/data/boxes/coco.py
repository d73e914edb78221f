"""COCO: one JSON file for a part, with `images`, `annotations` (`bbox` as left, top, width, height) and `categories`. Crowds are neither learned nor counted.

Source: Lin et al. 2014, "Microsoft COCO: common objects in context", arXiv 1405.0312; the format page of its web site.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from thuja.core.errors import DataError
from thuja.core.storage import write_atomic
from thuja.data.boxes.labelled import Labelled, Part, classes_of, number, part_of, size_of
from thuja.data.rows import Bad

HEAD = 1 << 16
"""Bytes in which a COCO file shows one of its words."""


def find(path: Path) -> list[Path]:
    """The COCO files that a path names or a folder holds; of a folder `annotations`, those of instances where there are such."""
    if path.is_file():
        return [path] if path.suffix == ".json" and _is_coco(path) else []
    found = [file for pattern in ("*.json", "annotations/*.json", "*/_annotations.coco.json") for file in sorted(path.glob(pattern)) if _is_coco(file)]
    return [file for file in found if file.name.startswith("instances")] or found


def read(path: Path, files: list[Path]) -> dict[str, Part]:
    """A part for each file, named by the file or its folder; a single one is "all". Raises: DataError for a damaged file, or files of unknown parts."""
    if len(files) == 1:
        return {"all": _read(files[0], path)}
    parts: dict[str, Part] = {}
    for file in files:
        part = part_of(file.stem) or part_of(file.parent.name)
        if not part or part in parts:
            raise DataError(str(file), expected="one file for each of train, val and test", found="another" if part else "a name that says neither",
                            fix="Name the file to be read in data.path, or those of the parts in data.validation and data.test.")
        parts[part] = _read(file, path)
    return parts


def write(file: Path, pictures: Iterable[Labelled]) -> None:
    """One COCO file. Raises: DataError for a picture that cannot be read; StorageError."""
    rows = list(pictures)
    numbers = {name: i + 1 for i, name in enumerate(classes_of(rows))}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for place, (picture, boxes) in enumerate(rows, 1):
        width, height = size_of(picture)
        images.append({"id": place, "file_name": picture.name, "width": width, "height": height})
        for entry in boxes:
            left, top, right, bottom = entry["box"]
            score = {"score": entry["score"]} if "score" in entry else {}
            annotations.append({"id": len(annotations) + 1, "image_id": place, "category_id": numbers[entry["label"]],
                                "bbox": [left, top, right - left, bottom - top], "area": (right - left) * (bottom - top),
                                "iscrowd": int(bool(entry.get("ignore"))), **score})
    categories = [{"id": i, "name": name} for name, i in numbers.items()]
    write_atomic(file, json.dumps({"images": images, "annotations": annotations, "categories": categories}).encode())


def _is_coco(file: Path) -> bool:
    with file.open("rb") as opened:
        head = opened.read(HEAD)
        opened.seek(max(0, file.stat().st_size - HEAD))
        tail = opened.read()
    return sum(word in head + tail for word in (b'"images"', b'"annotations"', b'"categories"', b'"bbox"', b'"file_name"')) >= 3


def _read(file: Path, root: Path) -> Part:
    try:
        data = json.loads(file.read_bytes())
        names = {one["id"]: str(one["name"]) for one in data["categories"]}
        images = {one["id"]: str(one["file_name"]) for one in data["images"]}
        drawn: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        for one in data["annotations"]:
            drawn[one["image_id"]].append(one)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(str(file), expected="COCO annotations", found=f"{type(error).__name__}: {error}"[:120], fix="Write the file again.") from error
    base = root if root.is_dir() else file.parent
    places = (file.parent, base, base / part_of(file.stem), *(base / name / file.stem.removeprefix("instances_") for name in ("", "images")),
              file.parent.parent / file.stem.removeprefix("instances_"), base / "images", file.parent.parent / "images")
    rows, bad = [], [Bad(f"{file.name}: annotation {one.get('id')}", f"expected a picture of the list, found image_id {key}")
                     for key, entries in drawn.items() if key not in images for one in entries]
    for key, name in images.items():
        path = next((place / name for place in places if (place / name).is_file()), None)
        if path is None or ".." in Path(name).parts:
            bad.append(Bad(f"{file.name}: {name}", "expected its picture, found nothing there"))
            continue
        try:
            rows.append(Labelled(path, [_entry(one, names) for one in drawn[key]]))
        except (ValueError, KeyError, TypeError) as error:
            bad.append(Bad(f"{file.name}: {name}", f"expected a category and a bbox of four numbers, found {error}"))
    return Part(rows, bad)


def _entry(one: dict[str, Any], names: dict[Any, str]) -> dict[str, Any]:
    if one["category_id"] not in names:
        raise ValueError(f"category {one['category_id']}, which is not listed")
    left, top, width, height = map(number, one["bbox"])
    entry = {"label": names[one["category_id"]], "box": [left, top, left + width, top + height]}
    return entry | ({"ignore": True} if one.get("iscrowd") else {})
