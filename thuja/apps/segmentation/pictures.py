"""Pictures for the report: masks over photographs, in colours that the colour-blind tell apart, and how well each class is found."""

import io
from collections.abc import Mapping

import numpy as np
import torch

from thuja.apps.segmentation.codec import SegmentationCodec
from thuja.apps.segmentation.tiles import VOID
from thuja.chart import Chart, Line, Still
from thuja.codec import STEP, Arrays, answer_of, last, rectangular, repeated, take
from thuja.metrics import Outputs
from thuja.metrics.segmentation import class_iou, dice_of_rows, mean_of_known
from thuja.task import Part, Program

STILLS = 12
LONGEST_PX = 320
MOST_BYTES = 20_000
RIGHT, ADDED, MISSED = (0, 158, 115), (230, 159, 0), (204, 121, 167)
"""Bluish green, orange and reddish purple of Okabe and Ito 2008, "Color universal design"."""
PALETTE = np.array([(0, 0, 0), (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167), (153, 153, 153),
                    (255, 255, 255), (102, 51, 0), (170, 221, 204)], np.uint8)
"""Of classes, in turn; the first eight are Okabe and Ito's."""


def pictures(programs: Mapping[str, Program], codec: SegmentationCodec, part: Part, outputs: Outputs) -> tuple[Chart, ...]:
    """Overlays of some rows, worst to best, and the classes' IoU."""
    score = dice_of_rows(outputs)
    known = np.flatnonzero(~np.isnan(score))
    if not len(known):
        return ()
    order = known[np.argsort(score[known], kind="stable")]
    chosen = order[np.unique(np.linspace(0, len(order) - 1, min(STILLS, len(order))).astype(np.int64))]
    stills = [_still(codec, part, i, answer(programs, codec, part, i), score[i]) for i in chosen]
    if len(codec.names) == 2:
        colours = "Green is right, orange was added, purple was missed."
    else:
        named = ", ".join(f"{name} {_word(place)}" for place, name in enumerate(codec.names[: len(PALETTE)]))
        colours = f"Picture, truth and answer side by side; {named}."
    alt = f"Some pictures with their masks, from the worst to the best by Dice. {colours}"
    overlays = Chart("Masks from the worst to the best", alt, kind="stills", stills=stills)
    return overlays, _bars(codec, outputs)


def answer(programs: Mapping[str, Program], codec: SegmentationCodec, part: Part, row: int) -> np.ndarray:
    """The mask of one row, as it would be served."""
    inputs = {name: part.columns[name] for name in programs["predict"].inputs}
    with torch.inference_mode():
        first = _run(programs["predict"], rectangular(take(inputs, np.array([row]))))
        found = answer_of(last(repeated(first, lambda state: _run(programs[STEP], state))))
    return codec.whole(found["mask"][0], found["size"][0])


def _run(program: Program, arrays: Arrays) -> Arrays:
    device = next(program.module.parameters()).device
    found = program.module(*[torch.from_numpy(arrays[name]).to(device) for name in program.inputs])
    return {name: output.cpu().numpy() for name, output in zip(program.outputs, found, strict=True)}


def _still(codec: SegmentationCodec, part: Part, row: int, answered: np.ndarray, score: float) -> Still:
    columns = take(part.columns, np.array([row]))
    arrays = rectangular({name: columns[name] for name in (codec.image, codec.target)})
    size = np.asarray(columns[codec.size])[0]
    picture, truth = codec.whole(arrays[codec.image][0], size), codec.whole(arrays[codec.target][0], size)
    every = max(1, -(-max(picture.shape[:2]) // LONGEST_PX))
    picture, truth, answered = (x[::every, ::every] for x in (np.repeat(picture, 3 // picture.shape[2], axis=2), truth, answered))
    drawn = compared(picture, truth, answered) if len(codec.names) == 2 else np.concatenate(
        [picture, painted(picture, truth), painted(picture, answered)], axis=1)
    row_id = part.source.ids(np.array([row]))[0]
    return Still(small(drawn), f"{row_id}: Dice {score:.2f}")


def compared(picture: np.ndarray, truth: np.ndarray, answered: np.ndarray) -> np.ndarray:
    """A picture uint8 [H, W, 3] with what was found, added and missed of class 1 in three colours."""
    drawn, known = picture.astype(np.float32), truth != VOID
    for there, colour in (((truth == 1) & (answered == 1), RIGHT), (known & (truth != 1) & (answered == 1), ADDED), ((truth == 1) & (answered != 1), MISSED)):
        drawn[there] = 0.35 * drawn[there] + 0.65 * np.array(colour)
    return drawn.round().astype(np.uint8)


def painted(picture: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """A picture uint8 [H, W, 3] with every class in its colour; void stays as it is."""
    colours = PALETTE[np.minimum(classes, VOID - 1) % len(PALETTE)]
    drawn = np.where((classes != VOID)[..., None], 0.4 * picture + 0.6 * colours, picture)
    return drawn.round().astype(np.uint8)


def small(pixels: np.ndarray) -> bytes:
    """A JPEG file of at most about MOST_BYTES."""
    from PIL import Image as Pillow

    picture = Pillow.fromarray(pixels)
    for quality in (85, 70, 50, 30):
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=quality)
        if out.tell() <= MOST_BYTES:
            break
        if quality == 50:
            picture = picture.resize((max(1, picture.width * 2 // 3), max(1, picture.height * 2 // 3)))
    return out.getvalue()


def _bars(codec: SegmentationCodec, outputs: Outputs) -> Chart:
    """IoU of each class, the best first."""
    found = class_iou(np.asarray(outputs.arrays["confusion"], float), np.ones((1, len(outputs.target))))[0]
    order = [place for place in np.argsort(-np.nan_to_num(found, nan=-1)) if not np.isnan(found[place])]
    words = ", ".join(f"{codec.names[place]} {found[place]:.2f}" for place in order)
    mean = float(mean_of_known(found[None])[0])
    return Chart("How well each class is found", f"Intersection over union of each class over all pixels: {words}; {mean:.3f} on average.",
                 "intersection over union", "", kind="bars", lines=[Line("IoU", np.arange(len(order), dtype=float), found[order])],
                 columns=[codec.names[place] for place in order])


def _word(place: int) -> str:
    return ("black", "orange", "sky blue", "green", "yellow", "blue", "vermilion", "purple", "grey", "white", "brown", "mint")[place]
