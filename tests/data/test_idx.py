import gzip

import numpy as np
import pytest

from thuja.core.errors import DataError
from thuja.data.idx import is_idx, open_idx


def idx(array):
    return b"\0\0\x08" + bytes([array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def pair(folder, part="train", count=5, packed=True):
    images, labels = np.arange(count * 6, dtype=np.uint8).reshape(count, 2, 3), np.arange(count, dtype=np.uint8)
    for name, array in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
        data = idx(array)
        (folder / (f"{name}.gz" if packed else name)).write_bytes(gzip.compress(data) if packed else data)
    return images


def refused(folder):
    with pytest.raises(DataError) as caught:
        open_idx(folder)
    return str(caught.value).replace(f"{folder}/", "")


@pytest.mark.parametrize("packed", [True, False])
def test_parts(tmp_path, packed):
    images = pair(tmp_path, "train", 5, packed)
    pair(tmp_path, "t10k", 3, packed)
    assert is_idx(tmp_path)
    parts = open_idx(tmp_path)
    assert {name: len(part) for name, part in parts.items()} == {"train": 5, "test": 3}
    rows = parts["train"].take(np.array([4, 1]))
    assert rows["label"] == ["4", "1"]
    assert np.array_equal(rows["image"], images[[4, 1]])
    assert parts["test"].ids(np.array([2])) == ["t10k-images-idx3-ubyte:2"]


def test_one_part(tmp_path):
    pair(tmp_path, "emnist")
    assert list(open_idx(tmp_path)) == ["all"]


def test_labels_missing(tmp_path):
    pair(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte.gz").unlink()
    assert refused(tmp_path) == (
        "train-images-idx3-ubyte.gz: expected a file of pictures and a file of labels beside each other, found one of the two. "
        "Put both, such as train-images-idx3-ubyte.gz and train-labels-idx1-ubyte.gz, in the folder."
    )


def test_other_number_of_labels(tmp_path):
    pair(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.zeros(4, np.uint8))))
    assert refused(tmp_path) == "train-labels-idx1-ubyte.gz: expected a label for each of 5 pictures, found 4. Check that the two files belong together."


def test_truncated_at_any_byte(tmp_path):
    pair(tmp_path, packed=False)
    path = tmp_path / "train-images-idx3-ubyte"
    data = path.read_bytes()
    for size in range(len(data)):
        path.write_bytes(data[:size])
        assert refused(tmp_path).startswith("train-images-idx3-ubyte: expected a whole IDX file of bytes, found ")


def test_torn_gzip(tmp_path):
    pair(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-9])
    assert refused(tmp_path) == (
        "train-images-idx3-ubyte.gz: expected a whole IDX file of bytes, found Compressed file ended before the end-of-stream marker was reached. "
        "Copy the file again."
    )


def test_mnist(real):
    parts = open_idx(real("mnist"))
    assert {name: len(part) for name, part in parts.items()} == {"train": 60_000, "test": 10_000}
    rows = parts["train"].take(np.array([0]))
    assert (rows["label"], rows["image"][0].shape, int(rows["image"][0].sum())) == (["5"], (28, 28), 27525)
