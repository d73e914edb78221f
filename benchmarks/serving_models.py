"""The two models that benchmarks/serving.py serves: real runs of a few steps, exported with their certificates.

`tiny` is a table network of eight numbers (its forward takes microseconds, so that the server is what is measured); `convnet` names pictures of 40 x 40
pixels and needs about a millisecond a picture, alone or in a batch.
"""

import base64
import io
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

TINY, CONVNET = "tiny", "convnet"
COLUMNS = tuple("abcdefgh")
SIDE = 40


class Workload(NamedTuple):
    """What is served and asked."""

    artifact: Path
    json: bytes
    """A friendly JSON body of one row; every server takes the same."""
    tensor: bytes
    """The same row encoded: the raw bytes of the program's only input."""
    shape: tuple[int, ...]
    datatype: str
    raw: bytes | None
    """The same row as a bare body (a JPEG file), where the model has one input."""


def make(folder: Path) -> dict[str, Workload]:
    """Train, export and describe both, or take what an earlier call left in `folder`."""
    return {TINY: _tiny(folder / TINY), CONVNET: _convnet(folder / CONVNET)}


def retrained(folder: Path) -> Path:
    """Another artefact that may take the place of `tiny`."""
    return _tiny(folder / "retrained", seed=1).artifact


def _export(folder: Path, task: dict[str, Any], data: Any) -> Path:
    from thuja.spec import parse
    from thuja.verbs.export import export
    from thuja.verbs.train import train

    if not (folder / "artifact" / "manifest.json").is_file():
        spec = parse({"thuja": 1, "task": task, "train": {"steps": 20}}, "serving_models")
        export(train(spec, data=data, root=folder / "runs"), data=data, out=folder / "artifact")
    return folder / "artifact"


def _tiny(folder: Path, seed: int = 0) -> Workload:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(600, len(COLUMNS)))
    data: dict[str, Any] = {name: values[:, i] for i, name in enumerate(COLUMNS)}
    data["label"] = ["high" if v > 0 else "low" for v in values.sum(1)]
    model = {"kind": "tabular", "members": 1, "width": 16, "depth": 1, "embedding": 4, "bins": 8}
    artifact = _export(folder, {"kind": "table", "target": "label", "model": model}, data)
    row = values[0].round(3)
    body = json.dumps(dict(zip(COLUMNS, row.tolist(), strict=True))).encode()
    return Workload(artifact, body, row.astype("<f4").tobytes(), (1, len(COLUMNS)), "FP32", None)


def _convnet(folder: Path) -> Workload:
    from PIL import Image

    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 300)
    pictures = [np.clip(rng.normal(80 + 90 * label, 30, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8) for label in labels]
    task = {"kind": "image-classification", "model": {"kind": "convnet", "widths": [32, 64], "depth": 2}, "size": SIDE}
    artifact = _export(folder, task, {"image": pictures, "label": [("dark", "bright")[label] for label in labels]})
    file = io.BytesIO()
    Image.fromarray(np.linspace(0, 255, SIDE * SIDE * 3).reshape(SIDE, SIDE, 3).astype(np.uint8)).save(file, "jpeg", quality=90)
    decoded = np.asarray(Image.open(io.BytesIO(file.getvalue())).convert("RGB"))
    body = json.dumps({"image": base64.b64encode(file.getvalue()).decode()}).encode()
    return Workload(artifact, body, decoded.tobytes(), (1, SIDE, SIDE, 3), "UINT8", file.getvalue())
