"""S10 and S11 in short, and that the comparison in constant time is looked for where it is."""

import random
from pathlib import Path

import pytest

from reliability import authority
from reliability.authority import HARNESSES, constant_time, corpus, strangers


@pytest.mark.parametrize("harness", HARNESSES, ids=lambda h: h.id)
def test_in_short(artifacts: dict[str, Path], harness) -> None:
    outcome = harness.run(harness.short, random.Random(0))
    assert outcome.passed, (outcome.failures, outcome.control)


def test_a_plain_comparison_of_tokens_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert constant_time() == ""
    monkeypatch.setattr(authority.inspect, "getsource", lambda _: "class Gate:\n    def check(self, given):\n        return given == self._wanted\n")
    assert constant_time() == "compared by ['given == self._wanted']"


def test_no_stranger_has_the_right_credential() -> None:
    token = "abcdefghijklmnopqrstuvwxyz"
    for name, (_, headers) in strangers(token, random.Random(1)).items():
        assert headers.get("Authorization") != f"Bearer {token}", name


def test_the_corpus_has_links_and_is_as_long_as_asked() -> None:
    names = corpus(2000, random.Random(0))
    assert len(names) == 2000 and {"link", "linked", "..", ""} <= set(names) and len(set(names)) > 1500
