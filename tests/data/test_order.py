import itertools

import numpy as np
import pytest

from thuja.codec import ragged
from thuja.data import order
from thuja.data.order import alike, indices, permutation, shuffled


@pytest.mark.parametrize(("rows", "size"), [(10, 3), (10, 10), (3, 7), (1, 1), (7, 16)])
def test_every_row_once_an_epoch_whatever_the_size(rows, size):
    steps = list(itertools.islice(indices(rows, size, 0), 3 * rows))
    assert {len(step) for step in steps} == {size}
    flat = np.concatenate(steps)
    for epoch in range(len(flat) // rows):
        assert np.array_equal(flat[epoch * rows : (epoch + 1) * rows], permutation(rows, 0, epoch))
        assert sorted(flat[epoch * rows : (epoch + 1) * rows]) == list(range(rows))


@pytest.mark.parametrize("start", [1, 2, 5, 40])
def test_resumed_at_any_step_is_the_same_order(start):
    whole = list(itertools.islice(indices(10, 3, 5), start + 4))
    assert np.array_equal(np.stack(whole[start:]), np.stack(list(itertools.islice(indices(10, 3, 5, start), 4))))


def test_seeds_and_epochs_differ():
    orders = {tuple(permutation(20, seed, epoch)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


def test_shuffled_gathers_rows_and_pads():
    columns = {"x": np.arange(24, dtype=np.uint8).reshape(6, 2, 2), "y": np.arange(6), "t": ragged([np.arange(1, n + 1) for n in range(1, 7)])}
    batch = next(shuffled(columns, 4, seed=1))
    index = permutation(6, 1, 0)[:4]
    assert batch["y"].tolist() == index.tolist()
    assert np.array_equal(batch["x"].numpy(), columns["x"][index])
    assert batch["t"].shape == (4, index.max() + 1)
    assert batch["t"].ne(0).sum(1).tolist() == (index + 1).tolist()


def test_the_orders_of_many_rows_are_drawn_ahead_to_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = [index.copy() for index, _ in zip(order.indices(100, 32, 3, start=2), range(20), strict=False)]
    monkeypatch.setattr(order, "MANY", 100)
    ahead = [index.copy() for index, _ in zip(order.indices(100, 32, 3, start=2), range(20), strict=False)]
    assert all(np.array_equal(a, b) for a, b in zip(plain, ahead, strict=True))


@pytest.mark.parametrize("pool", [1, 4, 32])
def test_batches_of_similar_length_hold_each_row_once_an_epoch(pool):
    lengths = np.random.default_rng(0).integers(1, 100, 64)
    drawn = list(itertools.islice(alike(lengths, 8, 3, pool=pool), 16))
    assert sorted(np.concatenate(drawn[:8]).tolist()) == sorted(np.concatenate(drawn[8:]).tolist()) == list(range(64))
    later = next(alike(lengths, 8, 3, start=11, pool=pool))
    assert np.array_equal(later, drawn[11])
    if pool > 1:
        assert np.mean([np.ptp(lengths[batch]) for batch in drawn]) < 0.5 * np.ptp(lengths)
