import random
from pathlib import Path

import numpy as np
import pytest

from reliability.encoding import HARNESSES, Silent, answer, clean, damaged, equal, lost_in_silence, no_shared_memory, opened, raises, workshop
from reliability.spoilt import kinds
from thuja.codec import ragged


@pytest.mark.parametrize("harness", HARNESSES, ids=lambda harness: harness.id)
def test_short_tier(harness):
    outcome = harness.run(harness.short, random.Random(0))
    assert outcome.passed, (outcome.failures, outcome.control)


def test_every_damage_has_the_fate_it_is_said_to_have():
    with workshop() as root:
        for kind in kinds():
            each = {7 * place + 3: damage for place, damage in enumerate(kind.damages)}
            assert damaged(clean(kind, root / f"{kind.name}-clean"), each, root / kind.name, random.Random(0)) == []


def test_a_bug_of_the_codec_that_hides_rows_is_seen():
    with workshop() as root:
        known = clean(kinds()[2], root / "clean")
        nothing = next(d for d in known.kind.damages if d.name == "null for text")
        found = damaged(known, {5: nothing}, root / "trial", random.Random(1), Silent)
    assert found == [f"texts, 1 of 1000 rows damaged, budget {budget}: {what}" for budget in ("1%", "30%")
                     for what in ("not named: rows.jsonl:6 (null for text)", )]


def test_a_lost_chunk_and_shared_memory_are_seen():
    import torch

    with workshop() as root:
        known = clean(kinds()[2], root / "clean")
        source = opened(known.kind, root / "again", known.kind.rows)
        with lost_in_silence():
            found = raises(known, source, root / "silent", random.Random(0))
        assert len(found) == 1
        assert found[0].startswith("a codec raised, and ")
        assert no_shared_memory(known, source, root / "mine") == []
        assert no_shared_memory(known, source, root / "shared", lambda: torch.zeros(10).share_memory_()) == ["other columns, or shared memory in use"]


def test_a_process_that_hangs_or_fails_is_told_from_one_that_ends():
    assert answer(lambda: None) == []
    assert answer(lambda: "wrong") == ["other columns, or shared memory in use"]
    assert answer(lambda: 1 / 0 and None) == ["ended with 2"]
    assert answer(lambda: __import__("time").sleep(60), wait=0.05) == ["hung for 0.05 s"]


def test_equal_columns_are_equal_to_the_bit():
    one = {"x": np.arange(3), "t": ragged([np.arange(2), np.arange(3)])}
    assert equal(one, {"x": np.arange(3), "t": ragged([np.arange(2), np.arange(3)])})
    assert not equal(one, {"x": np.arange(3), "t": ragged([np.arange(3), np.arange(2)])})
    assert not equal(one, one | {"x": np.array([0, 1, 3])})


def test_the_cache_of_the_workshop_goes_with_it(monkeypatch, tmp_path):
    monkeypatch.setenv("THUJA_CACHE", str(tmp_path))
    with workshop() as root:
        assert root.is_dir()
    import os

    assert not Path(root).exists()
    assert os.environ["THUJA_CACHE"] == str(tmp_path)
