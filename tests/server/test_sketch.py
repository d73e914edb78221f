"""Charts as inline SVG: well formed, inside their frame, safe, with the figures in words."""

import math
import xml.etree.ElementTree as XML

import pytest

from thuja.life.board import Ahead, Alarms, Seen, Tried, Vital
from thuja.server import sketch

DAY = 86400.0


def seen(day, loss=0.2, statistic=1.0, version="1", **more):
    return Seen(**{"version": version, "start": day * DAY, "end": (day + 1) * DAY, "requests": 10, "labels": 5, "loss": loss, "estimated": None,
                   "statistic": statistic, "alarm": False, "fault": False} | more)


def parsed(svg):
    root = XML.fromstring(str(svg))
    left, top, width, height = map(float, root.get("viewBox").split())
    for element in root.iter():
        for name in ("x", "x1", "x2", "cx"):
            assert left <= float(element.get(name, left)) <= width
        for name in ("y", "y1", "y2", "cy"):
            assert top <= float(element.get(name, top)) <= height
        if element.get("points"):
            assert all(left <= float(x) <= width and top <= float(y) <= height for x, y in (pair.split(",") for pair in element.get("points").split()))
        assert element.get("style") is None
    return root


def of_class(root, name):
    return [element for element in root.iter() if name in (element.get("class") or "").split()]


def test_losses_with_everything_on_them():
    windows = [seen(day, loss=None if day == 3 else day / 20, estimated=0.2 if day > 4 else None, alarm=day == 8, fault=day == 3,
                    version="2" if day > 8 else "1") for day in range(12)]
    root = parsed(sketch.losses(windows, Vital(reference=0.15, floor=0.2)))
    assert root.get("aria-label") == ("Audited loss of 11 windows, from 0.000 to 0.550 in the last; 0.150 before service; 1 alarms and 1 faults are marked.")
    points = [list(map(float, pair.split(","))) for pair in of_class(root, "audited")[0].get("points").split()]
    assert len(points) == 11 and points[0][1] > points[-1][1], "a larger loss is higher up"
    assert [len(of_class(root, name)) for name in ("estimate", "handover", "floor", "before")] == [1, 1, 3, 3]
    assert {element.tag for element in of_class(root, "alarm")} == {"line", "path"} and {element.tag for element in of_class(root, "fault")} == {"line", "rect"}
    assert "v2" in [text.text for text in root.iter("text")]


@pytest.mark.parametrize("loss", [0.0, 1e-6, 0.003, 0.03, 0.3, 1.0])
def test_few_ticks_whatever_the_size(loss):
    root = parsed(sketch.losses([seen(day, loss=loss) for day in range(3)], Vital(reference=loss, floor=min(1.0, loss + 0.001))))
    assert 2 <= len(of_class(root, "grid")) <= 7


def test_nothing_is_drawn_of_nothing():
    assert sketch.losses([], Vital()) is None and sketch.losses([seen(0), seen(1, loss=None)], Vital()) is None
    assert sketch.statistic([seen(0)], Alarms(threshold=365.0)) is None
    assert sketch.ahead(Ahead()) is None and sketch.ahead(Ahead(days=(None, None, None))) is None


def test_the_statistic_against_its_threshold():
    root = parsed(sketch.statistic([seen(day, statistic=10.0**day) for day in range(5)], Alarms(threshold=365.25)))
    level = float(of_class(root, "floor")[0].get("y1"))
    heights = [float(pair.split(",")[1]) for pair in of_class(root, "audited")[0].get("points").split()]
    assert heights[2] > level > heights[3]
    assert root.get("aria-label").endswith("1e+04 in the last; an alarm is raised at 365.2.")


@pytest.mark.parametrize("days", [(10.0, 20.0, 40.0), (0.5, 0.5, 0.5), (10.0, 20.0, None), (10.0, None, None)])
def test_what_is_left(days):
    root = parsed(sketch.ahead(Ahead("forecast", days=days, at=DAY)))
    assert "Planning estimate, made 1970-01-02 00:00: 1 in 10 such models ends within" in root.get("aria-label")
    assert ("beyond" in root.get("aria-label")) == (days[2] is None)


def test_a_challenge():
    tried = Tried("2", "CANARY", 0.0, 0.1, (0.01, 0.1, 0.5, 1.0), better=4.5, not_worse=1e9, worse=0.1, needed=20.0)
    root = parsed(sketch.evidence(tried))
    widths = [float(element.get("width")) for element in of_class(root, "likely")]
    assert len(widths) == 2 + 2 and widths[2] == pytest.approx(276 * math.log(4.5) / math.log(20), abs=0.1) and widths[3] == pytest.approx(276)
    assert "4.5 to 1 that it is better, over 1,000,000 to 1 that it is not worse" in root.get("aria-label")


def test_words_are_text_whatever_is_in_them():
    root = parsed(sketch.losses([seen(0, version="1"), seen(1, version='"><script>')], Vital(reference=0.1)))
    assert 'v"><script>' in [text.text for text in root.iter("text")] and not list(root.iter("script"))
