"""The suite passes what keeps the contract, and catches each way of breaking it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import toy
from torch import Tensor, nn

from thuja.codec import Columns, Ragged, Rows, ragged
from thuja.core.errors import DataError
from thuja.core.seeds import stream
from thuja.fields import Category, Image, Number, Scores, Text
from thuja.task import Choice, Draw, Facts, Program
from thuja.testing import check_codec, check_field, check_model, check_task

ROWS = toy.rows(40)


@pytest.mark.parametrize("field", [Category(names=("a", "b")), Image(), Number(), Number(missing=True, lower=0), Scores(names=("a", "b")), Text()])
def test_our_fields_pass(field) -> None:
    check_field(field)


class Careless(Number):
    def check(self, value: Any, where: str) -> None:
        float(value)


class Lossy(Number):
    def to_json(self, value: Any) -> Any:
        return round(value) / 2


class Unrepeatable(Number):
    def fake(self, rng: np.random.Generator, count: int) -> list[Any]:
        return np.random.default_rng().random(count).tolist()


@pytest.mark.parametrize(("field", "broken"), [(Careless(), "a bad value should raise a ThujaError, not TypeError"),
                                               (Lossy(), r"to_json\(from_json\(x\)\) is not x"),
                                               (Unrepeatable(), "not a function of its generator")])
def test_broken_fields_are_caught(field, broken: str) -> None:
    with pytest.raises(AssertionError, match=broken):
        check_field(field)


def test_our_codec_and_task_pass() -> None:
    check_codec(toy.RingCodec(), ROWS)
    check_task(toy.Ring(), ROWS)


def codec_that(change: Callable[[Columns, Rows], Columns]) -> toy.RingCodec:
    class Broken(toy.RingCodec):
        def encode(self, rows: Rows) -> Columns:
            return change(super().encode(rows), rows)

    return Broken()


@pytest.mark.parametrize(("change", "broken"), [
    (lambda c, rows: {**c, "point": c["point"] - c["point"].mean()}, "row 0 alone is encoded otherwise"),
    (lambda c, rows: {**c, "point": c["point"] + np.float32(np.random.default_rng().random())}, "a codec read back encodes otherwise"),
    (lambda c, rows: {**c, "point": c["point"] * 2} if "side" in rows else c, "targets change how inputs are encoded"),
    (lambda c, rows: {n: v[1:] for n, v in c.items()}, "39 rows for 40"),
])
def test_broken_codecs_are_caught(change: Callable[[Columns, Rows], Columns], broken: str) -> None:
    with pytest.raises(AssertionError, match=broken):
        check_codec(codec_that(change), ROWS)


def test_a_codec_that_takes_anything_or_fails_in_its_own_way_is_caught() -> None:
    class Taking(toy.RingCodec):
        def encode(self, rows: Rows) -> Columns:
            clean = {n: [v if isinstance(v, (float, str)) else 0.0 for v in values] for n, values in rows.items()}
            return super().encode(clean)

    class Raising(toy.RingCodec):
        def encode(self, rows: Rows) -> Columns:
            return {"point": np.stack([np.asarray(rows[n], np.float32) for n in ("x", "y")], axis=1)}

    with pytest.raises(AssertionError, match="took an object in column 'x'"):
        check_codec(Taking(), ROWS)
    with pytest.raises(AssertionError, match="should raise a ThujaError, not TypeError"):
        check_codec(Raising(), {n: ROWS[n] for n in ("x", "y")})


def test_models() -> None:
    check_model(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)), [torch.randn(6, 3)])

    class Mixed(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x - x.mean(0))

    class Unused(nn.Linear):
        def __init__(self) -> None:
            super().__init__(3, 2)
            self.spare = nn.Parameter(torch.zeros(3))

    class Moody(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + torch.randn(1)

    for model, broken in ((Mixed(3, 2), "a row alone"), (Unused(), "no gradient reaches spare"), (Moody(3, 2), "two calls in eval mode differ")):
        with pytest.raises(AssertionError, match=broken):
            check_model(model, [torch.randn(6, 3)])


class Impure(toy.Ring):
    def batches(self, model: nn.Module, columns: Columns, draw: Draw) -> Any:
        return super().batches(model, columns, draw._replace(start=0))


class Wrong(toy.Ring):
    def loss(self, model: nn.Module, batch: Any, rng: torch.Generator) -> Any:
        loss = super().loss(model, batch, rng)
        return loss._replace(total=-loss.total + 2 * loss.total.detach())


class Restless(toy.Ring):
    def augment(self, batch: Any, rng: torch.Generator) -> Any:
        return batch | {"point": batch["point"] + torch.from_numpy(np.random.default_rng().normal(size=(len(batch["point"]), 1)).astype(np.float32))}


class Fixed(toy.Ring):
    def build(self, codec: Any) -> nn.Module:
        torch.manual_seed(0)
        return super().build(codec)


class Echoing(toy.Ring):
    def programs(self, model: nn.Module, codec: Any) -> dict[str, Program]:
        return {"predict": Program(toy.Answer(model).eval(), ("point",), ("point",))}


class Comparing(toy.Ring):
    def programs(self, model: nn.Module, codec: Any) -> dict[str, Program]:
        class Ranked(toy.Answer):
            def forward(self, point: Tensor) -> Tensor:
                return super().forward(point - point.mean(0))

        return {"predict": Program(Ranked(model).eval(), ("point",), ("probability",))}


class Steady(toy.Ring):
    def choices(self, codec: Any, facts: Facts) -> dict[str, Choice]:
        return {"train.ema": Choice(0.5, "so that the average is compared too")}


def test_a_task_with_an_average_passes() -> None:
    check_task(Steady(), ROWS)


@pytest.mark.parametrize(("task", "broken"), [(Impure(), "started at step 2 gives other batches"), (Wrong(), "do not lower the loss"),
                                              (Restless(), "ends with other bits"), (Fixed(), "same weights for two seeds"),
                                              (Comparing(), "a row alone is answered otherwise"),
                                              (Echoing(), "program predict gives point, the name of one of its inputs")])
def test_broken_tasks_are_caught(task: toy.Ring, broken: str) -> None:
    with pytest.raises(AssertionError, match=broken):
        check_task(task, ROWS)


def test_padding_that_changes_an_answer_is_caught() -> None:
    from thuja.testing import _check_program

    class Mean(nn.Module):
        def forward(self, ids: Tensor) -> Tensor:
            return ids.float().mean(1)

    class Sum(nn.Module):
        def forward(self, ids: Tensor) -> Tensor:
            return ids.float().sum(1)

    words: Ragged = ragged([stream(0, i).integers(1, 9, i + 1) for i in range(5)])
    _check_program({"predict": Program(Sum(), ("ids",), ("value",))}, "predict", {"ids": words})
    with pytest.raises(AssertionError, match="a row alone is answered otherwise"):
        _check_program({"predict": Program(Mean(), ("ids",), ("value",))}, "predict", {"ids": words})
    same = ragged([np.arange(1, 4)] * 3)
    with pytest.raises(AssertionError, match="more padding changes an answer"):
        _check_program({"predict": Program(Mean(), ("ids",), ("value",))}, "predict", {"ids": same})


def test_decoding_to_what_the_schema_does_not_say_is_caught() -> None:
    class Loose(toy.RingCodec):
        def decode(self, outputs: Any) -> dict[str, list[Any]]:
            return {"label": ["somewhere"] * len(outputs["probability"])}

    class Task(toy.Ring):
        def prepare(self, source: Any) -> Any:
            return self, Loose()

    with pytest.raises(DataError, match="expected a known name, found 'somewhere'"):
        check_task(Task(), ROWS)
