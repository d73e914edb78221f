"""Small real artefacts for the server's tests: ONNX programs written by hand and codecs a few lines long, one for each kind of field."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from thuja.artifact import folder as artifact
from thuja.codec import Arrays, Codec, Columns, Rows, ragged
from thuja.core.errors import BadRows, DataError, ThujaError
from thuja.fields import Audio, Category, Image, Number, Schema, Scores, Text, Vector

KINDS = {"toy-text": "serve_toys:ToyText", "toy-image": "serve_toys:ToyImage", "toy-table": "serve_toys:ToyTable",
         "toy-parrot": "serve_toys:ToyParrot", "toy-audio": "serve_toys:ToyAudio", "toy-face": "serve_toys:ToyFace",
         "toy-painter": "serve_toys:ToyPainter"}
NAMES = ("ham", "spam")
SIZE = 4


class ToyText(Codec):
    """Letters as ids; the more of them lie in the second half of the alphabet, the more spam."""

    kind: Literal["toy-text"] = "toy-text"
    names: tuple[str, ...] = NAMES

    def schema(self) -> Schema:
        return Schema(inputs={"message": Text(max_characters=2000, description="what somebody wrote")}, outputs=_classes(self.names))

    def encode(self, rows: Rows) -> Columns:
        _refuse(rows["message"], "message", lambda v: "unreadable" in v)
        return {"message": ragged([np.array([2 + ord(c) % 30 for c in text] or [1], np.int64) for text in rows["message"]])}

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        return _decoded(self.names, outputs)


class ToyImage(Codec):
    """A picture squashed to four by four; bright is spam."""

    kind: Literal["toy-image"] = "toy-image"
    names: tuple[str, ...] = NAMES

    def schema(self) -> Schema:
        return Schema(inputs={"photo": Image(max_bytes=200_000)}, outputs=_classes(self.names))

    def encode(self, rows: Rows) -> Columns:
        from PIL import Image as Pillow

        field, bad, out = Image(max_bytes=200_000), {}, []
        for i, value in enumerate(rows["photo"]):
            try:
                out.append(np.asarray(Pillow.fromarray(field.decode(value, f"rows[{i}].photo")).resize((SIZE, SIZE))))
            except DataError as error:
                bad[i] = error
        if bad:
            raise BadRows(dict(bad))
        return {"photo": np.stack(out)}

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        return _decoded(self.names, outputs)


class ToyFace(Codec):
    """A picture squashed to four by four, of length 1: an `Embedder`."""

    kind: Literal["toy-face"] = "toy-face"

    def schema(self) -> Schema:
        return Schema(inputs={"photo": Image(max_bytes=200_000, channels=1)}, outputs={"embedding": Vector(length=SIZE * SIZE, unit=True)})

    def encode(self, rows: Rows) -> Columns:
        field, bad, out = Image(max_bytes=200_000, channels=1), {}, []
        for i, value in enumerate(rows["photo"]):
            try:
                out.append(field.decode(value, f"rows[{i}].photo", (SIZE, SIZE)))
            except DataError as error:
                bad[i] = error
        if bad:
            raise BadRows(dict(bad))
        return {"photo": np.stack(out)}

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        return {"embedding": outputs["embedding"].astype(float).tolist()}

    def enrolled(self) -> tuple[str, str]:
        return "photo", "embedding"

    def thresholds(self) -> dict[float, str]:
        return {0.01: "threshold_far_1e2", 0.001: "threshold_far_1e3"}

    def cautions(self) -> tuple[str, ...]:
        return ("Not for <strangers>.",)


class ToyTable(Codec):
    """A number, perhaps missing, and a category; the answer is twice the number plus the category's place, and infinite beyond 1e38."""

    kind: Literal["toy-table"] = "toy-table"
    colours: tuple[str, ...] = ("red", "green", "blue")

    def schema(self) -> Schema:
        inputs = {"amount": Number(missing=True, lower=-10),
                  "count": Number(integer=True, lower=0, upper=100), "colour": Category(names=self.colours, missing=True)}
        return Schema(inputs=inputs, outputs={"value": Number()})

    def encode(self, rows: Rows) -> Columns:
        amount = np.array([np.nan if v is None else v for v in rows["amount"]])
        with np.errstate(over="ignore"):
            numbers = np.stack([amount, np.array(rows["count"], float)], axis=1).astype(np.float32)
        places = [[0 if c is None else 1 + self.colours.index(c)] for c in rows["colour"]]
        return {"numbers": numbers, "categories": np.array(places, np.int64)}

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        return {"value": outputs["value"].tolist()}


class ToyPainter(Codec):
    """A grey picture, as bright as twice the number says."""

    kind: Literal["toy-painter"] = "toy-painter"

    def schema(self) -> Schema:
        return Schema(inputs={"light": Number(lower=0, upper=127), "seed": Number(missing=True)}, outputs={"picture": Image(channels=1)})

    def encode(self, rows: Rows) -> Columns:
        numbers = np.array([[light, 0.0] for light in rows["light"]], np.float32)
        return {"numbers": numbers, "categories": np.zeros((len(numbers), 1), np.int64)}

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        return {"picture": [np.full((3, 5, 1), value, np.uint8) for value in outputs["value"]]}


class ToyAudio(Codec):
    """How many seconds a recording has, times two."""

    kind: Literal["toy-audio"] = "toy-audio"

    def schema(self) -> Schema:
        return Schema(inputs={"voice": Audio(rate=8000, max_seconds=5, max_bytes=200_000)}, outputs={"value": Number()})

    def encode(self, rows: Rows) -> Columns:
        field, bad, seconds = Audio(rate=8000, max_seconds=5, max_bytes=200_000), {}, []
        for i, value in enumerate(rows["voice"]):
            try:
                seconds.append([len(field.decode(value, f"rows[{i}].voice")) / 8000, 0.0])
            except DataError as error:
                bad[i] = error
        if bad:
            raise BadRows(dict(bad))
        return {"numbers": np.array(seconds, np.float32), "categories": np.zeros((len(seconds), 1), np.int64)}

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        return {"value": outputs["value"].tolist()}


class ToyParrot(Codec):
    """Says its prompt again, a character a step; above temperature 0 each one is shifted by the seed. A `Conversational` codec, unless it is `simple`."""

    kind: Literal["toy-parrot"] = "toy-parrot"
    simple: bool = False

    def schema(self) -> Schema:
        inputs = {"prompt": Text(max_characters=200), "temperature": Number(lower=0, upper=2, missing=True),
                  "max_tokens": Number(integer=True, lower=0, upper=100, missing=True), "seed": Number(integer=True, lower=0, missing=True)}
        return Schema(inputs=inputs, outputs={"text": Text(), "tokens": Number(integer=True, lower=0)})

    def encode(self, rows: Rows) -> Columns:
        _refuse(rows["prompt"], "prompt", lambda v: "unreadable" in v)
        prompts = [np.array([ord(c) for c in text] or [0], np.int64) for text in rows["prompt"]]
        most = [100 if v is None else int(v) for v in rows["max_tokens"]]
        shift = [int(seed or 0) % 7 if heat else 0 for heat, seed in zip(rows["temperature"], rows["seed"], strict=True)]
        return {"prompt": ragged(prompts), "most": np.array(most, np.int64), "shift": np.array(shift, np.int64)}

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        texts = self.partial(outputs)
        return {"text": texts, "tokens": [len(text) for text in texts]}

    def partial(self, state: Arrays) -> list[str]:
        return ["".join(chr(c) for c in row if c) for row in state["text"]]

    def conversation(self, messages: list[dict[str, str]]) -> str:
        if self.simple:
            raise DataError("messages", expected="a text", found="a dialogue")
        return "\n".join(f"{message['content']}" for message in messages)

    def count(self, text: str) -> int:
        return len(text)


def write(codec: Codec, path: Path, shift: float = 0.0, certificate: Mapping[str, Any] | None = None) -> Path:
    """An artefact at `path`; `shift` makes its answers another model's."""
    make = {"toy-text": _text_program, "toy-image": _image_program, "toy-table": _table_program, "toy-audio": _table_program, "toy-painter": _table_program,
            "toy-parrot": _parrot_program, "toy-face": _face_program}
    program = make[codec.kind](shift)
    steps = {"step.onnx": _parrot_step().SerializeToString()} if codec.kind == "toy-parrot" else {}
    files = {**steps, "predict.onnx": program.SerializeToString(), "codec.json": codec.dumps(), "schema.json": codec.schema().model_dump_json().encode(),
             "certificate.json": json.dumps(certificate or {}).encode()}
    if codec.kind == "toy-face":
        files["scores.json"] = json.dumps({"part": "test", "test": {"threshold_far_1e2": {"value": 0.8}, "threshold_far_1e3": {"value": 0.95}}}).encode()
    rest = {name: b"{}" for name in artifact.REQUIRED if name not in files}
    artifact.write(path, rest | files, kind=codec.kind)
    return path


def _classes(names: tuple[str, ...]) -> dict[str, Any]:
    return {"label": Category(names=names), "probability": Number(lower=0, upper=1), "probabilities": Scores(names=names)}


def _decoded(names: tuple[str, ...], outputs: Arrays) -> dict[str, list[Any]]:
    scores = outputs["probability"]
    best = scores.argmax(1)
    return {"label": [names[i] for i in best], "probability": [float(row[i]) for row, i in zip(scores, best, strict=True)],
            "probabilities": [dict(zip(names, map(float, row), strict=True)) for row in scores]}


def _refuse(values: Any, name: str, bad: Any) -> None:
    found: dict[int, ThujaError] = {i: DataError(f"rows[{i}].{name}", expected="readable text", found="none", fix="Write clearly.")
                                    for i, v in enumerate(values) if bad(v)}
    if found:
        raise BadRows(found)


def _text_program(shift: float) -> onnx.ModelProto:
    table = np.zeros((32, 2), np.float32)
    table[2:, 1] = np.linspace(-1, 1, 30) + shift
    mask = np.ones((32, 2), np.float32)
    mask[0] = 0  # the padding counts for nothing
    table[0] = 0
    nodes = [helper.make_node("Gather", ["table", "message"], ["scores"]), helper.make_node("Gather", ["mask", "message"], ["real"]),
             helper.make_node("ReduceSum", ["scores", "axis"], ["sum"], keepdims=0), helper.make_node("ReduceSum", ["real", "axis"], ["length"], keepdims=0),
             helper.make_node("Div", ["sum", "length"], ["_features"]), helper.make_node("Softmax", ["_features"], ["probability"])]
    return _model(nodes, {"table": table, "mask": mask, "axis": np.array([1], np.int64)}, {"message": (TensorProto.INT64, [None, None])},
                  {"probability": (TensorProto.FLOAT, [None, 2]), "_features": (TensorProto.FLOAT, [None, 2])})


def _image_program(shift: float) -> onnx.ModelProto:
    weight = np.stack([-np.ones(SIZE * SIZE * 3), np.ones(SIZE * SIZE * 3)], 1).astype(np.float32) / 200
    nodes = [helper.make_node("Cast", ["photo"], ["float"], to=TensorProto.FLOAT), helper.make_node("Sub", ["float", "middle"], ["centred"]),
             helper.make_node("Flatten", ["centred"], ["flat"]), helper.make_node("MatMul", ["flat", "weight"], ["logits"]),
             helper.make_node("Softmax", ["logits"], ["probability"])]
    constants = {"weight": weight, "middle": np.float32(127 + shift)}
    return _model(nodes, constants, {"photo": (TensorProto.UINT8, [None, SIZE, SIZE, 3])}, {"probability": (TensorProto.FLOAT, [None, 2])})


def _face_program(shift: float) -> onnx.ModelProto:
    nodes = [helper.make_node("Cast", ["photo"], ["float"], to=TensorProto.FLOAT), helper.make_node("Sub", ["float", "middle"], ["centred"]),
             helper.make_node("Flatten", ["centred"], ["flat"]), helper.make_node("LpNormalization", ["flat"], ["embedding"], axis=1, p=2)]
    return _model(nodes, {"middle": np.float32(127.25 + shift)}, {"photo": (TensorProto.UINT8, [None, SIZE, SIZE, 1])},
                  {"embedding": (TensorProto.FLOAT, [None, SIZE * SIZE])})


def _table_program(shift: float) -> onnx.ModelProto:
    nodes = [helper.make_node("IsNaN", ["numbers"], ["missing"]), helper.make_node("Where", ["missing", "zero", "numbers"], ["known"]),
             helper.make_node("Cast", ["categories"], ["place"], to=TensorProto.FLOAT), helper.make_node("ReduceSum", ["known", "axis"], ["a"], keepdims=0),
             helper.make_node("ReduceSum", ["place", "axis"], ["b"], keepdims=0), helper.make_node("Mul", ["a", "two"], ["twice"]),
             helper.make_node("Add", ["twice", "b"], ["c"]), helper.make_node("Add", ["c", "shift"], ["value"])]
    constants = {"zero": np.float32(0), "two": np.float32(2), "shift": np.float32(shift), "axis": np.array([1], np.int64)}
    return _model(nodes, constants, {"numbers": (TensorProto.FLOAT, [None, 2]), "categories": (TensorProto.INT64, [None, 1])},
                  {"value": (TensorProto.FLOAT, [None])})


def _parrot_program(shift: float) -> onnx.ModelProto:
    """The state before the first step: nothing said, and how much there is to say."""
    nodes = [helper.make_node("Identity", ["prompt"], ["_prompt"]), helper.make_node("Add", ["shift", "other"], ["_shift"]),
             helper.make_node("Greater", ["prompt", "zero"], ["real"]), helper.make_node("Cast", ["real"], ["ones"], to=TensorProto.INT64),
             helper.make_node("ReduceSum", ["ones", "axis"], ["length"], keepdims=0), helper.make_node("Min", ["length", "most"], ["_limit"]),
             helper.make_node("Slice", ["prompt", "none", "none", "axis"], ["text"]), helper.make_node("LessOrEqual", ["_limit", "zero"], ["done"])]
    whole = TensorProto.INT64
    return _model(nodes, {"zero": np.int64(0), "other": np.int64(shift), "axis": np.array([1], np.int64), "none": np.array([0], np.int64)},
                  {"prompt": (whole, [None, None]), "most": (whole, [None]), "shift": (whole, [None])},
                  {"_prompt": (whole, [None, None]), "_shift": (whole, [None]), "_limit": (whole, [None]), "text": (whole, [None, None]),
                   "done": (TensorProto.BOOL, [None])})


def _parrot_step() -> onnx.ModelProto:
    """One more character of every row that is not done; the others get a 0."""
    nodes = [helper.make_node("Shape", ["text"], ["shape"]), helper.make_node("Slice", ["shape", "one", "two"], ["at"]),
             helper.make_node("Add", ["at", "one"], ["after"]), helper.make_node("Slice", ["_prompt", "at", "after", "one"], ["read"]),
             helper.make_node("Unsqueeze", ["_shift", "one"], ["shifts"]), helper.make_node("Add", ["read", "shifts"], ["said"]),
             helper.make_node("Unsqueeze", ["_limit", "one"], ["limits"]), helper.make_node("Less", ["at", "limits"], ["goes"]),
             helper.make_node("Where", ["goes", "said", "zero"], ["new"]), helper.make_node("Concat", ["text", "new"], ["text:after"], axis=1),
             helper.make_node("GreaterOrEqual", ["after", "_limit"], ["done"])]
    whole = TensorProto.INT64
    return _model(nodes, {"zero": np.int64(0), "one": np.array([1], np.int64), "two": np.array([2], np.int64)},
                  {"_prompt": (whole, [None, None]), "_shift": (whole, [None]), "_limit": (whole, [None]), "text": (whole, [None, None])},
                  {"text:after": (whole, [None, None]), "done": (TensorProto.BOOL, [None])})


Shape = list[int | None]


def _model(nodes: list[Any], constants: dict[str, Any], inputs: dict[str, tuple[int, Shape]],
           outputs: dict[str, tuple[int, Shape]]) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes, "toy", [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
