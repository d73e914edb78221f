import errno
import json
import os
import subprocess
import sys
import threading
from typing import Literal

import numpy as np
import pytest
from PIL import Image as Pillow

from thuja.codec import Codec, Ragged, ragged
from thuja.core.errors import BadRows, DataError, StorageError
from thuja.core.storage import Disk
from thuja.data import columns as module
from thuja.data.columns import encoded
from thuja.data.objects import from_object
from thuja.data.rows import Bad
from thuja.data.source import open_source
from thuja.fields import Image, Schema
from thuja.settings import Data


class Toy(Codec):
    """A number and its digits; negative numbers and 13 are bad, 13 only once negative ones are gone."""

    kind: Literal["toy"] = "toy"
    scale: float = 1.0

    def schema(self):
        return Schema(inputs={}, outputs={})

    def encode(self, rows):
        values = rows["n"]
        for wrong in (lambda v: v is None or v < 0, lambda v: v == 13):
            bad = {i: DataError(f"rows[{i}].n", expected="a good number", found=str(v)) for i, v in enumerate(values) if wrong(v)}
            if bad:
                raise BadRows(bad)
        return {"n": np.array(values, np.float32) * self.scale, "pair": np.array([[v, -v] for v in values], np.int64),
                "digits": ragged([np.array([int(c) for c in str(int(v))], np.int64) for v in values])}

    def decode(self, outputs):
        return {}


def source(count, *bad):
    return from_object({"n": [float(v) for v in range(count)] + list(bad)})


def test_rows_are_those_of_the_codec(cache_folder):
    found = encoded(source(2000), Toy(), cache_folder, 0.01)
    assert np.array_equal(found.kept, np.delete(np.arange(2000), 13))
    assert np.array_equal(found.columns["n"], found.kept.astype(np.float32))
    assert np.array_equal(found.columns["pair"], np.stack([found.kept, -found.kept], 1))
    digits = found.columns["digits"]
    assert isinstance(digits, Ragged)
    assert digits.take(np.array([1500])).values.tolist() == [1, 5, 0, 1]
    assert int(digits.offsets[-1]) == sum(len(str(i)) for i in found.kept)
    assert found.bad == [Bad("row:14", "expected a good number, found 13.0")]
    assert found.notes == ()


def test_bad_rows_of_every_round_are_named(cache_folder):
    found = encoded(source(600, -1.0, None), Toy(), cache_folder, 0.01)
    assert sorted(found.bad) == [("row:14", "expected a good number, found 13.0"), ("row:601", "expected a good number, found -1.0"),
                                 ("row:602", "expected a good number, found None")]
    assert len(found.kept) == 599


def test_budget(cache_folder):
    rows = from_object({"n": [1.0, -1.0, 2.0, -2.0]})
    message = ("data.bad_rows: expected at most 1.0% of 4 rows unusable, found 2 so far: row:2 (expected a good number, found -1.0); "
               "row:4 (expected a good number, found -2.0). Repair or remove these rows, or raise data.bad_rows.")
    with pytest.raises(DataError) as caught:
        encoded(rows, Toy(), cache_folder, 0.01)
    assert str(caught.value) == message
    assert len(encoded(rows, Toy(), cache_folder, 0.5).kept) == 2
    with pytest.raises(DataError) as caught:  # also of what is in the cache
        encoded(rows, Toy(), cache_folder, 0.01)
    assert str(caught.value) == message


def test_rows_that_could_not_be_read_count_too(cache_folder):
    rows = source(5)
    rows.bad = (Bad("rows.csv:3", "torn"),)
    with pytest.raises(DataError) as caught:
        encoded(rows, Toy(), cache_folder, 0.1)
    assert str(caught.value) == (
        "data.bad_rows: expected at most 10.0% of 6 rows unusable, found 1 so far: rows.csv:3 (torn). Repair or remove these rows, or raise data.bad_rows."
    )
    assert encoded(rows, Toy(), cache_folder, 0.2).bad == [Bad("rows.csv:3", "torn")]


def test_no_usable_row(cache_folder):
    with pytest.raises(DataError) as caught:
        encoded(from_object({"n": [-1.0]}), Toy(), cache_folder, 1.0)
    assert str(caught.value) == "data: expected at least one usable row, found none. Check that the right data were given."


def test_an_absent_column_is_the_codecs_error(cache_folder):
    with pytest.raises(KeyError):
        encoded(from_object({"m": [1.0]}), Toy(), cache_folder, 0.01)


def test_encoded_once_for_equal_source_and_codec(cache_folder, monkeypatch):
    encoded(source(10), Toy(), cache_folder, 0.01)
    monkeypatch.setattr(module, "_build", None)
    encoded(source(10), Toy(), cache_folder, 0.01)
    for other in ((source(11), Toy()), (source(10), Toy(scale=2.0))):
        with pytest.raises(TypeError):
            encoded(*other, cache_folder, 0.01)


@pytest.mark.parametrize("damage", ["flip", "cut", "absent"])
@pytest.mark.parametrize("name", ["0.values", "2.offsets", "kept", "manifest.json"])
def test_damage_is_detected_repaired_and_said(cache_folder, name, damage):
    (folder,) = [encoded(source(10), Toy(), cache_folder, 0.01)] and [path for path in (cache_folder / "columns").iterdir() if path.is_dir()]
    path = folder / name
    data = path.read_bytes()
    match damage:
        case "flip":
            path.write_bytes(data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :])
        case "cut":
            path.write_bytes(data[:-1])
        case "absent":
            path.unlink()
    found = encoded(source(10), Toy(), cache_folder, 0.01)
    assert found.notes == (f"{folder}: the cached columns were damaged and have been made again",)
    assert path.read_bytes() == data
    assert found.columns["n"].tolist() == list(range(10))


def test_writing_to_a_column_never_reaches_the_cache(cache_folder):
    found = encoded(source(10), Toy(), cache_folder, 0.01)
    found.columns["n"][0] = 99
    assert encoded(source(10), Toy(), cache_folder, 0.01).columns["n"][0] == 0


def test_a_full_disk_leaves_nothing_behind(cache_folder):
    class Full(Disk):
        def extend(self, path, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageError) as caught:
        encoded(source(10), Toy(), cache_folder, 0.01, Full())
    assert str(caught.value).endswith(
        "expected a writable place, found no space left. Free some space or choose another folder; what was saved before is intact."
    )
    assert [path for path in (cache_folder / "columns").iterdir() if path.is_dir()] == []


def test_two_at_once_build_once(cache_folder, monkeypatch):
    built, build = [], module._build
    monkeypatch.setattr(module, "_build", lambda *arguments: built.append(1) or build(*arguments))
    threads = [threading.Thread(target=encoded, args=(source(2000), Toy(), cache_folder, 0.01)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert built == [1]


MEMORY = """
import json, re, sys, threading, time
from pathlib import Path
from typing import Literal
import numpy as np
from thuja.codec import Codec, ragged
from thuja.data import split
from thuja.data.columns import encoded
from thuja.data.source import open_source
from thuja.fields import Schema
from thuja.settings import Data

class Wide(Codec):
    kind: Literal["wide"] = "wide"
    def schema(self): return Schema(inputs={}, outputs={})
    def encode(self, rows):
        return {"x": np.repeat(np.array(rows["n"], np.float32)[:, None], 256, 1), "t": ragged([np.frombuffer(t.encode(), np.uint8) for t in rows["text"]])}
    def decode(self, outputs): return {}

def private():
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

import pyarrow
peak, done = 0.0, False
def watch():
    global peak
    while not done:
        peak = max(peak, private())
        time.sleep(0.01)
start = private()
thread = threading.Thread(target=watch, daemon=True)
thread.start()
parts = split.split(open_source(Data(path=sys.argv[1])), Data(), ("n", "text"))
rows = sum(len(encoded(part, Wide(), Path(sys.argv[2]), 0.01).kept) for part in parts.values())
done = True
thread.join()
print(json.dumps({"rows": rows, "peak_mb": peak - start}))
"""


def measured(tmp_path, rows):
    path = tmp_path / f"rows{rows}.csv"
    with path.open("w") as file:
        file.write("n,text\n")
        for i in range(rows):
            file.write(f"{i},{'some words of a text ' * 20}{i}\n")
    settings = {"THUJA_CACHE": str(tmp_path / "cache"), "ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_TRIM_THRESHOLD_": "1000000", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", MEMORY, str(path), str(tmp_path / "cache")]
    out = subprocess.run(command, capture_output=True, text=True, env=os.environ | settings, check=False, timeout=300)
    assert out.returncode == 0, out.stderr
    found = json.loads(out.stdout)
    assert found["rows"] == rows
    return found["peak_mb"], path.stat().st_size / 2**20


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_rows(tmp_path):
    """Reading, splitting and encoding a table of 220 MB (and 730 MB of encoded columns) takes no more memory of its own than one of a tenth."""
    small, _ = measured(tmp_path, 50_000)
    large, size = measured(tmp_path, 500_000)
    assert size > 200
    assert large < small + 60 and large < 250, (small, large)


class Pictures(Codec):
    """Pictures of 8 x 8 pixels and their class, decoded by the real field."""

    kind: Literal["pictures"] = "pictures"

    def schema(self):
        return Schema(inputs={}, outputs={})

    def encode(self, rows):
        bad, pictures = {}, []
        for place, value in enumerate(rows["image"]):
            try:
                pictures.append(Image(max_pixels=10_000).decode(value, f"rows[{place}].image"))
            except DataError as error:
                bad[place] = error
        if bad:
            raise BadRows(bad)
        return {"image": np.stack(pictures), "label": np.array([int(label) for label in rows["label"]])}

    def decode(self, outputs):
        return {}


def picture_folder(tmp_path, count):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    for i in range(count):
        pixels[0, 0, 0] = i % 256
        path = tmp_path / "pictures" / str(i % 2) / f"{i:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(pixels).save(path)
    return tmp_path / "pictures"


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1])
def test_broken_pictures_are_counted_and_named_within_the_budget(tmp_path, cache_folder, share):
    """Cut files, text under a picture's name, empty files and a picture beyond the limit, in turn."""
    count = 1000
    folder = picture_folder(tmp_path, count)
    broken = sorted(folder.glob("*/*.png"))[:: int(1 / share)]
    for place, path in enumerate(broken):
        match place % 4:
            case 0:
                path.write_bytes(path.read_bytes()[:150])
            case 1:
                path.write_text("not found")
            case 2:
                path.write_bytes(b"")
            case 3:
                Pillow.new("RGB", (200, 200)).save(path)
    (source,) = open_source(Data(path=str(folder))).values()
    if share > 0.01:
        with pytest.raises(DataError) as caught:
            encoded(source, Pictures(), cache_folder, 0.01)
        assert caught.value.where == "data.bad_rows"
        assert caught.value.expected == "at most 1.0% of 1000 rows unusable"
        return
    found = encoded(source, Pictures(), cache_folder, 0.01)
    assert [entry.id for entry in found.bad] == [str(path.relative_to(folder)) for path in broken]
    reasons = ["expected a whole picture, found a truncated or damaged file", "expected a picture, found text 'not found'",
               "expected a picture, found an empty file", "expected at most 10000 pixels, found 200 x 200"]
    assert [entry.reason for entry in found.bad] == [reasons[place % 4] for place in range(len(broken))]
    assert len(found.kept) == count - len(broken)
    assert np.array_equal(found.columns["image"][:, 0, 0, 0], [int(source.files[place][2:6]) % 256 for place in found.kept])


def test_columns_larger_than_memory_are_mapped(tmp_path):
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 5 // 4 // 4096 * 4096
    with (tmp_path / "0.values").open("wb") as file:
        file.truncate(size)  # a sparse file: nothing is stored
    column = module._mapped(tmp_path / "0.values", "|u1", [32, 32, 4])
    assert len(column) == size // 4096
    column[-1, 0, 0, 0] = 7
    assert column[-1].sum() == 7
    assert (tmp_path / "0.values").stat().st_blocks == 0, "what is written stays in memory"
