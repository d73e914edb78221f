"""Faces, from a folder of people to a gallery that knows who is on a picture: under two minutes on two cores.

    python examples/faces.py

Reads orl_faces from $THUJA_DATA. Without it, it draws people of its own, soft patterns seen from slightly different places, to show the way.
"""

import os
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import thuja
from thuja.apps.face_recognition.task import FaceRecognition
from thuja.artifact.runtime import Predictor
from thuja.server.gallery import Gallery, Person
from thuja.settings import Data, GroupSplit, Train
from thuja.spec import Spec


def made_up(folder: Path, people: int = 24, takes: int = 8) -> Path:
    """A folder for each person."""
    for person in range(people):
        (folder / f"s{person}").mkdir(parents=True)
        own = Image.fromarray(np.random.default_rng(person).integers(40, 216, (6, 5), dtype=np.uint8)).resize((52, 62), Image.Resampling.BICUBIC)
        for take in range(takes):
            rng = np.random.default_rng((person, take))
            down, right = rng.integers(0, 6, 2)
            picture = np.asarray(own, float)[down : down + 56, right : right + 46] + rng.normal(0, 8, (56, 46))
            Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(folder / f"s{person}" / f"{take}.png")
    return folder


def main() -> None:
    real = Path(os.environ.get("THUJA_DATA", "../shared/data")) / "orl_faces"
    with tempfile.TemporaryDirectory() as place:
        folder = real if real.is_dir() else made_up(Path(place) / "people")
        split = GroupSplit(column="label", validation=0.0, test=0.25)  # the test is of people whom training never sees
        run = thuja.train(Spec(task=FaceRecognition(), data=Data(path=str(folder.resolve()), split=split), train=Train(steps=300 if folder == real else 60)),
                          root=Path(place) / "runs")
        scores = thuja.evaluate(run)
        for line in scores.rows()[:4]:
            print(f"{line.label}: {line.network} ({line.interval}); {scores.baseline_name}: {line.baseline}")
        artifact = thuja.export(run)
        predictor = Predictor(artifact)
        threshold = artifact.scores["test"]["threshold_far_1e2"]["value"]
        enrolled, asked = {}, {}
        for one in sorted(folder.iterdir())[:5]:
            first, *_, last = sorted(one.iterdir())
            enrolled[one.name], asked[one.name] = first, last
        vectors = np.array(predictor.predict({"image": list(enrolled.values())})["embedding"], np.float32)
        gallery = Gallery(artifact.digest, {name: Person(0.0, vector[None]) for name, vector in zip(enrolled, vectors, strict=True)})
        for name, vector in zip(asked, predictor.predict({"image": list(asked.values())})["embedding"], strict=True):
            best = gallery.search(np.array(vector, np.float32), 1)[0]
            print(f"{name}: {best.person}, similarity {best.score:.2f}, {'accepted' if best.score >= threshold else 'not accepted'}")


if __name__ == "__main__":
    main()
