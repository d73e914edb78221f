"""What a report shows of a generator: samples, the way from noise, strengths of guidance, whether training pictures are repeated, the floor of the distance."""

import io
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from thuja.apps.image_generation.codec import GUIDANCE, SEED, ImageGenerationCodec
from thuja.apps.image_generation.judge import Judge
from thuja.apps.image_generation.requests import known_to
from thuja.chart import Chart, Line, Still
from thuja.codec import STEP, Arrays, repeated
from thuja.core.errors import BadRows
from thuja.data.rows import places
from thuja.metrics import Outputs
from thuja.metrics.generation import frechet, squared_distances
from thuja.task import Part, Program

CLASSES, SAMPLES = 10, 12
"""Most classes shown, and samples of each."""
ROWS = 64
"""Pictures made at a time."""
LOOKED = 256
"""Made pictures, and test pictures, that are looked for among the training pictures."""
KNOWN = 20_000
"""Training pictures that are looked through."""
SHOWN = 8
GUIDED = (0.0, 1.0, 2.0, 4.0)
ZOOMED = 96
"""Pixels below which pictures are shown at twice their size."""


class Studio(NamedTuple):
    """The programs, ready to make pictures."""

    programs: Mapping[str, Program]
    codec: ImageGenerationCodec

    def states(self, label: np.ndarray, seed: np.ndarray, guidance: float | None = None) -> Iterator[np.ndarray]:
        """The pictures on their way, uint8 [rows, height, width, channels]; the last ones are the answer."""
        asked: Arrays = {self.codec.label: label.astype(np.int64), SEED: seed.astype(np.int64)}
        if self.codec.guidance is not None:
            asked[GUIDANCE] = np.full(len(label), self.codec.guidance if guidance is None else guidance, np.float32)
        first = self._run("predict", asked)
        for state in repeated(first, lambda state: self._run(STEP, state)) if STEP in self.programs else [first]:
            yield state[self.codec.image]

    def make(self, label: np.ndarray, seed: np.ndarray, guidance: float | None = None) -> np.ndarray:
        """Pictures, some rows at a time."""
        found = []
        for index in places(len(label), ROWS):
            *_, final = self.states(label[index], seed[index], guidance)
            found.append(final)
        return np.concatenate(found)

    def _run(self, name: str, arrays: Arrays) -> Arrays:
        program = self.programs[name]
        device = next(program.module.parameters()).device
        with torch.inference_mode():
            outputs = program.module(*[torch.from_numpy(arrays[one]).to(device) for one in program.inputs])
        named = zip(program.outputs, outputs if isinstance(outputs, tuple) else (outputs,), strict=True)
        return {one: output.cpu().numpy() for one, output in named}


def all_of(studio: Studio, part: Part, outputs: Outputs, judge: Judge) -> tuple[Chart, ...]:
    """Every picture of the report."""
    guided = [strengths(studio)] if studio.codec.guidance is not None else []
    way = [from_noise(studio)] if STEP in studio.programs else []
    return (samples(studio), *way, *guided, repeats(studio, part, judge), floor(outputs, judge))


def samples(studio: Studio) -> Chart:
    """The first seeds of each class."""
    names = studio.codec.names[:CLASSES]
    stills = []
    for number, name in enumerate(names):
        made = studio.make(np.full(SAMPLES, number), np.arange(SAMPLES))
        stills.append(Still(sheet(made, 6), f"{name}, seeds 0 to {SAMPLES - 1}"))
    return Chart("Samples", f"Pictures of {len(names)} of {len(studio.codec.names)} classes, not chosen: the first {SAMPLES} seeds of each.", kind="stills",
                 stills=stills)


def from_noise(studio: Studio) -> Chart:
    """Where the flow is heading after each step."""
    shown = min(3, len(studio.codec.names))
    states = list(studio.states(np.arange(shown), np.arange(shown)))[1:]
    few = [states[i] for i in np.unique(np.linspace(0, len(states) - 1, min(SHOWN, len(states))).astype(int))]
    stills = [Still(sheet(np.stack([state[row] for state in few]), len(few)), f"{studio.codec.names[row]}, seed {row}: from the first step to the last")
              for row in range(shown)]
    return Chart("From noise to picture", f"What each of {len(states)} steps is heading for: blurred means first, then a decision, then details.",
                 kind="stills", stills=stills)


def strengths(studio: Studio) -> Chart:
    """The same seeds at several strengths of guidance."""
    label = np.arange(SAMPLES) % len(studio.codec.names)
    stills = [Still(sheet(studio.make(label, np.arange(SAMPLES), strength), 6), f"guidance {strength:g}") for strength in GUIDED]
    return Chart("Strength of guidance", "The same seeds and classes each time: 0 ignores the class, 1 is plain, more is plainer and less varied.",
                 kind="stills", stills=stills)


class Nearest(NamedTuple):
    """The nearest training picture of each row, in one space."""

    place: np.ndarray
    """int64 [rows]: which."""
    distance: np.ndarray
    """float [rows]: how far."""


def nearest(rows: np.ndarray, known: np.ndarray) -> Nearest:
    """By Euclidean distance, of rows flattened to vectors."""
    rows, known = (array.reshape(len(array), -1).astype(np.float32) for array in (rows, known))
    squares = squared_distances(rows, known)
    place = squares.argmin(axis=1)
    return Nearest(place, np.sqrt(squares[np.arange(len(rows)), place]))


def repeats(studio: Studio, part: Part, judge: Judge) -> Chart:
    """The made pictures that are most like a training picture, in pixels and in features, beside it."""
    codec = studio.codec
    index = np.unique(np.linspace(0, len(part.source) - 1, min(LOOKED, len(part.source))).astype(np.int64))
    label, seed = (np.asarray(part.columns[name])[index] for name in (codec.label, SEED))
    made, test = studio.make(label, seed), np.asarray(part.columns[codec.image])[index]
    known, total = known_pictures(codec, known_to(part.source))
    found = {"pixels": [nearest(rows / 255, known / 255) for rows in (made, test)]}
    features = judge.see(known).features
    found["features"] = [nearest(judge.see(rows).features, features) for rows in (made, test)]
    stills, words = [], []
    for space, (ours, theirs) in found.items():
        usual = float(np.median(theirs.distance)) or 1.0
        limit = float(np.quantile(theirs.distance, 0.01))
        words.append(f"in {space}, {(ours.distance < limit).mean():.1%} of made pictures are nearer to a training picture than 99 % of test pictures are "
                     f"(1 % would be usual), and the median distance is {np.median(ours.distance) / usual:.2f} times that of test pictures")
        for row in np.argsort(ours.distance)[: SHOWN // 2]:
            pair = np.stack([made[row], known[ours.place[row]]])
            stills.append(Still(sheet(pair, 2), f"made ({codec.names[label[row]]}, seed {seed[row]}) and its nearest training picture in {space}: "
                                                f"{ours.distance[row] / usual:.2f} times the usual distance"))
    among = f"all {total:,}" if len(known) == total else f"{len(known):,} of {total:,}"
    return Chart("Are training pictures repeated?", f"{len(made)} made pictures and as many test pictures, each looked for among {among} training pictures: "
                 + "; ".join(words) + ".", kind="stills", stills=stills)


def known_pictures(codec: ImageGenerationCodec, source: Any) -> tuple[np.ndarray, int]:
    """At most KNOWN training pictures, spread evenly, and how many there are in all; unreadable ones are left out."""
    total = len(source)
    index = np.unique(np.linspace(0, total - 1, min(KNOWN, total)).astype(np.int64))
    return np.concatenate([_encoded(codec, list(source.take(index[some])[codec.image])) for some in places(len(index), 512)]), total


def _encoded(codec: ImageGenerationCodec, values: list[Any]) -> np.ndarray:
    try:
        return _pictures(codec, values)
    except BadRows as error:
        return _pictures(codec, [value for i, value in enumerate(values) if i not in error.rows])


def _pictures(codec: ImageGenerationCodec, values: list[Any]) -> np.ndarray:
    none = [None] * len(values)
    return np.asarray(codec.encode({codec.label: [codec.names[0]] * len(values), SEED: none, GUIDANCE: none, codec.image: values})[codec.image])


def floor(outputs: Outputs, judge: Judge) -> Chart:
    """The distance of half of the made pictures, and of half of the real ones, from the other half of the real ones: the last is what perfection would have."""
    half = len(outputs.target) // 2
    order = np.random.default_rng(0).permutation(len(outputs.target))
    one, other = order[:half], order[half : 2 * half]
    values = np.array([frechet(outputs.target[one], rows[other]) if half > 1 else np.nan for rows in (outputs.arrays["features"], outputs.target)])
    alt = (f"Fréchet distance of {half:,} pictures from {half:,} real ones, in {judge.title}: made ones {values[0]:.4g}, real ones {values[1]:.4g}. With so "
           "few rows even real pictures are not at 0.")
    return Chart("Distance and its floor", alt, "Fréchet distance", "", "bars", [Line("distance", np.arange(2), values)], columns=("made", "real"))


def sheet(pictures: np.ndarray, across: int) -> bytes:
    """Pictures uint8 [N, H, W, C] side by side as one file: PNG for grey ones, JPEG for colour, which is a fifth of the size there."""
    from PIL import Image as Pillow

    rows, height, width, channels = pictures.shape
    down = -(-rows // across)
    canvas = np.full((down * (height + 2) - 2, across * (width + 2) - 2, channels), 255, np.uint8)
    for place, picture in enumerate(pictures):
        top, left = place // across * (height + 2), place % across * (width + 2)
        canvas[top : top + height, left : left + width] = picture
    drawn = Pillow.fromarray(canvas[:, :, 0] if channels == 1 else canvas)
    if max(height, width) < ZOOMED:
        drawn = drawn.resize((2 * drawn.width, 2 * drawn.height), Pillow.Resampling.NEAREST)
    out = io.BytesIO()
    if channels == 1:
        drawn.save(out, "PNG", optimize=True)
    else:
        drawn.save(out, "JPEG", quality=80)
    return out.getvalue()
