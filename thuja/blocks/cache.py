"""Keys and values of the places already read, kept so that the next token costs one place and not all of them.

A cache is a ring of `size` slots: place p lies in slot p mod size, and writes over place p - size. Its shape never changes, so that rows which are at different
places, even of different requests, lie in one batch; and an answer may be longer than the ring: then the last `size` places are read, which is attention with
a window.

Source: keys and values kept from step to step, Shazeer 2019, arXiv 1911.02150, section 2.3 (incremental decoding); the ring and the window as in Mistral
7B, Jiang et al. 2023, arXiv 2310.06825, section 2. Differs: keys are kept turned (rotary places are counted from the row's beginning, not the ring's).
"""

import torch
from torch import Tensor
from torch.nn.functional import pad


def begun(x: Tensor, size: int) -> Tensor:
    """A ring from the first places of a row: [B, ..., T, D] to [B, ..., size, D]; what is missing is zero, what is too much is left out.

    Slots from the row's own length on hold padding: they are written over before `readable` lets anyone see them.
    """
    return pad(x, (0, 0, 0, size)).narrow(-2, 0, size)


def written(ring: Tensor, new: Tensor, place: Tensor) -> Tensor:
    """The ring [B, heads, size, D] with `new` [B, heads, 1, D] at `place`, int64 [B]."""
    slots = torch.arange(ring.shape[-2], device=ring.device)
    here = slots == (place % ring.shape[-2]).unsqueeze(1)
    return torch.where(here[:, None, :, None], new, ring)


def readable(size: int, place: Tensor) -> Tensor:
    """Which slots hold something once `place`, int64 [B], is written: bool [B, size]."""
    return torch.arange(size, device=place.device) <= place.unsqueeze(1)


def window(places: int, size: int, device: torch.device | None = None) -> Tensor:
    """Which places a place may read when a whole row is there at once: itself and the `size - 1` before it, as with a ring. Bool [places, places]."""
    at = torch.arange(places, device=device)
    back = at.unsqueeze(1) - at
    return (back >= 0) & (back < size)
