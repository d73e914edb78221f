import random
from pathlib import Path

import pytest

from reliability import torn
from thuja.run import Run


def test_a_torn_log_opens_every_time() -> None:
    harness = torn.HARNESSES[0]
    outcome = harness.run(harness.short, random.Random(0))
    assert outcome.passed, outcome.failures


def test_a_cut_between_two_records_tears_nothing() -> None:
    assert [torn.cut_inside(b"a\nb\n", size) for size in range(5)] == [False, True, False, True, False]


def test_a_record_that_is_lost_without_a_word_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = Run.records
    monkeypatch.setattr(Run, "records", lambda run: torn.plain(records(run)))
    wrong = torn.tried(torn.trial, tmp_path, 10, random.Random(0))
    assert wrong and all("was not told" in line for line in wrong)
