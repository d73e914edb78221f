"""What a car has to see: streets by class with the drivable area as a polygon, lane lines in metres, traffic signs. Some three minutes on two cores.

    python examples/driving.py

Streets: CamVid from $THUJA_DATA (without it, this part is left out). Lane lines and signs are GENERATED here: roads with a camera of known height and focal
length, so that an error in pixels can be told in metres; signs as shapes in perspective and noise. A network that does well on them has been shown to work, not
to be fit for a road.
"""

import os
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

import thuja
from thuja.apps.image_classification.task import ImageClassification
from thuja.apps.segmentation.task import Segmentation
from thuja.artifact.runtime import Predictor
from thuja.fields.regions import area, outlines
from thuja.metrics.segmentation import class_iou
from thuja.models.unet import UNet
from thuja.report import outputs
from thuja.settings import Check, Data, Evaluate, Train
from thuja.spec import Spec

REPORTED = ("Road", "Pavement", "Car", "Pedestrian")
LANES = ("background", "left line", "right line")
SIGNS = ("stop", "yield", "no entry", "speed limit")


class Camera(NamedTuple):
    """A pinhole camera over a flat road, looking along it."""

    height: int = 96
    width: int = 160
    focal: float = 140.0
    """In pixels."""
    above: float = 1.4
    """Metres above the road."""
    horizon: float = 36.0
    """Row of the picture."""

    def ground(self) -> tuple[np.ndarray, np.ndarray]:
        """Of every pixel below the horizon: metres ahead and metres to the right, [height, width]; infinite above it."""
        rows, columns = np.mgrid[: self.height, : self.width] + 0.5
        below = rows - self.horizon
        ahead = np.where(below > 0.5, self.focal * self.above / np.maximum(below, 0.5), np.inf)
        return ahead, np.where(below > 0.5, (columns - self.width / 2) * ahead / self.focal, np.inf)


class Lane(NamedTuple):
    """Where the two lines of a lane run: metres to the right at so many metres ahead."""

    middle: float
    wide: float
    bend: float
    heading: float

    def line(self, side: int, ahead: np.ndarray) -> np.ndarray:
        """The line on the left (-1) or on the right (1)."""
        return self.middle + side * self.wide / 2 + self.heading * ahead + self.bend * ahead**2


def road(camera: Camera, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, Lane]:
    """A picture of a road, uint8 [height, width, 3], where its lines are (0, 1 left, 2 right), and the lane itself."""
    lane = Lane(rng.normal(0, 0.3), rng.uniform(3.0, 3.8), rng.normal(0, 0.0009), rng.normal(0, 0.01))
    ahead, right = camera.ground()
    near = np.isfinite(ahead)
    safe, picture, mask = np.where(near, ahead, 0), np.zeros((camera.height, camera.width, 3)), np.zeros((camera.height, camera.width), np.uint8)
    picture[~near] = rng.uniform(140, 220) + np.array([-10, 0, 20])
    verge = near & (np.abs(right - lane.line(0, safe)) > rng.uniform(4, 7))
    picture[near] = rng.uniform(60, 110)
    picture[verge] = rng.uniform(50, 90) * np.array([0.9, 1.2, 0.7])
    start = rng.uniform(0, 12)
    for number, side in ((1, -1), (2, 1)):
        painted = near & (np.abs(right - lane.line(side, safe)) < 0.09) & (safe < 45)
        dashed = rng.random() < 0.5
        mask[painted] = number  # the line is to be found where its paint is interrupted as well
        picture[painted & ~(dashed & ((safe + start) % 12 > 6))] = rng.uniform(150, 240)
    for _ in range(int(rng.integers(0, 3))):  # cars, which hide what is behind them
        y, x, size = int(rng.integers(42, 60)), int(rng.integers(0, camera.width - 20)), int(rng.integers(8, 20))
        picture[y : y + size, x : x + int(1.4 * size)] = rng.uniform(10, 200, 3)
        mask[y : y + size, x : x + int(1.4 * size)] = 0
    shadow = np.cumsum(rng.normal(0, 1.5, camera.width))[None, :, None]
    return (picture + shadow + rng.normal(0, 9, picture.shape)).clip(0, 255).astype(np.uint8), mask, lane


def lane_errors(camera: Camera, mask: np.ndarray, truth: np.ndarray, lane: Lane) -> np.ndarray:
    """How far each answered line is from where it truly runs, in the rows of the picture in which it can be seen: pixels and metres, [rows, 2]; NaN where there
    is no answer."""
    ahead, _ = camera.ground()
    found = []
    for number, side in ((1, -1), (2, 1)):
        for row in np.flatnonzero((truth == number).any(axis=1)):
            distance, there = ahead[row, 0], np.flatnonzero(mask[row] == number)
            metres = np.nan if not len(there) else abs((there.mean() + 0.5 - camera.width / 2) * distance / camera.focal - lane.line(side, distance))
            found.append((metres * camera.focal / distance, metres))
    return np.array(found).reshape(-1, 2)


def lanes(place: Path, budget: float) -> None:
    """Learn lane lines on generated roads, and measure them in metres."""
    camera, rng = Camera(), np.random.default_rng(0)
    seen, asked = ([road(camera, rng) for _ in range(rows)] for rows in (300, 60))
    data = {name: {"image": [picture for picture, _, _ in rows], "mask": [mask for _, mask, _ in rows]} for name, rows in (("train", seen), ("test", asked))}
    task = Segmentation(classes=LANES, values=(0, 1, 2), orientation="upright", mirror=False, model=UNet(widths=(12, 24, 48, 96)))
    run = thuja.train(Spec(task=task, check=Check(enabled=False), train=Train(budget=budget)), data=data, root=place)
    answers = Predictor(thuja.export(run, data=data)).predict({"image": [picture for picture, _, _ in asked]})["mask"]
    errors = np.concatenate([lane_errors(camera, mask, truth, lane) for mask, (_, truth, lane) in zip(answers, asked, strict=True)])
    known = errors[~np.isnan(errors[:, 0])]
    if not len(known):
        print("lane lines (generated roads): none found")
        return
    pixels, metres = np.median(known, axis=0)
    print(f"lane lines (generated roads): found in {len(known) / len(errors):.0%} of the rows that show them, median error {pixels:.2f} pixels, "
          f"{metres * 100:.1f} cm; 95 % of them within {np.percentile(known[:, 1], 95) * 100:.0f} cm")


def streets(root: Path, place: Path, budget: float) -> None:
    """Learn the classes of a street, report those that matter most, and give the drivable area as a polygon."""
    classes = dict(line.split(" ", 1) for line in (root / "classes.txt").read_text("utf-8").splitlines())
    names = tuple(classes[str(number)] for number in range(11))
    task = Segmentation(values=tuple(range(11)), void=(11,), classes=names, model=UNet(widths=(24, 48, 96, 128), patch=2))
    data, train = Data(path=str(root.resolve())), Train(budget=budget, evaluate_every=10**6)
    judged = Evaluate(baseline=False, resamples=200)
    run = thuja.train(Spec(task=task, data=data, check=Check(enabled=False), train=train, evaluate=judged), root=place)
    scores = thuja.evaluate(run)
    ours = outputs.read(run.path / "outputs-test.parquet").ours
    iou = class_iou(np.asarray(ours.arrays["confusion"], float), np.ones((1, len(ours.target))))[0]
    print(f"streets (CamVid, {budget:g} s): mean IoU {scores.metrics['miou'].value:.3f}; "
          + ", ".join(f"{name} {iou[ours.names.index(name)]:.2f}" for name in REPORTED))
    asked = sorted((root / "test").glob("*.jpg"))[0]
    mask = Predictor(thuja.export(run)).predict({"image": [asked]})["mask"][0]
    drivable = outlines(mask == ours.names.index("Road"), tolerance=1.5)
    if drivable:
        corners = drivable[0].astype(int).tolist()
        print(f"{asked.name}: the drivable area has {abs(area(drivable[0])):.0f} pixels and {len(corners)} corners: {corners[:4]} ...")


def sign(kind: int, rng: np.random.Generator, size: int = 32) -> np.ndarray:
    """A generated traffic sign, seen a little from the side, on noise: uint8 [size, size, 3]."""
    y, x = (np.mgrid[:size, :size] - size / 2 - rng.uniform(-2, 2, 2)[:, None, None]) / (size * rng.uniform(0.32, 0.45))
    x = x / rng.uniform(0.75, 1) + rng.uniform(-0.15, 0.15) * y
    circle, red, white = x**2 + y**2 < 1, np.array([190, 30, 40]), np.array([235, 235, 235])
    picture = rng.uniform(30, 180, 3) + rng.normal(0, 25, (size, size, 3))
    if kind == 0:
        picture[(np.maximum(abs(x), abs(y)) < 0.92) & (abs(x) + abs(y) < 1.3)] = red
        picture[(abs(y) < 0.18) & (abs(x) < 0.65)] = white
    elif kind == 1:
        picture[(y > -0.8) & (y < 0.9) & (abs(x) < (0.9 - y) * 0.55)] = red
        picture[(y > -0.55) & (y < 0.45) & (abs(x) < (0.45 - y) * 0.5)] = white
    else:
        picture[circle] = red
        picture[(abs(y) < 0.2) & (abs(x) < 0.75) if kind == 2 else x**2 + y**2 < 0.55] = white
        if kind == 3:
            picture[(abs(y) < 0.4) & (abs(abs(x) - 0.25) < 0.1)] = 20
    return (picture * rng.uniform(0.5, 1.1) + rng.normal(0, 8, picture.shape)).clip(0, 255).astype(np.uint8)


def signs(place: Path, budget: float) -> None:
    """Learn generated traffic signs, cut out; where they are in a larger picture is a matter of object detection."""
    rng = np.random.default_rng(0)
    data = {}
    for name, rows in (("train", 800), ("test", 200)):
        kinds = rng.integers(0, len(SIGNS), rows)
        data[name] = {"image": [sign(int(kind), rng) for kind in kinds], "label": [SIGNS[kind] for kind in kinds]}
    run = thuja.train(Spec(task=ImageClassification(flip=False), check=Check(enabled=False), train=Train(budget=budget)), data=data, root=place)
    print(f"traffic signs (generated): {thuja.evaluate(run, data=data).metrics['accuracy'].value:.1%} right")


def main() -> None:
    root = Path(os.environ.get("THUJA_DATA", "../shared/data")) / "camvid_240"
    with tempfile.TemporaryDirectory() as place:
        if root.is_dir():
            streets(root, Path(place) / "streets", 45)
        lanes(Path(place) / "lanes", 25)
        signs(Path(place) / "signs", 8)


if __name__ == "__main__":
    main()
