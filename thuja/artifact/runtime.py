"""An artefact at work: raw rows to typed answers with onnxruntime and numpy alone."""

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from thuja.artifact.folder import PROGRAM, Artifact
from thuja.codec import AFTER, STEP, Arrays, Columns, Rows, answer_of, last, rectangular, repeated
from thuja.core.errors import ArtifactError, DataError, ShapeError
from thuja.core.seeds import stream

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, SessionOptions

DTYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16, "tensor(int64)": np.int64,
          "tensor(int32)": np.int32, "tensor(int16)": np.int16, "tensor(int8)": np.int8, "tensor(uint8)": np.uint8, "tensor(bool)": np.bool_}
"""onnxruntime's type names and the numpy types they mean."""
FINITE = "a finite "
"""How the error begins that is raised instead of an answer with a number that is not: a server tells it from a row that cannot be read."""


class TensorSpec(NamedTuple):
    """What a program takes or gives under one name."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]
    """None where any length will do; the first axis is the rows."""


class Predictor:
    """The programs of an artefact, ready to answer. Safe to call from several threads: a session holds no state between runs.

    A server encodes each request by itself, joins the columns of several, runs them at once and decodes each part; `predict` does all three.
    Where there is a program `step`, "predict" only begins, and `states` repeats `step` to the end.
    """

    def __init__(self, artifact: Artifact, threads: int | None = 1) -> None:
        """Load every program. `threads` is how many cores one run may use; None for all of them.

        Raises: ArtifactError when onnxruntime cannot load a program.
        """
        self.artifact = artifact
        self.schema = artifact.schema
        self.sessions = {name: _session(artifact, name, threads) for name in artifact.programs}
        self.inputs = {name: tuple(map(_spec, session.get_inputs())) for name, session in self.sessions.items()}
        self.outputs = {name: tuple(map(_spec, session.get_outputs())) for name, session in self.sessions.items()}
        self._written = {name: [node.name for node in session.get_outputs()] for name, session in self.sessions.items()}

    def encode(self, rows: Rows) -> Columns:
        """Raw values by input name to encoded columns. Raises: BadRows naming the rows that cannot be encoded, DataError for an absent column."""
        return self.artifact.codec.encode({name: rows[name] for name in self.schema.inputs if name in rows})

    def run(self, columns: Columns, program: str = "predict") -> Arrays:
        """Encoded columns to the program's outputs, a row per row.

        Raises: ShapeError for arrays of another type or shape than `inputs`, DataError naming the first row whose answer is not finite.
        """
        arrays = rectangular({spec.name: columns[spec.name] for spec in self.inputs[program]})
        feed = {spec.name: _fitting(arrays[spec.name], spec) for spec in self.inputs[program]}
        names = [spec.name for spec in self.outputs[program]]
        outputs = dict(zip(names, self.sessions[program].run(self._written[program], feed), strict=True))
        _refuse_non_finite(outputs)
        return outputs

    @property
    def repeats(self) -> bool:
        """Whether an answer is made step by step."""
        return STEP in self.sessions

    def step(self, state: Arrays) -> Arrays:
        """What one more step changes of a state. Raises: as `run`."""
        return self.run({spec.name: state[spec.name] for spec in self.inputs[STEP]}, STEP)

    def states(self, columns: Columns) -> Iterator[Arrays]:
        """The states of an answer that is made step by step, the last one finished; a single one where there are no steps. Raises: as `run`."""
        first = self.run(columns)
        yield from repeated(first, self.step) if self.repeats else [first]

    def answer(self, columns: Columns) -> Arrays:
        """Encoded columns to what the codec decodes, all steps made. Raises: as `run`."""
        return answer_of(last(self.states(columns)))

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        """An answer to typed values by output name, one per row."""
        return self.artifact.codec.decode(outputs)

    def predict(self, rows: Rows) -> dict[str, list[Any]]:
        """Raw values to typed answers."""
        return self.decode(self.answer(self.encode(rows)))

    def warm_up(self, seed: int = 0) -> None:
        """Answer one made-up row, so that the first real one is not the slowest; also the proof that this predictor works at all."""
        rng = stream(seed, "warm-up")
        self.predict({name: field.fake(rng, 1) for name, field in self.schema.inputs.items()})


def session_options(threads: int | None) -> "SessionOptions":
    """Settings for a server that shares its machine: memory is returned after each run, and idle threads sleep instead of spinning."""
    from onnxruntime import ExecutionMode, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    options.execution_mode = ExecutionMode.ORT_SEQUENTIAL
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False  # patterns are kept for every shape ever seen
    options.log_severity_level = 4  # errors are raised; printed as well, a client with bad tensors could fill the log
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.disable_quant_qdq", "1")  # int8 weights become float32 once, while loading
    options.add_session_config_entry("session.load_model_format", "ONNX")  # never guessed from the bytes: only this format has been scanned
    return options


def _session(artifact: Artifact, program: str, threads: int | None) -> "InferenceSession":
    from onnxruntime import InferenceSession
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    where = artifact.path / f"{program}{PROGRAM}"
    try:  # from bytes, not from the path: what is run is what was verified
        return InferenceSession(artifact.read(where.name), session_options(threads), providers=["CPUExecutionProvider"])
    except (state.Fail, state.InvalidGraph, state.InvalidProtobuf, state.InvalidArgument, state.NotImplemented, state.RuntimeException) as error:
        raise ArtifactError(str(where), expected="a program that this onnxruntime can run", found=str(error).splitlines()[0][:200],
                            fix="Install the versions in the artefact's requirements.txt, or export it again.") from error


def _spec(node: Any) -> TensorSpec:
    return TensorSpec(node.name.removesuffix(AFTER), np.dtype(DTYPES[node.type]), tuple(d if isinstance(d, int) else None for d in node.shape))


def _fitting(array: np.ndarray, spec: TensorSpec) -> np.ndarray:
    fits = array.ndim == len(spec.shape) and all(want in (None, have) for want, have in zip(spec.shape, array.shape, strict=False))
    if array.dtype != spec.dtype or not fits:
        raise ShapeError(spec.name, expected=f"{spec.dtype} {_shape(spec.shape)}", found=f"{array.dtype} {_shape(array.shape)}",
                         fix="Encode the rows with this artefact's own codec.")
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)


def _shape(shape: tuple[int | None, ...]) -> str:
    return "[" + ", ".join("any" if d is None else str(d) for d in shape) + "]"


def _refuse_non_finite(outputs: Mapping[str, np.ndarray]) -> None:
    for name, array in outputs.items():
        if array.dtype.kind == "f" and not math.isfinite(float(array.sum(dtype=np.float64))) and not np.isfinite(array).all():
            row = int(np.argwhere(~np.isfinite(array))[0][0])
            raise DataError(f"rows[{row}]", expected=f"{FINITE}{name}", found=str(array[row].min()), fix="Check this row for extreme values.")
