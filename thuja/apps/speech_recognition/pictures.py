"""The spectrogram of some recordings, with what the network takes each stretch for."""

import numpy as np
import torch

from thuja.apps.speech_recognition.codec import SpeechRecognitionCodec
from thuja.chart import Chart
from thuja.codec import rectangular, take
from thuja.metrics import Outputs
from thuja.models.ctc_recogniser import CtcRecogniserNet
from thuja.task import Part

SHOWN = 3
MOST_FRAMES = 400
"""Longer recordings are not drawn."""


def pictures(model: CtcRecogniserNet, codec: SpeechRecognitionCodec, part: Part, outputs: Outputs) -> tuple[Chart, ...]:
    """Some recordings of the part, spread evenly, a picture each: pitch upwards, time to the right, a column for each frame that the network answers."""
    lengths = np.asarray(part.columns[codec.length])
    short = np.flatnonzero(lengths <= MOST_FRAMES * codec.stride)
    index = short[np.unique(np.linspace(0, len(short) - 1, min(SHOWN, len(short))).astype(np.int64))]
    return tuple(_picture(model, codec, part, (int(i), str(outputs.target[i]), str(outputs.arrays["text"][i]))) for i in index)


def _picture(model: CtcRecogniserNet, codec: SpeechRecognitionCodec, part: Part, row: tuple[int, str, str]) -> Chart:
    place, said, written = row
    arrays = rectangular(take({name: part.columns[name] for name in (codec.audio, codec.length)}, np.array([place])))
    device = model.mean.device
    with torch.inference_mode():
        spectrogram, frames = model.features(*(torch.from_numpy(arrays[name]).to(device) for name in (codec.audio, codec.length)))
        best = model.recognise(spectrogram, frames)[0][0].argmax(1).cpu().numpy()
    energy = spectrogram[0].cpu().numpy()
    step = model.settings.subsampling
    energy = np.stack([energy[start : start + step].mean(axis=0) for start in range(0, len(energy), step)], axis=1)[::-1]  # the highest band on top
    low, high = np.quantile(energy, [0.05, 0.99])
    under = ["·" if place == 0 else codec.tokens[place - 1].replace(" ", "␣") for place in best]
    frame_ms = 1000 * codec.stride / codec.rate
    heard = " ".join(name for name in under if name != "·") or "nothing"
    return Chart(f"Said: {said}", f"Spectrogram of {part.source.ids(np.array([place]))[0]}, low pitch at the bottom; under each {frame_ms:g} ms the likeliest "
                 f"token, a dot for nothing new: {heard}. Written: {written or 'nothing'}.", f"likeliest token of each {frame_ms:g} ms", "band of pitch",
                 "shades", shades=np.clip((energy - low) / max(high - low, 1e-6), 0, 1), columns=under)
