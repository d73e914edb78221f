"""A picture for the report as plain data, so that whoever knows the numbers needs to know nothing about drawing. No torch."""

import base64
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
class Still:
    """One finished picture: a photograph with its boxes, an overlay, a molecule, a frame of a film."""

    data: bytes
    """A PNG, JPEG or SVG file; small, since the report carries it."""
    caption: str
    """What it shows, in words; read out in its place."""

    @property
    def media(self) -> str:
        """The media type, seen from the first bytes."""
        if self.data.startswith(b"\x89PNG"):
            return "image/png"
        return "image/jpeg" if self.data.startswith(b"\xff\xd8") else "image/svg+xml"


@dataclass(frozen=True)
class Chart:
    """Lines over common axes, a table of shades, or finished pictures side by side."""

    title: str
    alt: str
    """What it shows, in words: for those who do not see it, and as its caption."""
    x: str = ""
    y: str = ""
    """Names of the axes, with their units; pictures have none."""
    kind: Literal["lines", "bars", "shades", "stills"] = "lines"
    lines: Sequence[Line] = ()
    shades: np.ndarray | None = None
    """[rows, columns], from 0 to 1; drawn from the top."""
    rows: Sequence[str] = field(default=())
    columns: Sequence[str] = field(default=())
    """Names of the rows and columns of `shades`, or of the bars."""
    stills: Sequence[Still] = ()

    def plain(self) -> dict[str, Any]:
        """As JSON data that `parse` reads back."""
        lines = [{"label": a.label, **{n: _plain(getattr(a, n)) for n in ("x", "y", "low", "high")}} for a in self.lines]
        stills = [{"data": base64.b64encode(a.data).decode(), "caption": a.caption} for a in self.stills]
        return {"title": self.title, "alt": self.alt, "x": self.x, "y": self.y, "kind": self.kind, "lines": lines, "shades": _plain(self.shades),
                "rows": list(self.rows), "columns": list(self.columns), "stills": stills}

    @classmethod
    def parse(cls, data: dict[str, Any]) -> Self:
        """A chart from its plain form."""
        lines = [Line(a["label"], np.array(a["x"], float), np.array(a["y"], float), _array(a["low"]), _array(a["high"])) for a in data["lines"]]
        stills = [Still(base64.b64decode(a["data"]), a["caption"]) for a in data.get("stills", ())]
        return cls(**data | {"lines": lines, "shades": _array(data["shades"]), "stills": stills})


def _array(values: list[Any] | None) -> np.ndarray | None:
    return None if values is None else np.array(values, float)


def _plain(array: np.ndarray | None) -> list[Any] | None:
    rounded: list[Any] | None = None if array is None else np.round(np.asarray(array, float), 6).tolist()
    return rounded
