"""Distances of pictures that were made: against the closed form, scipy's matrix root, repeated rows, and neighbourhoods by hand."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from thuja.metrics import METRICS, Outputs, interval
from thuja.metrics.bootstrap import Sampling
from thuja.metrics.generation import Gaussian, frechet, frechet_distance, gaussian, manifolds, squared_distances


def outputs(real: np.ndarray, made: np.ndarray) -> Outputs:
    near, rows = manifolds(real, made), len(real)
    return Outputs(real, {"features": made, "realistic": near.realistic, "covered": near.covered, "recognised": np.linspace(0, 1, rows)})


def cloud(rows: int, seed: int, shift: float = 0.0, scale: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (shift + scale * rng.standard_normal((rows, 5)) @ np.diag([3, 2, 1, 1, 0.5])).astype(np.float32)


def test_the_distance_of_two_normal_distributions() -> None:
    rng = np.random.default_rng(0)
    one, other = (m @ m.T for m in rng.standard_normal((2, 4, 4)))
    mean = rng.standard_normal(4)
    wanted = (mean**2).sum() + np.trace(one + other - 2 * sqrtm(one @ other).real)
    assert frechet_distance(Gaussian(np.zeros(4), one), Gaussian(mean, other)) == pytest.approx(wanted, rel=1e-6)
    assert frechet_distance(Gaussian(mean, one), Gaussian(mean, one)) == pytest.approx(0, abs=1e-6)
    line = frechet_distance(Gaussian(np.zeros(1), np.array([[4.0]])), Gaussian(np.array([3.0]), np.array([[1.0]])))
    assert line == pytest.approx(3**2 + (2 - 1) ** 2)


def test_a_singular_covariance_has_a_distance() -> None:
    flat = cloud(200, 0)
    flat[:, 2:] = 7.0
    assert frechet(flat, cloud(200, 1)) > 1
    assert frechet(flat, flat) == pytest.approx(0, abs=1e-3)


def test_a_weight_is_a_row_counted_so_often() -> None:
    real, made = cloud(60, 0), cloud(60, 1, shift=0.5)
    weight = np.random.default_rng(2).integers(0, 4, 60)
    found = METRICS["frechet"].value(outputs(real, made), weight)
    assert found == pytest.approx(frechet(np.repeat(real, weight, axis=0), np.repeat(made, weight, axis=0)), rel=1e-3)
    assert METRICS["frechet"].value(outputs(real, made)) == pytest.approx(frechet(real, made), rel=1e-4)
    mean = gaussian(real.astype(float), weight.astype(float)).mean
    np.testing.assert_allclose(mean, np.repeat(real, weight, axis=0).mean(axis=0), rtol=1e-4)


def test_the_distance_falls_with_rows_and_never_to_nothing() -> None:
    few, many = (frechet(cloud(rows, 0), cloud(rows, 1)) for rows in (50, 5000))
    assert 0 < many < few / 10


def test_a_large_mean_does_not_cost_digits() -> None:
    real, made = cloud(400, 0), cloud(400, 1, scale=1.5)
    away = METRICS["frechet"].value(outputs(real + 1000, made + 1000))
    assert away == pytest.approx(frechet(real, made), rel=1e-2)


def test_neighbourhoods_by_hand() -> None:
    real, made = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([[0.5], [4.9], [6.5], [1.5]])
    found = manifolds(real, made, neighbours=1)
    assert found.realistic.tolist() == [1, 0, 0, 1]  # every real row reaches to 1
    assert found.covered.tolist() == [1, 1, 1, 0]  # 0.5 and 1.5 reach to 1, 4.9 and 6.5 to 1.6; the last misses by 0.3
    lone = np.append(real, [[100.0]], axis=0)
    assert manifolds(lone, np.append(made, [[98.0]], axis=0), neighbours=1).realistic.tolist() == [1, 1, 1, 1, 1]  # one far away reaches to 97
    assert manifolds(real[:2], made[:2]).realistic.tolist() == [1, 0]  # fewer rows than neighbours


def test_precision_and_recall_tell_a_collapse_from_noise() -> None:
    real = cloud(500, 0)
    collapsed, noise = cloud(500, 1, scale=0.2), cloud(500, 2, scale=3)
    one, other = manifolds(real, collapsed), manifolds(real, noise)
    assert one.realistic.mean() > 0.95 and one.covered.mean() < 0.3
    assert other.realistic.mean() < 0.5 and other.covered.mean() > 0.9
    same = manifolds(real, cloud(500, 3))
    assert same.realistic.mean() > 0.8 and same.covered.mean() > 0.8


def test_squared_distances() -> None:
    one, other = cloud(7, 0), cloud(9, 1)
    np.testing.assert_allclose(squared_distances(one, other), ((one[:, None] - other) ** 2).sum(2), rtol=1e-3, atol=1e-3)


def test_intervals_hold_the_value_and_shares_have_a_closed_form() -> None:
    answered = outputs(cloud(300, 0), cloud(300, 1, shift=0.3))
    found = interval(METRICS["frechet"], answered, Sampling(resamples=100))
    assert found.low <= found.value <= found.high
    assert interval(METRICS["precision_pictures"], answered).method == "Wilson"
    assert METRICS["recognised"].value(answered) == pytest.approx(0.5)
    unknown = answered._replace(arrays=answered.arrays | {"recognised": np.full(300, np.nan)})
    assert np.isnan(METRICS["recognised"].value(unknown))
    assert np.isnan(METRICS["frechet"].value(answered.take(np.array([3]))))
