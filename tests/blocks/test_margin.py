import math

import pytest
import torch
from torch.nn import functional as F

from thuja.blocks.margin import MarginHead, widened


def unit(rows: int, dim: int, seed: int = 0) -> torch.Tensor:
    return F.normalize(torch.randn(rows, dim, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_arcface_adds_the_margin_to_the_angle_of_the_own_person_alone() -> None:
    head, vectors, target = MarginHead(8, 5, kind="arcface", margin=0.4, scale=10.0), unit(7, 8), torch.arange(7) % 5
    logits = head(vectors, target)
    angle = torch.acos(head.cosines(vectors))
    assert (angle.max() + 0.4) < math.pi, "the case that is tested here"
    wanted = angle + 0.4 * F.one_hot(target, 5)
    assert torch.allclose(logits, 10 * torch.cos(wanted), atol=1e-4)


def test_cosface_takes_the_margin_off_the_cosine() -> None:
    head, vectors, target = MarginHead(8, 5, kind="cosface", margin=0.3, scale=4.0), unit(7, 8), torch.arange(7) % 5
    assert torch.allclose(head(vectors, target), 4 * (head.cosines(vectors) - 0.3 * F.one_hot(target, 5)), atol=1e-5)


@pytest.mark.parametrize("kind", ["arcface", "cosface"])
def test_without_a_margin_it_is_a_plain_softmax_over_cosines(kind) -> None:
    head, vectors, target = MarginHead(8, 5, kind=kind, margin=0.0, scale=3.0), unit(7, 8), torch.arange(7) % 5
    assert torch.allclose(head(vectors, target), 3 * head.cosines(vectors), atol=1e-4)


def test_the_length_of_a_prototype_means_nothing() -> None:
    head, vectors = MarginHead(8, 5), unit(3, 8)
    before = head.cosines(vectors)
    with torch.no_grad():
        head.prototypes.mul_(torch.arange(1.0, 6.0)[:, None])
    assert torch.allclose(head.cosines(vectors), before, atol=1e-6)


def test_a_smaller_cosine_never_pays_and_the_gradient_is_finite_at_the_ends() -> None:
    cosine = torch.linspace(-1, 1, 2001, requires_grad=True)
    lowered = widened(cosine, 0.5)
    assert bool((lowered.diff() > 0).all()), "monotonic, also where angle and margin pass 180 degrees"
    assert bool((lowered <= cosine + 1e-6).all())
    lowered.sum().backward()
    assert cosine.grad is not None and bool(torch.isfinite(cosine.grad).all())
