"""Draws what an application has to show beyond its outputs: `thuja.chart.Chart` to a picture of the page."""

import base64

import numpy as np
from markupsafe import Markup

from thuja.chart import Chart
from thuja.report.plots import COLOURS, DASHES, INK, Canvas, Picture

SHADED = "#030101"
NAMED = 40
"""Most names along an axis of shades."""


def drawn(chart: Chart) -> Picture:
    """The picture of a chart."""
    if chart.kind == "stills":
        return Picture(chart.title, chart.alt, _stills(chart), wide=True)
    canvas = Canvas(chart.x, chart.y, square=chart.kind == "shades")
    {"lines": _lines, "bars": _bars, "shades": _shades}[chart.kind](canvas, chart)
    return canvas.picture(chart.title, chart.alt)


def _stills(chart: Chart) -> Markup:
    """Pictures in rows as wide as the page allows, each with its caption."""
    cards = (Markup('<figure><img loading="lazy" src="data:{};base64,{}" alt="{}"><figcaption>{}</figcaption></figure>').format(
        still.media, base64.b64encode(still.data).decode(), still.caption, still.caption) for still in chart.stills)
    return Markup('<div class="stills">{}</div>').format(Markup("").join(cards))


def _lines(canvas: Canvas, chart: Chart) -> None:
    for place, line in enumerate(chart.lines):
        which = place % len(COLOURS)
        canvas.axes.plot(line.x, line.y, color=COLOURS[which], linestyle=DASHES[which], linewidth=1.6, label=line.label)
        if line.low is not None and line.high is not None:
            canvas.axes.fill_between(line.x, line.low, line.high, color=COLOURS[which], alpha=0.2, linewidth=0)
    if len(chart.lines) > 1:
        canvas.legend()
    canvas.short_ticks()


def _bars(canvas: Canvas, chart: Chart) -> None:
    names, line = list(chart.columns), chart.lines[0]
    canvas.axes.barh(np.arange(len(names)), line.y, color=COLOURS[0])
    canvas.axes.set_yticks(np.arange(len(names)), names)
    canvas.axes.invert_yaxis()


def _shades(canvas: Canvas, chart: Chart) -> None:
    """One rectangle a cell in a single colour of the page, as dark as its value: it reads the same on light and dark."""
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    assert chart.shades is not None
    shades = np.clip(chart.shades, 0, 1)
    for level in np.unique(np.round(shades[shades > 0.02], 1)):
        cells = np.argwhere(np.round(shades, 1) == level)
        patches = [Rectangle((column - 0.5, row - 0.5), 1, 1) for row, column in cells]
        canvas.axes.add_collection(PatchCollection(patches, facecolor=SHADED, alpha=float(np.clip(level, 0.05, 1)), linewidth=0))
    rows, columns = shades.shape
    canvas.axes.set_xlim(-0.5, columns - 0.5)
    canvas.axes.set_ylim(rows - 0.5, -0.5)
    canvas.axes.grid(False)
    if chart.rows and rows <= NAMED:
        canvas.axes.set_yticks(np.arange(rows), list(chart.rows))
    if chart.columns and columns <= NAMED:
        canvas.axes.set_xticks(np.arange(columns), list(chart.columns), rotation=90)
    canvas.axes.tick_params(colors=INK, labelsize=8)
