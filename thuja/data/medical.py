"""Slices of medical volumes as pictures: DICOM and NIfTI, with masks; each slice is a row, and the patient is its group. Wants the extra `medical`.

| form | which is which |
|---|---|
| `images/p1.nii.gz` and `labels/p1.nii.gz`, also `imagesTr` and `labelsTr` | volumes of one shape; slices lie along the last axis |
| `images/p1/001.dcm` and `masks/p1/001.png` (or `001.dcm`) | a file a slice; the patient is the file's own PatientID, or else its folder |

Numbers become 8-bit grey by a window: those below it are black, those above it white. It is the first one that a DICOM file names (WindowCenter, WindowWidth,
applied after RescaleSlope and RescaleIntercept); where none is named, it runs from the 0.5th to the 99.5th percentile of the volume (NIfTI) or of the slice
(DICOM). The column `window` says for every row which one was used. Nothing is turned: rows of the array are rows of the picture.

Source: DICOM PS3.3 C.11.2.1.2.1 (the linear window), PS3.3 C.7.6.3.1.2 (MONOCHROME1: low is white).
"""

import os
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from thuja.codec import Rows
from thuja.core import digest
from thuja.core.errors import DataError, MissingExtra
from thuja.data.files import Files
from thuja.data.masks import MASKS, PICTURES
from thuja.data.rows import Bad, Kind, in_batches

EXTRA = "Type: pip install 'thuja[medical]'"
VOLUMES, SLICES = (".nii", ".nii.gz"), (".dcm", ".dicom")
LOW, HIGH = 0.5, 99.5
"""Percentiles of the window where the file names none."""
HELD = 2
"""Volumes that are in memory at a time."""


class Slice(NamedTuple):
    """One row."""

    picture: str
    """Names of files, relative to the folder."""
    mask: str
    place: int
    """Which slice of the volume; 0 of a file that is one."""
    patient: str
    window: tuple[float, float]
    """The numbers that become black and white."""


class MedicalSource:
    """Columns `image` (uint8 pixels), `mask` (whole numbers), `patient` and `window`; slices are read when they are wanted."""

    def __init__(self, folder: Path, slices: list[Slice], bad: tuple[Bad, ...]) -> None:
        self.names: tuple[str, ...] = ("image", "mask", "patient", "window")
        self.kinds: dict[str, Kind] = {"image": "image", "mask": "image", "patient": "text", "window": "text"}
        self.bad, self.slices, self.folder = bad, slices, folder
        used = sorted({name for row in slices for name in (row.picture, row.mask)})
        self._files = Files(folder, used)
        self._volume = lru_cache(maxsize=HELD)(_volume)

    def __len__(self) -> int:
        return len(self.slices)

    def take(self, index: np.ndarray, names: tuple[str, ...] = ()) -> Rows:
        rows: dict[str, list[Any]] = {name: [] for name in names or self.names}
        for i in index:
            row = self.slices[i]
            for name, values in rows.items():
                values.append(self._value(row, name))
        return rows

    def _value(self, row: Slice, name: str) -> Any:
        match name:
            case "image":
                return _grey(self._volume(self.folder / row.picture).array[:, :, row.place], row.window)
            case "mask":
                return _numbers(self._volume(self.folder / row.mask).array[:, :, row.place])
            case "patient":
                return row.patient
            case _:
                return f"{row.window[0]:g} to {row.window[1]:g}"

    def batches(self, size: int = 1024) -> Iterator[Rows]:
        return in_batches(self, size)

    def ids(self, index: np.ndarray) -> list[str]:
        return [row.picture if row.picture.endswith(SLICES) else f"{row.picture}:{row.place}" for row in (self.slices[i] for i in index)]

    def hashes(self, index: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        known = self._digests()
        texts = ("\x1f".join(_told(self.slices[i], name, known) for name in names) for i in index)
        return np.array([int(digest.of_bytes(text.encode())[:16], 16) for text in texts], np.uint64)

    def fingerprint(self) -> str:
        known = self._digests()
        return digest.of_data(["medical", *([known[row.picture], known[row.mask], *map(str, row)] for row in self.slices)])

    def _digests(self) -> dict[str, str]:
        return dict(zip(self._files.names, self._files.digests(), strict=True))


def _told(row: Slice, name: str, known: Mapping[str, str]) -> str:
    match name:
        case "image":
            return f"{known[row.picture]} {row.place} {row.window}"
        case "mask":
            return f"{known[row.mask]} {row.place}"
        case _:
            return row.patient if name == "patient" else str(row.window)


def is_medical(folder: Path) -> bool:
    """Whether a folder holds a folder of volumes or DICOM files and one of masks."""
    found = _folders(folder)
    return found is not None and any(name.lower().endswith((*VOLUMES, *SLICES)) for name in _names(found[0]))


def open_medical(folder: Path) -> dict[str, MedicalSource]:
    """One part, "all". Raises: DataError for a folder without pairs, volumes whose masks have another shape; MissingExtra without pydicom or nibabel."""
    found = _folders(folder)
    if found is None:
        raise DataError(str(folder), expected="a folder of volumes or DICOM files and one of masks, such as images/ and labels/", found="no such two",
                        fix="Name them so.")
    pictures, masks = ({_stem(name): name for name in _names(place) if not Path(name).name.startswith(".")} for place in found)
    bad = [Bad(os.path.relpath(found[0] / name, folder), "a picture without a mask") for stem, name in pictures.items() if stem not in masks]
    bad += [Bad(os.path.relpath(found[1] / name, folder), "a mask without a picture") for stem, name in masks.items() if stem not in pictures]
    slices: list[Slice] = []
    for stem in (stem for stem in pictures if stem in masks):
        picture, mask = (os.path.relpath(place / names[stem], folder) for place, names in zip(found, (pictures, masks), strict=True))
        try:
            slices += _slices(folder, picture, mask)
        except DataError as error:
            bad.append(Bad(picture, f"expected {error.expected}, found {error.found}"))
    if not slices:
        reason = f"; {bad[0].id}: {bad[0].reason}" if bad else ""
        raise DataError(str(folder), expected="at least one picture with its mask", found=f"none{reason}",
                        fix="Give a mask the name of its picture.")
    return {"all": MedicalSource(folder, slices, tuple(bad))}


def _folders(folder: Path) -> tuple[Path, Path] | None:
    inside = {entry.name.lower(): entry for entry in sorted(folder.iterdir()) if entry.is_dir()}
    pictures, masks = (next((entry for name, entry in inside.items() if name in words), None) for words in (PICTURES, MASKS))
    return (pictures, masks) if pictures is not None and masks is not None else None


def _names(folder: Path) -> list[str]:
    return sorted(os.path.relpath(Path(place) / name, folder) for place, _, names in os.walk(folder) for name in names)


def _stem(name: str) -> str:
    """A file's name with its folders and without its ending."""
    return name[: -len(".nii.gz")] if name.lower().endswith(".nii.gz") else str(Path(name).with_suffix(""))


def _slices(folder: Path, picture: str, mask: str) -> list[Slice]:
    """The rows of one file. Raises: DataError for one that cannot be read, or whose mask has another shape."""
    values, truth = _volume(folder / picture), _volume(folder / mask)
    if values.array.shape != truth.array.shape:
        raise DataError(mask, expected=f"a mask of shape {_shape(values.array)}, like its picture", found=_shape(truth.array), fix="Save both alike.")
    window = values.window or _percentiles(values.array)
    patient = values.patient or (Path(picture).parent.name if picture.lower().endswith(SLICES) else Path(_stem(picture)).name)
    return [Slice(picture, mask, place, patient, window) for place in range(values.array.shape[2])]


def _shape(array: np.ndarray) -> str:
    return " x ".join(map(str, array.shape if array.shape[2] > 1 else array.shape[:2]))


class Volume(NamedTuple):
    """What a file holds."""

    array: np.ndarray
    """[rows, columns, slices], as the file scales them."""
    window: tuple[float, float] | None = None
    patient: str = ""


def _volume(path: Path) -> Volume:
    name = path.name.lower()
    if name.endswith(VOLUMES):
        return Volume(_nifti(path))
    if name.endswith(SLICES):
        return _dicom(path)
    from PIL import Image as Pillow

    try:
        with Pillow.open(path) as picture:
            return Volume(np.asarray(picture)[:, :, None])
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(str(path), expected="a NIfTI, DICOM or PNG file", found="a damaged or unknown file", fix="Save it again.") from error


def _nifti(path: Path) -> np.ndarray:
    try:
        import nibabel
        from nibabel.filebasedimages import ImageFileError
    except ImportError as error:
        raise MissingExtra(str(path), expected="the package nibabel", found="it is not installed", fix=EXTRA) from error
    try:
        array = np.asarray(nibabel.load(path).dataobj)  # type: ignore[attr-defined]
    except (ImageFileError, OSError, EOFError, ValueError) as error:
        raise DataError(str(path), expected="a whole NIfTI file", found="a damaged one", fix="Save it again, or leave it out.") from error
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise DataError(str(path), expected="a volume of two or three dimensions", found=f"shape {array.shape}", fix="Save one channel or time at a time.")
    return array[:, :, None] if array.ndim == 2 else array


def _dicom(path: Path) -> Volume:
    try:
        import pydicom
        from pydicom.errors import InvalidDicomError
    except ImportError as error:
        raise MissingExtra(str(path), expected="the package pydicom", found="it is not installed", fix=EXTRA) from error
    try:
        found = pydicom.dcmread(path)
        array = found.pixel_array.astype(np.float32) * float(found.get("RescaleSlope", 1)) + float(found.get("RescaleIntercept", 0))
    except (InvalidDicomError, OSError, EOFError, AttributeError, ValueError, KeyError, RuntimeError, NotImplementedError) as error:
        raise DataError(str(path), expected="a whole DICOM picture", found="a damaged file, or one in a packing that this pydicom cannot read",
                        fix="Save it again without compression, or leave it out.") from error
    if array.ndim != 2:
        raise DataError(str(path), expected="one grey slice a file", found=f"shape {array.shape}", fix="Save each slice as a file of its own.")
    window = None
    if "WindowCenter" in found and "WindowWidth" in found:
        centre, width = (float(np.ravel(found[name].value)[0]) for name in ("WindowCenter", "WindowWidth"))
        window = (centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2)
    if found.get("PhotometricInterpretation") == "MONOCHROME1":
        array, window = -array, None if window is None else (-window[1], -window[0])
    return Volume(array[:, :, None], window, str(found.get("PatientID", "") or ""))


def _percentiles(array: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(array, [LOW, HIGH])
    return float(low), float(high) if high > low else float(low) + 1.0


def _grey(plane: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """Numbers [height, width] as uint8, black at the window's lower end and white at the upper one."""
    low, high = window
    shades: np.ndarray = np.clip((plane.astype(np.float32) - low) / max(high - low, 1e-6) * 255, 0, 255).round()
    return shades.astype(np.uint8)


def _numbers(plane: np.ndarray) -> np.ndarray:
    """Whole numbers of a mask, which NIfTI often keeps as floats; what is none stays as it is, and is refused where it is read."""
    whole = np.rint(plane)
    return whole.astype(np.uint16 if whole.max(initial=0) > 255 else np.uint8) if whole.min(initial=0) >= 0 and np.array_equal(whole, plane) else plane
