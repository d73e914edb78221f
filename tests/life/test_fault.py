"""Faults: planted ones are found and named, ordinary windows have none, and a change of weather is no broken sensor."""

import math

import numpy as np
import pytest

from thuja.fields import Category, Number
from thuja.life.fault import Fault, faults, improbable, late, refused

TEMPERATURE = Number(edges=tuple(np.linspace(-10, 35, 17).tolist()))
SKY = Category(names=("clear", "cloud", "rain"))
SCHEMA = {"temperature": TEMPERATURE, "sky": SKY}


def weather(rows, seed, mean=12.0):
    rng = np.random.default_rng(seed)
    return {"temperature": rng.normal(mean, 8, rows).tolist(), "sky": rng.choice(SKY.names, rows, p=[0.5, 0.3, 0.2]).tolist()}


def summaries(rows):
    return {name: field.summarise(rows[name]) for name, field in SCHEMA.items() if name in rows}


REFERENCE = summaries(weather(5000, 0))


def found(rows):
    return faults(SCHEMA, REFERENCE, summaries(rows))


def test_ordinary_windows_and_a_hot_summer_have_no_fault():
    assert not [f for seed in range(1, 80) for f in found(weather(120, seed))]
    assert not [f for seed in range(20) for f in found(weather(120, seed, mean=26.0))]
    assert not found({"temperature": [], "sky": []}) and not found({})


def test_planted_faults_are_named():
    rows = weather(200, 1)
    assert found(rows | {"temperature": [None if i % 2 else v for i, v in enumerate(rows["temperature"])]}) == [
        Fault("missing", "temperature", "values in all but 0.0% of rows", "100 of 200 missing")]
    assert found(rows | {"temperature": [9.5] * 200}) == [Fault("stuck", "temperature", "values that differ", "200 times 9.5")]
    (kelvin,) = found(rows | {"temperature": [v + 273.15 for v in rows["temperature"]]})
    assert (kelvin.rule, kelvin.field) == ("range", "temperature") and "200 of 200 rows at that end" in kelvin.found
    (renamed,) = found(rows | {"sky": [v.upper() for v in rows["sky"]]})
    assert (renamed.rule, renamed.found) == ("unknown", "200 of 200 unknown")
    (stuck,) = found(rows | {"sky": ["rain"] * 200})
    assert str(stuck) == "sky: expected values that differ, found 200 times 'rain'"


def test_one_wild_value_is_no_fault():
    rows = weather(200, 1)
    assert not found(rows | {"temperature": [1e6, *rows["temperature"][1:]]})


def test_requests_that_cannot_be_read_and_feeds_that_are_late():
    assert refused(1000, 300) == [Fault("refused", "", "at most 1% of requests refused", "300 of 1000")]
    assert not refused(1000, 20) and not refused(3, 2) and not refused(0, 0)
    assert [str(f) for f in late(7200, 600)] == ["requests: expected rows about every 10 min, found none for 2 h"]
    assert not late(2000, 600) and not late(1e9, 0)


@pytest.mark.parametrize(("seen", "rows", "share"), [(5, 200, 0.01), (30, 40, 0.5), (9, 10, 0.001)])
def test_the_chance_is_the_binomial_tail(seen, rows, share):
    tail = sum(math.comb(rows, k) * share**k * (1 - share) ** (rows - k) for k in range(seen, rows + 1))
    assert improbable(seen, rows, share) == (tail < 1e-9)
