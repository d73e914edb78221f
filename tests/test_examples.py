"""Every example runs as its first lines say, within the three minutes of one processor that it promises."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
MOST = 180
"""Seconds of one processor; on a machine that does other work the clock shows more."""


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_says_something(example: Path, tmp_path: Path) -> None:
    before = _seconds()
    ran = subprocess.run([sys.executable, example], cwd=ROOT, capture_output=True, text=True, timeout=4 * MOST,
                         env=os.environ | {"PYTHONPATH": str(ROOT), "THUJA_CACHE": str(tmp_path), "OMP_NUM_THREADS": "1"})
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert len(ran.stdout.strip()) > 20, ran.stdout
    assert _seconds() - before < MOST


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_says_how_to_run_it(example: Path) -> None:
    assert f"    python examples/{example.name}\n" in example.read_text("utf-8")


def _seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
