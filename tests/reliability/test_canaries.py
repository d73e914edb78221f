"""Secrets that must not turn up."""

import base64
import random

import pytest

from reliability.canaries import HARNESSES, Canaries, Text


@pytest.mark.slow
def test_no_secret_turns_up_and_planted_leaks_are_caught() -> None:
    harness = HARNESSES[0]
    outcome = harness.run(harness.short, random.Random(3))
    assert outcome.passed, (outcome.failures, outcome.control)


def test_a_secret_is_found_however_it_is_written() -> None:
    canaries = Canaries(random.Random(0))
    secret, other = canaries.new("a header"), canaries.new("the environment")
    texts = [Text("a log", f"GET /?q={secret}\n".encode()), Text("a page", secret.encode().hex().encode()), Text("a cookie", base64.b64encode(secret.encode())),
             Text("clean", b"cnry, but no secret")]
    assert canaries.found_in(texts) == [
        "the secret in a header turned up (as it is) in a log", "the secret in a header turned up (in base64) in a cookie",
        "the secret in a header turned up (in hexadecimal) in a page"]
    assert other not in "".join(canaries.found_in(texts))
