"""Pictures for the report: the curve of false and true accepts, how alike pictures are, and the pairs that are hardest to tell."""

import io

import numpy as np

from thuja.chart import Chart, Line, Still
from thuja.metrics import Outputs
from thuja.metrics.verification import Pairs, pairs_of

PAIRS = 6
"""Of each sort that are shown."""
POINTS = 400
"""Of a curve that are drawn."""
SIDE = 96
"""Pixels of the longer side of a face as it is shown."""


def pictures(faces: np.ndarray, known: np.ndarray, outputs: Outputs) -> tuple[Chart, ...]:
    """Charts of some rows; none where no two of them can be compared.

    Args:
        faces: uint8 [rows, H, W, C], as encoded.
        known: bool [rows], whether the person was among the training rows.
    """
    pairs = pairs_of(outputs)
    if not pairs.genuine.any() or pairs.genuine.all():
        return ()
    return _curve(pairs, known), _spread(pairs), _hardest(pairs, faces, outputs)


def _curve(pairs: Pairs, known: np.ndarray) -> Chart:
    true, false = np.cumsum(pairs.genuine) / pairs.genuine.sum(), np.cumsum(~pairs.genuine) / (~pairs.genuine).sum()
    shown = np.unique(np.searchsorted(false, np.concatenate([np.linspace(0, 1, POINTS // 2), np.geomspace(1e-4, 1, POINTS // 2)])).clip(0, len(false) - 1))
    words = (f"{int(pairs.genuine.sum()):,} pairs of one person, {int((~pairs.genuine).sum()):,} of different people; {(~known).mean():.0%} of the pictures "
             "are of people whom training never saw.")
    return Chart("True accepts and false ones", words, "false accept rate", "true accept rate",
                 lines=[Line("network", np.append(0.0, false[shown]), np.append(0.0, true[shown]))])


def _spread(pairs: Pairs) -> Chart:
    edges = np.linspace(-1, 1, 51)
    lines = [Line(name, (edges[:-1] + edges[1:]) / 2, np.histogram(pairs.score[of], edges)[0] / max(1, of.sum()))
             for name, of in (("one person", pairs.genuine), ("different people", ~pairs.genuine))]
    return Chart("How alike pictures are", "Share of the pairs of one person, and of different people, by their similarity; where the two overlap, any "
                 "threshold makes mistakes.", "similarity (cosine)", "share of the pairs", lines=lines)


def _hardest(pairs: Pairs, faces: np.ndarray, outputs: Outputs) -> Chart:
    strangers, unlike = np.flatnonzero(~pairs.genuine)[:PAIRS], np.flatnonzero(pairs.genuine)[::-1][:PAIRS]
    stills = [Still(_side_by_side(faces[pairs.first[i]], faces[pairs.second[i]]), _caption(pairs, int(i), outputs)) for i in (*strangers, *unlike)]
    return Chart("The pairs that are hardest to tell", "Different people who are most alike, then pictures of one person that are least alike.", kind="stills",
                 stills=stills)


def _caption(pairs: Pairs, pair: int, outputs: Outputs) -> str:
    first, second = (str(outputs.target[side[pair]]) for side in (pairs.first, pairs.second))
    who = f"{first}, twice" if pairs.genuine[pair] else f"{first} and {second}"
    return f"{who}: similarity {pairs.score[pair]:.2f}"


def _side_by_side(left: np.ndarray, right: np.ndarray) -> bytes:
    """Two faces uint8 [H, W, C] as one JPEG."""
    from PIL import Image as Pillow

    both = np.concatenate([left, right], axis=1)
    picture = Pillow.fromarray(both[:, :, 0] if both.shape[2] == 1 else both)
    factor = SIDE / max(left.shape[:2])
    out = io.BytesIO()
    picture.resize((round(both.shape[1] * factor), round(both.shape[0] * factor))).save(out, "JPEG", quality=80)
    return out.getvalue()
