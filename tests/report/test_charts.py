"""Charts: plain data that reads back, and a picture of each kind with its words."""

import base64
import json

import numpy as np
import pytest

from thuja.chart import Chart, Line, Still
from thuja.report.charts import drawn

LINES = Chart("Forecast", "Two lines.", "hour", "kWh", lines=(Line("true", np.arange(3.0), np.array([1.0, 2, 3])),
                                                              Line("forecast", np.arange(3.0), np.ones(3), np.zeros(3), np.full(3, 2.0))))
SHADES = Chart("Attention", "A table of shades.", "source", "target", kind="shades", shades=np.array([[0, 1], [0.25, 0.75]]),
               rows=("a", "b"), columns=("ä", "ö"))
BARS = Chart("Share", "Bars.", "share", "item", kind="bars", lines=(Line("share", np.arange(2.0), np.array([0.2, 0.8])),), columns=("x", "y"))


@pytest.mark.parametrize("chart", [LINES, SHADES, BARS], ids=lambda chart: chart.kind)
def test_reads_back_and_is_drawn(chart: Chart) -> None:
    plain = json.loads(json.dumps(chart.plain(), allow_nan=False))
    again = Chart.parse(plain)
    assert again.plain() == chart.plain()
    picture = drawn(again)
    assert picture.title == chart.title and f'aria-label="{chart.alt}"' in picture.svg
    assert drawn(chart).svg == picture.svg  # equal numbers, equal bytes
    for word in (*chart.rows, *chart.columns):
        assert word in picture.svg


def test_a_shade_has_a_cell_where_there_is_something() -> None:
    one = drawn(Chart("", "", "", "", kind="shades", shades=np.eye(3))).svg
    none = drawn(Chart("", "", "", "", kind="shades", shades=np.zeros((3, 3)))).svg
    assert one.count("var(--c1)") > none.count("var(--c1)") == 0


def test_stills_keep_their_bytes_and_their_captions() -> None:
    files = {"image/png": b"\x89PNG\r\n\x1a\nx", "image/jpeg": b"\xff\xd8\xffx", "image/svg+xml": b"<svg></svg>"}
    chart = Chart("Answers", "Three.", kind="stills", stills=[Still(data, f'a <b> "{media}"') for media, data in files.items()])
    again = Chart.parse(json.loads(json.dumps(chart.plain())))
    assert [(still.data, still.media) for still in again.stills] == [(data, media) for media, data in files.items()]
    picture = drawn(again)
    assert picture.wide
    for media, data in files.items():
        assert f'src="data:{media};base64,{base64.b64encode(data).decode()}"' in picture.svg
        assert f"<figcaption>a &lt;b&gt; &#34;{media}&#34;</figcaption>" in picture.svg
