"""The log-mel spectrogram against a reference by numpy's FFT, and the stripes of SpecAugment."""

import numpy as np
import pytest
import torch

from thuja.blocks.spectrogram import FLOOR, LogMel, inside, masked, mel_filters


def reference(samples: np.ndarray, rate: int, bands: int) -> np.ndarray:
    """Window by window, with numpy's FFT and triangles drawn one by one."""
    window, hop = round(0.025 * rate), round(0.010 * rate)
    size = 2 ** int(np.ceil(np.log2(window)))
    frames = -(-len(samples) // hop)
    before = (window - hop) // 2
    padded = np.concatenate([np.zeros(before), samples, np.zeros(window)])
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    energy = np.stack([np.abs(np.fft.rfft(hann * padded[i * hop : i * hop + window], size)) ** 2 for i in range(frames)])
    edges = 700 * (10 ** (np.linspace(2595 * np.log10(1 + 20 / 700), 2595 * np.log10(1 + rate / 2 / 700), bands + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(size, 1 / rate)
    filters = np.stack([np.interp(bins, edges[i : i + 3], [0, 1, 0]) for i in range(bands)], axis=1)
    return np.log(energy @ filters + FLOOR)


@pytest.mark.parametrize(("rate", "bands", "count"), [(8000, 40, 4000), (16_000, 80, 3999), (22_050, 64, 5001), (8000, 20, 1)])
def test_it_is_what_the_fft_gives(rate: int, bands: int, count: int) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, count) + 0.3 * np.sin(np.arange(count) / 5)
    found = LogMel(rate, bands)(torch.from_numpy(samples.astype(np.float32))[None])[0].numpy()
    np.testing.assert_allclose(found, reference(samples, rate, bands), atol=2e-3)


def test_a_tone_lights_the_band_of_its_pitch() -> None:
    tone = torch.sin(2 * torch.pi * 1000 * torch.arange(8000) / 8000)
    frames = LogMel(8000, 40)(tone[None])[0, 10:-10]
    best = int(mel_filters(8000, 256, 40)[32].argmax())  # the bin of 1,000 Hz
    assert (frames.argmax(1) == best).all()
    assert (frames.max(1).values - frames.min(1).values > 6).all()


def test_zeros_at_the_end_change_no_frame_before_it() -> None:
    layer = LogMel(8000, 40)
    samples = torch.randn(2, 1234)
    longer = layer(torch.cat([samples, torch.zeros(2, 777)], dim=1))
    assert layer(samples).shape == (2, 16, 40)
    torch.testing.assert_close(longer[:, :16], layer(samples))


def test_inside() -> None:
    assert inside(torch.tensor([2, 0, 3]), 3).tolist() == [[True, True, False], [False, False, False], [True, True, True]]


def test_stripes_hide_bands_and_times_of_each_row_by_itself() -> None:
    frames, lengths = torch.ones(200, 50, 40), torch.full((200,), 50)
    lengths[0] = 10
    out = masked(frames, lengths, torch.Generator().manual_seed(0), bands=8, times=2)
    bands, times = (out == 0).all(1).sum(1), (out == 0).all(2).sum(1)
    assert 0 <= int(bands.min()) < 4 and 8 < int(bands.max()) <= 16
    assert 0 <= int(times.min()) < 5 and 10 < int(times.max()) <= 20
    assert not (out[0, 10:] == 0).all(1).any()
    assert torch.equal(out, masked(frames, lengths, torch.Generator().manual_seed(0), bands=8, times=2))
    assert torch.equal(frames, masked(frames, lengths, torch.Generator(), bands=0, times=0))
