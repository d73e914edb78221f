import json
import struct

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thuja.core.errors import ThujaError
from thuja.server import tensors
from thuja.server.tensors import DATATYPES


def request(*inputs: dict[str, object], binary: bytes = b"", **more: object) -> tuple[bytes, str | None]:
    text = json.dumps({"inputs": list(inputs), **more}).encode()
    return text + binary, str(len(text)) if binary else None


def tensor(name: str = "x", shape: object = (2,), datatype: object = "INT64", **more: object) -> dict[str, object]:
    return {"name": name, "shape": shape, "datatype": datatype, **more}


def read(*inputs: dict[str, object], binary: bytes = b"", most: int = 1000) -> dict[str, tensors.Values]:
    body, length = request(*inputs, binary=binary)
    return tensors.read(body, length, most)[1]


def refusal(*inputs: dict[str, object], binary: bytes = b"", most: int = 1000) -> str:
    with pytest.raises(ThujaError) as error:
        read(*inputs, binary=binary, most=most)
    assert error.value.status == 400  # type: ignore[attr-defined]
    return str(error.value)


@pytest.mark.parametrize("datatype", DATATYPES)
def test_every_datatype_both_ways(datatype):
    array = np.array([[0, 1, 1], [1, 0, 1]]).astype(DATATYPES[datatype])
    binary = tensors.write_binary(array)
    assert len(binary) == array.nbytes
    for found in (read(tensor(shape=[2, 3], datatype=datatype, parameters={"binary_data_size": len(binary)}), binary=binary)["x"],
                  read(tensor(shape=[2, 3], datatype=datatype, data=tensors.write_json(array)))["x"],
                  read(tensor(shape=[2, 3], datatype=datatype, data=array.tolist()))["x"]):
        assert isinstance(found, np.ndarray)
        assert (found.dtype, found.tolist()) == (array.dtype, array.tolist())
    assert tensors.datatype_of(array.dtype) == datatype


def test_bytes_both_ways():
    values = [b"", b"\x00\xff", "grüße".encode()]
    binary = tensors.write_binary(values)
    assert read(tensor(shape=[3], datatype="BYTES", parameters={"binary_data_size": len(binary)}), binary=binary)["x"] == values
    assert read(tensor(shape=[2, 1], datatype="BYTES", data=[["a"], ["b"]]))["x"] == ["a", "b"]
    assert tensors.write_binary(["ü"]) == b"\x02\x00\x00\x00\xc3\xbc"


def test_several_binary_tensors_lie_one_after_the_other():
    found = read(tensor("a", [1], "INT8", parameters={"binary_data_size": 1}), tensor("j", [1], data=[5]),
                 tensor("b", [2], "INT16", parameters={"binary_data_size": 4}), binary=b"\x07\x01\x00\x02\x00")
    assert {name: np.asarray(v).tolist() for name, v in found.items()} == {"a": [7], "j": [5], "b": [1, 2]}


def test_null_is_nan_for_floats_only():
    assert np.isnan(np.asarray(read(tensor(datatype="FP32", data=[1, None]))["x"])[1])
    assert refusal(tensor(data=[1, None])) == "inputs[x].data: expected INT64, flat or nested like the shape, found Expected `int`, got `null` - at `$[1]`."


@pytest.mark.parametrize(("bad", "message"), [
    (tensor(shape=[-1], data=[1]), "inputs[x].shape: expected 1 to 8 lengths of at least 1, found [-1]."),
    (tensor(shape=[0], data=[]), "inputs[x].shape: expected 1 to 8 lengths of at least 1, found [0]."),
    (tensor(shape=[], data=[]), "inputs[x].shape: expected 1 to 8 lengths of at least 1, found []."),
    (tensor(shape=[1] * 9, data=[1]), "inputs[x].shape: expected 1 to 8 lengths of at least 1, found [1, 1, 1, 1, 1, 1, 1, 1, 1]."),
    (tensor(shape=[2**32, 2**32], data=[1]), "inputs[x].shape: expected 1 to 8 lengths of at least 1, found [4294967296, 4294967296]."),
    (tensor(shape=[1000, 1000, 1000, 1000, 1000, 1000, 1000], data=[1]), "inputs[x].shape: expected at most 1000 elements, found more."),
    (tensor(shape=[10**30], data=[1]), "inputs[x].shape: expected 1 to 8 lengths of at least 1, found [1000000000000000000000000000000]."),
    (tensor(shape=["2"], data=[1]), "body: expected an inference request, found Expected `int`, got `str` - at `$.inputs[0].shape[0]`."),
    (tensor(shape=[2.0], data=[1, 2]), "body: expected an inference request, found Expected `int`, got `float` - at `$.inputs[0].shape[0]`."),
    (tensor(datatype="INT63", data=[1, 2]),
     "inputs[x].datatype: expected one of BOOL, UINT8, UINT16, UINT32, UINT64, INT8, INT16, INT32, INT64, FP16, FP32, FP64, BYTES, found 'INT63'."),
    (tensor(data=[1]), "inputs[x].data: expected 2 elements for shape [2], found 1."),
    (tensor(data=[1, 2, 3]), "inputs[x].data: expected 2 elements for shape [2], found 3."),
    (tensor(data=[1, 2.5]), "inputs[x].data: expected INT64, flat or nested like the shape, found Expected `int`, got `float` - at `$[1]`."),
    (tensor(data=[1, True]), "inputs[x].data: expected INT64, flat or nested like the shape, found Expected `int`, got `bool` - at `$[1]`."),
    (tensor(data=[1, "2"]), "inputs[x].data: expected INT64, flat or nested like the shape, found Expected `int`, got `str` - at `$[1]`."),
    (tensor(datatype="BYTES", data=["a", 2]), "inputs[x].data: expected BYTES, flat or nested like the shape, found Expected `str`, got `int` - at `$[1]`."),
    (tensor(datatype="UINT8", data=[1, 256]), "inputs[x].data: expected numbers within UINT8, found a larger one."),
    (tensor(datatype="UINT8", data=[1, -1]), "inputs[x].data: expected numbers within UINT8, found a larger one."),
    (tensor(datatype="INT64", data=[1, 2**63]), "inputs[x].data: expected numbers within INT64, found a larger one."),
    (tensor(datatype="FP32", data=[1, 1e300]), "inputs[x].data: expected numbers within FP32, found a larger one."),
    (tensor(shape=[2, 2], data=[[1, 2], [3]]), "inputs[x].data: expected data nested like the shape [2, 2], found lists of another length."),
    (tensor(shape=[2, 1], data=[[[1]], [[2]]]),
     "inputs[x].data: expected INT64, flat or nested like the shape, found Expected `int`, got `array` - at `$[0]`."),
    (tensor(), "inputs[x]: expected data or binary_data_size, found neither."),
    (tensor(parameters={"binary_data_size": 16}), "inputs[x].parameters.binary_data_size: expected a number from 0 to 0, found 16."),
    (tensor(parameters={"binary_data_size": -1}), "inputs[x].parameters.binary_data_size: expected a number from 0 to 0, found -1."),
    (tensor(parameters={"binary_data_size": True}), "inputs[x].parameters.binary_data_size: expected a number from 0 to 0, found True."),
    (tensor(parameters={"a": [1]}, data=[1, 2]),
     "body: expected an inference request, found Expected `bool | int | float | str | null`, got `array` - at `$.inputs[0].parameters[...]`."),
])
def test_what_is_not_what_it_says_is_refused(bad, message):
    assert refusal(bad) == message


def test_binary_data_of_another_length_is_refused():
    assert refusal(tensor(parameters={"binary_data_size": 15}), binary=bytes(15)) == (
        "inputs[x].parameters.binary_data_size: expected 16 for INT64 [2], found 15.")
    assert refusal(tensor(parameters={"binary_data_size": 16}), binary=bytes(17))[:15] == "body: expected "
    assert refusal(tensor(data=[1, 2], parameters={"binary_data_size": 16}), binary=bytes(16)) == "inputs[x]: expected data or binary_data_size, found both."
    for blob in (struct.pack("<I", 2**31) + b"a", b"\x01\x00\x00", struct.pack("<I", 1) + b"a" + struct.pack("<I", 9), struct.pack("<I", 0) * 3):
        assert refusal(tensor(datatype="BYTES", parameters={"binary_data_size": len(blob)}), binary=blob) == (
            f"inputs[x]: expected 2 elements, each after its length, found {len(blob)} bytes that are not that.")


def test_two_inputs_of_one_name_are_refused():
    assert refusal(tensor(data=[1, 2]), tensor(data=[1, 2])) == "inputs[x]: expected each input once, found two of that name."


@pytest.mark.parametrize("length", ["-1", "x", "", "99999999999999999999", "1000"])
def test_a_header_length_that_is_none_is_refused(length):
    body, _ = request(tensor(data=[1, 2]))
    with pytest.raises(ThujaError) as error:
        tensors.read(body, length, 1000)
    assert str(error.value) == f"header Inference-Header-Content-Length: expected a number from 0 to {len(body)}, found {length!r}."


def test_parts_are_counted_before_they_become_objects():
    body = b'{"inputs": [], "parameters": {' + b", ".join(b'"%06x": 1' % i for i in range(tensors.PARTS)) + b"}}"
    with pytest.raises(ThujaError) as error:
        tensors.read(body, None, 1000)
    assert str(error.value) == "body: expected at most 100000 texts and objects, found more. Send them in several requests, or as binary tensors."


def test_numbers_are_counted_before_they_become_objects():
    assert refusal(tensor("x", [2]) | {"data": [0] * 100_000}) == "inputs[x].data: expected 2 elements for shape [2], found more or fewer."
    assert len(read(tensor("x", [100, 1000], "FP32", data=[0] * 100_000), most=100_000)["x"]) == 100


def test_a_request_may_be_looked_at_before_its_data_are_read():
    def look(asked: tensors.Infer) -> None:
        raise tensors.refused("inputs", "none", asked.inputs[0].name)

    with pytest.raises(ThujaError, match="expected none, found x"):
        tensors.read(request(tensor("x", [2], data="no numbers"))[0], None, 1000, look)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"inputs": 1}', b'{"inputs": [{}]}', b'{"inputs": ' + b"[" * 100_000])
def test_a_body_that_is_no_request_is_refused(body):
    with pytest.raises(ThujaError) as error:
        tensors.read(body, None, 1000)
    assert error.value.parts()["where"] == "body"


@given(st.binary(max_size=300), st.none() | st.integers(-1, 400).map(str))
def test_any_bytes_are_read_or_refused(body, length):
    try:
        tensors.read(body, length, 1000)
    except ThujaError as error:
        assert error.status == 400  # type: ignore[attr-defined]


SHAPES = st.lists(st.integers(-2, 5), max_size=4)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3)
DATA = st.recursive(SCALARS, lambda data: st.lists(data, max_size=4))


@given(SHAPES, st.sampled_from([*DATATYPES, "BYTES", "NONE"]), DATA, st.binary(max_size=40), st.integers(-1, 50))
def test_any_tensor_is_read_or_refused(shape, datatype, data, binary, size):
    for given_tensor in (tensor(shape=shape, datatype=datatype, data=data), tensor(shape=shape, datatype=datatype, parameters={"binary_data_size": size})):
        text = msgspec.json.encode({"inputs": [given_tensor]})
        try:
            tensors.read(text + binary, str(len(text)), 1000)
        except ThujaError as error:
            assert error.status == 400  # type: ignore[attr-defined]
