"""Time as an argument, so that years replay in seconds with the code that runs in production."""

import time
from collections.abc import Callable

Clock = Callable[[], float]
"""Seconds since 1970; `time.time` in production, a counter in a replay."""

wall: Clock = time.time
