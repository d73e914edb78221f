"""Nuclei under the microscope: from pictures with masks to an artefact that outlines every one. About two minutes on two cores.

    python examples/segmentation.py

Reads dsb2018_nuclei from $THUJA_DATA. Without it, it draws ellipses in noise, to show the way.
"""

import os
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

import thuja
from thuja.apps.segmentation.task import Segmentation
from thuja.artifact.runtime import Predictor
from thuja.fields.regions import area, outlines
from thuja.models.unet import UNet
from thuja.settings import Data, Train
from thuja.spec import Spec


def made_up(folder: Path, rows: int = 80, size: int = 96) -> Path:
    """Bright ellipses of several sizes in noise and uneven light, each with its number in the mask."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size]
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for row in range(rows):
        light = np.outer(np.ones(size), np.linspace(*rng.permutation([0, 90]), size))
        picture, mask = light + rng.normal(40, 12, (size, size)), np.zeros((size, size), np.uint16)
        for number in range(1, int(rng.integers(3, 9))):
            (cy, cx), (a, b), turn = rng.uniform(8, size - 8, 2), rng.uniform(4, 11, 2), rng.uniform(0, np.pi)
            along, across = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn), (y - cy) * np.cos(turn) - (x - cx) * np.sin(turn)
            inside = ((along / a) ** 2 + (across / b) ** 2 < 1) & (mask == 0)
            picture[inside] += rng.uniform(50, 120)
            mask[inside] = 256 + number  # numbers above 255 say that these are objects, not classes
        Pillow.fromarray(picture.clip(0, 255).astype(np.uint8)).save(folder / "images" / f"{row}.png")
        Pillow.fromarray(mask).save(folder / "masks" / f"{row}.png")
    return folder


def main() -> None:
    real = Path(os.environ.get("THUJA_DATA", "../shared/data")) / "dsb2018_nuclei"
    with tempfile.TemporaryDirectory() as place:
        folder = real if real.is_dir() else made_up(Path(place) / "made-up")
        task = Segmentation(classes=("background", "nucleus"), least_object=16, model=UNet(widths=(16, 32, 64), patch=2))
        spec = Spec(task=task, data=Data(path=str(folder.resolve())), train=Train(budget=80 if folder == real else 30))
        run = thuja.train(spec, root=Path(place) / "runs")
        scores = thuja.evaluate(run)
        for name in ("dice", "object_f1", "surface_distance"):
            figure = scores.metrics[name]
            classical = scores.baseline.metrics[name].value if scores.baseline else None
            print(f"{name}: {figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f}); {scores.baseline_name}: {classical:.3f}")
        predictor = Predictor(thuja.export(run))
        path = sorted((folder / "images").iterdir())[-1]
        answer = predictor.predict({"image": [path]})
        numbers = answer["objects"][0]
        sizes = [abs(area(outlines(numbers == number, tolerance=1.0)[0])) for number in range(1, int(numbers.max()) + 1)]
        print(f"{path.name[:12]}: {len(sizes)} nuclei, {np.mean(sizes or [0]):.0f} pixels each on average, {answer['shares'][0]['nucleus']:.1%} of the picture")


if __name__ == "__main__":
    main()
