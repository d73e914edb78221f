"""What `thuja init` writes after a look at the data, and how an application says that the data are its own."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from thuja.data.rows import Source


class Guess(NamedTuple):
    """What `thuja init` writes: the task section, keys of the data section, and what a person is told."""

    task: dict[str, Any]
    data: dict[str, Any]
    notes: list[str]


Recogniser = Callable[[Mapping[str, Source], str | None], Guess | None]
"""From the parts of the data, and the target if one was named, to a guess; None where the data are of another kind."""
