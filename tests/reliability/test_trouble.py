import random
from pathlib import Path

import pytest

from reliability import trouble
from reliability.trouble import HARNESSES, Curve, burst, verdict, with_engine, without_care
from thuja.run import Run


@pytest.mark.parametrize("harness", HARNESSES, ids=lambda h: h.id)
def test_the_promise_holds(harness) -> None:
    outcome = harness.run(harness.short, random.Random(0))
    assert outcome.passed, (outcome.failures, outcome.control)


def test_without_trouble_both_loops_end_alike_and_nothing_is_found(tmp_path: Path) -> None:
    one, other = with_engine(tmp_path / "run", Curve()), without_care(tmp_path, Curve())
    clean = trouble.error(one.best_model)
    assert trouble.error(other.best_model) == clean
    assert 0.9 < clean < 1.5
    assert verdict(other, clean) == ""
    assert verdict(other, clean / 2).startswith("an error of ")


@pytest.mark.parametrize("place", trouble.PLACES)
def test_the_trouble_really_strikes(tmp_path: Path, place: str) -> None:
    with burst([30]):
        with_engine(tmp_path / "run", Curve(place=place))
    events = {record["event"] for record in Run(tmp_path / "run").records()}
    assert "back" in events
    assert ("skipped" in events) == (place != "weight")
