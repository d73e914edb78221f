"""Which atoms an answer rests on: integrated gradients from a molecule of which nothing is known, drawn on the molecule.

Source: Sundararajan, Taly and Yan 2017, "Axiomatic attribution for deep networks", arXiv 1703.01365. The path runs from no properties of any atom (its bonds
stay) and average descriptors to the molecule; what the atoms and the descriptors get together is the change of the answer, whose error the caption's sums show.
"""

from typing import NamedTuple

import numpy as np
import torch

from thuja.apps.molecules.codec import MoleculesCodec
from thuja.apps.molecules.network import Properties
from thuja.blocks.message import one_hot
from thuja.chart import Chart, Still
from thuja.codec import rectangular, take
from thuja.fields.molecule import drawn
from thuja.metrics import Outputs
from thuja.task import Part

STILLS = 12
MOST_ATOMS = 60
"""Larger molecules cannot be read at the size of the pictures."""
POINTS = 32
"""Of the path at which the gradient is taken."""
FOR, AGAINST = (0.95, 0.55, 0.35), (0.4, 0.65, 0.95)
"""Colours of what raises and what lowers the answer: orange and blue, which colour-blind people tell apart."""


class Shares(NamedTuple):
    """What each part of one molecule adds to the answer (the mean over members; log-odds, or the unit of the target)."""

    atoms: np.ndarray
    """float64 [atoms]."""
    descriptors: float
    change: float
    """The answer, less that for a molecule of which nothing is known."""


def attributions(model: Properties, codec: MoleculesCodec, part: Part, outputs: Outputs) -> Chart:
    """Some test molecules, evenly spread over the answers from low to high; of several targets, the first."""
    answer = next(iter(outputs.arrays.values()))
    answer = answer.reshape(len(answer), -1)[:, 1 if "probability" in outputs.arrays else 0]
    small = np.flatnonzero(np.diff(part.columns[codec.smiles].offsets) <= MOST_ATOMS)  # type: ignore[union-attr]  # atoms are ragged
    order = small[np.argsort(answer[small], kind="stable")]
    chosen = order[np.unique(np.linspace(0, len(order) - 1, min(len(order), STILLS)).astype(np.int64))] if len(order) else order
    texts = part.source.take(chosen)[codec.smiles]
    stills = []
    for place, text in zip(chosen, texts, strict=True):
        shares = shares_of(model, codec, part, int(place))
        colours = {i: _colour(share) for i, share in enumerate(shares.atoms / max(float(np.abs(shares.atoms).max(initial=0)), 1e-9))}
        rest = f", descriptors {shares.descriptors:+.3g}" if codec.centre else ""
        caption = f"{text[:80]}: answered {answer[place]:.3g}; atoms {shares.atoms.sum():+.3g}{rest}"
        stills.append(Still(drawn(codec.read(text, codec.smiles), colours), caption))
    unit = "log-odds" if codec.problem == "binary" else "the unit of the target"
    alt = (f"Atoms in orange raise the answer for {codec.targets[0]}, atoms in blue lower it: integrated gradients, in {unit}, from one of which nothing "
           "is known. The strongest atom of each molecule has the full colour.")
    return Chart("What the answers rest on", alt, kind="stills", stills=stills)


def shares_of(model: Properties, codec: MoleculesCodec, part: Part, place: int) -> Shares:
    """Integrated gradients of the answer for one row, by the midpoint rule."""
    columns = rectangular(take({name: part.columns[name] for name in codec.columns}, np.array([place])))
    device = next(model.parameters()).device
    atoms, bonds, *rest = (torch.from_numpy(columns[name]).to(device) for name in codec.columns)
    net, scale = model.net, model.std[0] if codec.problem == "regression" else 1.0
    whole = (one_hot(atoms, net.atom_sizes), model.standardised(atoms, rest[0] if rest else None))
    steps = (torch.arange(POINTS, device=device) + 0.5) / POINTS
    path = [(steps[:, None, None] * whole[0]).requires_grad_(), (steps[:, None] * whole[1]).requires_grad_()]
    many = atoms.expand(POINTS, -1, -1), bonds.expand(POINTS, -1, -1)
    with torch.enable_grad():
        slopes = torch.autograd.grad((net.judged(path[0], *many, path[1])[:, :, 0].mean(dim=1) * scale).sum(), path)
    with torch.no_grad():
        ends = [net.judged(whole[0] * end, atoms, bonds, whole[1] * end)[0, :, 0].mean() * scale for end in (0.0, 1.0)]
    return Shares((slopes[0].mean(dim=0) * whole[0][0]).sum(dim=1).double().cpu().numpy(), float((slopes[1].mean(dim=0) * whole[1][0]).sum()),
                  float(ends[1] - ends[0]))


def _colour(share: float) -> tuple[float, float, float]:
    """From white to the full colour: `share` is -1 to 1."""
    strong = FOR if share > 0 else AGAINST
    red, green, blue = (1 - abs(share) * (1 - c) for c in strong)
    return red, green, blue
