"""Pictures and their masks changed together, whole batches at once, every draw from the given generator.

The eight ways to lay a square, and brightness and contrast as an affine change of all channels (after Krizhevsky et al. 2012, section 4.1, and Isensee et al.
2021, "nnU-Net", Nature Methods 18, supplementary note 4).
"""

import torch
from torch import Tensor


def turned(pictures: Tensor, masks: Tensor, rng: torch.Generator, *, upright: bool) -> tuple[Tensor, Tensor]:
    """Each row mirrored left to right or not and, unless `upright`, top to bottom and along the diagonal: uint8 [B, H, W, C] and [B, H, W], the same shapes.

    Not upright wants H equal to W.
    """
    for axes in ((2,),) if upright else ((2,), (1,), (1, 2)):
        chosen = (torch.rand(len(pictures), generator=rng) < 0.5).to(pictures.device)
        pictures, masks = (torch.where(chosen.view(-1, *[1] * (x.dim() - 1)), x.flip(axes) if len(axes) == 1 else x.transpose(*axes), x)
                           for x in (pictures, masks))
    return pictures, masks


def lit(pictures: Tensor, rng: torch.Generator, most: float) -> Tensor:
    """Each row lighter or darker and with more or less contrast, by up to a share `most` of the range: uint8 [B, H, W, C] to float32 of 0 to 255."""
    if not most:
        return pictures
    gain, shift = ((torch.rand((2, len(pictures), 1, 1, 1), generator=rng) * 2 - 1) * most).to(pictures.device)
    middle = 127.5
    changed: Tensor = (pictures.float() - middle) * (1 + gain) + middle + 255 * shift
    return changed.clamp(0, 255)
