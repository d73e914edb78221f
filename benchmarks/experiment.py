"""One training for a benchmark of quality, in memory: the real task, codec, settled choices and loop, without a folder of a run around them.

    known = encoded(codec, {"text": [...], "label": [...]})
    learned = learn(Spec(task=task, train=train), codec, known)
    arrays = learned.answers(columns)
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

import served
from safetensors.torch import save
from torch import nn

from thuja.codec import Arrays, Codec, Columns, Rows, count
from thuja.data.objects import from_object
from thuja.spec import Spec, dumps, facts, settle
from thuja.task import Part
from thuja.training.look import answers
from thuja.training.loop import begin, steps
from thuja.verbs.export import Trained


class Learned(NamedTuple):
    """What one training made."""

    spec: Spec[Any]
    """Settled."""
    codec: Codec
    model: nn.Module
    """The weights to evaluate, in eval mode."""
    known: Part
    """The rows it was trained on."""
    steps: int
    seconds: float
    """Of training, settling included, reading and encoding not."""

    def answers(self, columns: Columns, program: str = "predict") -> Arrays:
        """What the program that would be exported gives for all rows."""
        return answers(self.spec.task.programs(self.model, self.codec), columns, program)

    def settled(self) -> dict[str, Any]:
        """The recipe, for the file of results."""
        return self.spec.model_dump(mode="json", include={"task", "train"})

    def parameters(self) -> int:
        """Of the network."""
        return sum(p.numel() for p in self.model.parameters())

    def served(self, test: Part) -> dict[str, float]:
        """What it is in service (benchmarks/served.py), asked with rows of `test`. Raises: ParityError when it cannot be exported."""
        task = self.spec.task
        weights = save({name: tensor.detach().clone().contiguous() for name, tensor in self.model.state_dict().items()})
        files = {"spec.yaml": dumps(self.spec).encode(), "weights.safetensors": weights, "scores.json": b"{}", "card.md": b"A benchmark.\n"}
        programs = {name: program for name, program in task.programs(self.model, self.codec).items() if program.exported}
        known, asked = (task.served(self.model, self.codec, part) for part in (self.known, test))
        return served.in_service(Trained(self.codec, programs, known, test, None, (), files, task.judged, asked), self.model)


def encoded(codec: Codec, raw: Rows) -> Part:
    """Rows held in Python, and what the codec makes of them."""
    return Part(from_object(raw), codec.encode(raw))


def learn(spec: Spec[Any], codec: Codec, known: Part) -> Learned:
    """Train once; the task of `spec` is prepared, blanks of its training section are settled here."""
    began = time.perf_counter()
    spec, _ = settle(spec, codec, facts(spec.train, count(known.columns)))
    state = begin(spec.task, codec, spec.train)
    for _step in steps(spec.task, state, known.columns, spec.train):
        pass
    return Learned(spec, codec, state.best_model.eval(), known, state.step, time.perf_counter() - began)


def options(says: str | None) -> argparse.ArgumentParser:
    """What every such benchmark is asked with; `says` is its docstring."""
    parser = argparse.ArgumentParser(description=says, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--validation", action="store_true", help="score validation rows, for choosing hyper-parameters; writes nothing")
    parser.add_argument("--task", type=json.loads, default={}, help="fields of the task, as JSON")
    parser.add_argument("--train", type=json.loads, default={}, help="fields of the train section, as JSON")
    parser.add_argument("--root", type=Path, default=Path(os.environ.get("THUJA_DATA", Path(__file__).parents[2] / "shared" / "data")))
    return parser
