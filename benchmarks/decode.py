"""Pictures in folders, from JPEG files to batches: the first epoch beside a bare Pillow loop, the second beside a gather in memory.

First epoch: `columns.encoded` on a cold cache of columns, which reads, decodes, converts, scales, hashes, writes and syncs. Beside it the least that has to be
done: a pool of as many threads as cores, each opening, converting and scaling a file with Pillow into its place of one array; as people write it, and tuned
with the reduced decoding of JPEG that Thuja uses for pictures at least four times as large as wanted (`draft`). Second epoch: batches of 512 (32
for large pictures) gathered from the memory-mapped cache by `order.shuffled`, beside `index_select` on a tensor in memory. In turn, several times; the files
are in the page cache for both. Times are by the clock and, since the machine may be shared, by processor time of all threads.

`opening` (`open_source`, and the SHA-256 of every file, which makes the cache content-addressed) comes once before, and is given beside.

    THUJA_DATA=../shared/data python benchmarks/decode.py
"""

import os
import shutil
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import record
import torch
from PIL import Image

from thuja.apps.image_classification.codec import ImageClassificationCodec
from thuja.data.columns import encoded
from thuja.data.folder import FolderSource, open_folder
from thuja.data.order import shuffled

DATA = Path(os.environ.get("THUJA_DATA", Path(__file__).parents[2] / "shared" / "data"))
ROUNDS, SMALL = 3, 10_000


class Cost(NamedTuple):
    """Seconds."""

    clock: float
    processor: float


def cost(work: Callable[[], Any]) -> Cost:
    """Of one call."""
    processor, clock = time.process_time(), time.perf_counter()
    work()
    return Cost(time.perf_counter() - clock, time.process_time() - processor)


def bare(source: FolderSource, height: int, width: int, draft: bool = False) -> np.ndarray:
    """What a person would write: Pillow on all cores."""
    out = np.empty((len(source), height, width, 3), np.uint8)

    def one(place: int) -> None:
        with Image.open(source.folder / source.files[place]) as picture:
            if draft:
                picture.draft("RGB", (2 * width, 2 * height))
            out[place] = np.asarray(picture.convert("RGB").resize((width, height), Image.Resampling.BILINEAR))

    with ThreadPoolExecutor(record.cores()) as pool:
        for _ in pool.map(one, range(len(source)), chunksize=64):
            pass
    return out


def epoch(columns: dict[str, Any], size: int) -> None:
    """One epoch of batches."""
    batches = shuffled(columns, size, seed=0)
    for _ in range(len(columns["label"]) // size):
        next(batches)


def gathered(pictures: torch.Tensor, size: int) -> None:
    """The same number of gathers in memory."""
    flat, rows = pictures.flatten(1), len(pictures)
    order = torch.randperm(rows)
    for place in range(rows // size):
        flat.index_select(0, order[place * size : (place + 1) * size])


def measure(source: FolderSource, names: tuple[str, ...], height: int, width: int, size: int) -> dict[str, Any]:
    """Both epochs of one data set, beside their peers."""
    codec = ImageClassificationCodec(image="image", target="label", names=names, height=height, width=width)
    source.fingerprint()
    first: dict[str, list[Cost]] = {"thuja": [], "pillow": [], "pillow, draft": []}
    second: dict[str, list[Cost]] = {"thuja": [], "index_select": []}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)

        def encode() -> None:
            shutil.rmtree(place / "columns", ignore_errors=True)
            encoded(source, codec, place, 0.0)

        works: dict[str, Callable[[], Any]] = {"thuja": encode, "pillow": lambda: bare(source, height, width),
                                               "pillow, draft": lambda: bare(source, height, width, draft=True)}
        for turn in range(ROUNDS):
            for name in (list(works) * 2)[turn % 3 : turn % 3 + 3]:
                first[name].append(cost(works[name]))
        columns = encoded(source, codec, place, 0.0).columns
        pictures = torch.from_numpy(np.asarray(columns["image"])).clone()
        difference = np.abs(pictures[:500].numpy().astype(np.int16) - bare(_first(source, 500), height, width)).max()
        assert difference <= 3, f"the two do not do the same: {difference}"
        for _ in range(ROUNDS):
            second["thuja"].append(cost(lambda: epoch(columns, size)))
            second["index_select"].append(cost(lambda: gathered(pictures, size)))
    rows, row = len(source), height * width * 3
    answer: dict[str, Any] = {"pictures": rows, "to": f"{height} x {width} x 3", "batch": size, "largest_difference_of_255": int(difference)}
    for when, found in (("first epoch", first), ("second epoch", second)):
        answer[when] = {name: {"pictures_per_s": round(rows / _median(costs, 0)), "per_processor_s": round(rows / _median(costs, 1)),
                               "gb_per_s": round(rows * row / _median(costs, 1) / 1e9, 3)} for name, costs in found.items()}
        for name, peer in list(found.items())[1:]:
            answer[when][f"thuja_percent_of_{name}"] = {"by_the_clock": round(100 * _median(peer, 0) / _median(found["thuja"], 0), 1),
                                                        "by_processor_time": round(100 * _median(peer, 1) / _median(found["thuja"], 1), 1)}
    return answer


def _first(source: FolderSource, rows: int) -> FolderSource:
    return FolderSource(source.folder, source.files[:rows], source.labels[:rows])


def _median(costs: list[Cost], which: int) -> float:
    return statistics.median(c[which] for c in costs)


def large(folder: Path) -> FolderSource:
    """640 x 480 photographs of blood cells, in two made-up classes: only the time matters."""
    files = sorted((DATA / "bccd" / "BCCD" / "JPEGImages").glob("*.jpg"))
    for place, file in enumerate(files):
        (folder / "ab"[place % 2]).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder / "ab"[place % 2] / file.name)
    return open_folder(folder)["all"]


def main() -> None:
    torch.set_num_threads(1)
    load = round(os.getloadavg()[0], 2)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["THUJA_CACHE"] = str(Path(folder) / "cache")
        with tarfile.open(DATA / "cifar10_jpeg" / "test.tar.xz") as archive:
            archive.extractall(folder, filter="data")
        opening = cost(lambda: open_folder(Path(folder) / "test")["all"].fingerprint())
        small = open_folder(Path(folder) / "test")["all"]
        small = _first(small, SMALL)
        found = {"cifar10, 32 x 32 JPEG": measure(small, tuple(sorted(set(small.labels))), 32, 32, 512),
                 "bccd, 640 x 480 JPEG": measure(large(Path(folder) / "bccd"), ("a", "b"), 64, 64, 32)}
    worst = min(value["first epoch"]["thuja_percent_of_pillow"]["by_processor_time"] for value in found.values())
    record.save("decode", {"goal": "first epoch at least 90 % of a bare Pillow loop on all cores; second at the speed of a gather", "threads": record.cores(),
                           "opening_us_a_picture": round(opening.processor / SMALL * 1e6, 1), "results": found, "passed": worst >= 90}, load)


if __name__ == "__main__":
    main()
