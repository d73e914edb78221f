"""Specs that try to be more than data."""

import random
from pathlib import Path

import pytest

from reliability import injection
from reliability.injection import HARNESSES, Case, judge, tries
from thuja.core.errors import SpecError


def test_nothing_in_a_spec_runs_and_planted_readers_are_caught() -> None:
    harness = HARNESSES[0]
    outcome = harness.run(harness.short, random.Random(7))
    assert outcome.passed, (outcome.failures, outcome.control)


@pytest.mark.parametrize(("seen", "wrong"), [
    (injection.Seen(None, SpecError("case.yaml:3", expected="a", found="b"), []), None),
    (injection.Seen(None, SpecError("", expected="a", found="b"), []),
     "file table.data.path 'os.system': refused without saying where (: expected a, found b.)"),
    (injection.Seen("os.system", None, []), None),
    (injection.Seen("posix", None, []), "file table.data.path 'os.system': taken as 'posix'"),
    (injection.Seen("os.system", None, ["os.system ('id',)"]), "file table.data.path 'os.system': ran os.system ('id',)"),
    (injection.Seen(injection.CANARY, None, []), "file table.data.path 'os.system': the environment was read"),
])
def test_an_outcome_is_judged(seen: injection.Seen, wrong: str | None) -> None:
    assert judge(Case("file", ("table", "data", "path"), "os.system"), seen) == wrong


def test_an_error_that_is_not_ours_is_a_finding() -> None:
    def broken(case: Case) -> None:
        raise KeyError(case.door)

    found = tries(60, random.Random(0), broken)
    assert len(found) >= 60 and all("KeyError" in complaint for complaint in found)


def test_what_is_run_is_seen(tmp_path: Path) -> None:
    import os

    with injection.WATCH.on(tmp_path) as events:
        os.system("true")
    os.system("true")
    assert events == ["os.system (b'true',)"]
