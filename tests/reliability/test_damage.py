import random
from pathlib import Path

import pytest

from reliability import damage


def test_damage_is_noticed_everywhere() -> None:
    harness = damage.HARNESSES[0]
    outcome = harness.run(harness.short, random.Random(0))
    assert outcome.passed, outcome.failures


def test_the_three_kinds_of_damage() -> None:
    data = bytes(range(1, 251)) * 40
    rng = random.Random(0)
    for _ in range(20):
        short, flipped, zeroed = (damage.mutated(data, kind, rng) for kind in damage.KINDS)
        assert data.startswith(short) and len(short) < len(data)
        assert sum((a ^ b).bit_count() for a, b in zip(data, flipped, strict=True)) == 1
        zeros = [place for place, byte in enumerate(zeroed) if not byte]
        assert len(zeroed) == len(data) and zeros[0] % damage.PAGE == 0 and zeros == list(range(zeros[0], zeros[-1] + 1))


@pytest.mark.parametrize("maker", damage.MAKERS, ids=lambda maker: maker.__name__)
def test_a_store_that_reads_damage_as_truth_is_a_failure(tmp_path: Path, maker: object) -> None:
    store = damage.made(maker, tmp_path / "store")  # type: ignore[arg-type]
    blind = store._replace(check=lambda root, path, before: "read as if nothing were wrong")
    wrong = damage.trial(blind, "a bit flipped", tmp_path / "trial", random.Random(0))
    assert wrong is not None and wrong.endswith("a bit flipped: read as if nothing were wrong")
    assert not (tmp_path / "trial").exists()


def test_a_log_cut_between_two_records_is_no_trial(tmp_path: Path) -> None:
    store = damage.made(damage.logs, tmp_path / "store")
    data = store.tree["log.jsonl"]
    assert data is not None
    end = data.index(b"\n") + 1
    assert damage.trial(store, "cut short", tmp_path / "trial", Fixed(end)) is None
    assert damage.trial(store, "cut short", tmp_path / "trial", Fixed(end + 1)) == ""


class Fixed(random.Random):
    """Cuts where it is told."""

    def __init__(self, place: int) -> None:
        super().__init__()
        self.place = place

    def randrange(self, *_: object) -> int:  # type: ignore[override]
        return self.place
