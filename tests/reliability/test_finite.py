"""S13 in short, and its strict reader."""

import random
from pathlib import Path

import pytest

from reliability.finite import HARNESSES, PLANTED, checked, strict
from reliability.inprocess import Answer

JSON = {"content-type": "application/problem+json"}


def test_in_short(artifacts: dict[str, Path]) -> None:
    outcome = HARNESSES[0].run(HARNESSES[0].short, random.Random(0))
    assert outcome.passed, (outcome.failures, outcome.control)


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found_in_every_application(artifacts: dict[str, Path], plant) -> None:
    for path in artifacts.values():
        with plant():
            assert checked(path, random.Random(1))[1]


@pytest.mark.parametrize(("body", "wrong"), [
    (b'{"a": NaN}', "NaN is no JSON: b'{\"a\": NaN}'"), (b'{"a": -Infinity}', "-Infinity is no JSON: b'{\"a\": -Infinity}'"), (b"", "Expecting value"),
    (b'{"a": "\xff"}', "'utf-8' codec"), (b'{"a": "NaN"}', ""), (b"null", ""),
])
def test_the_reader_is_strict(body: bytes, wrong: str) -> None:
    found = strict(Answer(200, JSON, body))
    assert found.startswith(wrong) and bool(found) == bool(wrong)


def test_another_content_type_is_no_json() -> None:
    assert strict(Answer(200, {"content-type": "text/html"}, b"{}")) == "content type text/html"
