"""Recordings made harder for training: faster and slower, louder and softer, later, in noise. Whole batches at once, every draw from the given generator.

Source: speed perturbation, Ko et al. 2015, "Audio augmentation for speech recognition", Interspeech. Differs: the speed is drawn from an interval for each row,
and resampling is linear, which dulls the highest pitches a little and takes one gather.
"""

import torch
from torch import Tensor

from thuja.blocks.spectrogram import inside


def perturbed(samples: Tensor, lengths: Tensor, rng: torch.Generator, *, speed: float, noise: float, shift: int) -> tuple[Tensor, Tensor]:
    """Each row at another speed (which changes its pitch as well), begun up to `shift` samples later, at another loudness and in white noise.

    Args:
        samples: [B, T], any type; zeros beyond each row's length.
        lengths: int64 [B].
        speed: at most so much faster or slower, as a share: 0.1 is from 1 / 1.1 to 1.1 times.
        noise: largest noise, as a share of the row's own loudness (root mean square).
    Returns: float32 [B, T'] in the same units, and int64 [B].
    """
    rows = len(lengths)
    draw = torch.rand(4, rows, generator=rng, device=rng.device).to(samples.device)
    rate = (1 + speed) ** (2 * draw[0] - 1)
    lag = (draw[1] * (shift + 1)).floor()
    new = (lengths / rate).floor().clamp(min=1) + lag
    longest = int(new.max())
    place = ((torch.arange(longest, device=samples.device) - lag[:, None]) * rate[:, None]).clamp(min=0)
    last = (lengths - 1)[:, None]
    low = torch.minimum(place.long(), last)
    share = (place - low).clamp(0, 1)
    values = samples.float()
    moved = torch.lerp(values.gather(1, low), values.gather(1, torch.minimum(low + 1, last)), share)
    started = torch.arange(longest, device=samples.device) >= lag[:, None]
    there = inside(new, longest)
    loudness = (values.square().sum(1) / lengths).sqrt()[:, None]
    hiss = torch.randn(rows, longest, generator=rng, device=rng.device).to(samples.device) * (draw[2, :, None].square() * noise * loudness)
    gain = 4.0 ** (2 * draw[3] - 1)
    return (moved * started + hiss) * there * gain[:, None], new.long()
