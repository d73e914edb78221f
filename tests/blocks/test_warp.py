import torch

from thuja.blocks.warp import Warp, lit, warped


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(rows: int = 6, height: int = 21, width: int = 15, channels: int = 3) -> torch.Tensor:
    return torch.randint(0, 256, (rows, height, width, channels), generator=rng(3), dtype=torch.uint8)


def test_nothing_asked_nothing_changed() -> None:
    assert torch.equal(warped(pictures(), rng(), Warp()), pictures())
    assert torch.equal(lit(pictures(), rng()), pictures())


def test_a_mirror_is_exact_and_comes_as_a_coin_falls() -> None:
    given = pictures(200)
    out = warped(given, rng(), Warp(mirror=True))
    kept = [bool(torch.equal(a, b)) for a, b in zip(out, given, strict=True)]
    turned = [bool(torch.equal(a, b.flip(1))) for a, b in zip(out, given, strict=True)]
    assert all(k != t for k, t in zip(kept, turned, strict=True))
    assert 70 < sum(turned) < 130


def test_a_turn_keeps_shapes_round_in_a_picture_that_is_not_square() -> None:
    y, x = torch.meshgrid(torch.arange(60.0) - 29.5, torch.arange(40.0) - 19.5, indexing="ij")
    disc = (255 * torch.sigmoid(12 - (x**2 + y**2).sqrt())).to(torch.uint8)[None, :, :, None].repeat(8, 1, 1, 1)
    out = warped(disc, rng(), Warp(rotate=90))
    assert int((out.int() - disc.int()).abs().max()) <= 32, "a disc looks the same from every side, but for the sampling of its edge"
    tall = warped(disc, rng(), Warp(scale=0.3))
    sizes = (tall > 127).float().sum(dim=(1, 2, 3)) / (disc[0] > 127).float().sum()
    assert 1 / 1.35**2 < float(sizes.min()) < 0.95 and 1.05 < float(sizes.max()) < 1 / 0.65**2


def test_shifts_go_both_ways_and_no_further_than_asked() -> None:
    spot = torch.zeros(300, 41, 41, 1, dtype=torch.uint8)
    spot[:, 20, 20] = 255
    out = warped(spot, rng(), Warp(translate=0.2)).float()[..., 0]
    total = out.sum(dim=(1, 2))
    for axis in (1, 2):
        place = (out.sum(dim=3 - axis) * torch.arange(41.0)).sum(dim=1) / total - 20
        assert float(place.abs().max()) <= 0.2 * 41 + 0.5
        assert float(place.min()) < -6 and float(place.max()) > 6


def test_a_bend_moves_places_by_different_amounts_and_neighbours_together() -> None:
    across = torch.arange(0, 240, 4, dtype=torch.uint8).view(1, 1, 60, 1).repeat(50, 40, 1, 1)  # four levels a pixel
    out = warped(across, rng(), Warp(bend=0.2)).float()[:, :, 10:50, 0]
    shift = (out - across.float()[:, :, 10:50, 0]) / 4
    assert 3 < float(shift.abs().max()) <= 0.2 * 30 * 1.35, "as far as asked, but for what a cubic overshoots"
    assert float(shift.std(dim=(1, 2)).min()) > 0.3, "not the whole picture alike"
    assert float(shift.diff(dim=2).abs().max()) < 1.5, "neighbours stay neighbours"


def test_light_changes_the_mean_and_contrast_the_spread() -> None:
    given = pictures(100).float().mul(0.3).add(90).to(torch.uint8)
    bright, strong = lit(given, rng(), brightness=0.2).float(), lit(given, rng(), contrast=0.3).float()
    moved = bright.mean(dim=(1, 2, 3)) - given.float().mean(dim=(1, 2, 3))
    assert 30 < float(moved.abs().max()) <= 52 and float(moved.min()) < 0 < float(moved.max())
    share = strong.std(dim=(1, 2, 3)) / given.float().std(dim=(1, 2, 3))
    assert 0.68 < float(share.min()) < 0.8 and 1.2 < float(share.max()) < 1.32
    assert torch.allclose(strong.mean(dim=(1, 2, 3)), given.float().mean(dim=(1, 2, 3)), atol=0.6)


def test_the_draws_are_those_of_the_generator() -> None:
    asked = Warp(rotate=8.0, scale=0.1, stretch=0.1, translate=0.1, bend=0.1, mirror=True)
    assert torch.equal(warped(pictures(), rng(1), asked), warped(pictures(), rng(1), asked))
    assert not torch.equal(warped(pictures(), rng(1), asked), warped(pictures(), rng(2), asked))
