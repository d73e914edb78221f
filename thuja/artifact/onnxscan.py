"""Refuse ONNX files that are more than arithmetic on their inputs, before any runtime sees them; standard library only.

External data have been a way to read arbitrary files in four advisories (CVE-2022-25882, CVE-2024-27318, CVE-2026-27489, GHSA-q56x-g2fj-4rj6), and a
runtime that is given bytes resolves them against the working directory. The serving environment has no `onnx` package, so the protobuf wire format
is walked here, and only what is listed passes: one flat graph of standard operators in an order in which they can be computed, over numbers that are all
inside the file. No loops, functions, nested graphs, text, sparse tensors or operators from elsewhere, and no tensor that claims more numbers than it holds.

Not found here: arithmetic that is allowed and large, such as the outer product of two long vectors. Limit the memory of a server that opens artefacts of
strangers.

Source: field numbers from onnx.proto (onnx 1.17 to 1.23); wire format from the Protocol Buffers encoding guide.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from thuja.core.errors import ArtifactError

OPERATORS = frozenset("""
Abs Acos Acosh Add AffineGrid And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor
BlackmanWindow Cast CastLike Ceil Celu CenterCropPad Clip Col2Im Compress Concat Constant ConstantOfShape Conv ConvInteger ConvTranspose Cos Cosh CumSum DFT
DeformConv DepthToSpace DequantizeLinear Det Div Dropout DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor GRU Gather
GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GridSample GroupNormalization HammingWindow HannWindow
HardSigmoid HardSwish Hardmax Identity InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax
LpNormalization LpPool MatMul MatMulInteger Max MaxPool MaxRoiPool MaxUnpool Mean MeanVarianceNormalization MelWeightMatrix Min Mish Mod Mul Neg
NegativeLogLikelihoodLoss NonMaxSuppression NonZero Not OneHot Or PRelu Pad Pow QLinearConv QLinearMatMul QuantizeLinear RNN Range Reciprocal ReduceL1
ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize ReverseSequence RoiAlign Round
STFT ScatterElements ScatterND Selu Shape Shrink Sigmoid Sign Sin Sinh Size Slice Softmax SoftmaxCrossEntropyLoss Softplus Softsign SpaceToDepth Split Sqrt
Squeeze Sub Sum Tan Tanh ThresholdedRelu Tile TopK Transpose Trilu Unique Unsqueeze Where Xor
""".split())  # noqa: SIM905 - a list of 150 quoted words reads worse
"""Of the standard domain, opset 21 and before. Left out: control flow, sequences, optionals, text, picture files, and randomness, which is an argument."""

DOMAINS = frozenset({b"", b"ai.onnx"})
NODES = 20_000
"""Most operators; a transformer of a hundred layers has a quarter of that."""
MOST = 1 << 31
"""Most numbers that a constant may ask an operator to make."""

_SIZES = {"ConstantOfShape": (0,), "Expand": (1,), "Tile": (1,), "Range": (0, 1), "OneHot": (1,), "Pad": (1,), "Resize": (2, 3), "CenterCropPad": (1,),
          "AffineGrid": (1,), "Col2Im": (0,), "MaxUnpool": (2,), "HannWindow": (0,), "HammingWindow": (0,), "BlackmanWindow": (0,), "MelWeightMatrix": (0, 1)}
"""Which inputs of an operator say how large its output is."""

_PLAIN = {
    "model": {1, 2, 3, 4, 5, 6, 14},
    "opset": {2},
    "graph": {2, 10, 13, 14, 16},
    "node": {3, 6, 8, 9},
    "attribute": {1, 2, 3, 4, 7, 9, 13, 20, 21},
    "tensor": {3, 4, 5, 7, 10, 11, 12, 16},
    "value": {3, 4},
    "type": {6},
    "array": {2},
}
"""Fields that may be there and need no look. Whatever is neither here nor handled below is refused."""
_TYPES = frozenset({1, 2, 3, 5, 6, 7, 9, 10, 11})
"""float32, uint8, int8, int16, int32, int64, bool, float16, float64: what `Predictor` can take and give."""
_FLOAT32, _INT64, _STRING = 1, 7, 8
_SHORT = 64
"""Constants of at most so many numbers are read: sizes are short lists."""
_REASONS = {
    ("model", 20): "a training graph", ("model", 25): "functions", ("graph", 15): "sparse tensors", ("attribute", 6): "a graph inside an operator",
    ("attribute", 11): "graphs inside an operator", ("attribute", 22): "sparse tensors", ("attribute", 23): "sparse tensors",
    ("tensor", 6): "a tensor of text", ("tensor", 13): "a tensor kept in another file",
}
_FOREIGN = "Do not use this artefact: it was not written by Thuja."


@dataclass
class _Node:
    operator: str = ""
    inputs: list[bytes] = field(default_factory=list)
    outputs: list[bytes] = field(default_factory=list)


@dataclass
class _Scan:
    """What has been read of one model."""

    view: memoryview
    where: str
    nodes: list[_Node] = field(default_factory=list)
    given: list[bytes] = field(default_factory=list)
    """Names of the graph's inputs."""
    wanted: list[bytes] = field(default_factory=list)
    """Names of its outputs."""
    constants: dict[bytes, tuple[float, ...]] = field(default_factory=dict)
    """Names of tensors kept in the file; short ones with their values."""

    def model(self) -> None:
        graphs = 0
        for number, low, high in self._fields("model", 0, len(self.view)):
            if number == 7 and graphs == 0:
                graphs += 1
                self._graph(low, high)
            elif number == 8:
                self._opset(low, high)
            elif ("model", number) in _REASONS:
                raise self._unexpected("model", number)
            else:  # a second graph, which parsers would merge with the first, or another kind of file
                raise _no_onnx(self.where)
        if not graphs:
            raise _no_onnx(self.where)

    def _opset(self, start: int, end: int) -> None:
        for number, low, high in self._fields("opset", start, end):
            if number != 1:
                raise self._unexpected("opset", number)
            self._domain(low, high)

    def _domain(self, low: int, high: int) -> None:
        if (name := bytes(self.view[low:high])) not in DOMAINS:
            raise _foreign(self.where, f"some of {_shown(name)}")

    def _graph(self, start: int, end: int) -> None:
        for number, low, high in self._fields("graph", start, end):
            match number:
                case 1:
                    self._node(low, high)
                case 5:
                    name, values = self._tensor(low, high)
                    self._define(name, values)
                case 11:
                    self.given.append(self._value(low, high))
                case 12:
                    self.wanted.append(self._value(low, high))
                case _:
                    raise self._unexpected("graph", number)

    def _node(self, start: int, end: int) -> None:
        node, values = _Node(), None
        for number, low, high in self._fields("node", start, end):
            match number:
                case 1:
                    node.inputs.append(bytes(self.view[low:high]))
                case 2:
                    node.outputs.append(bytes(self.view[low:high]))
                case 4:
                    node.operator = bytes(self.view[low:high]).decode("utf-8", "replace")
                    if node.operator not in OPERATORS:
                        raise _foreign(self.where, f"the operator {node.operator[:40]!r}")
                case 5:
                    values = self._attribute(low, high) or values
                case 7:
                    self._domain(low, high)
                case _:
                    raise self._unexpected("node", number)
        if node.operator not in OPERATORS:
            raise _foreign(self.where, "a node without an operator")
        if node.operator == "Constant" and len(node.outputs) == 1:
            self._define(node.outputs[0], values or ())
        else:
            self.nodes.append(node)
        if len(self.nodes) > NODES:
            raise _foreign(self.where, f"more than {NODES} operators")

    def _attribute(self, start: int, end: int) -> tuple[float, ...]:
        """The short list of numbers that an attribute holds, or none."""
        values: list[float] = []
        for number, low, high in self._fields("attribute", start, end):
            if number in (5, 10):
                values = [*self._tensor(low, high)[1]]
            elif number == 8:
                values += self._integers(low, high)
            else:
                raise self._unexpected("attribute", number)
        return tuple(values[:_SHORT])

    def _tensor(self, start: int, end: int) -> tuple[bytes, tuple[float, ...]]:
        """Name and, where it is short, values. Refused: text, other files, more numbers claimed than there are bytes."""
        name, dims, kind, raw = b"", [], 0, (0, 0)
        for number, low, high in self._fields("tensor", start, end):
            match number:
                case 1:
                    dims += self._integers(low, high)
                case 2:
                    for kind in (k & 0xFFFFFFFF for k in self._integers(low, high)):
                        if kind == _STRING:
                            raise _foreign(self.where, "a tensor of text")
                case 8:
                    name = bytes(self.view[low:high])
                case 9:
                    raw = (low, high)
                case 14:
                    if any(self._integers(low, high)):
                        raise _outside(self.where)
                case 13:
                    raise _outside(self.where)
                case _:
                    raise self._unexpected("tensor", number)
        if len(dims) > _SHORT or any(d < 0 for d in dims) or math.prod(dims) > 2 * (end - start):  # two to a byte is the densest there is
            raise _foreign(self.where, "a tensor that claims more numbers than it holds")
        form = {_FLOAT32: "f", _INT64: "q"}.get(kind)
        size = raw[1] - raw[0]
        if form is None or size > _SHORT * 8 or size % struct.calcsize(form):
            return name, ()
        return name, struct.unpack(f"<{size // struct.calcsize(form)}{form}", self.view[raw[0] : raw[1]])

    def _value(self, start: int, end: int) -> bytes:
        """The name of an input or output, which must be an array of numbers."""
        name, arrays = b"", 0
        for number, low, high in self._fields("value", start, end):
            if number == 1:
                name = bytes(self.view[low:high])
            elif number == 2:
                arrays += self._type(low, high)
            else:
                raise self._unexpected("value", number)
        if not arrays:
            raise _foreign(self.where, "an input or output of unknown type")
        return name

    def _type(self, start: int, end: int) -> int:
        arrays = 0
        for number, low, high in self._fields("type", start, end):
            if number != 1:
                raise _foreign(self.where, "an input or output that is no array")
            for inner, first, last in self._fields("array", low, high):
                if inner != 1 or not _TYPES.issuperset(self._integers(first, last)):
                    raise _foreign(self.where, "an input or output that is no array of numbers")
                arrays += 1
        return arrays

    def _integers(self, low: int, high: int) -> list[int]:
        """One varint or several packed ones, signed."""
        out: list[int] = []
        while low < high:
            value, low = _varint(self.view, low, high, self.where)
            value &= (1 << 64) - 1  # as every parser cuts it
            out.append(value - (1 << 64) if value >> 63 else value)
        return out

    def _fields(self, message: str, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """The fields that need a look."""
        return (f for f in _fields(self.view, start, end, self.where) if f[0] not in _PLAIN[message])

    def _unexpected(self, message: str, number: int) -> ArtifactError:
        return _foreign(self.where, _REASONS.get((message, number), "something else"))

    def _define(self, name: bytes, values: tuple[float, ...]) -> None:
        if name in self.constants:
            raise _foreign(self.where, f"{_shown(name)} made twice")
        self.constants[name] = values

    def order(self) -> None:
        """Every operator uses only what was made before it, nothing is made twice, and no constant asks for more than `MOST` numbers."""
        made = {b"", *self.given, *self.constants}
        for node in self.nodes:
            if absent := [name for name in node.inputs if name not in made]:
                raise _foreign(self.where, f"{node.operator} before its input {_shown(absent[0])} (a cycle, perhaps)")
            for name in filter(None, node.outputs):
                if name in made:
                    raise _foreign(self.where, f"{_shown(name)} made twice")
                made.add(name)
            for place in _SIZES.get(node.operator, ()):
                values = self.constants.get(node.inputs[place], ()) if place < len(node.inputs) else ()
                if not math.prod(max(1.0, abs(v)) for v in values) <= MOST:  # also where it is no number
                    raise _foreign(self.where, f"{node.operator} to a size beyond {MOST}")
        if absent := [name for name in self.wanted if name not in made or not name]:
            raise _foreign(self.where, f"an output {_shown(absent[0])} that nothing makes")


def scan(model: bytes, where: str) -> None:
    """Pass an ONNX model that is arithmetic and nothing else. Raises: ArtifactError for one that is more, and for what is no ONNX file."""
    found = _Scan(memoryview(model), where)
    found.model()
    found.order()


def _fields(view: memoryview, start: int, end: int, where: str) -> Iterator[tuple[int, int, int]]:
    """The fields of one message as (number, first byte of the value, end of the value)."""
    at = start
    while at < end:
        key, at = _varint(view, at, end, where)
        match key & 7:
            case 0:
                low = at
                _, at = _varint(view, at, end, where)
            case 1:
                low, at = at, at + 8
            case 2:
                length, low = _varint(view, at, end, where)
                at = low + length
            case 5:
                low, at = at, at + 4
            case _:
                raise _no_onnx(where)
        if at > end or key >> 3 == 0 or key >> 32:
            raise _no_onnx(where)
        yield key >> 3, low, at


def _varint(view: memoryview, at: int, end: int, where: str) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        byte = view[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise _no_onnx(where)


def _shown(name: bytes) -> str:
    return repr(name[:40].decode("utf-8", "replace"))


def _foreign(where: str, found: str) -> ArtifactError:
    return ArtifactError(where, expected="plain arithmetic on numbers inside the file", found=found, fix=_FOREIGN)


def _outside(where: str) -> ArtifactError:
    return ArtifactError(where, expected="all numbers inside the file", found="a tensor kept in another file", fix=_FOREIGN)


def _no_onnx(where: str) -> ArtifactError:
    return ArtifactError(where, expected="an ONNX model", found="damaged bytes", fix="Export the artefact again.")
