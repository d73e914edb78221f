"""E1 and E3 in short, and how answers are compared."""

import random
from pathlib import Path

import numpy as np
import pytest

from reliability.parity import HARNESSES, apart, files, trained, unlike, usable


@pytest.mark.parametrize("harness", HARNESSES, ids=lambda h: h.id)
def test_in_short(artifacts: dict[str, Path], harness) -> None:
    outcome = harness.run(harness.short, random.Random(0))
    assert outcome.passed, (outcome.failures, outcome.control)


def test_arrays_a_little_apart_are_told_from_close_ones() -> None:
    one = {"p": np.array([[0.5, 0.25]])}
    assert apart(one, {"p": np.array([[0.5004, 0.25]])}, "x") == []
    assert apart(one, {"p": np.array([[0.501, 0.25]])}, "x") == ["x, p: 0.001 apart"]
    assert apart(one, {"p": np.array([[np.nan, 0.25]])}, "x") == ["x, p: nan apart"]


def test_answers_are_compared_value_by_value(artifacts: dict[str, Path]) -> None:
    codec = trained(artifacts["table"]).codec
    right = {"label": "no", "probability": 0.7, "probabilities": {"no": 0.7, "yes": 0.3}}
    assert unlike(codec, right, right | {"probability": 0.7003}) == ""
    assert unlike(codec, right, right | {"label": "yes"}) == "label: yes instead of no"
    assert unlike(codec, right, right | {"probability": 0.71}) == "probability: 0.71 instead of 0.7"
    assert unlike(codec, right, {"label": "no", "probability": 0.7}).startswith("probabilities: None")
    tie = {"label": "no", "probability": 0.5, "probabilities": {"no": 0.5, "yes": 0.499999}}
    assert unlike(codec, tie, tie | {"label": "yes"}) == ""


def test_made_up_rows_are_ones_that_the_codec_takes(artifacts: dict[str, Path]) -> None:
    codec = trained(artifacts["image"]).codec
    rows = usable(codec, 16, 1)
    assert len(rows["image"]) == 16 and len(codec.encode(rows)["image"]) == 16


def test_files_are_those_of_the_data_sets_where_there_are_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THUJA_DATA", raising=False)
    found, kind = files(5, tmp_path / "cells", random.Random(0))
    assert kind == "of the demo" and len(found) == 5
    for i in range(6):
        (tmp_path / "set" / "a").mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / "a" / f"{i}.JPG").write_bytes(b"x")
    monkeypatch.setenv("THUJA_DATA", str(tmp_path))
    found, kind = files(5, tmp_path / "cells", random.Random(0))
    assert kind == "of the real data sets" and {p.suffix for p in found} <= {".JPG", ".jpg", ".png"}
