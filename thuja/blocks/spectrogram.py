"""From samples to a log-mel spectrogram: how much there is of each pitch, a hundred times a second, in steps as the ear hears them.

The Fourier transform of short windows is a product with fixed sines and cosines, so it is written as a convolution: it exports as plain arithmetic, and in
onnxruntime takes a tenth of the time of the operator STFT.

Source: Davis and Mermelstein 1980, "Comparison of parametric representations for monosyllabic word recognition", IEEE TASSP 28(4) (triangular filters on the
mel scale); the scale 2595 log10(1 + f / 700) is that of O'Shaughnessy 1987 and of HTK. Differs: no cosine transform at the end, as is usual before a network.
The masks are those of Park et al. 2019, arXiv 1904.08779 (SpecAugment), without its warping of time.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, pad

FLOOR = 1e-6
"""Added to the energy of a band before the logarithm: above what rounding to 16 bits leaves behind."""


def mel(hertz: float) -> float:
    """The pitch of a frequency in mel."""
    return 2595 * math.log10(1 + hertz / 700)


def mel_filters(rate: int, size: int, bands: int, low: float = 20.0) -> Tensor:
    """Triangles that overlap by half, equally wide in mel from `low` to half the rate: float32 [size / 2 + 1, bands], for a transform of `size` samples."""
    edges = torch.linspace(mel(low), mel(rate / 2), bands + 2, dtype=torch.float64)
    hertz = 700 * (10 ** (edges / 2595) - 1)
    bins = torch.arange(size // 2 + 1, dtype=torch.float64)[:, None] * rate / size
    rising = (bins - hertz[:-2]) / (hertz[1:-1] - hertz[:-2])
    falling = (hertz[2:] - bins) / (hertz[2:] - hertz[1:-1])
    return torch.minimum(rising, falling).clamp(min=0).float()


class LogMel(nn.Module):
    """Samples [B, T] to [B, ceil(T / hop), bands]. A window of 25 ms every 10 ms; beyond both ends there is silence."""

    kernel: Tensor
    filters: Tensor

    def __init__(self, rate: int, bands: int) -> None:
        super().__init__()
        self.hop, window = round(rate * 0.010), round(rate * 0.025)
        size = 1 << (window - 1).bit_length()
        place = torch.arange(window, dtype=torch.float64)
        hann = 0.5 - 0.5 * torch.cos(2 * math.pi * place / window)
        angle = 2 * math.pi * torch.arange(size // 2 + 1, dtype=torch.float64)[:, None] * place / size
        kernel = torch.cat([hann * angle.cos(), -hann * angle.sin()]).float()
        self.register_buffer("kernel", kernel[:, None], persistent=False)  # [2 (size / 2 + 1), 1, window]
        self.register_buffer("filters", mel_filters(rate, size, bands), persistent=False)
        self.before = (window - self.hop) // 2
        self.after = window - 1 - self.before

    def forward(self, samples: Tensor) -> Tensor:
        """Natural logarithms of energies. Zeros at the end of a row change none of the frames before ceil(length / hop)."""
        parts = conv1d(pad(samples, (self.before, self.after))[:, None], self.kernel, stride=self.hop)
        real, imaginary = parts.chunk(2, dim=1)
        energy = (real.square() + imaginary.square()).transpose(1, 2)
        return (energy @ self.filters + FLOOR).log()


def inside(lengths: Tensor, places: int) -> Tensor:
    """bool [B, places]: which places lie within each row's length."""
    return torch.arange(places, device=lengths.device) < lengths[:, None]


def masked(frames: Tensor, lengths: Tensor, rng: torch.Generator, *, bands: int, times: int, share: float = 0.2) -> Tensor:
    """SpecAugment: two stripes of up to `bands` bands and `times` stripes, each of up to `share` of the row's length, set to zero: [B, F, bands] to the same.

    Args:
        lengths: int64 [B], frames of each row.
    """
    rows, longest, width = frames.shape
    draws = torch.rand(4 + 2 * times, rows, generator=rng, device=rng.device).to(frames.device)
    gone = torch.zeros(rows, longest, width, dtype=torch.bool, device=frames.device)
    for size, start in (draws[0:2], draws[2:4]):
        wide = (size * (bands + 1)).floor()
        gone = gone | _stripe(width, (start * (width - wide + 1)).floor(), wide)[:, None, :]
    for size, start in draws[4:].view(times, 2, rows):
        wide = (size * share * lengths).floor()
        gone = gone | _stripe(longest, (start * (lengths - wide + 1)).floor(), wide)[:, :, None]
    return frames.masked_fill(gone, 0.0)


def _stripe(places: int, start: Tensor, wide: Tensor) -> Tensor:
    place = torch.arange(places, device=start.device)
    return (place >= start[:, None]) & (place < (start + wide)[:, None])
