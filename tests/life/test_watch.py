"""A look at a window: calm years stay calm, harm is found and explained, a fault is a fault and teaches nothing, and everything fits into the log."""

import json
import math

import numpy as np
import pytest

from thuja.fields import Category, Number, Schema
from thuja.life.estimate import learn
from thuja.life.lifetime import Life
from thuja.life.plan import Harm, Plan
from thuja.life.watch import ALL, Memory, Reference, Window, answered, look

DAY = 86400.0
HEAT = Number(edges=tuple(np.linspace(-3, 3, 17).tolist()))
SCHEMA = Schema(inputs={"heat": HEAT, "place": Category(names=("a", "b"))}, outputs={"label": Category(names=("x", "y")), "probability": Number()})


def world(rows, seed, *, error=0.15, heat=0.0, place_b=0.5, worse_b=0.0):
    """Rows, scores that mean what they say, and losses."""
    rng = np.random.default_rng(seed)
    score = rng.beta(8.5 * (1 - error) / 0.85, 1.5 * error / 0.15, rows)
    place = np.where(rng.random(rows) < place_b, "b", "a")
    loss = (rng.random(rows) > score - np.where(place == "b", worse_b, 0)).astype(float)
    return {"heat": rng.normal(heat, 1, rows).tolist(), "place": place.tolist()}, score, loss


def reference():
    rows, score, loss = world(10_000, 0)
    inputs = {name: field.summarise(rows[name]) for name, field in SCHEMA.inputs.items()}
    b = np.array(rows["place"]) == "b"
    lives = tuple(Life(length, True) for length in (200, 240, 260, 300, 320, 360, 400))
    return Reference(inputs, float(loss.mean()), len(loss), True, learn(score, loss), {"place=b": (float(loss[b].mean()), int(b.sum()))}, lives, 600.0)


REFERENCE = reference()
PLAN = Plan(harm=Harm(groups=("place",)))


def window(number, rows=150, labels=100, **how):
    values, score, loss = world(rows, 1000 + number, **how)
    inputs = {name: field.summarise(values[name]) for name, field in SCHEMA.inputs.items()}
    b = np.array(values["place"][:labels]) == "b"
    return Window(number * DAY, (number + 1) * DAY, rows, 0, (number + 1) * DAY - 60, inputs, score, loss[:labels], {"place=b": b})


def lived(windows, plan=PLAN, memory=None):
    """All looks, the memory written to JSON and read back each time, as the ledger does."""
    memory, looks = memory or Memory(), []
    for one in windows:
        memory, found = look(plan, SCHEMA, REFERENCE, memory, one)
        memory = Memory.parse(json.loads(json.dumps(memory.plain(), allow_nan=False)))
        looks.append(found)
    return looks, memory


def test_a_calm_year_brings_no_alarm_and_no_fault():
    looks, memory = lived([window(number) for number in range(400)])
    assert not any(found.alarm or found.faults or found.moved for found in looks)
    assert memory.windows == 400 and set(looks[-1].streams) == {ALL, "place=b"}
    assert looks[-1].loss == pytest.approx(0.15, abs=0.12) and looks[-1].forecast.state in ("forecast", "hazard only")


def test_harm_is_found_soon_and_explained_by_what_moved():
    looks, memory = lived([window(number, error=0.15 if number < 60 else 0.25, heat=0.0 if number < 60 else 1.0) for number in range(120)])
    first = next(place for place, found in enumerate(looks) if found.alarm)
    assert 60 <= first <= 75
    assert [one.field for one in looks[first].moved] == ["heat"]
    again = answered(memory)
    assert all(detector.statistic == 0 for detector in again.detectors.values()) and again.windows == memory.windows


def test_harm_to_one_group_is_found_though_the_mean_hides_it():
    looks, _ = lived([window(number, place_b=0.2, worse_b=0.0 if number < 30 else 0.3) for number in range(130)])
    alarm = next(found for found in looks[30:] if found.alarm)
    assert next(iter(alarm.streams)) in ("place=b", ALL) and alarm.streams["place=b"] > 100


def test_a_broken_sensor_is_a_fault_and_nothing_is_learned_from_it():
    _, memory = lived([window(number) for number in range(20)])
    broken = window(20, error=0.6)
    broken = broken._replace(inputs={**broken.inputs, "heat": HEAT.summarise([1.25] * 150)})
    after, found = look(PLAN, SCHEMA, REFERENCE, memory, broken)
    assert [f.rule for f in found.faults] == ["stuck"] and not found.alarm and math.isnan(found.loss)
    assert after.detectors == memory.detectors and after.gate == memory.gate and after.clean == 0
    silent, found = look(PLAN, SCHEMA, REFERENCE, memory, window(20)._replace(last_row=18 * DAY))
    assert [f.rule for f in found.faults] == ["late"] and silent.clean == 0


def test_few_labels_wait_until_there_are_enough():
    looks, memory = lived([window(number, labels=2) for number in range(3)])
    assert memory.detectors[ALL].batches == 1 and len(memory.waiting) == 0
    _, waiting = lived([window(number, labels=2) for number in range(2)])
    assert len(waiting.waiting) == 4 and not waiting.detectors
    looks, memory = lived([window(number, labels=0) for number in range(3)])
    assert all(math.isnan(found.loss) for found in looks) and not memory.detectors and looks[-1].why == "no window has been audited yet"


def test_an_empty_window_is_no_trouble():
    empty = Window(0.0, DAY, 0, 0, 0.0, {}, np.zeros(0), np.zeros(0), {})
    (found,), memory = lived([empty])
    assert not found.faults and math.isnan(found.estimated) and memory.windows == 1


def test_an_estimate_wins_trust_where_confidence_means_something():
    rng = np.random.default_rng(0)
    looks, _ = lived([window(number, labels=150, error=float(rng.uniform(0.05, 0.35))) for number in range(80)], Plan(harm=Harm(false_alarms_a_year=1e-6)))
    assert looks[-1].trusted and looks[-1].estimated == pytest.approx(looks[-1].loss, abs=0.12)
