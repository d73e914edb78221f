import itertools
import math

import pytest
import torch
from torch.nn import functional as F

from thuja.losses import bayesian_personalised_ranking, blended_cross_entropy, ctc, pixel_cross_entropy, sampled_softmax, soft_dice, unsmoothed


def test_blended_equals_blended_targets() -> None:
    torch.manual_seed(0)
    logits, target, partner, share = torch.randn(6, 4), torch.randint(0, 4, (6,)), torch.randint(0, 4, (6,)), torch.rand(6)
    soft = share[:, None] * F.one_hot(target, 4) + (1 - share[:, None]) * F.one_hot(partner, 4)
    torch.testing.assert_close(blended_cross_entropy(logits, target, partner, share, 0.1), F.cross_entropy(logits, soft, label_smoothing=0.1))


def test_parts_average_to_the_whole() -> None:
    torch.manual_seed(0)
    logits, target, partner, share = torch.randn(6, 4), torch.randint(0, 4, (6,)), torch.randint(0, 4, (6,)), torch.rand(6)
    parts = [blended_cross_entropy(logits[i : i + 2], target[i : i + 2], partner[i : i + 2], share[i : i + 2]) for i in (0, 2, 4)]
    torch.testing.assert_close(torch.stack(parts).mean(), blended_cross_entropy(logits, target, partner, share))


def test_unsmoothed_solves_for_the_belief() -> None:
    belief = torch.tensor([[0.7, 0.2, 0.1], [0.4, 0.35, 0.25]])
    torch.testing.assert_close(unsmoothed(0.8 * belief + 0.2 / 3, 0.2), belief)


def test_unsmoothed_keeps_the_winner_and_rules_nothing_out() -> None:
    torch.manual_seed(0)
    given = torch.randn(200, 5).mul(4).softmax(dim=1)
    out = unsmoothed(given, 0.1)
    torch.testing.assert_close(out.sum(dim=1), torch.ones(200))
    assert torch.equal(out.argmax(dim=1), given.argmax(dim=1))
    assert out.min() > 1e-3


def test_ctc_is_the_sum_over_all_ways_to_spread_the_target() -> None:
    torch.manual_seed(0)
    logs = torch.randn(2, 5, 3).log_softmax(-1)
    frames, target = torch.tensor([5, 4]), torch.tensor([[1, 2, 1], [2, 0, 0]])

    def likelihood(row: int, wanted: list[int]) -> float:
        total = 0.0
        for path in itertools.product(range(3), repeat=int(frames[row])):
            said = [token for token, _ in itertools.groupby(path) if token]
            total += math.exp(sum(float(logs[row, t, token]) for t, token in enumerate(path))) if said == wanted else 0.0
        return total

    expected = (-math.log(likelihood(0, [1, 2, 1])) / 3 - math.log(likelihood(1, [2]))) / 2
    assert float(ctc(logs, frames, target)) == pytest.approx(expected, rel=1e-5)
    assert float(ctc(logs, torch.tensor([2, 4]), target)) == pytest.approx(-math.log(likelihood(1, [2])) / 2, rel=1e-5)  # three do not fit into two


def test_personalised_ranking_is_the_surprise_at_the_right_order() -> None:
    positive, negative = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 0.0])
    expected = torch.tensor([math.log(1 + math.exp(-2.0)), math.log(2.0)])
    torch.testing.assert_close(bayesian_personalised_ranking(positive, negative), expected)


def test_a_sampled_softmax_of_everything_is_the_softmax() -> None:
    torch.manual_seed(0)
    logits, target = torch.randn(5, 7), torch.randint(7, (5,))
    same = target[:, None] == torch.arange(7)
    found = sampled_softmax(logits.gather(1, target[:, None])[:, 0], logits, torch.ones(7), same)
    torch.testing.assert_close(found, F.cross_entropy(logits, target, reduction="none"))
    halved = sampled_softmax(logits.gather(1, target[:, None])[:, 0], logits, torch.full((7,), 0.5), same)
    assert bool((halved > found).all()), "each drawn one stands for two"


def pixels(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    target = torch.randint(0, 3, (4, 5, 6))
    target[1:, :2] = 255
    return torch.randn(4, 3, 5, 6), target


def test_void_pixels_neither_count_nor_teach() -> None:
    logits, target = pixels()
    logits.requires_grad_(True)
    for loss in (pixel_cross_entropy(logits, target, 255), soft_dice(logits, target, 255)):
        gradient, = torch.autograd.grad(loss, logits)
        assert (gradient.permute(0, 2, 3, 1)[target == 255] == 0).all()
        assert (gradient.permute(0, 2, 3, 1)[target != 255] != 0).any()
    rows = [F.cross_entropy(logits[i : i + 1], target[i : i + 1], ignore_index=255) for i in range(4)]
    torch.testing.assert_close(pixel_cross_entropy(logits, target, 255), torch.stack(rows).mean())
    assert pixel_cross_entropy(logits, torch.full_like(target, 255), 255) == soft_dice(logits, torch.full_like(target, 255), 255) == 0


def test_dice_by_hand_and_over_parts() -> None:
    logits, target = pixels()
    probability, known = logits.softmax(1), target != 255
    rows = []
    for i in range(4):
        there = [c for c in range(1, 3) if (target[i] == c).any()]
        overlaps = [(2 * probability[i, c][target[i] == c].sum() + 1) / (probability[i, c][known[i]].sum() + (target[i] == c).sum() + 1) for c in there]
        rows.append(1 - torch.stack(overlaps).mean())
    torch.testing.assert_close(soft_dice(logits, target, 255, first=1), torch.stack(rows).mean())
    halves = [soft_dice(logits[part], target[part], 255) for part in (slice(2), slice(2, 4))]
    torch.testing.assert_close(torch.stack(halves).mean(), soft_dice(logits, target, 255))
    sure = F.one_hot(torch.where(known, target, 0), 3).permute(0, 3, 1, 2) * 50.0
    assert soft_dice(sure, target, 255) < 1e-4
