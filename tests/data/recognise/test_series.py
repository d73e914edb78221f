"""Which data are series, and what `thuja init` says of them."""

import numpy as np
import pytest

from thuja.data.infer import infer
from thuja.data.objects import from_object
from thuja.data.recognise.series import steps
from thuja.data.source import open_source
from thuja.settings import Data

HOURS = [str(t) for t in np.datetime64("2026-01-01T00:00:00") + np.arange(400) * np.timedelta64(3600, "s")]
WAVE = np.sin(np.arange(400) / 4)


def test_equal_steps_of_numbers_are_to_be_forecast():
    guess = infer({"all": from_object({"when": HOURS, "load": WAVE, "heat": -WAVE})})
    assert guess.task == {"kind": "forecast", "time": "when", "values": ["load", "heat"], "horizon": 24, "past": []}
    assert guess.notes == [
        "400 rows.",
        "Steps of an hour ('when'): how the series go on is to be forecast, 24 steps ahead (task.horizon).",
        "To forecast: 'load', 'heat'.",
        "A season of 24 steps; 120 steps of the past are read.",
        "To learn one column from the others in the same row instead, set task.kind to table.",
    ]
    named = infer({"all": from_object({"when": HOURS, "load": WAVE, "heat": -WAVE})}, "load")
    assert (named.task["values"], named.task["past"]) == (["load"], ["heat"])
    assert "Only their past is known: 'heat'; what is known in advance belongs into task.known." in named.notes


def test_many_series_by_name():
    guess = infer({"all": from_object({"when": HOURS * 2, "shop": ["a"] * 400 + ["b"] * 400, "sold": [*WAVE, *WAVE]})})
    assert guess.task == {"kind": "forecast", "time": "when", "values": ["sold"], "horizon": 24, "past": [], "series": "shop"}
    assert "To forecast: 'sold', for each of 2 'shop'." in guess.notes


@pytest.mark.parametrize("columns", [
    {"when": HOURS[::-1], "y": WAVE},
    {"when": [*HOURS[:200], *HOURS[:200]], "y": WAVE},
    {"when": HOURS, "y": ["a", "b"] * 200},
    {"when": HOURS, "colour": ["a", "b"] * 200, "y": WAVE},
])
def test_other_tables_with_times_are_tables(columns):
    assert steps({"all": from_object(columns)}, None) is None
    assert infer({"all": from_object({"when": HOURS, "y": [float(i % 2) for i in range(400)], "word": ["a", "b"] * 200})}, "word").task["kind"] == "table"


def test_lists_of_numbers_with_a_label():
    guess = infer({"all": from_object({"acceleration": [[1.0, 2.0, None]] * 6, "label": ["walk", "run"] * 3})})
    assert guess.task == {"kind": "series", "inputs": ["acceleration"], "target": "label"}


@pytest.mark.parametrize(("name", "kind", "data"), [
    ("etth1", "forecast", {}), ("ucr_small/GunPoint", "series", {}), ("cmapss_fd001", "series", {"group": "unit"}),
])
def test_real_sets(real, name, kind, data):
    guess = infer(open_source(Data(path=str(real(name)))))
    assert (guess.task["kind"], guess.data) == (kind, data)
