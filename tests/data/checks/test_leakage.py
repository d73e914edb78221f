import numpy as np
import pytest
from check_toys import looked, only

from thuja.settings import Data, GivenSplit, GroupSplit, HashSplit, TimeSplit

RNG = np.random.default_rng(0)


def grouped():
    return {"train": {"a": RNG.normal(size=6), "who": ["p", "q", None, "r", "p", "q"], "y": [0, 1] * 3},
            "test": {"a": RNG.normal(size=4), "who": ["s", "q", None, "p"], "y": [0, 1] * 2}}


@pytest.mark.parametrize(("data", "severity"), [
    (Data(group="who", split=GivenSplit()), "block"), (Data(split=GroupSplit(column="who")), "block"), (Data(group="who", split=TimeSplit(column="a")), "warn"),
])
def test_group_overlap(data, severity):
    found = looked(grouped(), numbers=("a",), data=data)
    assert only(found, "group-overlap") == [(severity, 2, ["test:2", "test:4"], "2 of 4 (50 %) test rows have a 'who' that training rows have too.")]


def test_groups_are_looked_at_only_where_there_are_any():
    assert only(looked(grouped(), numbers=("a",)), "group-overlap") == []


def timed(test):
    return {"train": {"a": RNG.normal(size=3), "when": ["2026-01-01", "2026-01-03", "2026-01-02"], "y": [0, 1, 0]},
            "test": {"a": RNG.normal(size=len(test)), "when": test, "y": [0, 1] * (len(test) // 2)}}


@pytest.mark.parametrize(("split", "severity"), [
    (HashSplit(), "block"), (TimeSplit(column="when"), "block"), (GivenSplit(), "warn"), (GroupSplit(column="y"), "warn"),
])
def test_time_overlap(split, severity):
    found = looked(timed(["2026-01-03", "2026-01-04"]), numbers=("a",), data=Data(split=split))
    assert only(found, "time-overlap") == [(severity, 1, ["test:1"], "1 of 2 (50 %) test rows are not later ('when') than the last training row.")]


def test_no_time_overlap():
    assert only(looked(timed(["2026-01-04", "2026-01-05"]), numbers=("a",), data=Data(split=TimeSplit(column="when"))), "time-overlap") == []


def leaky(leak, target, rows=3000):
    columns = {"honest": RNG.normal(size=rows) + target, "leak": leak, "y": target}
    return {part: {name: values[place] for name, values in columns.items()} for part, place in (("train", slice(0, 2000)), ("test", slice(2000, None)))}


@pytest.mark.parametrize("kind", ["binary", "rare", "classes", "regression", "missing"])
def test_target_proxies(kind):
    target = {"binary": RNG.integers(0, 2, 3000), "rare": (RNG.random(3000) < 0.02).astype(int), "classes": RNG.integers(0, 5, 3000),
              "regression": RNG.normal(size=3000), "missing": RNG.integers(0, 2, 3000)}[kind].astype(float)
    leak = np.where(target == 1, np.nan, 7.0) if kind == "missing" else 3 * target + 1
    ((severity, count, rows, message),) = only(looked(leaky(leak, target), numbers=("honest", "leak")), "target-proxy")
    assert (severity, count, rows) == ("block", 1000, [])
    assert message.startswith(f"'leak' alone predicts 'y' with {'R2' if kind == 'regression' else 'balanced accuracy'} ")


@pytest.mark.parametrize("target", [RNG.integers(0, 2, 3000).astype(float), (RNG.random(3000) < 0.01).astype(float), RNG.normal(size=3000)])
def test_a_good_column_is_no_proxy(target):
    good = target + 0.3 * RNG.normal(size=3000)
    assert only(looked(leaky(good, target), numbers=("honest", "leak")), "target-proxy") == []


def test_a_name_for_every_row_is_no_proxy():
    """It fits the training rows perfectly and says nothing of new ones."""
    made = leaky(np.arange(3000.0), RNG.integers(0, 2, 3000).astype(float))
    assert only(looked(made, numbers=("honest", "leak")), "target-proxy") == []


def test_a_category_that_is_the_answer():
    target = RNG.integers(0, 3, 3000)
    made = leaky(np.array(list("abc"))[target], target.astype(float))
    found = only(looked(made, numbers=("honest",), categories=("leak",)), "target-proxy")
    assert found == [("block", 1000, [], "'leak' alone predicts 'y' with balanced accuracy 1.000 on rows not seen.")]


@pytest.mark.parametrize(("rows", "leak"), [
    *((rows, leak) for rows in (300, 1500, 20_000) for leak in ("a rescaled copy", "a copy with a little noise")), (1500, "classes"), (20_000, "classes"),
])
def test_a_leak_is_found_in_small_and_large_tables(rows, leak):
    rng = np.random.default_rng(rows)
    price = rng.lognormal(12, 0.6, rows)
    column = price * 0.0042 * (1 + (0.01 * rng.normal(size=rows) if leak.endswith("noise") else 0))
    target = [["cheap", "dear"][int(p > np.median(price))] for p in price] if leak == "classes" else price
    cut = rows * 4 // 5
    parts = {name: {"tax": column[part], "noise": rng.normal(size=len(column[part])), "y": target[part]}
             for name, part in (("train", slice(cut)), ("test", slice(cut, None)))}
    found = only(looked(parts, numbers=("tax", "noise")), "target-proxy")
    assert [(severity, message.split(" alone")[0]) for severity, _, _, message in found] == [("block", "'tax'")]
