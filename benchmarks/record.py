"""Where benchmarks keep what they measured: results/<what>.<hardware>.<date>.json, with the load average, the commit and the versions beside every figure."""

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def hardware() -> str:
    """The machine in a word for a file name: processor and cores in use.

    >>> import re; bool(re.fullmatch("[a-z0-9-]+", hardware()))
    True
    """
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        name = next((line.partition(":")[2] for line in lines if line.startswith("model name")), name)
    except OSError:
        pass
    words = re.sub(r"\(r\)|\(tm\)|processor|cpu|@.*", " ", name.lower())
    return re.sub(r"[^a-z0-9]+", "-", f"{words} {cores()}-cores").strip("-")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def surroundings(load_before: float | None = None) -> dict[str, Any]:
    """What a figure depends on besides the code: machine, versions, load average before and after."""
    from importlib.metadata import PackageNotFoundError, version

    versions = {}
    for name in ("thuja", "torch", "numpy", "onnxruntime"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=RESULTS, capture_output=True, text=True, check=False).stdout.strip()
    return {"hardware": hardware(), "cores": cores(), "python": sys.version.split()[0], "versions": versions, "commit": commit,
            "when": datetime.now(UTC).isoformat(timespec="seconds"), "load_before": load_before, "load_after": round(os.getloadavg()[0], 2)}


def save(what: str, figures: Mapping[str, Any], load_before: float | None = None) -> Path:
    """Write figures under the name of what was measured; returns the file. Older files of the same name stay: they are the history."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{what}.{hardware()}.{datetime.now(UTC):%Y-%m-%d}.json"
    path.write_text(json.dumps({"what": what, "surroundings": surroundings(load_before), **figures}, indent=1) + "\n", "utf-8")
    return path


def latest(what: str, folder: Path = RESULTS) -> Path | None:
    """The newest result of this name on any hardware, or None."""
    return max(folder.glob(f"{what}.*.json"), key=_when, default=None)


def _when(path: Path) -> tuple[str, str]:
    """The date in a result's name, and within a day the time in the file."""
    return path.name.rsplit(".", 2)[1], str(json.loads(path.read_text("utf-8")).get("surroundings", {}).get("when", ""))
