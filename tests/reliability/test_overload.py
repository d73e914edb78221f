"""S4 in short."""

import random

from reliability.overload import HARNESSES, Phase, _slow, _unlimited
from reliability.serving import Answer


def test_overload() -> None:
    outcome = HARNESSES[0].run(HARNESSES[0].short, random.Random(0))
    assert outcome.passed, (outcome.failures, outcome.control)


def test_times_are_judged_against_the_peak_and_the_usual() -> None:
    answers = [Answer(200, {}, b"", 0.05)] * 100
    usual, heavy = Phase(0.8, answers, [], [], 1.0, 0.05), Phase(3.0, answers, [Answer(429, {}, b"", 0.01)], [], 1.0, 0.05)
    assert _slow([usual, heavy]) == []
    late = heavy._replace(answered=[Answer(200, {}, b"", 0.2)] * 80, shed=[Answer(429, {}, b"", 0.06)])
    assert _slow([usual, late]) == ["80 answers a second at 3x, 100 at the peak", "p99 of the admitted 200.0 ms at 3x, 50.0 ms at 0.8x",
                                    "p99 of a refusal 60.0 ms"]
    assert _unlimited(heavy._replace(shed=[], worst_wait=3.0)) == ["3x: nothing was refused", "3x: an admitted request took 3.00 s"]
