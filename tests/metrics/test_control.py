"""Returns of episodes: against numpy, weighted as by repeating rows."""

import numpy as np
import pytest

from thuja.metrics import METRICS, Outputs, Sampling, interval

OUTPUTS = Outputs(np.full(7, 10.0, np.float32), {"return": np.array([3.0, 12.0, 10.0, -4.0, 8.0, 30.0, 9.0]), "length": np.arange(1, 8)})
WEIGHTS = np.random.default_rng(0).integers(0, 4, (40, 7)).astype(float)


@pytest.mark.parametrize(("name", "plain"), [
    ("mean_return", lambda returns, lengths: returns.mean()), ("median_return", lambda returns, lengths: np.median(returns)),
    ("success_share", lambda returns, lengths: (returns >= 10).mean()), ("episode_length", lambda returns, lengths: lengths.mean())])
def test_a_weight_is_a_number_of_rows(name: str, plain: object) -> None:
    found = METRICS[name].prepare(OUTPUTS)(WEIGHTS)
    returns, lengths = OUTPUTS.arrays["return"], OUTPUTS.arrays["length"]
    wanted = [plain(np.repeat(returns, draw.astype(int)), np.repeat(lengths, draw.astype(int))) for draw in WEIGHTS]  # type: ignore[operator]
    np.testing.assert_allclose(found, wanted)


def test_where_nothing_is_wanted_success_is_undefined() -> None:
    outputs = OUTPUTS._replace(target=np.full(7, -np.inf))
    assert np.isnan(METRICS["success_share"].value(outputs))
    assert METRICS["mean_return"].value(outputs) == OUTPUTS.arrays["return"].mean()


def test_intervals_cover_the_mean_of_many_episodes() -> None:
    rng, covered = np.random.default_rng(1), 0
    for _ in range(200):
        outputs = Outputs(np.full(100, -np.inf), {"return": rng.exponential(50, 100), "length": np.ones(100)})
        found = interval(METRICS["mean_return"], outputs, Sampling(resamples=300))
        covered += found.low <= 50 <= found.high
    assert 0.88 <= covered / 200 <= 0.98


def test_no_rows_are_no_error() -> None:
    empty = Outputs(np.zeros(0), {"return": np.zeros(0), "length": np.zeros(0)})
    assert all(np.isnan(METRICS[name].value(empty)) for name in ("mean_return", "median_return", "success_share"))
