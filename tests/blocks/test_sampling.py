"""Choosing tokens."""

import torch

from thuja.blocks.sampling import PRIME, Sampling, admitted, choose, cube, uniform


def settings(rows: int, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> Sampling:
    full = {"size": (rows,)}
    return Sampling(torch.full(**full, fill_value=temperature), torch.full(**full, fill_value=top_k), torch.full(**full, fill_value=top_p), torch.arange(rows))


def test_the_prime_makes_cubing_one_to_one() -> None:
    assert PRIME % 3 == 2
    assert all(PRIME % divisor for divisor in range(2, 46342))
    x = torch.randint(PRIME, (1000,))
    assert torch.equal(cube(x), torch.tensor([pow(int(value), 3, PRIME) for value in x]))


def test_uniform_numbers_are_even_and_independent() -> None:
    found = uniform(torch.arange(40), torch.zeros(40, dtype=torch.int64), 500)
    assert float(found.min()) > 0
    assert float(found.max()) < 1
    counts = torch.histc(found.float(), 20, 0, 1)
    assert float(((counts - 1000) ** 2 / 1000).sum()) < 44  # chi-square with 19 degrees of freedom: 1 in 1000
    for other in (uniform(torch.arange(40) + 1, torch.zeros(40, dtype=torch.int64), 500), uniform(torch.arange(40), torch.ones(40, dtype=torch.int64), 500),
                  found.roll(1, 1)):
        assert abs(float(torch.corrcoef(torch.stack([found.flatten(), other.flatten()]))[0, 1])) < 0.03


def test_samples_follow_the_distribution() -> None:
    probability = torch.tensor([0.5, 0.25, 0.15, 0.1])
    rows = 4000
    drawn = choose(probability.log().repeat(rows, 1), settings(rows), torch.full((rows,), 3))
    counts = torch.bincount(drawn, minlength=4)
    assert float(((counts - rows * probability) ** 2 / (rows * probability)).sum()) < 16.3  # 3 degrees of freedom: 1 in 1000
    hot = choose(probability.log().repeat(rows, 1), settings(rows, temperature=2.0), torch.zeros(rows, dtype=torch.int64))
    flat = probability.sqrt() / probability.sqrt().sum()
    assert float(((torch.bincount(hot, minlength=4) - rows * flat) ** 2 / (rows * flat)).sum()) < 16.3


def test_temperature_zero_takes_the_likeliest_and_rows_do_not_matter_to_each_other() -> None:
    logits = torch.randn(50, 9, generator=torch.Generator().manual_seed(0))
    assert torch.equal(choose(logits, settings(50, temperature=0.0), torch.arange(50)), logits.argmax(1))
    whole = choose(logits, settings(50), torch.arange(50))
    alone = [choose(logits[i : i + 1], Sampling(*(s[i : i + 1] for s in settings(50))), torch.arange(50)[i : i + 1]) for i in range(50)]
    assert torch.equal(whole, torch.cat(alone))


def test_the_k_likeliest_and_the_share_p() -> None:
    logits = torch.tensor([[0.1, 0.5, 0.15, 0.25]]).log()
    assert admitted(logits, settings(1)).tolist() == [[True] * 4]
    assert admitted(logits, settings(1, top_k=2)).tolist() == [[False, True, False, True]]
    assert admitted(logits, settings(1, top_p=0.6)).tolist() == [[False, True, False, True]]
    assert admitted(logits, settings(1, top_p=0.0)).tolist() == [[False, True, False, False]]
    assert admitted(logits, settings(1, temperature=0.0, top_p=0.9)).tolist() == [[False, True, False, False]]


def test_tokens_that_are_equally_likely_are_admitted_together() -> None:
    logits = torch.tensor([[1.0, 0.0, 0.0, 0.0, -1.0]])
    two = Sampling(torch.ones(1), torch.tensor([2]), torch.ones(1), torch.zeros(1, dtype=torch.int64))
    assert admitted(logits, two).tolist() == [[True, True, True, True, False]]
    half = Sampling(torch.ones(1), torch.zeros(1, dtype=torch.int64), torch.tensor([0.6]), torch.zeros(1, dtype=torch.int64))
    assert admitted(logits, half).tolist() == [[True, True, True, True, False]]
