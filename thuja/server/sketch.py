"""Small charts as inline SVG, made on the server: no script, no style attribute (the page's policy forbids both), colours by class, words for who sees none.

A chart is 360 units wide, so that its letters have the size of the text on a phone, and no letter is smaller on a larger screen.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise

from markupsafe import Markup

from thuja.life.board import Ahead, Alarms, Seen, Tried, Vital
from thuja.life.fault import duration
from thuja.life.story import when
from thuja.life.words import loss, odds

WIDE, HIGH = 360.0, 206.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 8.0, 36.0, 24.0
FEWEST = 2
"""Windows without which there is no line to draw."""


class Drawing:
    """Shapes in a box of a fixed width, and what they show in words."""

    def __init__(self, high: float = HIGH) -> None:
        self.high, self.parts = high, [Markup()]

    def add(self, shape: str, name: str, **values: float | str) -> None:
        """One shape of a class."""
        given = Markup("").join(Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _rounded(value)) for key, value in values.items())
        self.parts.append(Markup('<{} class="{}"{}/>').format(shape, name, given))

    def text(self, x: float, y: float, words: str, anchor: str = "start", name: str = "tick") -> None:
        """Letters."""
        self.parts.append(Markup('<text class="{}" x="{}" y="{}" text-anchor="{}">{}</text>').format(name, _rounded(x), _rounded(y), anchor, words))

    def line(self, points: Sequence[tuple[float, float]], name: str) -> None:
        """A line through points, where there are at least two."""
        if len(points) >= FEWEST:
            self.add("polyline", name, points=" ".join(f"{_rounded(x)},{_rounded(y)}" for x, y in points))

    def svg(self, words: str) -> Markup:
        """The finished picture."""
        return Markup('<svg class="sketch" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
            _rounded(WIDE), _rounded(self.high), words, Markup("").join(self.parts))


def _rounded(value: float | str) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".") if isinstance(value, float) else value


class Axes:
    """Time to the right, an amount upwards."""

    def __init__(self, drawing: Drawing, start: float, end: float, most: float) -> None:
        self.drawing, self.start, self.end, self.most = drawing, start, max(end, start + 1.0), most
        self.foot = drawing.high - BOTTOM

    def at(self, time: float) -> float:
        """Where a time lies."""
        return LEFT + (WIDE - LEFT - RIGHT) * (time - self.start) / (self.end - self.start)

    def up(self, value: float) -> float:
        """Where an amount lies."""
        return self.foot - (self.foot - TOP) * min(max(value / self.most, 0.0), 1.0)

    def frame(self, ticks: Sequence[tuple[float, str]]) -> None:
        """The grid with its amounts, and the first and the last day."""
        for value, words in ticks:
            self.drawing.add("line", "grid", x1=LEFT, x2=WIDE - RIGHT, y1=self.up(value), y2=self.up(value))
            self.drawing.text(LEFT - 5, self.up(value) + 4, words, "end")
        self.drawing.text(LEFT, self.drawing.high - 6, _day(self.start))
        self.drawing.text(WIDE - RIGHT, self.drawing.high - 6, _day(self.end), "end")

    def level(self, value: float | None, name: str, words: str, place: float) -> None:
        """A line across, and what it is called above the chart, where it hides nothing."""
        if value is not None:
            self.drawing.add("line", name, x1=LEFT, x2=WIDE - RIGHT, y1=self.up(value), y2=self.up(value))
            self.drawing.add("line", name, x1=place, x2=place + 20, y1=9.0, y2=9.0)
            self.drawing.text(place + 25, 13.0, words, name=f"tick {name}")

    def mark(self, seen: Seen) -> None:
        """An alarm is a triangle, a fault a square, both with a line down: shapes tell them apart, not colours."""
        x = self.at(seen.end)
        if seen.alarm:
            self.drawing.add("line", "alarm", x1=x, x2=x, y1=TOP, y2=self.foot)
            self.drawing.add("path", "alarm", d=f"M{x - 5:.1f} {TOP:.1f}h10l-5 8z")
        elif seen.fault:
            self.drawing.add("line", "fault", x1=x, x2=x, y1=TOP, y2=self.foot)
            self.drawing.add("rect", "fault", x=x - 4, y=TOP - 1, width=8.0, height=8.0)

    def hand_overs(self, windows: Sequence[Seen]) -> None:
        """Where another version took over, with its name."""
        for before, after in pairwise(windows):
            if before.version != after.version:
                x = self.at(after.start)
                self.drawing.add("line", "handover", x1=x, x2=x, y1=TOP, y2=self.foot)
                self.drawing.text(min(x, WIDE - RIGHT - 20), TOP - 6, f"v{after.version}", "middle")


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


def _ticks(most: float) -> list[tuple[float, str]]:
    step = next(one * scale for scale in (0.001, 0.01, 0.1) for one in (1, 2, 5) if most / (one * scale) <= 5)
    return [(place * step, f"{place * step:g}") for place in range(int(most / step) + 1)]


def losses(windows: Sequence[Seen], vital: Vital) -> Markup | None:
    """The audited loss by window, with the level before service and the floor; None where nothing was audited."""
    known = [seen for seen in windows if seen.loss is not None]
    if len(known) < FEWEST:
        return None
    heights = [seen.loss or 0.0 for seen in known] + [value for value in (vital.floor, vital.reference) if value is not None]
    drawing = Drawing()
    axes = Axes(drawing, windows[0].start, windows[-1].end, min(1.0, 1.15 * max(*heights, 0.01)))
    axes.frame(_ticks(axes.most))
    axes.level(vital.floor, "floor", "end of life", LEFT)
    axes.level(vital.reference, "before", "before service", LEFT + 120)
    axes.hand_overs(windows)
    for seen in windows:
        axes.mark(seen)
    drawing.line([(axes.at(seen.end), axes.up(seen.estimated)) for seen in windows if seen.estimated is not None], "estimate")
    drawing.line([(axes.at(seen.end), axes.up(seen.loss or 0.0)) for seen in known], "audited")
    alarms, faults = sum(seen.alarm for seen in windows), sum(seen.fault for seen in windows)
    return drawing.svg(f"Audited loss of {len(known)} windows, from {loss(known[0].loss)} to {loss(known[-1].loss)} in the last; {loss(vital.reference)} "
                       f"before service; {alarms} alarms and {faults} faults are marked.")


def statistic(windows: Sequence[Seen], alarms: Alarms) -> Markup | None:
    """The alarm's statistic by window against its threshold, on a scale of powers of ten."""
    if len(windows) < FEWEST:
        return None
    drawing = Drawing(166.0)
    top = math.log10(max(alarms.threshold, *(seen.statistic for seen in windows), 10.0)) + 0.3
    axes = Axes(drawing, windows[0].start, windows[-1].end, top)
    axes.frame([(float(power), f"{10**power:g}") for power in range(int(top) + 1)])
    axes.level(math.log10(alarms.threshold), "floor", "alarm", LEFT)
    axes.hand_overs(windows)
    for seen in windows:
        axes.mark(seen)
    drawing.line([(axes.at(seen.end), axes.up(math.log10(max(seen.statistic, 1.0)))) for seen in windows], "audited")
    last = windows[-1].statistic
    return drawing.svg(f"The alarm's statistic in {len(windows)} windows: {last:,.3g} in the last; an alarm is raised at {alarms.threshold:,.4g}.")


def ahead(found: Ahead) -> Markup | None:
    """When the end is expected: a bar from 1 in 10 to 9 in 10 with the middle marked; None where no date can be given."""
    first, middle, last = found.days or (None, None, None)
    if first is None:
        return None
    drawing, foot = Drawing(84.0), 40.0
    most = 1.1 * (last or middle or first)
    left, right = 8.0, WIDE - 8.0

    def at(days: float) -> float:
        return left + (right - left) * min(days / most, 1.0)

    drawing.add("line", "grid", x1=left, x2=right, y1=foot, y2=foot)
    drawing.add("rect", "likely", x=at(first), y=foot - 9, width=max(3.0, at(last or most) - at(first)), height=18.0, rx=4.0)
    if middle is not None:
        drawing.add("line", "middle", x1=at(middle), x2=at(middle), y1=foot - 13, y2=foot + 13)
        drawing.text(min(max(at(middle), 66.0), WIDE - 66), foot - 18, f"half within {duration(middle * 86400)}", "middle", "tick strong")
    drawing.add("line", "today", x1=left, x2=left, y1=foot - 9, y2=foot + 9)
    drawing.text(left, foot + 30, f"1 in 10 within {duration(first * 86400)}")
    drawing.text(right, foot + 30, "9 in 10: beyond" if last is None else f"9 in 10 within {duration(last * 86400)}", "end")
    words = "beyond what is looked at" if last is None else f"within {duration(last * 86400)}"
    half = "" if middle is None else f", half within {duration(middle * 86400)}"
    return drawing.svg(f"Planning estimate, made {when(found.at or 0.0)}: 1 in 10 such models ends within {duration(first * 86400)}{half}, 9 in 10 {words}.")


def evidence(tried: Tried) -> Markup:
    """How far a challenge has come: its share of the requests in steps, and the odds for and against it on their way to what is needed."""
    drawing, left, right = Drawing(140.0), 76.0, WIDE - 8.0
    steps = len(tried.shares)
    done = sum(share <= tried.share for share in tried.shares) if tried.standing == "CANARY" else 0
    drawing.text(0.0, 21.0, "share")
    for place, share in enumerate(tried.shares):
        x, width = left + place * (right - left) / steps, (right - left) / steps - 4
        drawing.add("rect", "likely" if place < done else "empty", x=x, y=6.0, width=width, height=22.0, rx=4.0)
        drawing.text(x + width / 2, 21.0, f"{100 * share:.3g} %", "middle", "tick strong" if place < done else "tick")
    for place, (name, wealth) in enumerate((("better", tried.better), ("not worse", tried.not_worse), ("worse", tried.worse))):
        y = 40.0 + 34 * place
        part = min(max(math.log(max(wealth, 1.0)) / math.log(max(tried.needed, 1.001)), 0.0), 1.0)
        drawing.text(0.0, y + 15, name)
        drawing.add("rect", "empty", x=left, y=y, width=right - left, height=22.0, rx=4.0)
        drawing.add("rect", "against" if name == "worse" else "likely", x=left, y=y, width=max(2.0, part * (right - left)), height=22.0, rx=4.0)
        drawing.text(right - 6, y + 15, f"{odds(wealth)} of {tried.needed:.0f}", "end", "tick strong")
    return drawing.svg(f"Challenge of version {tried.version}: {odds(tried.better)} that it is better, {odds(tried.not_worse)} that it is not "
                       f"worse, {odds(tried.worse)} that it is worse; {tried.needed:.0f} to 1 is needed.")
