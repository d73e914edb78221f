"""The latest steps of units as rows."""

import numpy as np
import pytest

from thuja.core.errors import DataError
from thuja.data.objects import from_object
from thuja.data.segments import Plan, cut

PLAN = Plan("unit", "cycle", ("heat", "speed"), "left", 3)


def table(lengths, prefix="u"):
    units = [f"{prefix}{i}" for i, n in enumerate(lengths) for _ in range(n)]
    cycles = [float(c + 1) for n in lengths for c in range(n)]
    return {"unit": units, "cycle": cycles, "heat": [10 * c for c in cycles], "speed": [-c for c in cycles],
            "left": [float(n - c - 1) for n in lengths for c in range(n)]}


def made(plan=PLAN, **parts):
    return cut({name: from_object(rows, where=name) for name, rows in parts.items()}, plan)


def test_training_takes_every_full_window_and_a_short_unit_gives_one():
    rows = made(train=table([5, 2]))["train"]
    taken = rows.take(np.arange(len(rows)))
    assert [h.tolist() for h in taken["heat"]] == [[10, 20, 30], [20, 30, 40], [30, 40, 50], [10, 20]]
    assert (taken["left"], taken["unit"], taken["cycle"]) == ([2, 1, 0, 0], ["u0"] * 3 + ["u1"], [3, 4, 5, 2])
    assert rows.ids(np.arange(4)) == ["u0@3", "u0@4", "u0@5", "u1@2"]


def test_others_are_judged_at_their_last_step_or_at_all():
    parts = {"train": table([5]), "test": table([4, 6], "t")}
    assert made(PLAN._replace(judged="last"), **parts)["test"].ids(np.arange(2)) == ["t0@4", "t1@6"]
    assert len(made(PLAN._replace(judged="all"), **parts)["test"]) == 2 + 4


def test_units_that_all_ran_until_they_failed_are_judged_at_every_step():
    rows = table([4, 6], "t")
    parts = {"train": table([5]), "test": rows}
    assert len(made(**parts)["test"]) == 2 + 4  # both end with nothing left
    rows["left"] = [left + (2 if unit == "t0" else 0) for unit, left in zip(rows["unit"], rows["left"], strict=True)]
    assert made(**parts)["test"].ids(np.arange(2)) == ["t0@4", "t1@6"]


def test_a_unit_in_two_parts_is_refused():
    late = table([6])
    with pytest.raises(DataError) as caught:
        made(train={n: v[:3] for n, v in late.items()}, test={n: v[3:] for n, v in late.items()})
    assert str(caught.value) == "data.split: expected units that are wholly in one part, found 'u0' in several. Split by group: data.group: unit."


def test_steps_without_a_target_are_counted_and_named():
    rows = table([4])
    rows["left"][2] = None
    train = made(train=rows)["train"]
    assert len(train) == 1
    assert [list(bad) for bad in train.bad] == [["u0@3", "no 'left'"]]


def test_a_source_like_any_other():
    first, again, other = made(train=table([5]))["train"], made(train=table([5]))["train"], made(train=table([6]))["train"]
    assert first.fingerprint() == again.fingerprint() != other.fingerprint()
    assert len(set(first.hashes(np.arange(3), ("heat", "left")).tolist())) == 3
    assert sum(len(rows["heat"]) for rows in first.batches(2)) == 3
