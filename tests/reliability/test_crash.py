import random
from pathlib import Path

import pytest

from reliability import crash, stores
from reliability.faults import Recorder


def test_everything_recovers_to_the_old_or_the_new_generation() -> None:
    harness = crash.HARNESSES[0]
    outcome = harness.run(harness.short, random.Random(0))
    assert outcome.passed, outcome.failures


@pytest.mark.parametrize("scenario", stores.scenarios(), ids=lambda scenario: scenario.name)
def test_each_scenario_has_a_generation_for_each_step(tmp_path: Path, scenario: stores.Scenario) -> None:
    recorder = crash.record(scenario, tmp_path / "recorded")
    found = crash.generations(scenario, recorder, tmp_path)
    assert len({repr(generation) for generation in found}) == len(scenario.steps) + 1
    assert len(recorder.marks) == len(scenario.steps) and isinstance(recorder, Recorder)


def test_what_is_found_must_be_old_or_new_or_the_beginning_of_an_addition() -> None:
    exact, growing = stores.rewinds(), stores.logs()
    assert [exact.allowed((1,), (1, 2, 3), found) for found in ((1,), (1, 2), (1, 2, 3), ())] == [True, False, True, False]
    assert [growing.allowed((1,), (1, 2, 3), found) for found in ((1,), (1, 2), (1, 2, 3), (), (1, 3))] == [True, True, True, False, False]
