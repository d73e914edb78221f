"""Export of answers made step by step: a tie does not stop it, a real difference does, and the certificate asks for short answers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
import toys
from torch import Tensor, nn

from thuja.apps import CODECS
from thuja.apps.language_model.task import LanguageModel
from thuja.artifact.folder import Artifact
from thuja.artifact.runtime import Predictor
from thuja.codec import DONE, Arrays, Codec, Columns, Rows
from thuja.core.errors import ParityError
from thuja.data.objects import from_object
from thuja.fields import Number, Schema, Text
from thuja.graph.onnxwrite import to_onnx
from thuja.models.gpt import GPT
from thuja.proof import certificate as proof
from thuja.proof.live import Ask
from thuja.task import Part, Program
from thuja.verbs import export

KINDS = {"choice": f"{__name__}:ChoiceCodec", **CODECS}


@contextmanager
def pretend(path: Path, schema: Schema) -> Iterator[Ask]:
    """A live server in this process."""
    yield proof.asking(Predictor(Artifact.open(path, KINDS)))


OPTIONS = export.Options(kinds=KINDS, serving=pretend)
FILES = {"spec.yaml": b"{}\n", "weights.safetensors": b"", "scores.json": b"{}", "card.md": b"A card.\n"}
TIES = 3


class ChoiceCodec(Codec):
    kind: Literal["choice"] = "choice"

    def schema(self) -> Schema:  # type: ignore[override]
        return Schema(inputs={"x": Number(lower=-1, upper=1)}, outputs={"word": Text()})

    def encode(self, rows: Rows) -> Columns:
        return {"x": np.array(rows["x"], np.float32)}

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        return {"word": ["left" if token == 0 else "right" for token in outputs["token"]]}


class Choose(nn.Module):
    """Left where x is above a threshold that was learned."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, 1.0]))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        scores = self.weight + torch.stack([x, torch.zeros_like(x)], 1)
        return scores.argmax(1), torch.zeros_like(x, dtype=torch.bool)


class Finish(nn.Module):
    def forward(self, token: Tensor) -> tuple[Tensor, Tensor]:
        return token.clone(), torch.ones_like(token, dtype=torch.bool)


def chooser(ties: int = TIES) -> export.Trained:
    """Forty rows, some of which score alike but for the last bit."""
    codec, rows = ChoiceCodec(), {"x": [1e-7] * ties + np.linspace(-0.9, 0.95, 40 - ties).tolist()}
    source = toys.Made(rows)
    programs = {"predict": Program(Choose().eval(), ("x",), ("token", DONE)), "step": Program(Finish().eval(), ("token",), ("token", DONE))}
    return export.Trained(codec, programs, source, Part(source, codec.encode(rows)), None, (), FILES)


def moved(by: float) -> Callable[[Program, Arrays], bytes]:
    """As if the exported weights were others by so much."""

    def write(program: Program, example: Arrays) -> bytes:
        if not isinstance(program.module, Choose):
            return to_onnx(program, example)
        other = Choose().eval()
        other.weight.data += torch.tensor([0.0, by])
        return to_onnx(program._replace(module=other), example)

    return write


def test_a_tie_that_the_artefact_decides_otherwise_is_left_out_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "to_onnx", moved(5e-7))
    certificate = proof.read(export.package(chooser(), tmp_path / "a", OPTIONS))
    assert certificate.unsettled == TIES
    assert {agreement.probes for agreement in certificate.measured} == {proof.STEPPED - TIES} and certificate.real_rows == proof.STEPPED // 2 - TIES


def test_a_real_difference_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "to_onnx", moved(0.2))
    with pytest.raises(ParityError, match=r"^artifact: .*, word \(asked with 0 others\): expected 'left', as training answered, found 'right'"):
        export.package(chooser(), tmp_path / "a", OPTIONS)
    assert not (tmp_path / "a").exists()


def test_a_model_all_of_whose_answers_hang_on_rounding_is_refused(tmp_path: Path) -> None:
    trained = chooser()
    trained.programs["predict"].module.register_parameter("weight", nn.Parameter(torch.tensor([1e9, 1e9])))
    with pytest.raises(ParityError, match=r"^training: expected answers that stay when weights move by a hundred-thousandth, found \d+ of 64 change\."):
        export.package(trained, tmp_path / "a", OPTIONS)


@pytest.fixture(scope="module")
def talker() -> export.Trained:
    """A language model that has learned nothing yet, as it may be long in answering."""
    source = from_object({"prompt": [""] * 30, "text": ["a cat sat on a mat. " * 3] * 30, **{name: [None] * 30 for name in (
        "temperature", "top_k", "top_p", "max_tokens", "seed")}})
    task, codec = LanguageModel(vocabulary="characters", context=32, max_tokens=500, model=GPT(dim=16, depth=1, heads=2, hidden=32, buckets=64)).prepare(source)
    torch.manual_seed(0)
    programs = task.programs(task.build(codec).eval(), codec)
    return export.Trained(codec, programs, source, Part(source, codec.encode(source.take(np.arange(30)))), None, (), FILES, task.judged)


def test_a_talker_is_asked_for_short_answers_and_for_the_likeliest(talker: export.Trained) -> None:
    compared = export._compared(talker, talker.codec.schema(), 1e-4)
    rows = proof.joined(compared.made_up, compared.real).rows
    assert max(rows["max_tokens"]) == export.BRIEF >= max(compared.answers["tokens"]) > 5
    assert 0.0 in rows["temperature"] and len(set(rows["temperature"])) > 2
    assert 30 < len(compared.made_up.ids) + len(compared.real.ids) + compared.unsettled <= proof.STEPPED


@pytest.mark.slow
def test_a_talker_with_other_weights_is_caught(talker: export.Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def heated(program: Program, example: Arrays) -> bytes:
        weights = [p for p in program.module.parameters() if p.is_floating_point()]
        kept = [p.detach().clone() for p in weights]
        with torch.no_grad():
            for p in weights:
                p.mul_(1.01)
        data = to_onnx(program, example)
        with torch.no_grad():
            for p, was in zip(weights, kept, strict=True):
                p.copy_(was)
        return data

    monkeypatch.setattr(export, "to_onnx", heated)
    with pytest.raises(ParityError):
        export.package(talker, tmp_path / "a", OPTIONS)
