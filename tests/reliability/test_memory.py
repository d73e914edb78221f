import random
import sys

import pytest

from reliability.memory import HARNESSES

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits a process by RLIMIT_DATA")


@pytest.mark.parametrize("harness", HARNESSES, ids=lambda h: h.id)
def test_the_promise_holds(harness) -> None:
    outcome = harness.run(harness.short, random.Random(0))
    assert outcome.passed, (outcome.failures, outcome.control)
