"""S6 in short."""

import random

from reliability.serving import Answer
from reliability.swap import HARNESSES, _wrong


def test_swap() -> None:
    outcome = HARNESSES[0].run(HARNESSES[0].short, random.Random(0))
    assert outcome.passed, (outcome.failures, outcome.control)


def test_an_answer_is_held_against_the_model_that_it_names() -> None:
    known = {"a" * 64: {"x": 0.25, "y": 0.5}, "b" * 64: {"x": 0.75, "y": 0.5}}
    answer = Answer(200, {"thuja-model": "b" * 64}, b'{"probabilities": {"spam": 0.75}}', 0.0)
    assert _wrong(answer, ["x"], known) == ""
    assert _wrong(answer._replace(headers={"thuja-model": "a" * 64}), ["x"], known) == "the model aaaaaaaa gave the answer of another to 1 rows"
    both = answer._replace(body=b'{"rows": [{"probabilities": {"spam": 0.5}}, {"probabilities": {"spam": 0.25}}]}')
    assert _wrong(both, ["y", "x"], known) == "the model bbbbbbbb gave the answer of another to 2 rows"
    assert _wrong(answer._replace(status=500, body=b"oh"), ["x"], known) == "answered with 500: b'oh'"
