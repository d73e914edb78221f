"""Beam search against a search by hand over all sequences of a small random language."""

import itertools
import math

import numpy as np
import pytest
import torch

from thuja.blocks.search import NOTHING, Rule, advance, begin, follow

WORDS, END, LIMIT = 6, 1, 4
"""Tokens 2 to 5 are words; 0 is padding, never chosen."""


def language(seed: int) -> np.ndarray:
    """Log-probabilities [WORDS, WORDS] of the next token after each; the first row is for the beginning."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(WORDS, WORDS)) * 2
    scores[:, 0] = -np.inf
    return scores - np.log(np.exp(scores).sum(1, keepdims=True))


def search(tables: list[np.ndarray], rule: Rule, limit: int = LIMIT) -> tuple[list[list[int]], list[float]]:
    """All rows together, each in its own language."""
    table = torch.from_numpy(np.stack(tables)).float().clamp_min(NOTHING)
    limits = torch.full((len(tables),), limit)
    beams, _ = begin(table[:, 0], limits, rule)
    steps = 1
    while not beams.done.all():
        last = beams.tokens[:, :, -1]
        before = beams
        beams, parent = advance(beams, table[torch.arange(len(tables))[:, None], last], limits, rule)
        torch.testing.assert_close(follow(before.tokens, parent), beams.tokens[:, :, :-1])
        assert (beams.scores.diff(dim=1) <= 0).all()
        steps += 1
    assert steps <= limit
    return [[i for i in row if i] for row in beams.best.tolist()], beams.best_score.tolist()


def by_hand(table: np.ndarray, penalty: float) -> tuple[list[int], float]:
    """The best ended sequence of at most LIMIT tokens."""
    found = []
    for length in range(LIMIT):
        for words in itertools.product(range(2, WORDS), repeat=length):
            score = sum(table[a, b] for a, b in zip((0, *words), (*words, END), strict=True))
            found.append((score / (length + 1) ** penalty, list(words)))
    score, words = max(found)
    return words, score


def greedy(table: np.ndarray) -> tuple[list[int], float]:
    words, score, last = [], 0.0, 0
    while len(words) < LIMIT:
        chosen = int(table[last].argmax())
        score += table[last, chosen]
        if chosen == END:
            return words, score / (len(words) + 1)
        words.append(chosen)
        last = chosen
    return words, score / LIMIT


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_enough_beams_find_the_best_sequence(penalty: float) -> None:
    """With as many beams as there are ways to go on, nothing is pruned; the search only ends early once that many have finished."""
    tables = [language(seed) for seed in range(20)]
    wide = Rule(beams=3 * 4**3, end=END, penalty=penalty)
    padded = [np.concatenate([np.concatenate([t, np.full((WORDS, 400), -np.inf)], 1), np.full((400, WORDS + 400), -np.inf)]) for t in tables]
    texts, scores = search(padded, wide)
    for table, text, score in zip(tables, texts, scores, strict=True):
        words, best = by_hand(table, penalty)
        assert text == words
        assert math.isclose(score, best, abs_tol=1e-4)


def test_one_beam_takes_the_likeliest_token_each_time_and_is_cut_at_the_limit() -> None:
    tables = [language(seed) for seed in range(40)]
    texts, scores = search(tables, Rule(beams=1, end=END))
    expected = [greedy(table) for table in tables]
    assert texts == [words for words, _ in expected]
    assert np.allclose(scores, [score for _, score in expected], atol=1e-4)
    assert any(len(words) == LIMIT for words in texts) and any(len(words) < LIMIT for words in texts)


def test_rows_do_not_know_each_other() -> None:
    tables = [language(seed) for seed in range(40)]
    alone = [search([table], Rule(beams=2, end=END))[0][0] for table in tables]
    assert alone == search(tables, Rule(beams=2, end=END))[0]


def test_a_row_that_is_done_keeps_its_answer() -> None:
    table = torch.from_numpy(np.stack([language(0), language(1)])).float().clamp_min(NOTHING)
    limit, rule = torch.tensor([0, 5]), Rule(beams=2, end=END)
    beams, _ = begin(table[:, 0], limit, rule)
    assert beams.done.tolist() == [True, False]
    later, _ = advance(beams, table[torch.arange(2)[:, None], beams.tokens[:, :, -1]], limit, rule)
    assert later.best[0].tolist() == [0, 0]
    assert later.best_score[0] == beams.best_score[0]
