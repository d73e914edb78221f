"""S9 in short, and its measure of a difference."""

import random
from pathlib import Path

import numpy as np
import pytest

from reliability.isolation import HARNESSES, Asked
from thuja.artifact.folder import Artifact
from thuja.artifact.runtime import Predictor


def test_answers_do_not_depend_on_their_company(artifacts: dict[str, Path]) -> None:
    outcome = HARNESSES[0].run(HARNESSES[0].short, random.Random(0))
    assert outcome.passed, (outcome.failures, outcome.control)
    assert outcome.figures["poisoned rows that failed alone"] >= 4


@pytest.fixture
def asked(artifacts: dict[str, Path]) -> Asked:
    return Asked(Predictor(Artifact.open(artifacts["table"])), 0)


def test_a_difference_is_seen_in_numbers_and_in_decisions(asked: Asked) -> None:
    right = asked.alone[3]["probability"]
    assert asked.differs(3, {"probability": right}) == ""
    assert asked.differs(3, {"probability": right + np.float32(2e-4)}).endswith(" away")
    assert asked.differs(3, {"probability": right * np.nan}) == "probability is nan away"
    asked.alone[3] = {"probability": np.array([[0.5, 0.49999]], np.float32)}
    assert "instead of" in asked.differs(3, {"probability": np.array([[0.49999, 0.5]], np.float32)})


def test_a_poisoned_row_cannot_be_answered(asked: Asked, artifacts: dict[str, Path]) -> None:
    poison = asked.poisoned()
    assert poison is not None
    with pytest.raises(Exception, match="out of data bounds"):
        asked.predictor.run(poison)
    assert Asked(Predictor(Artifact.open(artifacts["image"])), 0).poisoned() is None
