import itertools

import pytest
import torch

from thuja.blocks.regularisation import alternating, cutout, mixup, moved


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def pictures() -> torch.Tensor:
    return torch.randint(0, 256, (64, 6, 8, 3), generator=rng(5), dtype=torch.uint8)


def test_every_shift_and_mirror_is_an_honest_one(pictures: torch.Tensor) -> None:
    mirrored = torch.arange(64) % 3 == 0
    out = moved(pictures, rng(), translate=2, mirrored=mirrored)
    padded = torch.nn.functional.pad(pictures.permute(0, 3, 1, 2).float(), (2, 2, 2, 2), mode="reflect").permute(0, 2, 3, 1).to(torch.uint8)
    seen = set()
    for i in range(len(pictures)):
        straight = {(y, x, 0): padded[i, y : y + 6, x : x + 8] for y in range(5) for x in range(5)}
        views = straight | {(y, x, 1): view.flip(1) for (y, x, _), view in straight.items()}
        matches = [key for key, view in views.items() if torch.equal(view, out[i])]
        assert len(matches) == 1
        assert matches[0][2] == mirrored[i]
        seen.add(matches[0])
    assert {y for y, _, _ in seen} == {x for _, x, _ in seen} == set(range(5))


def test_without_reflection_the_edge_is_repeated() -> None:
    ink = torch.arange(8, dtype=torch.uint8).view(1, 1, 8, 1).expand(32, 4, 8, 1)
    out = moved(ink, rng(), translate=2, reflect=False)
    moves = {tuple(min(max(x + by, 0), 7) for x in range(8)) for by in range(-2, 3)}
    assert {tuple(row.tolist()) for row in out[:, 0, :, 0]} == moves


def test_nothing_asked_nothing_done(pictures: torch.Tensor) -> None:
    assert moved(pictures, rng()) is pictures


def test_randomness_is_the_generator_alone(pictures: torch.Tensor) -> None:
    once, again, other = (moved(pictures, rng(seed), translate=2) for seed in (1, 1, 2))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)


def by_pixels(pictures: torch.Tensor, shift: torch.Tensor, mirrored: torch.Tensor, reflect: bool) -> torch.Tensor:
    """What `moved` promises, a pixel at a time."""
    rows, height, width, _ = pictures.shape
    out = torch.empty_like(pictures)
    for b, y, x in itertools.product(range(rows), range(height), range(width)):
        place = [y + int(shift[b, 0]), (width - 1 - x if mirrored[b] else x) + (-1 if mirrored[b] else 1) * int(shift[b, 1])]
        for axis, size in enumerate((height, width)):
            inside = abs(place[axis]) if reflect else max(place[axis], 0)
            place[axis] = (size - 1) - abs((size - 1) - inside) if reflect else min(inside, size - 1)
        out[b, y, x] = pictures[b, place[0], place[1]]
    return out


@pytest.mark.parametrize("reflect", [True, False])
@pytest.mark.parametrize("translate", [0, 1, 2, 4])
@pytest.mark.parametrize("shape", [(5, 6, 8, 3), (4, 9, 5, 1), (1, 7, 7, 3)])
def test_moved_by_lines_or_by_pixels_is_what_is_promised(shape: tuple[int, ...], translate: int, reflect: bool) -> None:
    given = torch.randint(0, 256, shape, generator=rng(5), dtype=torch.uint8)
    before = given.clone()
    mirrored = torch.arange(shape[0]) % 2 == 0
    out = moved(given, rng(3), translate=translate, mirrored=mirrored, reflect=reflect)
    shift = torch.randint(-translate, translate + 1, (shape[0], 2), generator=rng(3))
    assert torch.equal(out, by_pixels(given, shift, mirrored, reflect))
    assert torch.equal(given, before), "what was given is another's"
    only_shifted = moved(given, rng(3), translate=translate, reflect=reflect)
    assert torch.equal(only_shifted, by_pixels(given, shift, torch.zeros(shape[0], dtype=torch.bool), reflect))


def test_two_epochs_show_both_sides_of_every_picture() -> None:
    row = torch.arange(10_000)
    first, second, third = (alternating(row, torch.full_like(row, epoch), seed=3) for epoch in range(3))
    assert torch.equal(second, ~first)
    assert torch.equal(third, first)
    assert 0.45 < first.float().mean() < 0.55
    assert 0.45 < (first[1:] == first[:-1]).float().mean() < 0.55, "neighbours fall independently"
    assert 0.45 < (first == alternating(row, torch.zeros_like(row), seed=4)).float().mean() < 0.55, "seeds differ"


def test_cutout_fills_one_square(pictures: torch.Tensor) -> None:
    fill = torch.tensor([1, 2, 3])
    out = cutout(pictures, rng(), 3, fill)
    changed = (out != pictures).any(dim=3)
    assert changed.sum(dim=(1, 2)).min() >= 1
    assert changed.sum(dim=(1, 2)).max() <= 9
    assert (out[changed] == fill).all()
    assert changed.any(dim=0).all(), "every place can be hit"


def test_mixup(pictures: torch.Tensor) -> None:
    target = torch.arange(64)
    out, partner, share = mixup(pictures, target, rng(), 0.4)
    assert sorted(partner.tolist()) == target.tolist()
    expected = share.view(-1, 1, 1, 1) * pictures + (1 - share.view(-1, 1, 1, 1)) * pictures[partner]
    assert (out.float() - expected).abs().max() <= 0.501
    assert 0 <= share.min() < 0.2 < 0.8 < share.max() <= 1
    assert torch.equal(out, mixup(pictures, target, rng(), 0.4)[0])
