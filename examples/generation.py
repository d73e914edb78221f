"""Handwritten digits made of noise, with a sheet of samples every so often while it learns: about two minutes on two cores.

    python examples/generation.py
    python examples/generation.py sheets/

Learns from mnist in $THUJA_DATA; without it, from bars of its own making. Training is a generator, so what is to happen every 100 steps is plain code in the
body of a `for`: here, a sheet of pictures by the weights so far, always from the same seeds, so that one sees the same picture become clear. The last part
does it all by the verbs, to an artefact that answers a class and a seed with a picture.
"""

import os
import sys
import tempfile
from pathlib import Path

import numpy as np

import thuja
from thuja.apps.image_generation.charts import Studio, sheet
from thuja.apps.image_generation.task import ImageGeneration
from thuja.artifact.runtime import Predictor
from thuja.data.source import open_source
from thuja.settings import Data, Train
from thuja.spec import Spec
from thuja.task import Facts
from thuja.training.loop import begin, steps

SMALL = {"kind": "flow", "width": 32, "blocks": 1, "steps": 6}


def made_up(rows: int = 2000) -> dict[str, list[object]]:
    """A bar on the left, in the middle or on the right."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, rows)
    pictures = rng.integers(0, 40, (rows, 16, 15), dtype=np.uint8)
    for picture, label in zip(pictures, labels, strict=True):
        picture[2:14, label * 5 + 1 : label * 5 + 4] += 180
    return {"image": list(pictures), "label": [("left", "middle", "right")[label] for label in labels]}


def watch(task: ImageGeneration, rows: object, folder: Path, count: int = 300) -> None:
    """A sheet of samples every 100 steps."""
    sources = open_source(Data(), object=rows) if isinstance(rows, dict) else open_source(Data(path=str(rows)))
    source = task.arrange({"train": sources.get("train") or sources["all"]})["train"]
    task, codec = task.prepare(source)
    columns = codec.encode(source.take(np.arange(min(len(source), 10_000))))
    facts = Facts(rows=len(source), cores=1, device="cpu", budget_s=None, steps=count)
    chosen = {name.removeprefix("train."): choice.value for name, choice in task.choices(codec, facts).items()}
    train = Train(**{**chosen, "steps": count, "device": "cpu"})
    state = begin(task, codec, train)
    label = np.repeat(np.arange(len(codec.names)), 8)
    for step in steps(task, state, columns, train):
        if step.number % 100 == 0:
            studio = Studio(task.programs(state.best_model.eval(), codec), codec)
            path = folder / f"step-{step.number:04}.png"
            path.write_bytes(sheet(studio.make(label, np.arange(len(label))), 8))
            print(f"step {step.number}: loss {float(step.losses['loss']):.3f}, {path.name}", flush=True)


def main() -> None:
    real = Path(os.environ.get("THUJA_DATA", "../shared/data")) / "mnist"
    with tempfile.TemporaryDirectory() as place:
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(place)
        folder.mkdir(exist_ok=True)
        rows = real.resolve() if real.is_dir() else made_up()
        task = ImageGeneration.model_validate({"kind": "image-generation", "model": SMALL})
        watch(task, rows, folder)
        data = None if isinstance(rows, Path) else rows
        spec = Spec(task=task, data=Data(path=str(rows) if data is None else ""), train=Train(budget=40))
        run = thuja.train(spec, data=data, root=Path(place) / "runs")
        predictor = Predictor(thuja.export(run, data=data))
        name = predictor.artifact.codec.names[1]
        pictures = predictor.predict({"label": [name] * 6, "seed": list(range(6)), "guidance": [None] * 6})["image"]
        (folder / "served.png").write_bytes(sheet(np.stack(pictures), 6))
        print(f"the artefact made {len(pictures)} pictures of {name!r}, seeds 0 to 5; the same seeds give the same pictures anywhere")


if __name__ == "__main__":
    main()
