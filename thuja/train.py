"""Training. (The verb comes; the loop is in `thuja.loop`.)"""

from thuja.loop import State, Step, begin, steps

__all__ = ["State", "Step", "begin", "steps"]
