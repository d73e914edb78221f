"""Small codecs, programs and sources for the tests of artefacts: pictures, ragged text and a table; nothing is trained, everything is real."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from thuja.artifact import folder
from thuja.artifact.folder import Artifact
from thuja.artifact.runtime import Predictor
from thuja.codec import Arrays, Codec, Columns, Rows, ragged
from thuja.core.digest import canonical
from thuja.core.errors import BadRows, DataError
from thuja.core.seeds import stream
from thuja.fields import Category, Image, Number, Schema, Scores, Text
from thuja.metrics import Outputs
from thuja.proof.certificate import Certificate, asking, plain
from thuja.proof.live import Ask
from thuja.task import Part, Program
from thuja.verbs import export

KINDS = {"toy-image": "toys:PictureCodec", "toy-text": "toys:WordCodec", "toy-table": "toys:CellCodec"}


def encoded(values: Any, one: Any) -> list[Any]:
    """`one` of each value, the refused ones gathered."""
    out, bad = [], {}
    for i, value in enumerate(values):
        try:
            out.append(one(value, f"rows[{i}]"))
        except DataError as error:
            bad[i] = error
    if bad:
        raise BadRows(bad)
    return out


def named(names: tuple[str, ...], probability: np.ndarray) -> dict[str, list[Any]]:
    best = probability.argmax(1)
    return {"label": [names[i] for i in best], "probability": [float(p) for p in probability.max(1)],
            "probabilities": [dict(zip(names, map(float, row), strict=True)) for row in probability]}


def classes(names: tuple[str, ...]) -> dict[str, Any]:
    return {"label": Category(names=names), "probability": Number(lower=0, upper=1), "probabilities": Scores(names=names)}


class PictureCodec(Codec):
    kind: Literal["toy-image"] = "toy-image"
    names: tuple[str, ...] = ("cat", "dog", "owl")
    size: int = 12
    left: int = 0
    """Columns of pixels lost at the left: an off-by-one for the positive controls."""

    def schema(self) -> Schema:
        return Schema(inputs={"photo": Image()}, outputs=classes(self.names))

    def encode(self, rows: Rows) -> Columns:
        from PIL import Image as Pillow

        def one(value: Any, where: str) -> np.ndarray:
            picture = Pillow.fromarray(Image().decode(value, where))
            box = (self.left, 0, picture.width, picture.height)
            return np.asarray(picture.resize((self.size, self.size), Pillow.Resampling.BILINEAR, box))

        return {"photo": np.stack(encoded(rows["photo"], one))} | ({"label": np.array(rows["label"], np.int64)} if "label" in rows else {})

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        return named(self.names, outputs["probability"])


class PictureNet(nn.Module):
    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.4, 0.5, 0.6]))
        self.layers = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.GELU(), nn.MaxPool2d(2), nn.Conv2d(16, 16, 3), nn.ReLU(),
                                    nn.Flatten(), nn.Linear(16 * 16, 3))

    def forward(self, photo: Tensor) -> Tensor:
        pixels = photo.permute(0, 3, 1, 2).float() / 255 - self.mean[:, None, None]
        return (4 * self.layers(4 * pixels)).softmax(1)


class WordCodec(Codec):
    kind: Literal["toy-text"] = "toy-text"
    names: tuple[str, ...] = ("bad", "good")

    def schema(self) -> Schema:
        return Schema(inputs={"message": Text()}, outputs=classes(self.names))

    def encode(self, rows: Rows) -> Columns:
        def one(value: Any, where: str) -> np.ndarray:
            Text().check(value, where)
            return np.array([1 + ord(c) % 96 for c in value] or [97], np.int64)

        return {"message": ragged(encoded(rows["message"], one))} | ({"label": np.array(rows["label"], np.int64)} if "label" in rows else {})

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        return named(self.names, outputs["probability"])


class WordNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(98, 32, padding_idx=0)
        self.head = nn.Linear(32, 2)

    def forward(self, ids: Tensor) -> Tensor:
        mask = (ids != 0).unsqueeze(2)
        mean = (self.embedding(ids) * mask).sum(1) / mask.sum(1)
        return (9 * self.head(mean)).softmax(1)


class LeakyWordNet(WordNet):
    """Forgets the padding: an answer depends on the longest of its batch-mates."""

    def forward(self, ids: Tensor) -> Tensor:
        return (9 * self.head(self.embedding(ids).mean(1))).softmax(1)


class CellCodec(Codec):
    kind: Literal["toy-table"] = "toy-table"
    shops: tuple[str, ...] = ("north", "south")

    def schema(self) -> Schema:
        return Schema(inputs={"size": Number(missing=True, lower=0, upper=900), "shop": Category(names=self.shops, missing=True, unknown=True)},
                      outputs={"value": Number()})

    def encode(self, rows: Rows) -> Columns:
        def one(value: Any, where: str) -> float:
            Number(missing=True).check(value, where)
            return float("nan") if value is None else float(value)

        places = {name: i for i, name in enumerate(self.shops, 1)}
        columns: Columns = {"numbers": np.array(encoded(rows["size"], one), np.float32)[:, None],
                            "categories": np.array([places.get(v, 0) for v in rows["shop"]], np.int64)[:, None]}
        return columns | ({"price": np.array(rows["price"], np.float32)} if "price" in rows else {})

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        return {"value": [float(v) for v in outputs["value"]]}


class CellNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.shop = nn.Embedding(3, 8)
        self.layers = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        missing = torch.isnan(numbers)
        size = torch.where(missing, torch.zeros_like(numbers), numbers / 300 - 1)
        return self.layers(torch.cat([size, missing.float(), self.shop(categories).flatten(1)], 1)).squeeze(1) * 1e5 + 2e5


class Made:
    """A Source of rows held in memory."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.names = tuple(rows)

    def __len__(self) -> int:
        return len(self.rows[self.names[0]])

    def take(self, index: np.ndarray) -> Rows:
        return {name: [values[i] for i in index] for name, values in self.rows.items()}

    def batches(self, size: int = 1024) -> Iterator[Rows]:
        for start in range(0, len(self), size):
            yield self.take(np.arange(start, min(start + size, len(self))))

    def ids(self, index: np.ndarray) -> list[str]:
        return [f"made.csv:{i + 2}" for i in index]


def trained(codec: Codec, module: nn.Module, dynamic: dict[str, tuple[int, ...]] | None = None) -> export.Trained:
    """As if `module` had been trained on forty made-up rows."""
    rng = stream(1, "toys")
    schema = codec.schema()
    rows: dict[str, Any] = {name: field.fake(rng, 40) for name, field in schema.inputs.items()}
    target, answer = ("price", "value") if isinstance(codec, CellCodec) else ("label", "probability")
    rows[target] = [float(v) for v in rng.integers(1, 9, 40)] if target == "price" else [int(v) for v in rng.integers(0, 2, 40)]
    columns = codec.encode(rows)
    program = Program(module.eval(), tuple(n for n in columns if n != target), (answer,), dynamic or {})
    source = Made(rows)
    files = {"spec.yaml": b"thuja: 1\n", "weights.safetensors": b"\0" * 64, "scores.json": b"{}", "card.md": b"# Card\n"}
    metrics = ("rmse",) if target == "price" else ("accuracy", "log_loss")

    def judge(held: Any, arrays: Arrays, _source: Any) -> Outputs:
        return Outputs(np.asarray(held[target]), arrays)

    return export.Trained(codec, {"predict": program}, source, Part(source, columns), judge, metrics, files)


def picture() -> export.Trained:
    torch.manual_seed(0)
    return trained(PictureCodec(), PictureNet())


def words(module: type[WordNet] = WordNet) -> export.Trained:
    torch.manual_seed(0)
    return trained(WordCodec(), module(), {"message": (1,)})


def cells() -> export.Trained:
    torch.manual_seed(0)
    return trained(CellCodec(), CellNet())


@contextmanager
def pretend(path: Path, schema: Schema) -> Iterator[Ask]:
    """A server without a wire: raw rows go through JSON and back, as they would; the real one is tested in test_live.py."""
    predictor = Predictor(Artifact.open(path, KINDS))

    def ask(rows: Rows) -> dict[str, list[Any]]:
        sent = json.loads(json.dumps({name: [field.to_json(v) for v in rows[name]] for name, field in schema.inputs.items()}))
        read = {name: [field.from_json(v, name) for v in sent[name]] for name, field in schema.inputs.items()}
        return json.loads(json.dumps(plain(schema, predictor.predict(read))))

    return_value: Ask = ask
    yield return_value


OPTIONS = export.Options(kinds=KINDS, serving=pretend)


def linear(weight: np.ndarray) -> bytes:
    """An ONNX program `value = numbers @ weight` made by hand, for tests that need no torch."""
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        [helper.make_node("MatMul", ["numbers", "weight"], ["wide"]), helper.make_node("Squeeze", ["wide", "axes"], ["value"])], "linear",
        [helper.make_tensor_value_info("numbers", TensorProto.FLOAT, ["rows", len(weight)]),
         helper.make_tensor_value_info("categories", TensorProto.INT64, ["rows", 1])],
        [helper.make_tensor_value_info("value", TensorProto.FLOAT, ["rows"])],
        [numpy_helper.from_array(weight.astype(np.float32), "weight"), numpy_helper.from_array(np.array([1], np.int64), "axes")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9).SerializeToString()


def plain_files(codec: Codec | None = None, weight: float = 2.0) -> dict[str, bytes]:
    """The files of a small table artefact, certificate included."""
    codec = codec or CellCodec()
    answers = {"value": [weight * 3, weight * 4]}
    certificate = {"tolerance": 1e-4, "units": {"value": weight}, "ids": ["made-up 0", "made-up 1"], "rows": {"size": [3.0, 4.0], "shop": ["north", None]},
                   "answers": answers, "measured": [], "real_rows": 0, "versions": {}, "int8": None}
    return {"spec.yaml": b"thuja: 1\n", "codec.json": codec.dumps(), "schema.json": canonical(codec.schema().model_dump(mode="json")),
            "weights.safetensors": b"\0" * 64, "reference.json": b"{}", "scores.json": b'{"test":{}}', "card.md": b"# Card\n",
            "certificate.json": canonical(certificate), "requirements.txt": b"numpy\n", "predict.onnx": linear(np.full((1, 1), weight))}


def rewrite(path: Path, out: Path, kind: str, **changed: bytes) -> Path:
    """A forged copy: some files replaced, every hash right again. Keys are file names with `_` for the dot."""
    files = {p.name: p.read_bytes() for p in path.iterdir() if p.name != folder.MANIFEST}
    files |= {name.replace("_", "."): data for name, data in changed.items()}
    folder.write(out, files, kind=kind)
    return out


def ways(path: Path) -> Ask:
    return asking(Predictor(Artifact.open(path, KINDS)))


def first_probe(certificate: Certificate) -> dict[str, list[Any]]:
    """The first row of a picture certificate, as a raw value."""
    return {"photo": [Image().from_json(certificate.rows["photo"][0], "photo")]}
