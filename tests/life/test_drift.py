"""Explanations: summaries of parts add up to the summary of all, and a distance says how much of it is chance."""

import math

import numpy as np
import pytest

from thuja.core.seeds import stream
from thuja.fields import Audio, Category, Image, Items, Moment, Number, Ranking, Scores, Series, Text
from thuja.fields.base import Field
from thuja.life.drift import merged, moved, noise

FIELDS: list[Field] = [Number(), Number(edges=(0.0, 1.0, 2.0)), Category(names=("a", "b", "c")), Scores(names=("a", "b")), Text(), Image(), Audio(), Series(),
                       Moment(), Items(), Ranking()]


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.kind)
def test_summaries_of_parts_add_up(field):
    values = field.fake(stream(0, "life"), 30)
    whole, parts = field.summarise(values), merged([field.summarise(values[:7]), field.summarise(values[7:8]), field.summarise(values[8:])])
    assert set(whole) == set(parts)
    for name, value in whole.items():
        if isinstance(value, float):
            tolerance = 0.35 if name.startswith("mean_") or (name == "std" and field.kind == "series") else 1e-6
            assert parts[name] == pytest.approx(value, rel=tolerance, abs=1e-9), name
        elif field.kind != "text" or name != "characters":
            assert parts[name] == value, name
    assert field.distance(whole, parts) < 0.02


def numbers(mean, rows, seed):
    return np.random.default_rng(seed).normal(mean, 1, rows)


def test_the_noise_is_what_chance_makes():
    field = Number(edges=tuple(np.linspace(-2, 2, 15).tolist()))
    reference = field.summarise(numbers(0, 20_000, 0))
    for rows in (50, 500):
        windows = [field.summarise(numbers(0, rows, seed)) for seed in range(1, 60)]
        mean = np.mean([field.distance(reference, window) for window in windows])
        assert noise(reference, windows[0]) == pytest.approx(mean, rel=0.15)


def test_what_moved_comes_first():
    field = Number(edges=tuple(np.linspace(-2, 2, 15).tolist()))
    schema = dict.fromkeys(("still", "far", "near", "absent"), field)
    then = {name: field.summarise(numbers(0, 5000, 0)) for name in schema}
    now = {"still": field.summarise(numbers(0, 400, 1)), "far": field.summarise(numbers(2, 400, 2)), "near": field.summarise(numbers(0.4, 400, 3))}
    found = moved(schema, then, now)
    assert [one.field for one in found] == ["far", "near", "still"]
    assert found[0].distance > 0.5 and found[-1].beyond == 0 and found[0].rows == 400


def test_a_million_numbers_are_not_looked_at_one_by_one():
    values = np.random.default_rng(0).normal(size=1_000_000)
    values[::10] = math.nan
    assert Number().summarise(values) == Number().summarise([None if math.isnan(v) else v for v in values])
