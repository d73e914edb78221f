"""Windows: what they hold, which there are, and that no target crosses a border."""

import numpy as np
import pytest

from thuja.core.errors import DataError
from thuja.data import windows
from thuja.data.objects import from_object
from thuja.data.rows import Subset
from thuja.data.split import split
from thuja.data.windows import Plan, cut, rolling_origins
from thuja.settings import Data, TimeSplit


def table(steps=100, shops=("a", "b")):
    times = [str(t) for t in np.datetime64("2026-01-01T00:00:00") + np.arange(steps) * np.timedelta64(3600, "s")]
    return {"when": times * len(shops), "shop": [s for s in shops for _ in times], "y": [100.0 * k + i for k in range(len(shops)) for i in range(steps)],
            "z": [-float(i) for _ in shops for i in range(steps)], "plan": [i % 7.0 for _ in shops for i in range(steps)]}


def parts_of(rows, **shares):
    return split({"all": from_object(rows)}, Data(split=TimeSplit(column="when", **shares)))


PLAN = Plan("when", ("y", "z"), 4, 8, "shop", known=("plan",))


def test_a_row_is_some_past_and_what_came_then():
    made = cut(parts_of(table()), PLAN)["train"]
    assert made.names == ("history", "future", "start", "when", "series", "plan")
    place = made.ids(np.arange(len(made))).index("b y@2026-01-01T10:00:00")
    row = {name: values[0] for name, values in made.take(np.array([place])).items()}
    assert row["history"].tolist() == [102, 103, 104, 105, 106, 107, 108, 109]
    assert row["future"].tolist() == [110, 111, 112, 113]
    assert row["plan"].tolist() == [2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6]
    assert (row["start"], row["when"], row["series"]) == ("2026-01-01T10:00:00", "2026-01-01T10:00:00", "b y")


def test_targets_stay_in_their_part_and_histories_reach_back():
    parts = cut(parts_of(table()), PLAN)
    for name, low, high in (("train", 8, 70), ("validation", 70, 80), ("test", 80, 100)):
        rows = parts[name].take(np.arange(len(parts[name])))
        futures = [f for f, s in zip(rows["future"], rows["series"], strict=True) if s == "a y"]
        assert [f[0] for f in futures] == list(range(low, high - 3)), name
        assert max(f[-1] for f in futures) == high - 1
    first = parts["test"].take(np.array([0]), ("history",))["history"][0]
    assert first.tolist() == list(range(72, 80))


def test_the_standard_borders_of_ett_give_the_published_numbers_of_windows():
    steps = 14400 // 24 + 20  # days in place of hours
    rows = {"when": [str(t) for t in np.datetime64("2016-07-01") + np.arange(steps)], "y": np.arange(float(steps))}
    parts = parts_of(rows, borders=("2017-06-26", "2017-10-24", "2018-02-21"))
    assert [len(parts[p]) for p in ("train", "validation", "test")] == [360, 120, 120]
    made = cut(parts, Plan("when", ("y",), 5, 14))
    assert [len(made[p]) for p in ("train", "validation", "test")] == [360 - 14 - 5 + 1, 120 - 5 + 1, 120 - 5 + 1]


@pytest.mark.parametrize(("borders", "message"), [
    (("2026-01-03",), "expected two or three times, each later than the one before, found 2026-01-03."),
    (("2026-01-03", "2026-01-02"), "expected two or three times, each later than the one before, found 2026-01-03, 2026-01-02."),
    (("2026-01-03", "soon"), "expected times such as 2026-01-31 or 2026-01-31T12:00:00, found 'soon'. Write them as the column does."),
])
def test_borders_that_make_no_sense(borders, message):
    with pytest.raises(DataError) as caught:
        parts_of(table(), borders=borders)
    assert str(caught.value).startswith(f"data.split.borders: {message}")


def test_borders_may_be_numbers():
    parts = split({"all": from_object({"t": np.arange(10.0), "y": np.arange(10.0)})}, Data(split=TimeSplit(column="t", borders=(5, 7, 9))))
    assert [len(parts[p]) for p in ("train", "validation", "test")] == [5, 2, 2]


def test_missing_values_stay_and_windows_of_nothing_are_left_out():
    rows = table(40, ("a",))
    rows["y"] = [None if 10 <= i < 24 else v for i, v in enumerate(rows["y"])]
    made = cut(parts_of(rows, validation=0.0, test=0.0), Plan("when", ("y",), 4, 8))["train"]
    taken = made.take(np.arange(len(made)))
    assert all(not np.isnan(h).all() and not np.isnan(f).all() for h, f in zip(taken["history"], taken["future"], strict=True))
    assert any(np.isnan(h).any() for h in taken["history"])


def test_short_series_are_named_and_too_short_parts_refused():
    rows = table(100, ("a",))
    short = {"when": rows["when"][:6], "shop": ["tiny"] * 6, "y": [1.0] * 6, "z": [1.0] * 6, "plan": [0.0] * 6}
    both = {name: [*rows[name], *short[name]] for name in rows}
    made = cut(parts_of(both), PLAN)
    assert [list(bad) for bad in made["train"].bad] == [["tiny", "6 steps, where a window needs 12"]]
    with pytest.raises(DataError) as caught:
        cut(parts_of(table(20, ("a",))), Plan("when", ("y",), 4, 30))
    assert str(caught.value) == ("data.split: train: expected a series with 34 steps in this part (context and horizon), found 14 at most. "
                                 "Give more steps, or shorten task.horizon or task.context.")
    with pytest.raises(DataError, match=r"data.split: validation: expected a series with 4 steps in this part \(horizon\), found 2 at most"):
        cut(parts_of(table(20, ("a",))), Plan("when", ("y",), 4, 3))


def test_many_windows_start_at_every_nth_step(monkeypatch):
    monkeypatch.setattr(windows, "MOST", 12 * 4 * 40)
    made = cut(parts_of(table(400, ("a",)), validation=0.0, test=0.0), Plan("when", ("y", "z"), 4, 8))["train"]
    starts = [made.ids(np.array([i]))[0] for i in range(len(made))]
    assert len(made) <= 40
    assert [s.replace("y@", "z@") for s in starts if s.startswith("y")] == [s for s in starts if s.startswith("z")]
    typed = cut(parts_of(table(100, ("a",))), Plan("when", ("y",), 4, 8, stride=5))
    assert (len(typed["train"]), len(typed["test"])) == (12, 17)


def test_a_source_like_any_other():
    first, again = (cut(parts_of(table()), PLAN)["train"] for _ in range(2))
    assert first.fingerprint() == again.fingerprint()
    other = table()
    other["y"][3] = 7.0
    assert cut(parts_of(other), PLAN)["train"].fingerprint() != first.fingerprint()
    assert cut(parts_of(table()), PLAN._replace(horizon=5))["train"].fingerprint() != first.fingerprint()
    assert len(set(first.hashes(np.arange(len(first)), ("history", "start", "series")).tolist())) == len(first)
    assert len(set(first.ids(np.arange(len(first))))) == len(first)
    np.testing.assert_array_equal(Subset(first, np.array([5, 2])).take(np.array([1]))["history"][0], first.take(np.array([2]))["history"][0])
    assert sum(len(rows["history"]) for rows in first.batches(7)) == len(first)


def test_how_much_past_is_read():
    plan = Plan("when", ("y",), 24)
    assert cut(parts_of(table(2000, ("a",))), plan)["train"].context == 336
    assert cut(parts_of(table(4000, ("a",))), plan._replace(horizon=240))["train"].context == 480
    assert cut(parts_of(table(400, ("a",))), plan)["train"].context == 72
    assert cut(parts_of(table(2000, ("a",))), plan)["train"].season == 24


def test_rolling_origins_grow_and_touch():
    days = [f"2026-01-{d:02d}" for d in range(1, 21)]
    assert rolling_origins(days, 3, 0.45) == [("2026-01-09", "2026-01-12", "2026-01-15"), ("2026-01-12", "2026-01-15", "2026-01-18"),
                                             ("2026-01-15", "2026-01-18")]
    for borders in rolling_origins(days, 3, 0.45):
        parts = split({"all": from_object({"when": days, "y": np.arange(20.0)})}, Data(split=TimeSplit(column="when", borders=borders)))
        assert (len(parts["validation"]), len(parts["test"])) == (3, 3)
    with pytest.raises(DataError, match="origins: expected fewer than 9, or more times, found 10 times"):
        rolling_origins(days[:10], 9, 0.9)
