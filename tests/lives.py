"""Small artefacts with a life.json, for the tests of what comes after deployment: nothing is trained, everything is real."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import toys

from thuja.artifact import folder
from thuja.artifact.folder import Artifact
from thuja.artifact.runtime import Predictor
from thuja.core.digest import canonical
from thuja.life.deployment import Deployment
from thuja.life.plan import Plan
from thuja.verbs.reference import Origin, life

DAY = 86400.0
BEGIN = 1.7e9 // DAY * DAY
MEASURED = [{"way": way, "probes": 2, "answers": 2, "largest": 0.0, "near_ties": 0} for way in ("artifact", "server")]
SCORES = {"part": "test", "count": 100, "goal": "rmse", "test": {"rmse": {"value": 50.0, "low": 45.0, "high": 55.0}}, "recommendation": {"text": "Use it."}}


class Clock:
    """A clock that stands where it is put."""

    def __init__(self, now: float = BEGIN) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def priced(rows: int = 300, seed: int = 0, slope: float = 2.0) -> dict[str, list[Any]]:
    """Rows whose price is about `slope` times their size."""
    rng = np.random.default_rng(seed)
    size = rng.uniform(100, 800, rows)
    return {"size": size.tolist(), "shop": ["north" if i % 2 else "south" for i in range(rows)], "price": (slope * size + rng.normal(0, 40, rows)).tolist()}


def origin(plan: Plan | None = None, **more: Any) -> Origin:
    """As of a table without dates, checked, never aged."""
    spec = {"thuja": 1, "task": {"kind": "table", "target": "price"}, "data": {"path": "prices.csv"}, "train": {"steps": 5}}
    known = {"plan": plan or Plan(), "targets": ("price",), "answers": True, "spec": spec, "trained": BEGIN - DAY, "snapshot": "ab" * 32, "dated": False,
             "gap": 0.0, "checks": {"ran": True, "found": [], "waived": {}}, "ageing": None}
    return Origin(**known | more)


def artifact(place: Path, *, weight: float = 2.0, about: Origin | None = None, changed: dict[str, bytes] | None = None) -> Path:
    """An artefact that answers `weight` times the size, with what `thuja export` would say of it."""
    files = toys.plain_files(weight=weight) | {"scores.json": canonical(SCORES)}
    files["certificate.json"] = canonical(json.loads(files["certificate.json"]) | {"measured": MEASURED})
    folder.write(place, files, kind="toy-table")
    files["life.json"] = canonical(life(Predictor(Artifact.open(place, toys.KINDS)), toys.Made(priced()), about or origin()))
    folder.write(place, files | (changed or {}), kind="toy-table", clock=lambda: BEGIN)
    return place


def empty(place: Path, clock: Clock | None = None) -> Deployment:
    """A deployment that is not there yet, of the toys' kinds."""
    return Deployment(place, clock or Clock(), kinds=toys.KINDS)
