"""Explanations: summaries of parts add up to the summary of all, and a distance says how much of it is chance."""

import math
import unicodedata
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


CELLS = {"number": st.one_of(st.none(), st.floats(-1e6, 1e6, allow_nan=False)), "category": st.sampled_from([None, "", "a", "b", "c", "never seen"]),
         "text": st.text(max_size=30)}


@settings(max_examples=80, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("field", [Number(), Number(edges=(-1.0, 0.5, 100.0)), Category(names=("a", "b", "c")), Text()], ids=lambda field: field.kind)
def test_parts_of_any_rows_in_any_order_add_up(field, data):
    values = data.draw(st.lists(CELLS[field.kind], min_size=1, max_size=40))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), max_size=4)))
    parts = [field.summarise(values[low:high]) for low, high in pairwise([0, *cuts, len(values)])]
    whole, together, backwards = field.summarise(values), merged(parts), merged(parts[::-1])
    for name, value in whole.items():
        if name == "std" and value is not None:
            # a spread is the square root of a difference of squares: what is far below the values themselves is rounding
            far = max(abs(whole["min"]), abs(whole["max"]), 1e-300)
            assert together[name] == pytest.approx(value, rel=1e-6, abs=1e-7 * far) and backwards[name] == pytest.approx(value, rel=1e-6, abs=1e-7 * far)
        elif isinstance(value, float):
            far = max(abs(whole.get("min") or 0), abs(whole.get("max") or 0))
            assert together[name] == pytest.approx(value, rel=1e-9, abs=1e-12 * far + 1e-300)
            assert backwards[name] == pytest.approx(value, rel=1e-9, abs=1e-12 * far + 1e-300)
        else:
            assert together[name] == value and backwards[name] == value, name


@given(values=st.lists(CELLS["number"], max_size=40))
def test_a_column_and_a_list_are_summarised_alike(values):
    column = np.array([math.nan if value is None else value for value in values], float)
    assert Number().summarise(values) == Number().summarise(column)


def one_by_one(values):
    """What `Text.summarise` was before it was made fast."""
    lengths, kinds = np.array([len(value) for value in values]), np.zeros(5, int)
    for value in values[:2000]:
        for character in value[:500]:
            kinds["LNPZ".find(unicodedata.category(character)[0])] += 1
    return {"rows": len(values), "lengths": np.histogram(np.log2(lengths + 1), bins=20, range=(0, 20))[0].tolist(), "mean_length": float(lengths.mean()),
            "characters": kinds.tolist()}


@given(values=st.lists(st.text(max_size=40), min_size=1, max_size=30))
def test_texts_are_summarised_as_if_one_by_one(values):
    assert Text().summarise(values) == one_by_one(values)


@pytest.mark.parametrize("field", [Number(), Category(names=("a",)), Text(), Series(), Image(), Audio(), Moment()], ids=lambda field: field.kind)
def test_a_part_without_rows_adds_nothing(field):
    some = field.summarise(field.fake(stream(0, "life"), 12))
    together = merged([field.summarise([]), some, field.summarise([])])
    assert {name: value for name, value in together.items() if not isinstance(value, float)} == {name: value for name, value in some.items()
                                                                                                 if not isinstance(value, float)}
