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


def test_what_is_no_weight_stays_whatever_way_the_exporter_turned_it() -> None:
    import onnx
    import toys

    weight = np.random.default_rng(1).normal(size=(1200, 1)).astype(np.float32)
    data = toys.linear(weight)
    assert quantise(data, [weight.T.copy()]) == onnx.load_model_from_string(data).SerializeToString(deterministic=True)
    assert quantise(data, [weight + np.float32(1e-3)]) == quantise(data) != data


def test_the_sines_of_a_spectrogram_stay_and_its_networks_weights_do_not() -> None:
    import onnx
    import torch
    from torch import nn

    from thuja.blocks.spectrogram import LogMel
    from thuja.graph.onnxwrite import to_onnx
    from thuja.task import Program

    class Heard(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mel, self.after = LogMel(8000, 40), nn.Linear(40, 64)

        def forward(self, samples: torch.Tensor) -> torch.Tensor:
            return self.after(self.mel(samples))

    module = Heard().eval()
    data = to_onnx(Program(module, ("samples",), ("out",), {}), {"samples": np.zeros((2, 4000), np.float32)})
    packed = onnx.load_model_from_string(quantise(data, [buffer.numpy() for buffer in module.buffers()]))
    small = [tensor for tensor in packed.graph.initializer if tensor.data_type == onnx.TensorProto.INT8]
    assert [int(np.prod(tensor.dims)) for tensor in small] == [64 * 40]
    assert len(onnx.load_model_from_string(quantise(data)).graph.initializer) > len(packed.graph.initializer)


def test_small_weights_stay_as_they_are() -> None:
    import toys

    data = toys.linear(np.ones((3, 1)))
    assert len(quantise(data)) == len(data)
