"""int8 weights: close, a quarter of the size, and independent of the batch."""

import numpy as np

from thuja.graph.quantise import quantise, to_int8


def test_within_half_a_step_per_channel() -> None:
    rng = np.random.default_rng(0)
    array = rng.normal(size=(5, 40)).astype(np.float32) * np.array([[1e-3], [1], [100], [0], [7]], np.float32)
    packed, scale = to_int8(array, 0)
    assert packed.dtype == np.int8 and packed.shape == array.shape and scale.shape == (5,)
    error = np.abs(packed * scale[:, None] - array)
    assert (error <= scale[:, None] * 0.501).all() and (np.abs(packed).max(1) == [127, 127, 127, 0, 127]).all()


def test_a_products_weight_is_packed_along_its_outputs() -> None:
    import onnxruntime
    import toys

    weight = np.random.default_rng(1).normal(size=(1200, 1))
    exact, packed = (onnxruntime.InferenceSession(data) for data in (toys.linear(weight), quantise(toys.linear(weight))))
    rows = np.random.default_rng(2).normal(size=(3, 1200)).astype(np.float32)
    feed = {"numbers": rows, "categories": np.zeros((3, 1), np.int64)}
    (a,), (b,) = exact.run(["value"], feed), packed.run(["value"], feed)
    assert np.abs(a - b).max() < 0.02 * np.abs(a).max() and not np.array_equal(a, b)
    assert len(quantise(toys.linear(weight))) < len(toys.linear(weight)) / 3


def test_small_weights_stay_as_they_are() -> None:
    import toys

    data = toys.linear(np.ones((3, 1)))
    assert len(quantise(data)) == len(data)
