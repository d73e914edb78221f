"""What the peers read: each data set decoded once, outside their clock, into one file of arrays. (Thuja's clock includes its own reading and decoding.)

    mnist, cifar10   x uint8 [rows, height, width, channels], y int64
    sst2             x text, y int64
    adult            numbers float32 [rows, 6], categories text [rows, 8], y int64

each as `train_...` and `test_...`.
"""

import gzip
import io
import tarfile
from pathlib import Path

import numpy as np

Arrays = dict[str, np.ndarray]
NUMBERS = ("age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week")


def mnist(root: Path) -> Arrays:
    """The four files of the official set."""
    found = {}
    for part, prefix in (("train", "train"), ("test", "t10k")):
        for name, kind, head, shape in (("x", "images-idx3", 16, (-1, 28, 28, 1)), ("y", "labels-idx1", 8, (-1,))):
            raw = gzip.decompress((root / "mnist" / f"{prefix}-{kind}-ubyte.gz").read_bytes())
            found[f"{part}_{name}"] = np.frombuffer(raw, np.uint8, offset=head).reshape(shape)
    return found | {name: values.astype(np.int64) for name, values in found.items() if name.endswith("y")}


def cifar10(root: Path) -> Arrays:
    """Every JPEG of both archives, `part/class/number.jpg`."""
    from PIL import Image

    found = {}
    for part in ("train", "test"):
        images, labels = [], []
        with tarfile.open(root / "cifar10_jpeg" / f"{part}.tar.xz") as archive:
            for member in archive:
                if member.isfile() and member.name.endswith(".jpg"):
                    with Image.open(io.BytesIO(archive.extractfile(member).read())) as image:
                        images.append(np.asarray(image.convert("RGB")))
                    labels.append(Path(member.name).parent.name)
        found |= {f"{part}_x": np.stack(images), f"{part}_y": np.unique(labels, return_inverse=True)[1].astype(np.int64)}
    return found


def sst2(root: Path) -> Arrays:
    """`label text` lines, latin-1."""
    found = {}
    for part in ("train", "test"):
        lines = (root / "sentence_classification" / f"stsa.binary.{part}").read_bytes().decode("latin-1").split("\n")
        lines = [line for line in lines if line.strip()]
        found |= {f"{part}_x": np.array([line[2:].strip() for line in lines]), f"{part}_y": np.array([int(line[0]) for line in lines])}
    return found


def adult(root: Path) -> Arrays:
    """The official files; a missing category stays "?", which is what the peers' tutorials do."""
    names = ("age", "workclass", "fnlwgt", "education", "education_num", "marital_status", "occupation", "relationship", "race", "sex", "capital_gain",
             "capital_loss", "hours_per_week", "native_country")
    found = {}
    for part, file in (("train", "adult.data"), ("test", "adult.test")):
        rows = [line.rstrip(".").split(", ") for line in (root / "adult" / file).read_text("utf-8").splitlines()]
        rows = [row for row in rows if len(row) == len(names) + 1]
        cells = {name: [row[place] for row in rows] for place, name in enumerate(names)}
        found |= {f"{part}_numbers": np.array([cells[name] for name in NUMBERS], np.float32).T.copy(),
                  f"{part}_categories": np.array([cells[name] for name in names if name not in NUMBERS]).T.copy(),
                  f"{part}_y": np.array([row[-1] == ">50K" for row in rows], np.int64)}
    return found


def prepare(workload: str, root: Path, folder: Path) -> Path:
    """The file of a workload in `folder`, made once."""
    path = folder / f"{workload}.npz"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        made = {"mnist": mnist, "cifar10": cifar10, "sst2": sst2, "adult": adult}[workload](root)
        np.savez(path.with_suffix(".new.npz"), **made)
        path.with_suffix(".new.npz").rename(path)
    return path
