"""S7 in short."""

import random

from reliability.soak import HARNESSES, Sample, grown, slope


def test_soak() -> None:
    outcome = HARNESSES[0].run(HARNESSES[0].short, random.Random(0))
    assert outcome.passed, (outcome.failures, outcome.control)


def test_what_grows_is_told_from_what_does_not() -> None:
    flat = [Sample(100 * i, 90_000_000 + 50_000 * (i % 3), 20, 5) for i in range(40)]
    assert grown(flat) == []
    assert slope(flat) < 1
    assert grown([s._replace(files=20 + s.requests // 400) for s in flat]) == ["29 open files at the end, 22 after the warm-up"]
    assert grown([s._replace(threads=5 + s.requests // 3000) for s in flat]) == ["6 threads at the end, 5 after the warm-up"]
    assert grown([s._replace(resident=90_000_000 + 4000 * s.requests) for s in flat]) == ["memory grew by 4000 bytes a request, 11.6 MB in 2900 requests"]
