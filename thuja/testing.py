"""The contracts as checks that anyone may run on what they add: `check_field`, `check_codec`, `check_model`, `check_task`.

Each raises AssertionError naming the promise that was broken, or returns in silence. They take seconds, and need no network and no accelerator.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from thuja.codec import STEP, Arrays, Codec, Column, Columns, Ragged, Rows, count, rectangular, take
from thuja.core.errors import ThujaError
from thuja.core.seeds import stream
from thuja.fields.base import Field
from thuja.settings import Train
from thuja.task import Choice, Draw, Facts, Program, Task
from thuja.training import checkpoint, look
from thuja.training.look import ROWS, answers
from thuja.training.loop import State, begin, steps, with_defaults

TOLERANCE = 1e-4
STEPS = 10
NOT_VALUES: tuple[Any, ...] = (object(), {"a": 1}, [[]], b"\xff\x00not a picture", float("inf"), 10**400)
"""What is no usable value of any field."""


def _require(promise: bool, broken: str) -> None:
    if not promise:
        raise AssertionError(broken)

MISTAKES = (ThujaError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError, AssertionError)
"""What a part that refuses badly may raise; only the first kind is good."""


def _require_good(error: BaseException, about: str) -> None:
    """An error about bad data is ours, with its parts filled in."""
    _require(isinstance(error, ThujaError), f"{about}: a bad value should raise a ThujaError, not {type(error).__name__}: {error}")
    assert isinstance(error, ThujaError)
    _require(all(str(part).strip() for part in (error.where, error.expected, error.found)), f"{about}: where, expected or found is empty: {error.parts()}")


def check_field(field: Field) -> None:
    """Fakes are usable and repeatable, JSON keeps their meaning, summaries are plain, distances lie in [0, 1], bad values are refused in four parts."""
    kind = type(field).__name__
    _require(type(field).model_validate(json.loads(field.model_dump_json())) == field, f"{kind}: its plain form does not read back to an equal field")
    values = field.fake(stream(0, "fake"), 12)
    _require(len(values) == 12, f"{kind}.fake gave {len(values)} values for 12")
    plain = [json.loads(json.dumps(field.to_json(v), allow_nan=False)) for v in values]
    again = [json.loads(json.dumps(field.to_json(v), allow_nan=False)) for v in field.fake(stream(0, "fake"), 12)]
    _require(plain == again, f"{kind}.fake is not a function of its generator")
    for value, written in zip(values, plain, strict=True):
        field.check(value, "value")
        read = field.from_json(written, "value")
        field.check(read, "value")
        _require(field.to_json(read) == written, f"{kind}: to_json(from_json(x)) is not x for {str(written)[:60]!r}")
    summary = json.loads(json.dumps(field.summarise(values), allow_nan=False))
    _require(field.distance(summary, summary) == 0, f"{kind}.distance of a summary to itself is not 0")
    other = field.summarise(field.fake(stream(1, "fake"), 5))
    _require(0 <= field.distance(summary, other) <= 1, f"{kind}.distance is outside [0, 1]")
    json.dumps(field.json_schema())
    _refuses(field, kind)


def _refuses(field: Field, kind: str) -> None:
    refused = 0
    for bad in NOT_VALUES:
        try:
            field.check(bad, "value")
        except MISTAKES as error:
            _require_good(error, kind)
            refused += 1
    _require(refused > 0, f"{kind}.check takes anything")


def check_codec(codec: Codec, rows: Rows) -> None:
    """Encoding is deterministic, row by row, with and without targets; the plain form reads back; bad rows are named in four parts.

    Args: rows: a few raw rows, inputs and targets, all usable.
    """
    kind = type(codec).__name__
    twin = type(codec).parse(json.loads(codec.dumps()))
    _require(twin == codec and twin.digest() == codec.digest(), f"{kind}: its plain form does not read back to an equal codec")
    size = _length(rows)
    names = set(codec.schema().inputs)
    _require(names <= set(rows), f"{kind}: the rows lack the inputs {sorted(names - set(rows))}")
    whole = codec.encode(rows)
    _require(count(whole) == size, f"{kind}.encode gave {count(whole)} rows for {size}")
    _same(whole, twin.encode(rows), f"{kind}: a codec read back encodes otherwise")
    for i in range(min(size, 16)):
        _same(take(whole, np.array([i])), codec.encode({n: [v[i]] for n, v in rows.items()}), f"{kind}: row {i} alone is encoded otherwise than among others")
    inputs = codec.encode({n: rows[n] for n in names})
    _require(set(inputs) <= set(whole), f"{kind}.encode without targets gives other columns: {sorted(set(inputs) - set(whole))}")
    _same({n: whole[n] for n in inputs}, inputs, f"{kind}: targets change how inputs are encoded")
    for name in sorted(names):
        bad = {n: [NOT_VALUES[0], *list(v)[1:]] if n == name else v for n, v in rows.items()}
        lacking = {n: v for n, v in rows.items() if n != name}
        for wrong, what in ((bad, f"an object in column {name!r}"), (lacking, f"no column {name!r}")):
            try:
                codec.encode(wrong)
            except MISTAKES as error:
                _require_good(error, f"{kind}.encode, {what}")
            else:
                raise AssertionError(f"{kind}.encode took {what}")


def _length(rows: Rows) -> int:
    return len(next(iter(rows.values())))


def _same(one: Columns, other: Columns, broken: str) -> None:
    _require(set(one) == set(other), f"{broken}: columns {sorted(one)} and {sorted(other)}")
    for name in one:
        a, b = _arrays(one[name]), _arrays(other[name])
        equal = all(x.dtype == y.dtype and np.array_equal(x, y, equal_nan=x.dtype.kind == "f") for x, y in zip(a, b, strict=True))
        _require(equal, f"{broken} (column {name!r})")


def _arrays(column: Column) -> tuple[np.ndarray, ...]:
    return (column.values, column.offsets) if isinstance(column, Ragged) else (np.asarray(column),)


def check_model(module: nn.Module, inputs: Sequence[Tensor]) -> None:
    """A network in eval mode answers each row by itself, repeatably and finitely; a gradient reaches every parameter; its weights load back.

    Args: inputs: a batch, row first, in the order of the arguments.
    """
    module.eval()
    with torch.no_grad():
        whole = _outputs(module, inputs)
        _require(all(bool(torch.isfinite(o).all()) for o in whole), "an output is not finite")
        _close(_outputs(module, inputs), whole, "two calls in eval mode differ")
        alone = [torch.cat(parts) for parts in zip(*[_outputs(module, [x[i : i + 1] for x in inputs]) for i in range(len(inputs[0]))], strict=True)]
        _close(alone, whole, "a row alone is answered otherwise than in a batch")
    module.train()
    total = sum((o.float().square().sum() for o in _outputs(module, inputs)), torch.zeros(()))
    module.zero_grad()
    total.backward()  # type: ignore[no-untyped-call]
    unreached = [name for name, p in module.named_parameters() if p.requires_grad and p.grad is None]
    _require(not unreached, f"no gradient reaches {', '.join(unreached)}")
    module.load_state_dict({name: value.clone() for name, value in module.state_dict().items()})
    module.eval()


def _outputs(module: nn.Module, inputs: Sequence[Tensor]) -> list[Tensor]:
    found = module(*inputs)
    return list(found) if isinstance(found, tuple) else [found]


def _close(one: Sequence[Tensor], other: Sequence[Tensor], broken: str) -> None:
    for a, b in zip(one, other, strict=True):
        _require(a.shape == b.shape and bool(torch.allclose(a.float(), b.float(), rtol=TOLERANCE, atol=TOLERANCE)), broken)


class _RowsSource:
    """Rows in memory as `thuja.task.Source`."""

    def __init__(self, rows: Rows) -> None:
        self.rows, self.names = rows, tuple(rows)

    def __len__(self) -> int:
        return _length(self.rows)

    def take(self, index: np.ndarray) -> Rows:
        return {n: [v[i] for i in index] for n, v in self.rows.items()}

    def batches(self, size: int = 1024) -> Iterator[Rows]:
        for start in range(0, len(self), size):
            yield self.take(np.arange(start, min(start + size, len(self))))

    def ids(self, index: np.ndarray) -> list[str]:
        return [f"row:{i}" for i in index]


def check_task(task: Task, rows: Rows) -> None:
    """Everything that the contract asks of an application, on a few dozen usable raw rows with targets.

    The plain form reads back; `prepare` settles once; its codec passes `check_codec`; batches are a function of (seed, step); ten steps lower the loss;
    a run taken up from a checkpoint ends with the same bits; two seeds differ; the programs answer each row by itself, whatever the padding; and what the
    codec makes of their outputs are values of the schema's fields.
    """
    kind = type(task).__name__
    _require(type(task).model_validate(json.loads(task.model_dump_json())) == task, f"{kind}: its plain form does not read back to an equal task")
    settled, codec = task.prepare(_RowsSource(rows))
    again, twin = settled.prepare(_RowsSource(rows))
    _require(again == settled and twin == codec, f"{kind}.prepare of a prepared task settles otherwise")
    check_codec(codec, {n: v for n, v in rows.items() if n in codec.schema().inputs or n in settled.targets})
    columns = codec.encode(rows)
    train = _settled(settled, codec, count(columns))
    _check_order(settled, codec, columns, train)
    _check_learning(settled, codec, columns, train)
    state = begin(settled, codec, train)
    programs = settled.programs(state.best_model.eval(), codec)
    for name, program in programs.items():
        if name != STEP:
            both = sorted(set(program.inputs) & set(program.outputs))
            _require(not both, f"{kind}: program {name} gives {', '.join(both)}, the name of one of its inputs; only the program `step` gives new values of "
                     "what it takes. Name the output otherwise")
            _check_program(programs, name, columns)
    _check_decoded(codec, answers(programs, columns))


def _settled(task: Task, codec: Codec, rows: int) -> Train:
    """The task's own choices for a short run on one batch of all rows."""
    choices: dict[str, Choice] = task.choices(codec, Facts(rows=rows, cores=1, device="cpu", budget_s=None, steps=STEPS))
    chosen = {name.removeprefix("train."): choice.value for name, choice in choices.items()}
    return with_defaults(Train().model_copy(update=chosen | {"steps": STEPS, "batch": rows, "warmup": 0.0, "schedule": "constant", "device": "cpu"}))


def _check_order(task: Task, codec: Codec, columns: Columns, train: Train) -> None:
    kind, size = type(task).__name__, max(1, count(columns) // 3)
    model = begin(task, codec, train).model
    first, second, later = (task.batches(model, columns, Draw(size, 0, start)) for start in (0, 0, 2))
    drawn = [next(first) for _ in range(4)]
    for batch in drawn:
        other = next(second)
        _require(all(_equal(batch[n], other[n]) for n in batch), f"{kind}.batches is not a function of (seed, step)")
    for batch in drawn[2:]:
        other = next(later)
        _require(all(_equal(batch[n], other[n]) for n in batch), f"{kind}.batches started at step 2 gives other batches than when it gets there")


def _equal(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors hold the same, missing cells (NaN) included."""
    return one.dtype == other.dtype and one.shape == other.shape and torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)


def _check_learning(task: Task, codec: Codec, columns: Columns, train: Train) -> None:
    kind = type(task).__name__
    whole, losses = _run(task, begin(task, codec, train), columns, train, STEPS)
    if len(whole.objectives) == 1 and not whole.memory:  # with a memory, each step learns from other rows
        _require(min(losses[-3:]) < losses[0], f"{kind}: {STEPS} steps on one batch do not lower the loss: {losses}")
    with tempfile.TemporaryDirectory() as folder:
        half, _ = _run(task, begin(task, codec, train), columns, train, STEPS // 2)
        checkpoint.save(Path(folder), half, {})
        fresh = begin(task, codec, train.model_copy(update={"seed": 1}))
        start = {name: value.clone() for name, value in fresh.model.state_dict().items()}
        checkpoint.restore(Path(folder), fresh)
        resumed, _ = _run(task, fresh, columns, train, STEPS)
    ended, wanted = resumed.best_model.state_dict(), whole.best_model.state_dict()
    differing = [name for name, value in wanted.items() if not torch.equal(value, ended[name])]
    _require(not differing, f"{kind}: a run taken up at step {STEPS // 2} ends with other bits in {', '.join(differing[:3])}")
    zero = begin(task, codec, train).model.state_dict()
    _require(any(not torch.equal(value, zero[name]) for name, value in start.items()), f"{kind}.build gives the same weights for two seeds")


def _run(task: Task, state: State, columns: Columns, train: Train, until: int) -> tuple[State, list[float]]:
    losses = []
    for step in steps(task, state, columns, train):
        losses.append(float(next(iter(step.losses.values()))))
        if step.number == until:
            break
    return state, losses


def _check_program(programs: Mapping[str, Program], program: str, columns: Columns) -> None:
    def answers(inputs: Columns, rows: int = ROWS) -> Arrays:
        return look.answers(programs, inputs, program, rows=rows)

    inputs = {name: columns[name] for name in programs[program].inputs}
    whole = answers(inputs)
    _require(all(len(a) == count(inputs) for a in whole.values()), "a program's outputs do not have a row for each row")
    _agree(answers(inputs, rows=1), whole, "a row alone is answered otherwise than in a batch")
    turned = np.arange(count(inputs))[::-1].copy()
    _agree(answers(take(inputs, turned)), {n: a[turned] for n, a in whole.items()}, "the order of rows changes an answer")
    if any(isinstance(column, Ragged) for column in inputs.values()):
        wider: Columns = {n: _wider(a) if isinstance(inputs[n], Ragged) else a for n, a in rectangular(inputs).items()}
        _agree(_without_padding(answers(wider), whole), whole, "more padding changes an answer")


def _without_padding(arrays: Arrays, like: Arrays) -> Arrays:
    """Answers as short as those of `like`: what is made of padding (a mask of each tile) must be zeros."""
    short = {name: array[tuple(slice(length) for length in like[name].shape)] for name, array in arrays.items()}
    _require(all(np.count_nonzero(arrays[name]) == np.count_nonzero(array) for name, array in short.items()), "padding is answered with something")
    return short


def _wider(array: np.ndarray) -> np.ndarray:
    return np.pad(array, [(0, 0), (0, 3), *[(0, 0)] * (array.ndim - 2)])


def _agree(one: Arrays, other: Arrays, broken: str) -> None:
    for name in one:
        room = 1 if one[name].dtype == np.uint8 else TOLERANCE  # pixels: equal numbers may round to neighbours
        close = one[name].shape == other[name].shape and np.allclose(one[name], other[name], rtol=TOLERANCE, atol=room, equal_nan=True)
        _require(bool(close), f"{broken} (output {name!r})")


def _check_decoded(codec: Codec, outputs: Arrays) -> None:
    kind, rows = type(codec).__name__, len(next(iter(outputs.values())))
    values: dict[str, list[Any]] = codec.decode(outputs)
    fields = codec.schema().outputs
    _require(set(values) == set(fields), f"{kind}.decode gives {sorted(values)}, and its schema says {sorted(fields)}")
    for name, field in fields.items():
        _require(len(values[name]) == rows, f"{kind}.decode gives {len(values[name])} values of {name!r} for {rows} rows")
        for value in values[name]:
            field.check(value, name)
            json.dumps(field.to_json(value), allow_nan=False)
