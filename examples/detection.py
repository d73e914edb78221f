"""Things found in pictures, from files to an artefact that answers a picture and a film: under three minutes on two cores.

    python examples/detection.py

Reads blood cells (Pascal VOC, with its official lists) from $THUJA_DATA/bccd. Without them it draws discs and squares on noise, writes them as YOLO files, and
learns those, to show the way.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

import thuja
from thuja.apps.object_detection.task import ObjectDetection
from thuja.artifact.runtime import Predictor
from thuja.data.boxes import Labelled, write
from thuja.settings import Data, Train
from thuja.spec import Spec

SIDES = (96, 128)


def scene(rng: np.random.Generator) -> tuple[np.ndarray, list[dict]]:
    """Up to four things in the cells of a grid."""
    height, width = SIDES
    picture, boxes = rng.integers(20, 80, (height, width, 3)).astype(np.uint8), []
    for place in rng.permutation(6)[: rng.integers(1, 5)]:
        side = int(rng.integers(16, 36))
        left, top = int(place % 3 * (width // 3) + rng.integers(0, 6)), int(place // 3 * (height // 2) + rng.integers(0, 10))
        y, x = np.mgrid[:side, :side] - (side - 1) / 2
        label = ("disc", "square")[int(rng.integers(2))]
        mask = x**2 + y**2 <= (side / 2) ** 2 if label == "disc" else np.ones((side, side), bool)
        patch = picture[top : top + side, left : left + side]
        patch[mask[: patch.shape[0], : patch.shape[1]]] = rng.integers(150, 255, 3)
        boxes.append({"label": label, "box": [left, top, left + patch.shape[1], top + patch.shape[0]]})
    return picture, boxes


def made_up(folder: Path, rows: int = 300) -> Path:
    """Pictures and YOLO labels."""
    rng, drawn = np.random.default_rng(0), []
    (folder / "images").mkdir()
    for place in range(rows):
        picture, boxes = scene(rng)
        path = folder / "images" / f"{place:04}.png"
        Image.fromarray(picture).save(path)
        drawn.append(Labelled(path, boxes))
    write(folder, "yolo", drawn)
    return folder


def film(paths: list[Path]) -> Iterator[np.ndarray]:
    """Frames one after the other, as a camera or a decoder of films gives them: uint8 [height, width, 3]."""
    for path in paths:
        yield np.asarray(Image.open(path).convert("RGB"))


def main() -> None:
    real = Path(os.environ.get("THUJA_DATA", "../shared/data")) / "bccd"
    with tempfile.TemporaryDirectory() as place:
        folder = real if real.is_dir() else made_up(Path(place))
        spec = Spec(task=ObjectDetection(flip="both"), data=Data(path=str(folder.resolve())), train=Train(budget=90 if folder == real else 40))
        run = thuja.train(spec, root=Path(place) / "runs")
        scores = thuja.evaluate(run)
        found = scores.metrics["map_50"]
        print(f"mAP50 {found.value:.3f}; {scores.baseline_name}: {scores.baseline.metrics['map_50'].value:.3f}" if scores.baseline else f"{found.value:.3f}")
        artifact = thuja.export(run)
        pictures = sorted(path for path in folder.rglob("*") if path.suffix in (".jpg", ".png"))[:5]
        predictor = Predictor(artifact)
        for path, frame in zip(pictures, film(pictures), strict=True):  # frame by frame
            boxes = predictor.predict({"image": [frame]})["boxes"][0]
            first = ", ".join(f"{entry['label']} {entry['score']:.2f}" for entry in boxes[:3])
            print(f"{path.name}: {len(boxes)} found; {first}")
        answers = predictor.predict({"image": pictures})["boxes"]
        write(Path(place) / "found", "voc", [Labelled(path, boxes) for path, boxes in zip(pictures, answers, strict=True)])
        print("written as VOC:", *sorted(path.name for path in (Path(place) / "found").rglob("*.xml")))


if __name__ == "__main__":
    main()
