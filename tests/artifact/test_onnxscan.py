"""Hostile ONNX files are refused before any runtime sees them; ordinary ones pass."""

import numpy as np
import pytest
import toys

from thuja.artifact.onnxscan import refuse_external_data
from thuja.core.errors import ArtifactError

OUTSIDE = "x.onnx: expected all numbers inside the file, found a tensor kept in another file. Do not use this artefact: it was not written by Thuja."
DAMAGED = "x.onnx: expected an ONNX model, found damaged bytes. Export the artefact again."


def external(name: str = "w"):
    from onnx import TensorProto

    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../../../etc/passwd")
    return tensor


def in_initializer(model) -> None:
    model.graph.initializer.append(external())


def in_sparse_initializer(model) -> None:
    model.graph.sparse_initializer.add().values.CopyFrom(external())


def in_sparse_indices(model) -> None:
    model.graph.sparse_initializer.add().indices.CopyFrom(external())


def in_attribute(model) -> None:
    model.graph.node[0].attribute.add(name="value").t.CopyFrom(external())


def in_attribute_list(model) -> None:
    model.graph.node[0].attribute.add(name="value").tensors.append(external())


def in_sparse_attribute(model) -> None:
    model.graph.node[0].attribute.add(name="value").sparse_tensor.values.CopyFrom(external())


def in_subgraph(model) -> None:
    model.graph.node[0].attribute.add(name="body").g.initializer.append(external())


def in_deep_subgraph(model) -> None:
    graph = model.graph
    for _ in range(40):
        graph.node.add(op_type="If").attribute.add(name="then").graphs.add()
        graph = graph.node[-1].attribute[0].graphs[0]
    graph.initializer.append(external())


def in_function(model) -> None:
    model.functions.add(name="f").node.add(op_type="Constant").attribute.add(name="value").t.CopyFrom(external())


def in_function_default(model) -> None:
    model.functions.add(name="f").attribute_proto.add(name="value").t.CopyFrom(external())


def in_training(model) -> None:
    model.training_info.add().algorithm.initializer.append(external())


def by_location_alone(model) -> None:
    tensor = external()
    tensor.ClearField("external_data")
    model.graph.initializer.append(tensor)


def by_data_alone(model) -> None:
    tensor = external()
    tensor.ClearField("data_location")
    model.graph.initializer.append(tensor)


@pytest.mark.parametrize("plant", [in_initializer, in_sparse_initializer, in_sparse_indices, in_attribute, in_attribute_list, in_sparse_attribute, in_subgraph,
                                   in_deep_subgraph, in_function, in_function_default, in_training, by_location_alone, by_data_alone])
def test_external_data_are_found_wherever_they_hide(plant) -> None:
    import onnx

    model = onnx.load_model_from_string(toys.linear(np.ones((2, 1))))
    refuse_external_data(model.SerializeToString(), "x.onnx")
    plant(model)
    with pytest.raises(ArtifactError) as caught:
        refuse_external_data(model.SerializeToString(), "x.onnx")
    assert str(caught.value) == OUTSIDE


@pytest.mark.parametrize("data", [b"", b"\x08\x09", b"not a model", b"\xff" * 40, b"\x3a\xff\xff\xff\xff\x0f", b"\x3b" * 8, b"PK\x03\x04" + bytes(60),
                                  b"\x18\x00\x00\x00ORTM" + bytes(64)])
def test_what_is_no_onnx_is_refused(data: bytes) -> None:
    with pytest.raises(ArtifactError) as caught:
        refuse_external_data(data, "x.onnx")
    assert str(caught.value) == DAMAGED


def test_two_graphs_that_would_be_merged_are_refused() -> None:
    data = toys.linear(np.ones((2, 1)))
    with pytest.raises(ArtifactError, match="damaged bytes"):
        refuse_external_data(data + data, "x.onnx")


def test_truncation_anywhere_ends_in_a_refusal_or_a_whole_model() -> None:
    data = toys.linear(np.ones((2, 1)))
    refused = 0
    for end in range(len(data)):
        try:
            refuse_external_data(data[:end], "x.onnx")
        except ArtifactError:
            refused += 1
    assert refused > 0.9 * len(data)
