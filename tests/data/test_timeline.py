"""Equal steps out of tables: what is refused, by name, and what `resample` makes of it."""

import numpy as np
import pytest

from thuja.core.errors import DataError, SpecError
from thuja.data.objects import from_object
from thuja.data.timeline import Wanted, lay_out, season_of


def hours(count, start="2026-03-01T00:00:00", step=3600):
    return [str(t) for t in np.datetime64(start) + np.arange(count) * np.timedelta64(step, "s")]


def laid(times, values=None, series=None, resample=None, **parts):
    table = {"when": times, "y": values or [float(i) for i in range(len(times))]} | ({"shop": series} if series else {})
    sources = {"train": from_object(table), **{name: from_object(rows, where=name) for name, rows in parts.items()}}
    return lay_out(sources, Wanted("when", ("y",), "shop" if series else None, resample))


def refused(*arguments, **options):
    with pytest.raises(DataError) as caught:
        laid(*arguments, **options)
    return str(caught.value)


def test_steps_parts_and_series_in_the_order_of_time():
    line = laid([*hours(3), *hours(3)], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], ["b", "b", "b", "a", "a", "a"],
                test={"when": [*hours(2, "2026-03-01T03:00:00")] * 2, "y": [7.0, None, 8.0, 9.0], "shop": ["b", "b", "a", "a"]})
    assert line.names == ("b", "a")
    assert line.offsets.tolist() == [0, 5, 10]
    np.testing.assert_array_equal(line.values["y"], [1, 2, 3, 7, np.nan, 4, 5, 6, 8, 9])
    assert line.part.tolist() == [0, 0, 0, 2, 2, 0, 0, 0, 2, 2]
    assert (line.every, line.clock, season_of(line)) == (3600.0, True, 24)


@pytest.mark.parametrize(("step", "season"), [(900, 96), (3600, 24), (86400, 7), (7 * 86400, 52)])
def test_seasons(step, season):
    assert season_of(laid(hours(10, step=step))) == season


def test_months_are_steps():
    line = laid([f"{year}-{month:02d}-01" for year in (2023, 2024) for month in range(1, 13)])
    assert season_of(line) == 12
    assert round(line.every / 86400, 1) == 30.4
    assert season_of(laid([f"{year}-{month:02d}-01" for year in (2023, 2024, 2025) for month in (1, 4, 7, 10)])) == 4
    assert season_of(laid([f"{year}-01-01" for year in range(1990, 2000)])) == 1


def test_plain_numbers_are_steps():
    line = laid([10.0, 12.0, 14.0])
    assert (line.every, line.clock, season_of(line)) == (2.0, False, 1)


def test_what_is_out_of_order_is_refused_by_name():
    times = hours(5)
    assert refused([*times[:2], times[3], times[2], times[4]]) == (
        "row:4: when: expected a time after 2026-03-01 03:00:00, that of the row before, found 2026-03-01 02:00:00. Sort the rows by time.")
    assert refused([*times[:2], times[1], *times[2:]]) == (
        "row:3: when: expected a time that comes once, found 2026-03-01 01:00:00 twice. Clocks that are put back show an hour twice: write times in UTC. "
        "Or name the column that tells the series apart in task.series, or set task.resample to average them.")
    weekday = hours(3, "2026-06-17T10:00:00")
    assert refused([weekday[0], weekday[0], weekday[1]]).endswith(
        "found 2026-06-17 10:00:00 twice. Remove one, or name the column that tells the series apart in task.series, or set task.resample to average them.")
    assert refused([times[0], None, times[2]]) == "row:2: when: expected a time in every row, found nothing. Fill it in, or remove the row."


def test_a_gap_is_refused_by_name_and_a_change_of_clocks_is_told():
    times = hours(100, "2026-06-17T00:00:00")
    assert refused([*times[:50], *times[52:70], *times[75:]]) == (
        "row:51: when: expected steps of 1 hour, found 2026-06-19 01:00:00, then 2026-06-19 04:00:00 (2 such places). "
        "Add the missing rows, or set task.resample, such as 1h: steps are then averaged, and those without a value are gaps.")
    spring = [t for t in hours(72, "2026-03-28T00:00:00") if t != "2026-03-29T02:00:00"]
    assert refused(spring) == (
        "row:27: when: expected steps of 1 hour, found 2026-03-29 01:00:00, then 2026-03-29 03:00:00. "
        "Clocks that are put forward or back do this: write times in UTC. Or set task.resample, such as 1h: steps are then averaged, and those without a "
        "value are gaps.")


def test_parts_follow_each_other():
    assert refused(hours(3), test={"when": hours(3), "y": [1.0, 2.0, 3.0]}) == (
        "data.split: expected parts that follow each other in time, found test:1: when (2026-03-01 00:00:00) after 2026-03-01 02:00:00. "
        "Split by time: data.split: {kind: time, column: when}.")


def test_columns_must_be_there_and_be_numbers():
    assert refused(hours(3), ["a", "b", "c"]).startswith("data: y: expected a column of numbers, found one of kind text.")
    with pytest.raises(DataError, match=r"whn: expected a column of this name, found 2 others. Did you mean 'when'?"):
        lay_out({"train": from_object({"when": hours(2), "y": [1.0, 2.0]})}, Wanted("whn", ("y",)))
    assert refused(hours(1)) == "when: expected at least two steps in a series, found one. Give more of the past."


def test_resample_averages_and_leaves_gaps():
    times = ["2026-03-01T00:10:00", "2026-03-01T00:10:00", "2026-03-01T00:50:00", "2026-03-01T03:05:00"]
    line = laid(times, [1.0, 2.0, 6.0, 5.0], resample="1h", test={"when": ["2026-03-01T03:30:00", "2026-03-01T05:00:00"], "y": [7.0, 8.0]})
    np.testing.assert_array_equal(line.values["y"], [3, np.nan, np.nan, 6, np.nan, 8])
    assert line.part.tolist() == [0, 0, 0, 2, 2, 2]
    assert line.every == 3600
    assert str(np.datetime64(int(line.times[3]), "us")) == "2026-03-01T03:00:00.000000"
    with pytest.raises(DataError, match="Sort the rows by time"):
        laid([times[3], times[0]], [1.0, 2.0], resample="1h")
    with pytest.raises(SpecError, match=r"task.resample: expected a length such as 15min, 1h, 1d or 1w, found 'hourly'"):
        laid(times, [1.0] * 4, resample="hourly")
    assert laid([1.0, 2.0, 5.0], resample="2").values["y"].tolist()[1:] == [1.0, 2.0]
