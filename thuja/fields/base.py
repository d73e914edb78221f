"""What a field is: one typed value that may cross the boundary between the world and a model."""

import base64
import binascii
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from thuja.core.errors import DataError


class Field(BaseModel, ABC):
    """A typed value with limits. Frozen; its fields are its configuration; a subclass sits exactly one level below.

    `where` in every method is the place to name in an error, such as `rows[3].photo`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: str = ""
    """One line for people: shown in forms, cards and the API page."""

    @property
    def most_values(self) -> int:
        """Plain values of which one value may consist in JSON; with more than 1 it is a list of them."""
        return 1

    @abstractmethod
    def check(self, value: Any, where: str) -> None:
        """Pass a usable raw value. Raises: DataError for one that is not, saying what was expected."""

    @abstractmethod
    def to_json(self, value: Any) -> Any:
        """A raw value as plain JSON data."""

    @abstractmethod
    def from_json(self, value: Any, where: str) -> Any:
        """Plain JSON data as a raw value, checked. Raises: DataError. Text is never read as a path."""

    @abstractmethod
    def json_schema(self) -> dict[str, Any]:
        """The JSON Schema of what `from_json` takes."""

    @abstractmethod
    def fake(self, rng: np.random.Generator, count: int) -> list[Any]:
        """Plausible raw values, odd ones included, for tests and warm-up."""

    @abstractmethod
    def summarise(self, values: Sequence[Any]) -> dict[str, Any]:
        """A small plain summary of many raw values, enough to compare two periods; kept in the artefact as the reference."""

    @abstractmethod
    def distance(self, old: dict[str, Any], new: dict[str, Any]) -> float:
        """How far two summaries are apart, from 0 (alike) to 1."""


def from_base64(value: Any, where: str, what: str, most: int, smaller: str) -> bytes:
    """The bytes of a file that JSON carries as base64, or as a data: URL. `what` it is, and the advice to send a smaller one, are for the errors.

    Raises: DataError for anything else, and for more than `most` bytes.
    """
    expected = f"{what} as base64 text"
    if not isinstance(value, str):
        raise DataError(where, expected=expected, found=type(value).__name__, fix="Send base64 of the file's bytes, or a data: URL.")
    text = value.partition(",")[2] if value.startswith("data:") else value
    if len(text) * 3 // 4 > most:
        raise DataError(where, expected=f"at most {most} bytes", found=str(len(text) * 3 // 4), fix=smaller)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DataError(where, expected=expected, found=f"text {value[:40]!r}", fix="Encode the file's bytes as base64.") from error


def histogram_distance(old: Sequence[float], new: Sequence[float]) -> float:
    """Total variation distance of two histograms of counts over the same bins, from 0 to 1."""
    a, b = np.asarray(old, float), np.asarray(new, float)
    if a.sum() == 0 or b.sum() == 0:
        return 0.0
    return float(0.5 * np.abs(a / a.sum() - b / b.sum()).sum())
