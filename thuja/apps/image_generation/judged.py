"""From pictures to what metrics take: a fixed set of numbers for each row. No torch."""

import numpy as np

from thuja.apps.image_generation.codec import ImageGenerationCodec
from thuja.apps.image_generation.judge import Judge, Seen
from thuja.codec import Columns
from thuja.metrics import Outputs
from thuja.metrics.generation import manifolds


def judged(judge: Judge, codec: ImageGenerationCodec, columns: Columns, made: np.ndarray) -> Outputs:
    """What the judge sees in the real picture of each row and in the one `made` for it, uint8 [rows, height, width, channels]."""
    real, seen = judge.see(np.asarray(columns[codec.image])).features, judge.see(made)
    near = manifolds(real, seen.features)
    recognised = recognition(judge, codec, np.asarray(columns[codec.label]), seen)
    return Outputs(real, {"features": seen.features, "realistic": near.realistic, "covered": near.covered, "recognised": recognised})


def recognition(judge: Judge, codec: ImageGenerationCodec, label: np.ndarray, seen: Seen) -> np.ndarray:
    """float32 [rows]: the probability that the judge gives to the class asked for; NaN for a class that it does not know."""
    known = np.array([judge.names.index(name) if name in judge.names else -1 for name in codec.names], np.int64)[label]
    if seen.probability is None:
        return np.full(len(label), np.nan, np.float32)
    found = np.take_along_axis(seen.probability, np.maximum(known, 0)[:, None], axis=1)[:, 0]
    return np.where(known >= 0, found, np.nan).astype(np.float32)
