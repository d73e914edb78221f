import io

import numpy as np
import pytest
from check_toys import looked, only
from PIL import Image

from thuja.data.checks.near import dhash, nearest_pictures, pooled

RNG = np.random.default_rng(0)


def pictures(count, size=32):
    """Smooth coloured blobs, each unlike the others."""
    small = RNG.integers(0, 256, (count, 6, 6, 3), np.uint8)
    return np.stack([np.asarray(Image.fromarray(each).resize((size, size), Image.Resampling.BICUBIC)) for each in small])


def again(picture, quality):
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=quality)
    return np.asarray(Image.open(out))


def resized(picture):
    return np.asarray(Image.fromarray(picture).resize((24, 24), Image.Resampling.BILINEAR).resize((32, 32), Image.Resampling.BILINEAR))


def brighter(picture):
    return np.clip(picture.astype(int) + 5, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("change", [lambda p: p, lambda p: again(p, 75), lambda p: again(p, 50), resized, brighter])
def test_pictures_saved_again_are_found(change):
    known, held = pictures(300), pictures(50)
    for i in range(20):
        held[i] = change(known[7 * i])
    at, twin, seen = nearest_pictures(held, known)
    assert (at.tolist(), twin.tolist(), seen) == (list(range(20)), [7 * i for i in range(20)], 50)


def test_other_pictures_are_not():
    at, _, _ = nearest_pictures(pictures(200), pictures(2000))
    assert at.tolist() == []


def test_digits_are_alike_but_no_twins(real):
    """The nearest of 20,000 training digits is no near duplicate of any of 1,000 test digits."""
    from thuja.data.idx import open_idx

    parts = open_idx(real("mnist"))
    train, test = (np.stack(parts[name].take(np.arange(rows))["image"])[..., None] for name, rows in (("train", 20_000), ("test", 1000)))
    assert nearest_pictures(test, train)[0].tolist() == []


@pytest.mark.parametrize("size", [(4, 5), (9, 9), (28, 28), (31, 50)])
def test_pooled_is_the_mean_of_each_cell(size):
    picture = RNG.integers(0, 256, (2, *size, 3), np.uint8)
    grid = pooled(picture, 9, 9)
    assert grid.shape == (2, 9, 9)
    assert grid.mean() == pytest.approx(picture.mean(), rel=1e-5)
    assert pooled(picture, *size) == pytest.approx(picture.mean(3), abs=1e-3)


def test_dhash_ignores_brightness():
    one = pictures(10) // 2
    assert np.array_equal(dhash(one, np.arange(10)), dhash(one + 40, np.arange(10)))


def made(copies):
    known, held = pictures(300), pictures(100)
    for i in range(copies):
        held[i] = again(known[i], 80)
    return {name: {"image": images, "y": np.arange(len(images)) % 2} for name, images in (("train", known), ("test", held))}


@pytest.mark.parametrize(("copies", "severity"), [(2, "warn"), (3, "block")])
def test_finding(copies, severity):
    rows = [f"test:{i + 1}" for i in range(copies)]
    assert only(looked(made(copies)), "near-duplicates") == [
        (severity, copies, rows, f"{copies} of 100 ({copies} %) test pictures are nearly the same as a training one: test:1 and train:1.")]


def test_texts_and_exact_copies_are_not_counted_twice():
    train = [f"please call {word} at the office about the new contract today" for word in ["anna", "bert", "carl", "dora", "emil"]]
    test = [train[0], train[1].upper() + "!!", "something else altogether is written here"]
    found = looked({"train": {"text": train, "y": [0, 1, 0, 1, 0]}, "test": {"text": test, "y": [0, 1, 0]}})
    assert only(found, "near-duplicates") == [("block", 1, ["test:2"], "1 of 3 (33 %) test texts are nearly the same as a training one: test:2 and train:2.")]
    assert [rows for _, _, rows, _ in only(found, "exact-duplicates")] == [["test:1"]]
