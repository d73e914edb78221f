"""Training on ten times the memory that it may use: does what it holds stay flat?

A made-up set of grey pictures (128 x 128, two classes that differ by a bright half; IDX files) is ten times the budget. A process trains on 8 MB, so that every
module is loaded, then enters a memory cgroup whose limit is the budget: from then on all that it takes, anonymous memory and pages of files alike, is charged
to it, and the kernel takes back pages of files (the memory-mapped cache) or kills it. In there it does the whole verb: open, hash, split, learn the codec,
encode, check, and train for one epoch with a network so small (a mean over patches, one layer) that data are what there is. Memory is read from /proc ten
times a second. Where no cgroup may be made, or with --free, anonymous memory is only measured, and that is said.

An epoch's order is a permutation of 8 bytes a row (0.05 % of a 16 KiB picture); the list of rows that were kept another 8.

    python benchmarks/memory.py [budget in MB] [--free]
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import record

SIDE, TIMES = 128, 10
GROUPS = Path("/sys/fs/cgroup")


def generate(folder: Path, size_mb: int) -> int:
    """IDX files of so many MB; the number of pictures."""
    rows = size_mb * 1_000_000 // SIDE**2
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, rows, dtype=np.uint8)
    with (folder / "pictures-images-idx3-ubyte").open("wb") as file:
        file.write(b"\0\0\x08\x03" + np.array([rows, SIDE, SIDE], ">u4").tobytes())
        for part in np.array_split(labels, max(1, rows // 1000)):
            pictures = rng.integers(0, 128, (len(part), SIDE, SIDE), dtype=np.uint8)
            pictures[part == 1, : SIDE // 2] += 64
            file.write(pictures.tobytes())
    (folder / "pictures-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + np.array([rows], ">u4").tobytes() + labels.tobytes())
    return rows


def group(budget_mb: int) -> Path | None:
    """A new memory cgroup with this limit (version 2 or 1), or None where none may be made."""
    for parent, limit in ((GROUPS, "memory.max"), (GROUPS / "memory", "memory.limit_in_bytes")):
        place = parent / f"thuja-{os.getpid()}"
        try:
            place.mkdir()
            if not (place / limit).is_file():  # an ordinary folder, not a cgroup
                raise FileNotFoundError(limit)
            (place / limit).write_text(str(budget_mb * 1_000_000))
        except OSError:
            if place.is_dir():
                place.rmdir()
            continue
        return place
    return None


def status() -> tuple[float, float]:
    """Anonymous memory and pages of files of this process, in MB."""
    lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Rss"))
    return tuple(int(lines[name].split()[0]) / 1e3 for name in ("RssAnon", "RssFile"))  # type: ignore[return-value]


def child(folder: Path, place: str) -> None:
    """The process that is limited: prints its memory over time as JSON."""
    import torch

    from thuja.apps.image_classification.task import Classifier, ImageClassification
    from thuja.blocks.normalisation import Standardise
    from thuja.models.convnet import ConvNet
    from thuja.settings import AdamW, Data, HashSplit, Train
    from thuja.spec import Spec
    from thuja.verbs.train import train

    class Small(ImageClassification):
        def build(self, codec: Any) -> Classifier:
            network = torch.nn.Sequential(torch.nn.AvgPool2d(16), torch.nn.Flatten(), torch.nn.Linear((SIDE // 16) ** 2, 2))
            return Classifier(Standardise(codec.mean, codec.std), network)

    torch.set_num_threads(1)
    settings = Train(epochs=1, batch=32, optimizer=AdamW(), precision="float32", compile=False, threads=1, device="cpu", watch=False)
    task = Small(size=SIDE, model=ConvNet(widths=(4,)), test_time_augmentation=False, translate=2)

    def spec(data: str) -> Spec[Any]:
        return Spec(task=task, data=Data(path=str(folder / data), split=HashSplit(validation=0.01, test=0.01)), train=settings)

    train(spec("warm"), root=folder / "warm-runs")  # loads every module
    before = status()
    if place:
        (Path(place) / "cgroup.procs").write_text(str(os.getpid()))
    curve: list[tuple[float, str, float, float]] = []
    phase, over, started = ["prepare"], threading.Event(), time.perf_counter()

    def watch() -> None:
        while not over.wait(0.1):
            curve.append((round(time.perf_counter() - started, 1), phase[0], *(round(now - then, 1) for now, then in zip(status(), before, strict=True))))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    seen: list[int] = []

    def progress(now: Any) -> None:
        phase[0] = f"step {now.step}"
        seen.append(now.step)

    train(spec("data"), root=folder / "runs", progress=progress)
    over.set()
    watcher.join()
    print(json.dumps({"steps": max(seen), "base_mb": before, "curve": curve}))


def judge(curve: list[list[Any]]) -> dict[str, float]:
    """Anonymous memory beyond the base, after a fifth of training and at its end: medians of ten readings, in MB."""
    training = [row[2] for row in curve if row[1].startswith("step")]
    warm, end = training[len(training) // 5 :][:10], training[-10:]
    return {"anonymous_after_warm_up": round(float(np.median(warm)), 1), "anonymous_at_the_end": round(float(np.median(end)), 1),
            "anonymous_peak_of_training": max(training), "anonymous_peak_of_preparation": max((r[2] for r in curve if r[1] == "prepare"), default=0.0),
            "growth_percent": round(100 * (float(np.median(end)) / max(float(np.median(warm)), 1e-9) - 1), 2)}


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        return child(Path(sys.argv[2]), sys.argv[3])
    budget, load = int(sys.argv[1]) if len(sys.argv) > 1 else 80, round(os.getloadavg()[0], 2)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("data", "warm"):
            (Path(folder) / name).mkdir()
        generate(Path(folder) / "warm", 8)
        rows, place = generate(Path(folder) / "data", TIMES * budget), None if "--free" in sys.argv else group(budget)
        try:
            words = [sys.executable, __file__, "--child", folder, str(place or "")]
            environment = os.environ | {"THUJA_CACHE": str(Path(folder) / "cache"), "OMP_NUM_THREADS": "1"}
            done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
        finally:
            if place is not None:
                place.rmdir()
    report: dict[str, Any] = {"goal": "one epoch on ten times the budget; anonymous memory grows by less than 5 % after warm-up", "budget_mb": budget,
                              "data_mb": TIMES * budget, "pictures": rows, "limit": "memory cgroup" if place else "none, only measured"}
    if done.returncode:
        report |= {"passed": False, "exit": done.returncode, "error": done.stderr[-1500:]}
    else:
        found = json.loads(done.stdout.splitlines()[-1])
        figures = judge(found["curve"])
        every = max(1, len(found["curve"]) // 100)
        report |= {"steps": found["steps"], "base_mb": found["base_mb"], "beyond_the_base_mb": figures, "passed": figures["growth_percent"] < 5,
                   "curve": {"columns": ["seconds", "phase", "anonymous MB", "file pages MB"], "rows": found["curve"][::every]}}
    record.save("memory", report, load)
    print(json.dumps({name: value for name, value in report.items() if name != "curve"}, indent=1))


if __name__ == "__main__":
    main()
