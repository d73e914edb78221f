"""E2 in short, and that its watch sees what it must."""

import random
from pathlib import Path

import pytest

from reliability import hostile
from reliability.hostile import FOLDERS, HARNESSES, forged, opened, watched


def test_every_attack_is_refused_in_time(artifacts: dict[str, Path]) -> None:
    outcome = HARNESSES[0].run(HARNESSES[0].short, random.Random(0))
    assert outcome.passed, (outcome.failures, outcome.control)
    assert outcome.trials >= 50


def test_an_honest_artefact_reaches_the_runtime(artifacts: dict[str, Path]) -> None:
    assert opened(artifacts["table"]) == "opened by the runtime"


def test_a_forged_manifest_without_a_change_is_an_honest_one(artifacts: dict[str, Path], tmp_path: Path) -> None:
    forged(artifacts["table"], tmp_path / "a", "nothing", random.Random(0))
    hostile.edit(tmp_path / "a", lambda manifest: None)
    assert opened(tmp_path / "a") == "opened by the runtime"


def test_a_crash_is_a_finding(artifacts: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("thuja.artifact.folder.scan", broken)
    assert opened(artifacts["table"]) == "ZeroDivisionError: oh"


def test_the_watch_counts_what_reaches_the_runtime() -> None:
    import onnxruntime

    with watched() as reached, pytest.raises(RuntimeError, match="reached"):
        onnxruntime.InferenceSession(b"abc")
    assert reached == [3]


@pytest.mark.parametrize("case", FOLDERS)
def test_each_folder_is_spoilt(artifacts: dict[str, Path], tmp_path: Path, case: str) -> None:
    forged(artifacts["table"], tmp_path / "a", "nothing", random.Random(0))
    assert opened(tmp_path / "a") == "opened by the runtime"
    FOLDERS[case](tmp_path / "a", random.Random(1))
    assert opened(tmp_path / "a") == ""
