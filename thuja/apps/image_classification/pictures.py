"""What the report shows of this application alone: each of several labels, and what parts of some test pictures the answers hang on.

Source: Grad-CAM, Selvaraju et al. 2017, arXiv 1610.02391; integrated gradients, Sundararajan et al. 2017, arXiv 1703.01365, from a picture of the mean
colour; both as captum computes them.
"""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from thuja.apps.image_classification.codec import ImageClassificationCodec
from thuja.apps.image_classification.network import Classifier
from thuja.chart import Chart, Line, Still
from thuja.metrics import Outputs
from thuja.metrics.multilabel import per_label
from thuja.task import Part

EACH = 4
"""Pictures that were answered rightly, and wrongly."""
SIDE = 96
"""Pixels of the longer side of a drawn picture."""
STEPS = 24
"""Places between the mean picture and the real one at which gradients are taken."""
LEAST = 4
"""Places along a side that a map of features needs to say where."""
BARS = 30
HEAT = np.array([214, 40, 40], np.float32)
TITLE = "What the answers hang on"


def by_label(outputs: Outputs) -> Iterator[Chart]:
    """Average precision and F1 of each label, the hardest first."""
    known = sorted((line for line in per_label(outputs) if line.support), key=lambda line: line.average_precision)[:BARS]
    for title, of in (("Average precision of each label", "average_precision"), ("F1 of each label", "f1")):
        if known:
            values = np.array([getattr(line, of) for line in known])
            names = [f"{line.name} ({line.support})" for line in known]
            alt = f"{title}, with the number of rows that have it: from {known[0].name} {values[0]:.2f} to {known[-1].name} {values[-1]:.2f}."
            yield Chart(title, alt, title, "", "bars", [Line(title, np.arange(len(values)), values)], columns=names)


def saliency(model: Classifier, codec: ImageClassificationCodec, part: Part, outputs: Outputs) -> Chart:
    """Some pictures with the places that raised the score of what was answered; without captum, what to type."""
    try:
        from captum.attr import IntegratedGradients, LayerGradCam
    except ImportError:
        return Chart(TITLE, "Not drawn, because the package captum is not installed. Type: pip install 'thuja[explain]', and evaluate again.", kind="stills")
    places, right = _chosen(outputs)
    if not len(places):
        return Chart(TITLE, "There is no picture to show.", kind="stills")
    shown = np.asarray(part.columns[codec.image])[places]
    scores = outputs.arrays["label_probability" if codec.threshold is not None else "probability"][places]
    answered = torch.from_numpy(scores.argmax(axis=1))
    with torch.enable_grad():
        x = model.standardise(torch.from_numpy(shown).to(model.standardise.scale.device)).detach()
        target = answered.to(x.device)
        maps = LayerGradCam(model.network, _place(model.network, x)).attribute(x, target, relu_attributions=True)
        parts = IntegratedGradients(model.network).attribute(x, target=target, n_steps=STEPS, internal_batch_size=64)
    coarse = nn.functional.interpolate(maps.detach(), x.shape[2:], mode="bilinear")[:, 0]
    fine = parts.detach().abs().sum(1)
    stills = []
    for i, place in enumerate(places):
        name = f"{codec.names[int(answered[i])]} ({scores[i].max() * 100:.0f} %)"
        given = name if codec.threshold is None else f"{_labels(codec, outputs.arrays['decided'][place])}, the likeliest being {name}"
        truth = codec.names[int(outputs.target[place])] if codec.threshold is None else _labels(codec, outputs.target[place])
        said = f"rightly {given}" if right[i] else f"wrongly {given}, in truth {truth}"
        stills.append(Still(_drawn(shown[i], [_heat(coarse[i]), _heat(fine[i])]), f"Answered {said}: the picture, Grad-CAM, integrated gradients."))
    how_many = f"{int(right.sum())} answered rightly and {int((~right).sum())} wrongly"
    return Chart(TITLE, f"Test pictures, {how_many}. Beside each, in red: the regions (Grad-CAM) and the pixels (integrated gradients) that raised the score "
                        "of the answer.", kind="stills", stills=stills)


def _chosen(outputs: Outputs) -> tuple[np.ndarray, np.ndarray]:
    """Places of pictures answered rightly, spread evenly, and wrongly, those most surely wrong first; and which are which."""
    if "decided" in outputs.arrays:
        sure = outputs.arrays["label_probability"].max(axis=1)
        good = (outputs.arrays["decided"] == outputs.target).all(axis=1)
    else:
        sure = outputs.arrays["probability"].max(axis=1)
        good = outputs.arrays["probability"].argmax(axis=1) == outputs.target
    rightly, wrongly = np.flatnonzero(good), np.flatnonzero(~good)
    rightly = rightly[np.unique(np.linspace(0, len(rightly) - 1, min(EACH, len(rightly))).astype(int))] if len(rightly) else rightly
    wrongly = wrongly[np.argsort(-sure[wrongly], kind="stable")[:EACH]]
    places = np.concatenate([rightly, wrongly])
    return places, good[places]


def _labels(codec: ImageClassificationCodec, there: np.ndarray) -> str:
    return ", ".join(name for name, is_there in zip(codec.names, there, strict=True) if is_there) or "no label"


def _place(network: Any, x: Tensor) -> nn.Module:
    """The last stage whose map still has some places along each side; the first where none has."""
    stages = list(network.stages)
    with torch.no_grad():
        network.eval()
        seen = network.activation(network.stem(x[:1])) if hasattr(network, "activation") else network.stem(x[:1])
        best: nn.Module = stages[0]
        for stage in stages:
            seen = stage(seen)
            if min(seen.shape[2:]) >= LEAST:
                best = stage
    return best


def _heat(values: Tensor) -> np.ndarray:
    """[H, W] from 0 to 1; the largest hundredth is cut, so that one pixel does not hide the others."""
    array = values.clamp(min=0).cpu().numpy().astype(np.float32)
    return np.asarray(np.clip(array / max(float(np.quantile(array, 0.99)), 1e-12), 0, 1))


def _drawn(picture: np.ndarray, heats: list[np.ndarray]) -> bytes:
    """A PNG with the picture uint8 [H, W, C], and once for each heat the same in grey with its places in red."""
    from PIL import Image as Pillow

    colours = np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture
    grey = np.repeat(colours.mean(axis=2, keepdims=True), 3, axis=2)
    panels = [colours.astype(np.float32), *((1 - 0.85 * h[..., None]) * grey + 0.85 * h[..., None] * HEAT for h in heats)]
    scale = SIDE / max(picture.shape[:2])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    how = Pillow.Resampling.NEAREST if scale > 1 else Pillow.Resampling.BILINEAR
    resized = [np.asarray(Pillow.fromarray(panel.round().astype(np.uint8)).resize(size, how)) for panel in panels]
    gap = np.full((size[1], 4, 3), 255, np.uint8)
    out = io.BytesIO()
    Pillow.fromarray(np.concatenate([resized[0], gap, resized[1], gap, resized[2]], axis=1)).save(out, "PNG", optimize=True)
    return out.getvalue()
