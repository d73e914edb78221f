"""Hostile ONNX files are refused before any runtime sees them; ordinary ones pass."""

import numpy as np
import pytest
import toys

from thuja.artifact.onnxscan import NODES, OPERATORS, scan
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


FOREIGN = "x.onnx: expected plain arithmetic on numbers inside the file, found {}. Do not use this artefact: it was not written by Thuja."


def foreign_operator(model) -> None:
    model.graph.node[0].op_type = "RunShell"


def operator_of_text(model) -> None:
    model.graph.node[0].op_type = "StringConcat"


def foreign_domain(model) -> None:
    model.graph.node[0].domain = "com.microsoft"


def foreign_opset(model) -> None:
    model.opset_import.add(domain="evil.ops", version=1)


def no_operator(model) -> None:
    model.graph.node[0].ClearField("op_type")


def text(model) -> None:
    model.graph.initializer.add(name="t", data_type=8, dims=[1])


def text_data(model) -> None:
    model.graph.initializer.add(name="t", dims=[1]).string_data.append(b"x")


def huge(model) -> None:
    model.graph.initializer.add(name="t", data_type=1, dims=[1 << 20, 1 << 20], raw_data=bytes(8))


def negative(model) -> None:
    model.graph.initializer.add(name="t", data_type=1, dims=[-1])


def cycle(model) -> None:
    model.graph.node[0].input[0] = model.graph.node[1].output[0]


def made_twice(model) -> None:
    model.graph.node.add(op_type="Identity", input=["numbers"], output=["wide"])


def kept_twice(model) -> None:
    model.graph.initializer.append(model.graph.initializer[0])


def unmade_output(model) -> None:
    model.graph.output[0].name = "nobody"


def input_of_text(model) -> None:
    model.graph.input[0].type.tensor_type.elem_type = 8


def input_sequence(model) -> None:
    model.graph.input[0].type.sequence_type.elem_type.tensor_type.elem_type = 1


def input_unknown(model) -> None:
    model.graph.input[0].ClearField("type")


def expands(model) -> None:
    from onnx import numpy_helper

    model.graph.initializer.append(numpy_helper.from_array(np.array([1 << 20, 1 << 20], np.int64), "sizes"))
    model.graph.node.add(op_type="ConstantOfShape", input=["sizes"], output=["room"])


def expands_by_constant(model) -> None:
    node = model.graph.node.add(op_type="Constant", output=["sizes"])
    node.attribute.add(name="value_ints", type=7, ints=[1 << 20, 1 << 20])
    model.graph.node.add(op_type="Expand", input=["numbers", "sizes"], output=["room"])


def too_many(model) -> None:
    for i in range(NODES):
        model.graph.node.add(op_type="Identity", input=["numbers"], output=[str(i)])


@pytest.mark.parametrize(("plant", "message"), [
    (in_initializer, OUTSIDE), (in_attribute, OUTSIDE), (in_attribute_list, OUTSIDE), (by_location_alone, OUTSIDE), (by_data_alone, OUTSIDE),
    (in_sparse_initializer, FOREIGN.format("sparse tensors")), (in_sparse_indices, FOREIGN.format("sparse tensors")),
    (in_sparse_attribute, FOREIGN.format("sparse tensors")), (in_subgraph, FOREIGN.format("a graph inside an operator")),
    (in_deep_subgraph, FOREIGN.format("the operator 'If'")), (in_function, FOREIGN.format("functions")),
    (in_function_default, FOREIGN.format("functions")), (in_training, FOREIGN.format("a training graph")),
    (foreign_operator, FOREIGN.format("the operator 'RunShell'")), (operator_of_text, FOREIGN.format("the operator 'StringConcat'")),
    (foreign_domain, FOREIGN.format("some of 'com.microsoft'")), (foreign_opset, FOREIGN.format("some of 'evil.ops'")),
    (no_operator, FOREIGN.format("a node without an operator")), (text, FOREIGN.format("a tensor of text")), (text_data, FOREIGN.format("a tensor of text")),
    (huge, FOREIGN.format("a tensor that claims more numbers than it holds")), (negative, FOREIGN.format("a tensor that claims more numbers than it holds")),
    (cycle, FOREIGN.format("MatMul before its input 'value' (a cycle, perhaps)")), (made_twice, FOREIGN.format("'wide' made twice")),
    (kept_twice, FOREIGN.format("'weight' made twice")), (unmade_output, FOREIGN.format("an output 'nobody' that nothing makes")),
    (input_of_text, FOREIGN.format("an input or output that is no array of numbers")), (input_sequence, FOREIGN.format("an input or output that is no array")),
    (input_unknown, FOREIGN.format("an input or output of unknown type")), (expands, FOREIGN.format("ConstantOfShape to a size beyond 2147483648")),
    (expands_by_constant, FOREIGN.format("Expand to a size beyond 2147483648")), (too_many, FOREIGN.format("more than 20000 operators")),
])
def test_what_is_more_than_arithmetic_is_refused(plant, message: str) -> None:
    import onnx

    model = onnx.load_model_from_string(toys.linear(np.ones((2, 1))))
    scan(model.SerializeToString(), "x.onnx")
    plant(model)
    with pytest.raises(ArtifactError) as caught:
        scan(model.SerializeToString(), "x.onnx")
    assert str(caught.value) == message


def test_the_operators_are_the_standard_ones_without_what_is_no_arithmetic() -> None:
    from onnx import defs

    standard = {s.name for s in defs.get_all_schemas_with_history() if s.domain == "" and s.since_version <= 21 and not s.deprecated}
    left_out = {"If", "Loop", "Scan", "ImageDecoder", "RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit", "TfIdfVectorizer", "Bernoulli",
                "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "ConcatFromSequence", "SplitToSequence",
                "SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert", "SequenceLength", "SequenceMap", "Optional",
                "OptionalGetElement", "OptionalHasElement", "Scatter", "Upsample"}
    assert standard - left_out == OPERATORS


def test_a_size_of_reasonable_length_passes() -> None:
    import onnx
    from onnx import numpy_helper

    model = onnx.load_model_from_string(toys.linear(np.ones((2, 1))))
    model.graph.initializer.append(numpy_helper.from_array(np.array([3, 4], np.int64), "sizes"))
    model.graph.node.add(op_type="ConstantOfShape", input=["sizes"], output=["room"])
    scan(model.SerializeToString(), "x.onnx")


@pytest.mark.parametrize("data", [b"", b"\x08\x09", b"not a model", b"\xff" * 40, b"\x3a\xff\xff\xff\xff\x0f", b"\x3b" * 8, b"PK\x03\x04" + bytes(60),
                                  b"\x18\x00\x00\x00ORTM" + bytes(64)])
def test_what_is_no_onnx_is_refused(data: bytes) -> None:
    with pytest.raises(ArtifactError) as caught:
        scan(data, "x.onnx")
    assert str(caught.value) == DAMAGED


def test_two_graphs_that_would_be_merged_are_refused() -> None:
    data = toys.linear(np.ones((2, 1)))
    with pytest.raises(ArtifactError, match="damaged bytes"):
        scan(data + data, "x.onnx")


def test_truncation_anywhere_ends_in_a_refusal_or_a_whole_model() -> None:
    data = toys.linear(np.ones((2, 1)))
    refused = 0
    for end in range(len(data)):
        try:
            scan(data[:end], "x.onnx")
        except ArtifactError:
            refused += 1
    assert refused > 0.9 * len(data)
