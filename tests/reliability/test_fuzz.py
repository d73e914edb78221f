"""S2 in short: the readers on changed seeds; a little of atheris where it is installed."""

import random

import pytest

from reliability import fuzz
from reliability.fuzz import EVERY, HARNESSES, PLANTED, TARGETS, by_hand, changed, guided, one
from thuja.core.errors import DataError, MissingExtra, ThujaError


def test_in_short() -> None:
    outcome = HARNESSES[0].run(HARNESSES[0].short, random.Random(0))
    assert outcome.passed, (outcome.failures, outcome.control)


@pytest.mark.parametrize("name", TARGETS)
def test_first_seeds_are_honest(name: str) -> None:
    seed = TARGETS[name].seeds()[0]
    try:
        TARGETS[name].read(seed)
    except ThujaError as error:
        known = {"manifest": "a file of the artefact", "body": "a whole picture", "spec": ""}
        assert name in known and known[name] in error.expected, error


def test_any_other_error_is_a_finding() -> None:
    def refuses(data: bytes) -> None:
        raise DataError("x", expected="y", found="z")

    def falls(data: bytes) -> None:
        raise KeyError(data)

    assert one(refuses, b"") == "" and one(falls, b"k") == "KeyError: b'k'"


def test_changed_seeds_differ_and_depend_on_the_generator_alone() -> None:
    first, second = ([changed(b"abcdefgh" * 4, random.Random(i)) for i in range(50)] for _ in range(2))
    assert first == second and len(set(first)) > 40


def test_atheris_runs_an_honest_reader() -> None:
    pytest.importorskip("atheris", reason="atheris is not installed: pip install 'thuja[fuzz]'")
    tried, found = guided("log", 1, 1)
    assert tried > 10 and found == []
    assert by_hand(PLANTED, 3000, random.Random(0)) and PLANTED in EVERY


def test_without_atheris_it_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra) as caught:
        HARNESSES[0].run(HARNESSES[0].long, random.Random(0))
    assert str(caught.value) == "S2: expected atheris, found not installed. Type: pip install 'thuja[fuzz]'."
