import numpy as np
import pytest

from thuja.core.errors import DataError
from thuja.data.folder import open_folder


def tree(base, *names):
    for name in names:
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_bytes(name.encode())
    return base


def refused(base):
    with pytest.raises(DataError) as caught:
        open_folder(base)
    return str(caught.value).removeprefix(f"{base}")


CLASSES = ": expected a folder of pictures for each class, such as cat/1.jpg and dog/2.jpg, found {}. " \
          "Move the pictures into one folder per class, or give a table with a column of file names (data.files)."


def test_one_part(tmp_path):
    source = open_folder(tree(tmp_path, "dog/2.PNG", "cat/1.jpg", "cat/deep/3.jpeg", "cat/notes.txt", "cat/.hidden.jpg", ".git/x/4.jpg"))["all"]
    index = np.arange(len(source))
    assert source.take(index) == {"image": [tmp_path / name for name in ("cat/1.jpg", "cat/deep/3.jpeg", "dog/2.PNG")], "label": ["cat", "cat", "dog"]}
    assert source.ids(index) == ["cat/1.jpg", "cat/deep/3.jpeg", "dog/2.PNG"]
    assert source.take(index[:1], ("label",)) == {"label": ["cat"]}


@pytest.mark.parametrize("validation", ["validation", "val", "valid", "dev"])
def test_given_parts_keep_their_order_and_ids(tmp_path, validation):
    parts = open_folder(tree(tmp_path, "test/a/1.jpg", "train/a/1.jpg", "train/b/2.jpg", f"{validation}/b/9.jpg"))
    assert {name: part.ids(np.arange(len(part))) for name, part in parts.items()} == {
        "train": ["train/a/1.jpg", "train/b/2.jpg"], "validation": [f"{validation}/b/9.jpg"], "test": ["test/a/1.jpg"]}
    assert list(parts) == ["train", "validation", "test"]


def test_no_class_folders(tmp_path):
    assert refused(tree(tmp_path, "1.jpg", "2.jpg")) == CLASSES.format("2 pictures and no class folders")


def test_no_pictures(tmp_path):
    assert refused(tree(tmp_path, "cat/notes.txt")) == CLASSES.format("'cat' and no picture")


def test_empty(tmp_path):
    assert refused(tmp_path) == CLASSES.format("an empty folder")


def test_one_class(tmp_path):
    assert refused(tree(tmp_path, "cat/1.jpg", "cat/2.jpg")) == (
        ": expected at least two class folders with pictures, found one, 'cat'. Add pictures of what it is to be told apart from, in a folder of their own."
    )


def test_fingerprint_and_hashes_follow_the_bytes(tmp_path):
    base = tree(tmp_path, "a/1.jpg", "b/2.jpg")
    before = open_folder(base)["all"]
    (base / "b/3.jpg").write_bytes(b"a/1.jpg")
    after = open_folder(base)["all"]
    assert before.fingerprint() != after.fingerprint()
    hashes = after.hashes(np.arange(3), ("image",))
    assert hashes[0] == hashes[2] != hashes[1]
    labelled = after.hashes(np.arange(3), ("image", "label"))
    assert len(set(labelled.tolist())) == 3


def test_a_pattern_reads_more_columns_from_the_paths(tmp_path):
    tree(tmp_path, "s1/1.pgm", "s1/10.pgm", "s2/1.pgm", "s2/notes.txt", "loose.pgm")
    source = open_folder(tmp_path, "{label}/{take}")["all"]
    assert (source.names, source.kinds["take"]) == (("image", "label", "take"), "text")
    assert source.take(np.arange(3), ("label", "take")) == {"label": ["s1", "s1", "s2"], "take": ["1", "10", "1"]}
    assert [tuple(bad) for bad in source.bad] == [("loose.pgm", "a path that does not fit {label}/{take}")]
    plain = open_folder(tmp_path)["all"]
    assert plain.names == ("image", "label") and plain.fingerprint() != source.fingerprint()


@pytest.mark.parametrize(("pattern", "message"), [
    ("{take}", "data.pattern: expected names of columns in braces, each once, `label` among them, such as '{label}/{take}', found '{take}'. "
               "The pictures themselves are the column 'image'."),
    ("{label}_{take}", "data.pattern: expected paths that fit {label}_{take}, found s1/1.pgm and 1 others that do not. "
                       "Correct the pattern; the ending of the files is no part of it."),
])
def test_a_pattern_that_does_not_do(tmp_path, pattern, message):
    tree(tmp_path, "s1/1.pgm", "s2/1.pgm")
    with pytest.raises(DataError) as caught:
        open_folder(tmp_path, pattern)
    assert str(caught.value) == message
