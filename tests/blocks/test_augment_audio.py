"""Recordings changed at random: faster, later, louder, in noise, and only where there is sound."""

import torch

from thuja.blocks.augment_audio import perturbed

RATE = 8000


def tones(rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    samples = (10_000 * torch.sin(2 * torch.pi * 400 * torch.arange(RATE) / RATE)).short().repeat(rows, 1)
    lengths = torch.full((rows,), RATE)
    lengths[1] = RATE // 2
    samples[1, RATE // 2 :] = 0
    return samples, lengths


def pitch(row: torch.Tensor) -> float:
    """Hertz of the strongest tone."""
    return float(torch.fft.rfft(row).abs().argmax()) * RATE / len(row)


def test_nothing_changes_but_the_loudness_where_nothing_is_asked() -> None:
    samples, lengths = tones(4)
    out, new = perturbed(samples, lengths, torch.Generator().manual_seed(0), speed=0, noise=0, shift=0)
    assert new.tolist() == lengths.tolist()
    gain = out.abs().amax(1) / samples.float().abs().amax(1)
    torch.testing.assert_close(out, samples * gain[:, None], atol=0.1, rtol=1e-4)
    assert 0.25 <= float(gain.min()) < float(gain.max()) <= 4


def test_speed_changes_length_and_pitch_alike() -> None:
    samples, lengths = tones(40)
    out, new = perturbed(samples, lengths, torch.Generator().manual_seed(0), speed=0.2, noise=0, shift=0)
    for row in (0, 1, 2, 39):
        faster = float(lengths[row] / new[row])
        assert 1 / 1.21 < faster < 1.21
        assert abs(pitch(out[row, : int(new[row])]) - 400 * faster) < 4
        assert (out[row, int(new[row]) :] == 0).all()
    assert new[2:].float().std() > 300


def test_shift_and_noise() -> None:
    samples, lengths = tones(40)
    late, new = perturbed(samples, lengths, torch.Generator().manual_seed(0), speed=0, noise=0, shift=500)
    lag = new - lengths
    assert 0 <= int(lag.min()) < 100 and 400 < int(lag.max()) <= 500
    assert all((late[row, : int(lag[row])] == 0).all() for row in range(40))
    noisy, _ = perturbed(samples, lengths, torch.Generator().manual_seed(0), speed=0, noise=0.5, shift=0)
    plain, _ = perturbed(samples, lengths, torch.Generator().manual_seed(0), speed=0, noise=0, shift=0)
    share = (noisy - plain)[0].std() / plain[0].std()
    assert 0 < share <= 0.51
    assert (noisy[1, RATE // 2 :] == 0).all()
    assert torch.equal(noisy, perturbed(samples, lengths, torch.Generator().manual_seed(0), speed=0, noise=0.5, shift=0)[0])
