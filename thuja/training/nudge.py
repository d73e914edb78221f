"""Programs whose weights are moved a little, to and fro: an answer that changes with them hangs on rounding, and no other runtime has to round alike.

A token is chosen because it scores best; where two score alike to the last bits, training and artefact may choose either, and a text goes on from there to
another end. The move is far above the rounding of a runtime (1e-7 of a product) and far below what a wrong program would change.
"""

from collections.abc import Iterator, Mapping

import torch

from thuja.core.seeds import mix
from thuja.task import Program

MOVE, PAIRS = 1e-5, 2
"""Standard deviation of a weight's change, in parts of the weight; how many directions are tried, each both ways: a tie gives way to one of the two."""


def nudged(programs: Mapping[str, Program]) -> Iterator[Mapping[str, Program]]:
    """The same programs, again and again with other weights. The weights are as they were when the iterator is exhausted or closed."""
    weights = list({id(p): p for program in programs.values() for p in program.module.parameters() if p.is_floating_point()}.values())
    kept = [weight.detach().clone() for weight in weights]
    try:
        for pair in range(PAIRS):
            for sign in (1.0, -1.0):
                rng = torch.Generator().manual_seed(mix(pair, "nudge"))
                with torch.no_grad():
                    for weight, was in zip(weights, kept, strict=True):
                        change = torch.randn(was.shape, generator=rng).to(was.device, was.dtype)
                        weight.copy_(was * (1 + sign * MOVE * change))
                yield programs
    finally:
        with torch.no_grad():
            for weight, was in zip(weights, kept, strict=True):
                weight.copy_(was)
