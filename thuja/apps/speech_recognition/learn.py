"""What is learned from the training recordings before step one: their rate, how long they are, and how loud each band of pitch is."""

from collections import Counter
from typing import NamedTuple

import numpy as np
import torch

from thuja.blocks.spectrogram import LogMel
from thuja.core.errors import DataError, MissingExtra
from thuja.fields import Audio
from thuja.task import Source

SAMPLE = 512
"""Recordings looked at, evenly spread."""
HIGHEST = 16_000
"""Samples a second that speech needs; what is above 8 kHz helps people more than machines."""
LEAST_SECONDS = 10.0
NO_LIMIT = 3600.0


class Looked(NamedTuple):
    """What was seen."""

    rate: int
    longest: float
    """Seconds that a recording may last."""
    recordings: list[np.ndarray]
    """Samples of those looked at, at `rate`."""


def look(source: Source, column: str, rate: int | None, longest: float | None) -> Looked:
    """Read some recordings; `rate` and `longest` are kept where they are given. Raises: DataError where none can be read; MissingExtra."""
    index = np.unique(np.linspace(0, len(source) - 1, min(SAMPLE, len(source))).astype(np.int64))
    values = source.take(index)[column]
    field, rates, seconds, problem = Audio(rate=rate or HIGHEST, max_seconds=longest or NO_LIMIT, max_bytes=2**31), Counter[int](), [0.0], None
    for value in values:
        try:
            head = field.head(value, column)
        except DataError as error:
            problem = error
        else:
            rates[head.rate] += 1
            seconds.append(head.seconds)
    if not rates:
        assert problem is not None
        fix = f"If these are paths of files, add {column!r} to data.files." if any(isinstance(value, str) for value in values) else problem.fix
        raise DataError(column, expected="recordings", found=f"none that can be read (expected {problem.expected}, found {problem.found})", fix=fix)
    chosen = rate or min(HIGHEST, max(rates, key=lambda each: (rates[each], each)))
    limit = longest or max(LEAST_SECONDS, float(np.ceil(2 * max(seconds))))
    return Looked(chosen, limit, _readable(Audio(rate=chosen, max_seconds=limit, max_bytes=2**31), list(values), column))


def _readable(field: Audio, values: list[object], column: str) -> list[np.ndarray]:
    """The samples of those that can be read; the others are counted where the columns are encoded, not here."""
    found, problem = [], None
    for value in values:
        try:
            found.append(field.decode(value, column))
        except (DataError, MissingExtra) as error:
            problem = error
    if not found:
        assert problem is not None
        raise problem
    return found


def statistics(looked: Looked, bands: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each band of the spectrogram over all frames."""
    spectrogram = LogMel(looked.rate, bands)
    total, squares, frames = torch.zeros(bands, dtype=torch.float64), torch.zeros(bands, dtype=torch.float64), 0
    with torch.no_grad():
        for samples in looked.recordings:
            found = spectrogram(torch.from_numpy(samples)[None])[0].double()
            total, squares, frames = total + found.sum(0), squares + found.square().sum(0), frames + len(found)
    mean = total / frames
    std = (squares / frames - mean.square()).clamp(min=0).sqrt()
    return tuple(np.round(mean.numpy(), 6).tolist()), tuple(np.round(std.numpy(), 6).tolist())
