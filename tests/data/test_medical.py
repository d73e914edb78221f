"""Volumes and DICOM files as rows: windows, patients, and what is broken."""

from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image as Pillow
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from thuja.core.errors import DataError
from thuja.data.infer import infer
from thuja.data.medical import open_medical
from thuja.data.source import open_source
from thuja.settings import Data


def nifti(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.Nifti1Image(array, np.eye(4)).to_filename(path)


def dicom(path: Path, array: np.ndarray, **tags: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ExplicitVRLittleEndian, "1.2.840.10008.5.1.4.1.1.2", "1.2.3"
    file = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    plain = {"Rows": array.shape[0], "Columns": array.shape[1], "SamplesPerPixel": 1, "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15,
             "PixelRepresentation": 1, "PhotometricInterpretation": "MONOCHROME2", "PixelData": array.astype("<i2").tobytes()}
    for name, value in (plain | tags).items():
        setattr(file, name, value)
    file.save_as(path, enforce_file_format=True)


def png(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.fromarray(array.astype(np.uint8)).save(path)


def test_slices_of_a_volume_are_rows_of_one_patient(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("p1", "p2"):
        nifti(tmp_path / "imagesTr" / f"{name}.nii.gz", rng.normal(0, 300, (8, 9, 3)).astype(np.float32))
        nifti(tmp_path / "labelsTr" / f"{name}.nii.gz", rng.integers(0, 2, (8, 9, 3)).astype(np.float32))
    source = open_source(Data(path=str(tmp_path)))["all"]
    rows = source.take(np.arange(6))
    assert source.ids(np.array([0, 5])) == ["imagesTr/p1.nii.gz:0", "imagesTr/p2.nii.gz:2"]
    assert rows["patient"] == ["p1"] * 3 + ["p2"] * 3
    assert all(picture.dtype == np.uint8 and picture.shape == (8, 9) for picture in rows["image"])
    assert {int(value) for mask in rows["mask"] for value in np.unique(mask)} == {0, 1}
    assert (min(picture.min() for picture in rows["image"]), max(picture.max() for picture in rows["image"])) == (0, 255)
    guess = infer({"all": source})
    assert (guess.task["kind"], guess.data) == ("segmentation", {"group": "patient"})
    assert len(set(source.hashes(np.arange(6), ("image",)))) == 6
    assert source.fingerprint() == open_medical(tmp_path)["all"].fingerprint()


def test_a_dicom_file_names_its_window_its_scale_and_its_patient(tmp_path: Path) -> None:
    numbers = np.array([[-1000, 0, 40], [100, 140, 3000]])
    dicom(tmp_path / "images" / "a" / "1.dcm", numbers + 1024, RescaleSlope="1", RescaleIntercept="-1024", WindowCenter="40.5", WindowWidth="201",
          PatientID="x7")
    png(tmp_path / "masks" / "a" / "1.png", np.ones((2, 3)))
    source = open_medical(tmp_path)["all"]
    row = source.take(np.array([0]))
    assert (row["patient"], row["window"], source.ids(np.array([0]))) == (["x7"], ["-60 to 140"], ["images/a/1.dcm"])
    assert row["image"][0].tolist() == [[0, 76, 128], [204, 255, 255]]


def test_low_is_white_where_the_file_says_so(tmp_path: Path) -> None:
    numbers = np.array([[0, 50, 100]])
    dicom(tmp_path / "images" / "1.dcm", numbers, PhotometricInterpretation="MONOCHROME1")
    png(tmp_path / "masks" / "1.png", np.ones((1, 3)))
    shades = open_medical(tmp_path)["all"].take(np.array([0]), ("image",))["image"][0][0]
    assert shades[0] == 255 and shades[1] == 128 and shades[2] == 0


def test_what_is_broken_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    for name in ("good", "cut", "other", "alone"):
        dicom(tmp_path / "images" / f"{name}.dcm", np.arange(12).reshape(3, 4))
    for name in ("good", "cut", "lost"):
        png(tmp_path / "masks" / f"{name}.png", np.ones((3, 4)))
    png(tmp_path / "masks" / "other.png", np.ones((4, 3)))
    path = tmp_path / "images" / "cut.dcm"
    path.write_bytes(path.read_bytes()[:200])
    source = open_medical(tmp_path)["all"]
    assert source.ids(np.arange(len(source))) == ["images/good.dcm"]
    assert source.bad == (
        ("images/alone.dcm", "a picture without a mask"), ("masks/lost.png", "a mask without a picture"),
        ("images/cut.dcm", "expected a whole DICOM picture, found a damaged file, or one in a packing that this pydicom cannot read"),
        ("images/other.dcm", "expected a mask of shape 3 x 4, like its picture, found 4 x 3"))


def test_nothing_but_broken_files(tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.dcm").write_bytes(b"no picture")
    with pytest.raises(DataError) as caught:
        open_medical(tmp_path)
    assert str(caught.value) == (f"{tmp_path}: expected at least one picture with its mask, found none; images/a.dcm: expected a whole DICOM picture, found a "
                                 "damaged file, or one in a packing that this pydicom cannot read. Give a mask the name of its picture.")
    assert pydicom.__version__
