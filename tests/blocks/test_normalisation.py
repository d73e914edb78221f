import torch

from thuja.blocks.normalisation import RMSNorm, Standardise, batch_norm


def test_standardise() -> None:
    pixels = torch.randint(0, 256, (4, 5, 6, 3), dtype=torch.uint8)
    mean, std = [10.0, 100.0, 200.0], [2.0, 50.0, 30.0]
    out = Standardise(mean, std)(pixels)
    expected = (pixels.permute(0, 3, 1, 2).double() - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    torch.testing.assert_close(out.double(), expected, atol=1e-4, rtol=1e-5)
    assert out.is_contiguous(memory_format=torch.channels_last)


def test_a_constant_channel_stays_near_zero() -> None:
    assert Standardise([7.0], [0.0])(torch.full((1, 2, 2, 1), 7, dtype=torch.uint8)).abs().max() == 0


def test_batch_norm_memory_is_the_weight_of_the_past() -> None:
    norm = batch_norm(2, memory=0.6)
    norm(torch.full((3, 2, 4, 4), 10.0))
    torch.testing.assert_close(norm.running_mean, torch.tensor([4.0, 4.0]))


def test_batch_norm_without_gain() -> None:
    norm = batch_norm(2, gain=False)
    assert [name for name, p in norm.named_parameters() if p.requires_grad] == ["bias"]
    out = norm(torch.randn(64, 2, 8, 8) * 5 + 3)
    torch.testing.assert_close(out.std(dim=(0, 2, 3)), torch.ones(2), atol=1e-3, rtol=0)


def test_rms_norm_is_that_of_torch() -> None:
    ours, theirs = RMSNorm(6), torch.nn.RMSNorm(6, eps=1e-6)
    with torch.no_grad():
        ours.gain.copy_(torch.arange(1.0, 7.0))
        theirs.weight.copy_(ours.gain)
    x = torch.randn(2, 3, 6)
    torch.testing.assert_close(ours(x), theirs(x))
