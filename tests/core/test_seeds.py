"""Random streams are functions of seed and place, the same in every process."""

import os
import subprocess
import sys

from thuja.core.seeds import mix, stream


def test_mix_is_fixed_for_ever() -> None:
    assert mix(0, "order", 1) == 3818025765772773313


def test_every_part_of_the_place_counts() -> None:
    places = [(0, "a", 1), (1, "a", 1), (0, "b", 1), (0, "a", 2), (0, "a"), (0, "a1"), (0, 1, "a")]
    assert len({mix(*place) for place in places}) == len(places)


def test_another_process_and_hash_seed_give_the_same_numbers() -> None:
    code = "from thuja.core.seeds import stream; print(stream(3, 'x', 5).integers(1 << 60))"
    seen = {subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": h}, capture_output=True, text=True, check=True).stdout
            for h in ("0", "1")}
    assert seen == {f"{stream(3, 'x', 5).integers(1 << 60)}\n"}
