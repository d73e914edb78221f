"""A picture for the report as plain data, so that whoever knows the numbers needs to know nothing about drawing. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np


@dataclass(frozen=True)
class Line:
    """One curve. Colours and dashes follow from its place among the lines."""

    label: str
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    """A band around it, such as an interval."""


@dataclass(frozen=True)
class Chart:
    """Lines over common axes, or a table of shades."""

    title: str
    alt: str
    """What it shows, in words: for those who do not see it, and as its caption."""
    x: str
    y: str
    """Names of the axes, with their units."""
    kind: Literal["lines", "bars", "shades"] = "lines"
    lines: Sequence[Line] = ()
    shades: np.ndarray | None = None
    """[rows, columns], from 0 to 1; drawn from the top."""
    rows: Sequence[str] = field(default=())
    columns: Sequence[str] = field(default=())
    """Names of the rows and columns of `shades`, or of the bars."""

    def plain(self) -> dict[str, Any]:
        """As JSON data that `parse` reads back."""
        lines = [{"label": a.label, **{n: _plain(getattr(a, n)) for n in ("x", "y", "low", "high")}} for a in self.lines]
        return {"title": self.title, "alt": self.alt, "x": self.x, "y": self.y, "kind": self.kind, "lines": lines, "shades": _plain(self.shades),
                "rows": list(self.rows), "columns": list(self.columns)}

    @classmethod
    def parse(cls, data: dict[str, Any]) -> Self:
        """A chart from its plain form."""
        lines = [Line(a["label"], np.array(a["x"], float), np.array(a["y"], float), _array(a["low"]), _array(a["high"])) for a in data["lines"]]
        return cls(**data | {"lines": lines, "shades": _array(data["shades"])})


def _array(values: list[Any] | None) -> np.ndarray | None:
    return None if values is None else np.array(values, float)


def _plain(array: np.ndarray | None) -> list[Any] | None:
    rounded: list[Any] | None = None if array is None else np.round(np.asarray(array, float), 6).tolist()
    return rounded
