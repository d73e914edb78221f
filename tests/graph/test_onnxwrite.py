"""Programs as ONNX: what varies varies, and a network that fixes an axis is told so."""

import logging
import warnings

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from thuja.artifact.onnxscan import scan
from thuja.core.errors import ArtifactError
from thuja.graph.onnxwrite import OPSET, to_onnx
from thuja.task import Program


class Mean(nn.Module):
    def forward(self, ids: Tensor) -> Tensor:
        return ids.float().mean(1, keepdim=True).exp()


class Two(nn.Module):
    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return a + b.float(), b


class Fixed(nn.Module):
    def forward(self, ids: Tensor) -> Tensor:
        return torch.ones(3, 1)


def shapes(values) -> list[list[int | str]]:
    return [[d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in values]


def test_axes_vary_even_where_the_example_has_one_row_of_one(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = onnx.load_model_from_string(to_onnx(Program(Mean(), ("ids",), ("mean",), {"ids": (1,)}), {"ids": np.ones((1, 1), np.int64)}))
    assert shapes(model.graph.input) == [["rows", "ids_1"]] and shapes(model.graph.output) == [["rows", 1]]
    assert [(o.domain, o.version) for o in model.opset_import] == [("", OPSET)]
    assert not [r for r in caplog.records if "torchvision" in r.message] and not [w for w in caught if "LeafSpec" in str(w.message)]


def test_two_inputs_and_outputs_keep_their_names_order_and_types() -> None:
    example = {"b": np.ones((4, 2), np.uint8), "a": np.ones((4, 2), np.float32), "unused": np.ones(4)}
    model = onnx.load_model_from_string(to_onnx(Program(Two(), ("a", "b"), ("sum", "same")), example))
    assert [v.name for v in model.graph.input] == ["a", "b"] and [v.name for v in model.graph.output] == ["sum", "same"]
    assert [v.type.tensor_type.elem_type for v in model.graph.input] == [onnx.TensorProto.FLOAT, onnx.TensorProto.UINT8]


class Taken(nn.Module):
    def forward(self, exp: Tensor) -> Tensor:
        return exp.mean(1).exp().cos()


def test_names_that_torch_gives_to_values_inside_can_be_inputs_and_outputs() -> None:
    import onnxruntime

    given = np.ones((2, 3), np.float32)
    data = to_onnx(Program(Taken(), ("exp",), ("mean",)), {"exp": given})
    onnx.checker.check_model(onnx.load_model_from_string(data), full_check=True)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    assert [v.name for v in session.get_inputs()] == ["exp"] and [v.name for v in session.get_outputs()] == ["mean"]
    np.testing.assert_allclose(session.run(None, {"exp": given})[0], np.cos(np.exp(np.ones(2))), rtol=1e-6)


def test_only_mathematics_is_left() -> None:
    data = to_onnx(Program(Mean(), ("ids",), ("mean",), {"ids": (1,)}), {"ids": np.ones((2, 3), np.int64)})
    model = onnx.load_model_from_string(data)
    scan(data, "mean.onnx")
    assert model.producer_name == "thuja" and not model.metadata_props and not model.graph.value_info
    assert all(not node.metadata_props and not node.doc_string for node in model.graph.node)
    assert b"test_onnxwrite" not in data and b"Mean" not in data.replace(b"ReduceMean", b"")


def test_a_fixed_number_of_rows_is_refused() -> None:
    with pytest.raises(ArtifactError) as caught:
        to_onnx(Program(Fixed(), ("ids",), ("one",)), {"ids": np.ones((3, 2), np.int64)})
    assert str(caught.value) == ("export: output one, axis 0: expected one answer per row, found a fixed number of rows. "
                                 "Let the network take its size from the input.")
