"""Pictures as inline SVG: drawn by matplotlib without its global state, coloured by the page's own variables, so that one picture suits light and dark.

Colours are Okabe and Ito's, which colour-blind readers tell apart; lines differ in dashes as well.
"""

import io
import re
import textwrap
from typing import Any, NamedTuple

import numpy as np

from thuja.metrics import METRICS, Outputs
from thuja.metrics.probability import reliability
from thuja.metrics.ranking import Curve, precision_recall_curve, roc_curve
from thuja.report.scores import said

INK, GRID = "#010101", "#020202"
"""Stand-ins, replaced in the SVG by the page's variables."""
COLOURS = ("#030101", "#030102", "#030103", "#030104", "#030105", "#030106")
LABEL = 32
"""Most characters of a line of an axis' name: longer ones are broken."""
DASHES = ("-", (0, (6, 2)), (0, (2, 2)), (0, (6, 2, 2, 2)), (0, (10, 3)), (0, (1, 2)))
POINTS = 300
"""Most points of a line: more cannot be seen at this size."""
DOTS = 1200
CLASSES = len(COLOURS)
"""Most classes with a curve of their own: the hardest ones."""


class Picture(NamedTuple):
    """An inline SVG, or other safe markup, with what it shows in words."""

    title: str
    alt: str
    svg: str
    wide: bool = False
    """Whether it takes the whole width of the page."""


class Canvas:
    """One pair of axes in the page's colours."""

    def __init__(self, x: str, y: str, *, square: bool = False) -> None:
        from matplotlib.figure import Figure

        self.figure = Figure(figsize=(4.6, 4.2 if square else 3.4), facecolor="none", layout="constrained")
        self.axes: Any = self.figure.add_subplot()
        self.axes.set_facecolor("none")
        self.axes.set_xlabel(x, color=INK)
        self.axes.set_ylabel(y, color=INK)
        self.axes.tick_params(colors=INK)
        self.axes.grid(True, color=GRID, linewidth=0.6)
        self.axes.set_axisbelow(True)
        for side, spine in self.axes.spines.items():
            spine.set_color(INK)
            spine.set_visible(side in ("left", "bottom"))

    def line(self, curve: Curve, label: str, which: int) -> None:
        """A curve in the colour and dash of its place."""
        points = np.unique(np.linspace(0, len(curve.x) - 1, min(POINTS, len(curve.x))).astype(int))
        self.axes.plot(curve.x[points], curve.y[points], color=COLOURS[which], linestyle=DASHES[which], linewidth=1.8, label=label)

    def diagonal(self, low: float = 0.0, high: float = 1.0) -> None:
        """The dotted line of equals."""
        self.axes.plot([low, high], [low, high], color=INK, linewidth=0.8, linestyle=":")

    def short_ticks(self) -> None:
        """Few ticks, and 200 k instead of 200000, so that they do not run into each other on a phone."""
        from matplotlib.ticker import EngFormatter, MaxNLocator

        for axis in (self.axes.xaxis, self.axes.yaxis):
            axis.set_major_locator(MaxNLocator(5))
            if np.abs(axis.get_view_interval()).max() >= 1e4:
                axis.set_major_formatter(EngFormatter())

    def legend(self, place: str = "best") -> None:
        """Names of the lines."""
        self.axes.legend(loc=place, frameon=False, labelcolor=INK, fontsize=9)

    def picture(self, title: str, alt: str) -> Picture:
        """The finished drawing, equal bytes for equal numbers."""
        import matplotlib

        out = io.StringIO()
        with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):
            self.figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
        return Picture(title, alt, _for_page(out.getvalue(), alt))


def _for_page(svg: str, alt: str) -> str:
    """The drawing without prolog, metadata, fixed size and unused ids; with the page's variables for colours and its words for those who do not see it."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.S)
    used = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", svg))
    svg = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", svg)
    viewbox = re.search(r'viewBox="[^"]*"', svg)
    assert viewbox is not None
    words = alt.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    svg = re.sub(r"<svg[^>]*>", f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" {viewbox[0]} role="img" aria-label="{words}">', svg, count=1)
    svg = svg.replace(INK, "currentColor").replace(GRID, "var(--line)")
    for number, colour in enumerate(COLOURS, 1):
        svg = svg.replace(colour, f"var(--c{number})")
    return re.sub(r"font: ([^;\"]*?)px [^;\"]*", r"font: \1px system-ui, sans-serif", svg)


def hardest(outputs: Outputs) -> list[tuple[int, str]]:
    """Number and name of the classes that get a curve: the positive one of two, else those with the least area under the ROC curve."""
    probability = outputs.arrays["probability"]
    if probability.shape[1] == 2:
        return [(1, outputs.names[1] if outputs.names else "1")]
    areas = []
    for c in range(probability.shape[1]):
        against = Outputs(outputs.target == c, {"probability": np.stack([1 - probability[:, c], probability[:, c]], axis=1)})
        areas.append(METRICS["roc_auc"].value(against))
    order = [int(c) for c in np.argsort(areas, kind="stable") if not np.isnan(areas[c])][:CLASSES]
    return [(c, outputs.names[c] if outputs.names else str(c)) for c in order]


def roc(outputs: Outputs, rival: Outputs | None = None) -> Picture:
    """True against false positive rate: one curve for each of the hardest classes; for two classes, the baseline's beside it."""
    canvas = Canvas("False positive rate", "True positive rate", square=True)
    classes = _curves(canvas, outputs, rival, roc_curve)
    canvas.diagonal()
    canvas.legend("lower right")
    return canvas.picture("ROC curve", f"ROC curve of {classes}. The dotted diagonal is guessing.")


def precision_recall(outputs: Outputs, rival: Outputs | None = None) -> Picture:
    """Precision against recall, as `roc`."""
    canvas = Canvas("Recall", "Precision", square=True)
    classes = _curves(canvas, outputs, rival, precision_recall_curve)
    canvas.axes.set_ylim(0, 1.03)
    canvas.legend("lower left")
    return canvas.picture("Precision and recall", f"Precision against recall of {classes}.")


def _curves(canvas: Canvas, outputs: Outputs, rival: Outputs | None, curve: Any) -> str:
    classes = hardest(outputs)
    for which, (c, name) in enumerate(classes):
        label = "network" if len(classes) == 1 and rival is not None else name
        canvas.line(curve(outputs.arrays["probability"][:, c], outputs.target == c), label, which)
        if label == "network" and rival is not None:
            canvas.line(curve(rival.arrays["probability"][:, c], rival.target == c), "baseline", 1)
    return " and ".join(name for _, name in classes) if len(classes) < 3 else f"the {len(classes)} hardest classes"


def reliability_diagram(outputs: Outputs) -> Picture:
    """Accuracy against confidence: a model that knows what it knows lies on the diagonal."""
    bins, value = reliability(outputs), METRICS["ece"].value(outputs)
    canvas = Canvas("Confidence of the decision", "Share that was right", square=True)
    canvas.diagonal()
    canvas.axes.plot(bins.confidence, bins.accuracy, color=COLOURS[0], linewidth=1.2)
    canvas.axes.scatter(bins.confidence, bins.accuracy, s=12 + 180 * bins.rows / bins.rows.sum(), color=COLOURS[0], zorder=3)
    canvas.axes.set_xlim(0, 1.02)
    canvas.axes.set_ylim(0, 1.03)
    alt = f"Reliability diagram; expected calibration error {value:.3f}. Larger dots hold more rows; on the dotted diagonal confidence and accuracy agree."
    return canvas.picture("Calibration", alt)


def predicted_and_actual(outputs: Outputs) -> Picture:
    """Predicted against actual values of some rows."""
    target, value = _some(outputs)
    canvas = Canvas("Actual", "Predicted", square=True)
    low, high = float(min(target.min(), value.min())), float(max(target.max(), value.max()))
    canvas.axes.scatter(target, value, s=7, alpha=0.45, linewidths=0, color=COLOURS[0])
    canvas.diagonal(low, high)
    canvas.short_ticks()
    return canvas.picture("Predicted and actual", f"Predicted against actual values of {len(target)} rows; the dotted diagonal is a perfect prediction.")


def residuals(outputs: Outputs) -> Picture:
    """How the errors are distributed."""
    value = outputs.arrays["value"].astype(np.float64).reshape(-1) - outputs.target
    low, high = np.quantile(value, [0.005, 0.995])
    canvas = Canvas("Predicted minus actual", "Rows")
    canvas.axes.hist(np.clip(value, low, high), bins=40, color=COLOURS[0])
    canvas.axes.axvline(0, color=INK, linewidth=0.8, linestyle=":")
    canvas.short_ticks()
    half = said(METRICS["mae"], float(np.median(np.abs(value))))
    alt = f"Histogram of predicted minus actual; half of the rows lie within {half}. The outer 1 % is drawn at the ends."
    return canvas.picture("Errors", alt)


def learning_curve(records: list[dict[str, Any]]) -> Picture | None:
    """Training loss, and the metric that decides on the validation rows, over the steps; None when nothing was logged."""
    losses = [(r["step"], sum(r["losses"].values())) for r in records if r.get("event") == "step" and r.get("losses")]
    looks = [r for r in records if r.get("event") == "look" and r.get("value") is not None]
    if not losses:
        return None
    canvas = Canvas("Step", "Training loss")
    canvas.line(Curve(*np.array(losses, float).T), "training loss (left)", 0)
    lines = [canvas.axes.lines[0]]
    ends = f"The loss goes from {losses[0][1]:.3g} to {losses[-1][1]:.3g}"
    if looks:
        metric = METRICS.get(looks[-1]["metric"])
        label, last = (metric.label, said(metric, looks[-1]["value"])) if metric else (looks[-1]["metric"], f"{looks[-1]['value']:.3g}")
        ends += f"; {label} on validation rows ends at {last}"
        right = canvas.axes.twinx()
        right.set_ylabel(textwrap.fill(f"{label}, validation", LABEL), color=INK)
        right.tick_params(colors=INK)
        for side, spine in right.spines.items():
            spine.set_color(INK)
            spine.set_visible(side == "right")
        points = np.array([(r["step"], r["value"]) for r in looks], float)
        style = {"color": COLOURS[1], "linestyle": DASHES[1], "marker": "o", "markersize": 3, "linewidth": 1.5}
        lines += right.plot(points[:, 0], points[:, 1], label=textwrap.fill(f"{label} (right)", LABEL), **style)
    canvas.axes.legend(lines, [str(line.get_label()) for line in lines], frameon=False, labelcolor=INK, fontsize=9, loc="upper center",
                       bbox_to_anchor=(0.5, 1.16), ncols=2)
    return canvas.picture("Learning curve", f"Training over {losses[-1][0]} steps. {ends}.")


def _some(outputs: Outputs) -> tuple[np.ndarray, np.ndarray]:
    places = np.unique(np.linspace(0, len(outputs.target) - 1, min(DOTS, len(outputs.target))).astype(int))
    return outputs.target[places].astype(np.float64), outputs.arrays["value"].astype(np.float64).reshape(-1)[places]


def pictures(outputs: Outputs, rival: Outputs | None, records: list[dict[str, Any]]) -> list[Picture]:
    """Every picture that these outputs allow: what is there decides, not which application made it."""
    found = [learning_curve(records)]
    if len(outputs.target) and "probability" in outputs.arrays:
        if len(np.unique(outputs.target)) > 1:
            found += [roc(outputs, rival), precision_recall(outputs, rival)]
        found.append(reliability_diagram(outputs))
    elif len(outputs.target) and "value" in outputs.arrays and outputs.target.ndim == 1:
        found += [predicted_and_actual(outputs), residuals(outputs)]
    return [picture for picture in found if picture is not None]
