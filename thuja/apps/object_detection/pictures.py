"""Pictures for the report: precision against recall, precision by class, and test pictures with what was drawn and what was found. No torch."""

import io

import numpy as np

from thuja.apps.object_detection.codec import ObjectDetectionCodec
from thuja.chart import Chart, Line, Still
from thuja.core.errors import DataError
from thuja.metrics import Outputs
from thuja.metrics.detection import Ranked, average_precision, precision_recall, ranked
from thuja.task import Part

STILLS = 12
SIDE = 360
"""Pixels of the longer side of a still."""
CLASSES = 6
"""Classes with a curve of their own: those with the most boxes."""
BARS = 40
DRAWN, INKS = "#ffffff", ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")
"""Okabe and Ito's colours, which colour-blind readers tell apart."""


def charts(codec: ObjectDetectionCodec, part: Part, outputs: Outputs) -> tuple[Chart, ...]:
    """Curves, bars, photographs."""
    classes = ranked(outputs)
    return (_curves(codec, classes), _bars(codec, classes, len(outputs.target)), Chart(
        "What was found", "Test pictures, spread evenly. White frames are drawn by people; coloured ones were found, with class and score.", kind="stills",
        stills=[still for row in _spread(len(outputs.target)) if (still := _still(codec, part, outputs, int(row))) is not None]))


def _curves(codec: ObjectDetectionCodec, classes: list[Ranked]) -> Chart:
    most = sorted(range(len(classes)), key=lambda i: -classes[i].truth.sum())[:CLASSES]
    lines = []
    for number in most:
        curve = precision_recall(classes[number])
        if len(curve.recall):
            lines.append(Line(codec.names[number], np.concatenate([[0], curve.recall]), np.concatenate([curve.precision[:1], curve.precision])))
    words = ", ".join(f"{line.label} to a recall of {line.x[-1]:.2f}" for line in lines) or "nothing was found"
    return Chart("Precision against recall", f"At an overlap of at least 0.5: {words}.", "Recall", "Precision", lines=lines)


def _bars(codec: ObjectDetectionCodec, classes: list[Ranked], rows: int) -> Chart:
    whole = np.ones((1, rows))
    values = [float(average_precision(boxes, whole, (0,))[0]) for boxes in classes]
    known = [i for i in np.argsort(values) if not np.isnan(values[i])][:BARS]
    shown = np.array([values[i] for i in known])
    words = "; ".join(f"{codec.names[i]} {values[i]:.3f} of {classes[i].truth.sum():.0f} boxes" for i in known)
    return Chart("Average precision by class", f"At an overlap of at least 0.5, the worst first: {words}.", "Average precision", "", kind="bars",
                 lines=[Line("average precision", np.arange(len(known)), shown)], columns=[codec.names[i] for i in known])


def _spread(rows: int) -> np.ndarray:
    return np.unique(np.linspace(0, rows - 1, min(rows, STILLS)).astype(np.int64))


def _still(codec: ObjectDetectionCodec, part: Part, outputs: Outputs, row: int) -> Still | None:
    """One test picture with its boxes, as a small JPEG."""
    from PIL import Image, ImageDraw

    raw = part.source.take(np.array([row]))
    name = part.source.ids(np.array([row]))[0]
    try:
        pixels = codec.field.decode(raw[codec.image][0], name)
    except DataError:  # it could be read when it was encoded
        return None
    picture = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0]).convert("RGB")
    scale = SIDE / max(picture.size)
    picture = picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))))
    pen = ImageDraw.Draw(picture)
    for entry in raw[codec.target][0]:
        left, top, right, bottom = (float(v) * scale for v in entry["box"])
        pen.rectangle((min(left, right), min(top, bottom), max(left, right), max(top, bottom)), outline=DRAWN, width=1)
    arrays = {key: outputs.arrays[key][row : row + 1] for key in ("boxes", "score", "label")}
    found = codec.decode(arrays | {"boxes": arrays["boxes"].reshape(1, -1, 4)})["boxes"][0]
    for entry in reversed(found):
        left, top, right, bottom = (v * scale for v in entry["box"])
        ink = INKS[codec.names.index(entry["label"]) % len(INKS)]
        pen.rectangle((left, top, max(left, right), max(top, bottom)), outline=ink, width=2)
        pen.text((left + 3, top + 1), f"{entry['label']} {entry['score']:.2f}", fill=ink, stroke_width=1, stroke_fill="black")
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=72)
    return Still(out.getvalue(), f"{name}: {len(raw[codec.target][0])} drawn, {len(found)} found")
