"""The worst errors, each with its input drawn by the kind of its fields: a picture, a text, or cells."""

import base64
import io
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup, escape

from thuja.core.errors import DataError, MissingExtra
from thuja.fields import Audio, Field, Image, Items, Molecule, Number, Series
from thuja.fields.molecule import drawn as drawing
from thuja.report.answers import kind_of, plain
from thuja.report.material import Material

LONGEST_PX = 160
"""Longest side of an embedded picture: twice as many pixels as it is shown with on a phone."""
TEXT = 400
"""Characters shown of a text."""
SECONDS = 10
"""Played of a recording."""
CELLS = 16
"""Fields shown of a row."""


class Example(NamedTuple):
    """One error."""

    row: str
    input: Markup
    actual: str
    answered: str


def gallery(material: Material) -> list[Example]:
    """An example for each place of `material.worst`."""
    return [
        Example(material.answered.rows[place], drawn(material, number), *kind_of(material.outputs).words(material.outputs, int(place)))
        for number, place in enumerate(material.worst)
    ]


def drawn(material: Material, number: int) -> Markup:
    """The input fields of the gallery's row `number`."""
    fields = {name: field for name, field in material.schema.inputs.items() if name in material.worst_rows}
    values = {name: material.worst_rows[name][number] for name in fields}
    if len(fields) == 1:
        (name, field), = fields.items()
        return field_drawn(field, values[name], material.answered.rows[int(material.worst[number])])
    cells = Markup("").join(
        Markup("<dt>{}</dt><dd>{}</dd>").format(name, field_drawn(field, values[name], name)) for name, field in list(fields.items())[:CELLS]
    )
    more = Markup("<p class=quiet>and {} more</p>").format(len(fields) - CELLS) if len(fields) > CELLS else Markup("")
    return Markup("<dl>{}</dl>{}").format(cells, more)


def field_drawn(field: Field, value: Any, name: str) -> Markup:
    """One value by the kind of its field."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return Markup("<span class=quiet>missing</span>")
    if isinstance(field, Image):
        return _picture(field, value, name)
    if isinstance(field, Audio):
        return _player(field, value, name)
    if isinstance(field, Molecule):
        return _structure(field, value, name)
    if isinstance(field, Series):
        return _sketch(field, value, name)
    if isinstance(field, Number):
        return escape(plain(float(value)))
    text = ", ".join(map(str, value)) or "nothing" if isinstance(field, Items) else str(value)
    return Markup("<span class=text dir=auto>{}</span>").format(text if len(text) <= TEXT else f"{text[:TEXT]}…")


def _sketch(field: Series, value: Any, name: str) -> Markup:
    """A line, the latest step on the right; gaps are left out."""
    values = field.array(value, name)
    assert values is not None
    places = np.flatnonzero(~np.isnan(values))
    places = places[np.unique(np.linspace(0, len(places) - 1, min(len(places), 2 * LONGEST_PX)).astype(np.int64))]
    low, high = float(values[places].min()), float(values[places].max())
    x, y = places / max(len(values) - 1, 1) * LONGEST_PX, 39 - (values[places] - low) / ((high - low) or 1) * 38
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    return Markup('<svg viewBox="0 0 {} 40" width="{}" height="40" role="img" aria-label="{}: {} steps, from {} to {}"><polyline points="{}" fill="none" '
                  'stroke="currentColor"/></svg>').format(LONGEST_PX, LONGEST_PX, name, len(values), plain(low), plain(high), points)


def _player(field: Audio, value: Any, name: str) -> Markup:
    """A player of the first seconds, as the model hears them."""
    try:
        samples = field.decode(value, name)
    except (DataError, MissingExtra) as error:
        return Markup("<span class=quiet>{}</span>").format(str(error))
    data = field.to_json(samples[: SECONDS * field.rate])
    return Markup('<audio controls preload="none" src="data:audio/wav;base64,{}" aria-label="input {}"></audio>').format(data, name)


def _structure(field: Molecule, value: Any, name: str) -> Markup:
    """The drawing of a molecule, and its text."""
    try:
        data = base64.b64encode(drawing(field.read(value, name))).decode()
    except (DataError, MissingExtra) as error:
        return Markup("<span class=quiet>{}</span>").format(str(error))
    return Markup('<img src="data:image/svg+xml;base64,{}" alt="input {}"><span class=text>{}</span>').format(data, name, str(value)[:TEXT])


def _picture(field: Image, value: Any, name: str) -> Markup:
    from PIL import Image as Pillow

    try:
        pixels = field.decode(value, name)
    except DataError as error:
        return Markup("<span class=quiet>{}</span>").format(str(error))
    picture = Pillow.fromarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0])
    small = max(picture.size) <= LONGEST_PX // 2
    picture.thumbnail((LONGEST_PX, LONGEST_PX))
    out = io.BytesIO()
    if small:
        picture.save(out, "PNG", optimize=True)
    else:
        picture.save(out, "JPEG", quality=80)
    data = base64.b64encode(out.getvalue()).decode()
    kind = "png" if small else "jpeg"
    return Markup('<img src="data:image/{};base64,{}" alt="input {}" class="{}">').format(kind, data, name, "pixels" if small else "")
