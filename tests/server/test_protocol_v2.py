"""The Open Inference Protocol, as a client that follows it to the letter sees it."""

import json
import struct
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient
from test_pictures import base64_text, jpeg

TEXT, TABLE = "/v2/models/toy-text", "/v2/models/toy-table"


def infer(client: TestClient, model: str, *inputs: dict[str, Any], binary: bytes = b"", **more: Any) -> Any:
    text = json.dumps({"inputs": list(inputs), **more}).encode()
    headers = {"Inference-Header-Content-Length": str(len(text))} if binary else {}
    return client.post(f"{model}/infer", content=text + binary, headers=headers)


def tensor(name: str, datatype: str, shape: list[int], data: Any = None, size: int | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "datatype": datatype, "shape": shape}
    return found | ({"data": data} if size is None else {"parameters": {"binary_data_size": size}})


def test_the_server_and_its_health(start):
    client = start("text")
    assert client.get("/v2").json() == {"name": "thuja", "version": "0.1.0", "extensions": ["binary_tensor_data"]}
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get(f"{TEXT}/ready").json() == {"name": "toy-text", "ready": True}
    assert client.get(f"{TEXT}-tensors/ready").json() == {"name": "toy-text-tensors", "ready": True}


def test_a_model_says_what_it_takes_and_gives(start, predictor):
    client = start("text")
    version = predictor.artifact.digest[:12]
    assert client.get(TEXT).json() == {
        "name": "toy-text", "versions": [version], "platform": "onnxruntime_onnx",
        "inputs": [{"name": "message", "datatype": "BYTES", "shape": [-1]}],
        "outputs": [{"name": "label", "datatype": "BYTES", "shape": [-1]}, {"name": "probability", "datatype": "FP64", "shape": [-1]},
                    {"name": "probabilities", "datatype": "FP64", "shape": [-1, 2], "parameters": {"names": ["ham", "spam"]}}]}
    assert client.get(f"{TEXT}-tensors/versions/{version}").json() == {
        "name": "toy-text-tensors", "versions": [version], "platform": "onnxruntime_onnx",
        "inputs": [{"name": "message", "datatype": "INT64", "shape": [-1, -1]}], "outputs": [{"name": "probability", "datatype": "FP32", "shape": [-1, 2]}]}
    assert [(t["name"], t["datatype"]) for t in start("table").get(TABLE).json()["inputs"]] == [("amount", "FP64"), ("count", "INT64"), ("colour", "BYTES")]


@pytest.mark.parametrize(("path", "error"), [
    ("/v2/models/nope", "model: expected toy-text or toy-text-tensors, found 'nope'."),
    (f"{TEXT}/versions/1/ready", None), (f"{TEXT}-tensors/versions/1", None), ("/v2/models/nope/ready", None)])
def test_what_is_not_in_service_is_a_404(start, path, error):
    answer = start("text").get(path)
    assert (answer.status_code, list(answer.json())) == (404, ["error"])
    assert error in (None, answer.json()["error"])


def test_what_is_hidden_is_nobodys_answer(start, predictor):
    assert [s.name for s in predictor.outputs["predict"]] == ["probability", "_features"]
    client, ids = start("text"), tensor("message", "INT64", [1, 2], [5, 6])
    assert [output["name"] for output in infer(client, f"{TEXT}-tensors", ids).json()["outputs"]] == ["probability"]
    answer = infer(client, f"{TEXT}-tensors", ids, outputs=[{"name": "_features"}])
    assert (answer.status_code, answer.json()) == (400, {"error": "outputs: expected one of: probability, found '_features'."})
    assert set(client.post("/predict", json={"message": "ab"}).json()) == {"label", "probability", "probabilities"}


def test_raw_fields_in_json(start, predictor):
    client = start("text")
    answer = infer(client, TEXT, tensor("message", "BYTES", [2], ["a", "wwww"]), id="42").json()
    want = predictor.predict({"message": ["a", "wwww"]})
    assert answer == {
        "model_name": "toy-text", "model_version": predictor.artifact.digest[:12], "id": "42",
        "outputs": [{"name": "label", "datatype": "BYTES", "shape": [2], "data": ["ham", "spam"]},
                    {"name": "probability", "datatype": "FP64", "shape": [2], "data": want["probability"]},
                    {"name": "probabilities", "datatype": "FP64", "shape": [2, 2], "data": [v for row in want["probabilities"] for v in row.values()]}]}
    same = infer(client, f"{TEXT}/versions/{answer['model_version']}", tensor("message", "BYTES", [2, 1], [["a"], ["wwww"]]), outputs=[{"name": "label"}])
    assert same.json()["outputs"] == answer["outputs"][:1]


def test_raw_fields_in_bytes_and_answers_in_bytes(start, predictor):
    client = start("text")
    blob = b"".join(struct.pack("<I", len(t)) + t for t in (b"a", "wüw".encode()))
    answer = infer(client, TEXT, tensor("message", "BYTES", [2], size=len(blob)), binary=blob,
                   outputs=[{"name": "probabilities", "parameters": {"binary_data": True}}, {"name": "label"}])
    assert answer.headers["content-type"] == "application/octet-stream"
    length = int(answer.headers["inference-header-content-length"])
    head = json.loads(answer.content[:length])
    assert head["outputs"] == [{"name": "probabilities", "datatype": "FP64", "shape": [2, 2], "parameters": {"binary_data_size": 32}},
                               {"name": "label", "datatype": "BYTES", "shape": [2], "data": predictor.predict({"message": ["a", "wüw"]})["label"]}]
    want = [list(row.values()) for row in predictor.predict({"message": ["a", "wüw"]})["probabilities"]]
    assert np.frombuffer(answer.content[length:], "<f8").reshape(2, 2).tolist() == want
    whole = infer(client, TEXT, tensor("message", "BYTES", [1], ["a"]), parameters={"binary_data_output": True})
    length = int(whole.headers["inference-header-content-length"])
    assert [o["parameters"]["binary_data_size"] for o in json.loads(whole.content[:length])["outputs"]] == [7, 8, 16]
    assert whole.content[length : length + 7] == b"\x03\x00\x00\x00ham"


def test_pictures_come_as_base64_in_json_and_as_they_are_in_bytes(start):
    client = start("image")
    bright = jpeg(250)
    blob = struct.pack("<I", len(bright)) + bright
    one = infer(client, "/v2/models/toy-image", tensor("photo", "BYTES", [1], [base64_text(bright)]))
    other = infer(client, "/v2/models/toy-image", tensor("photo", "BYTES", [1], size=len(blob)), binary=blob)
    assert one.json()["outputs"][0]["data"] == ["spam"]
    assert other.json() == one.json()


def test_missing_cells_are_nan_null_or_empty(start):
    client = start("table")
    count = tensor("count", "INT64", [2], [1, 2])
    colour = tensor("colour", "BYTES", [2], ["", "green"])
    for amount, binary in ((tensor("amount", "FP64", [2], [None, 4]), b""), (tensor("amount", "FP32", [2], size=8), struct.pack("<2f", float("nan"), 4))):
        answer = infer(client, TABLE, amount, count, colour, binary=binary)
        assert answer.json()["outputs"] == [{"name": "value", "datatype": "FP64", "shape": [2], "data": [2.0, 14.0]}]


def test_encoded_tensors_give_the_programs_own_outputs(start, artifacts, predictor):
    ids = predictor.encode({"message": ["wwww"]})["message"].padded()  # type: ignore[union-attr]
    client = start("text")
    want = predictor.run({"message": ids})["probability"]
    for given, binary in ((tensor("message", "INT64", [1, 4], ids.tolist()), b""), (tensor("message", "INT64", [1, 4], size=32), ids.tobytes())):
        answer = infer(client, f"{TEXT}-tensors", given, binary=binary).json()
        assert answer["model_name"] == "toy-text-tensors"
        assert answer["outputs"] == [{"name": "probability", "datatype": "FP32", "shape": [1, 2], "data": want.ravel().tolist()}]
    pixels = np.full((2, 4, 4, 3), 250, np.uint8)
    answer = infer(start("image"), "/v2/models/toy-image-tensors", tensor("photo", "UINT8", [2, 4, 4, 3], size=96), binary=pixels.tobytes())
    assert answer.json()["outputs"][0]["shape"] == [2, 2]


@pytest.mark.parametrize(("inputs", "error"), [
    ([tensor("message", "BYTES", [1], ["unreadable"])], "rows[0].message: expected readable text, found none. Write clearly."),
    ([tensor("message", "FP32", [1], [1.0])], "inputs[message].datatype: expected BYTES, found FP32."),
    ([tensor("message", "BYTES", [1, 2], ["a", "b"])], "inputs[message].shape: expected [1] or [1, 1], found [1, 2]."),
    ([tensor("message", "BYTES", [-1], ["a"])], "inputs[message].shape: expected 1 to 8 lengths of at least 1, found [-1]."),
    ([tensor("message", "BYTES", [300], ["a"] * 300)], "inputs: expected at most 256 rows, found 300."),
    ([tensor("other", "BYTES", [1], ["a"])], "inputs: expected exactly: message, found other."),
    ([], "inputs: expected exactly: message, found nothing."),
])
def test_bad_raw_fields_are_a_400(start, inputs, error):
    answer = infer(start("text"), TEXT, *inputs)
    assert (answer.status_code, answer.json()) == (400, {"error": error})


@pytest.mark.parametrize(("given", "error"), [
    (tensor("message", "INT32", [1, 2], [1, 2]), "inputs[message].datatype: expected INT64, found INT32."),
    (tensor("message", "BYTES", [1, 2], ["a", "b"]), "inputs[message].datatype: expected INT64, found BYTES."),
    (tensor("message", "INT64", [2], [1, 2]), "inputs[message].shape: expected [-1, -1], found [2]."),
    (tensor("message", "INT64", [1, 1], [99]), "inputs: expected numbers the program can take, found others."),
    (tensor("message", "INT64", [1, 1], [-99]), "inputs: expected numbers the program can take, found others."),
    (tensor("message", "INT64", [2**31, 2**31], [1]), "inputs[message].shape: expected 1 to 8 lengths of at least 1, found [2147483648, 2147483648]."),
    (tensor("message", "INT64", [1, 2], [1, 2, 3]), "inputs[message].data: expected 2 elements for shape [1, 2], found 3."),
])
def test_bad_tensors_are_a_400(start, given, error):
    answer = infer(start("text"), f"{TEXT}-tensors", given)
    assert (answer.status_code, answer.json()) == (400, {"error": error})


def test_more_that_is_a_400(start):
    client = start("table")
    amount, count, colour = tensor("amount", "FP64", [1], [1.0]), tensor("count", "INT64", [2], [1, 2]), tensor("colour", "BYTES", [1], ["red"])
    assert infer(client, TABLE, amount, count, colour).json() == {"error": "inputs: expected the same first length in every shape, found 1, 2."}
    one = tensor("count", "INT64", [1], [1])
    assert infer(client, TABLE, amount, one, colour, outputs=[{"name": "nope"}]).json() == {"error": "outputs: expected one of: value, found 'nope'."}
    assert infer(client, TABLE, tensor("amount", "FP64", [1], [1e300]), one, colour).json() == {
        "error": "rows[0]: expected a finite value, found inf. Check this row for extreme values."}
    numbers, wrong = tensor("numbers", "FP32", [1, 2], [3e38, 3e38]), tensor("categories", "INT64", [1, 1], [0])
    answer = infer(client, f"{TABLE}-tensors", numbers, wrong)
    assert (answer.status_code, answer.json()) == (400, {"error": "rows[0]: expected a finite value, found inf. Check this row for extreme values."})
    assert client.post(f"{TABLE}/infer", content=b"{").json()["error"][:40] == "body: expected an inference request, fou"


def test_an_answer_that_is_made_step_by_step_is_whole_and_holds_no_caches(start):
    client = start("parrot")
    assert [o["name"] for o in client.get("/v2/models/toy-parrot-tensors").json()["outputs"]] == ["text"]
    inputs = [{"name": "prompt", "shape": [2, 3], "datatype": "INT64", "data": [97, 98, 99, 120, 0, 0]},
              {"name": "most", "shape": [2], "datatype": "INT64", "data": [9, 9]}, {"name": "shift", "shape": [2], "datatype": "INT64", "data": [0, 0]}]
    answer = client.post("/v2/models/toy-parrot-tensors/infer", json={"inputs": inputs})
    assert answer.json()["outputs"] == [{"name": "text", "datatype": "INT64", "shape": [2, 3], "data": [97, 98, 99, 120, 0, 0]}]
    raw = [{"name": "prompt", "shape": [1], "datatype": "BYTES", "data": ["abc"]}, {"name": "temperature", "shape": [1], "datatype": "FP64", "data": [None]},
           {"name": "max_tokens", "shape": [1], "datatype": "FP64", "data": [2]}, {"name": "seed", "shape": [1], "datatype": "FP64", "data": [None]}]
    outputs = client.post("/v2/models/toy-parrot/infer", json={"inputs": raw}).json()["outputs"]
    assert [(o["name"], o["data"]) for o in outputs] == [("text", ["ab"]), ("tokens", [2])]
