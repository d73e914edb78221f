"""Bad artefacts, bad rows and bad requests to a model that is ready: the whole message, with the exit code or the status."""

import errno
import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from shell import thuja, write_pictures, write_table, write_texts
from starlette.testclient import TestClient

from thuja.core.storage import Disk
from thuja.server.app import create_app
from thuja.server.settings import ServeSettings

AGAIN = "Copy the artefact again from where it was made, or export it again."
VERBS = (("verify",), ("predict",), ("serve", "--port", "0"))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def copy(people: Path) -> Path:
    """An artefact that may be spoilt."""
    return shutil.copytree(people / "artifact", Path("copy"))


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
@pytest.mark.parametrize("name", ["predict.onnx", "codec.json", "card.md", "certificate.json"])
def test_artefact_edited(copy: Path, verb: tuple[str, ...], name: str):
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    assert thuja(*verb, copy) == (6, "", f"copy/{name}: expected the bytes that were exported, found damaged or edited ones. {AGAIN}\n")


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
def test_artefact_of_a_newer_version(copy: Path, verb: tuple[str, ...]):
    manifest = json.loads((copy / "manifest.json").read_bytes())
    (copy / "manifest.json").write_text(json.dumps(manifest | {"thuja": 2}))
    assert thuja(*verb, copy) == (6, "", "copy/manifest.json: expected format version 1, found version 2, written by a newer Thuja. "
                                        "Upgrade Thuja: pip install --upgrade thuja.\n")


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
def test_no_artefact(verb: tuple[str, ...]):
    assert thuja(*verb, "nowhere") == (6, "", "nowhere: expected an artefact folder, found nothing there. Name a folder that `thuja export` has written.\n")


def test_port_taken(people: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert thuja("serve", people / "artifact", "--port", port) == (
            2, "", f"serve.port: expected a free port, found port {port}, taken by another program. "
                   "Choose another with --port, or --port 0 for any free one.\n")


def answers(out: str) -> list[Any]:
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.parametrize(("line", "error"), [
    ('{"age": ', "the row: expected a JSON object, found '{\"age\":'. One object a line, with the keys age, city."),
    ("[1, 2]", "the row: expected a JSON object, found [1, 2]. One object a line, with the keys age, city."),
    ('{"age": "old", "city": "Bonn"}', "age: expected a number, found 'old'. Send a plain number such as 3.5."),
    ('{"age": Infinity, "city": "Bonn"}', "age: expected a finite number, found inf. Send a finite number, or null where missing values are allowed."),
])
def test_a_bad_row_among_good_ones(people: Path, line: str, error: str):
    good = '{"age": 30, "city": "Bonn"}'
    said = thuja("predict", people / "artifact", stdin=f"{good}\n{line}\n\n{good}\n")
    first, bad, last = answers(said.out)
    assert bad == {"row": "2", "error": error}
    assert (first["row"], last["row"]) == ("1", "4") and first["probabilities"] == last["probabilities"]
    assert (said.code, said.err) == (0, '1 of 3 rows could not be read; each has an "error" in its answer\n')


def test_no_row_that_can_be_read(people: Path):
    said = thuja("predict", people / "artifact", stdin="hello\n")
    assert answers(said.out) == [{"row": "1", "error": "the row: expected a JSON object, found 'hello'. One object a line, with the keys age, city."}]
    assert (said.code, said.err) == (3, 'predict: expected a row that can be read, found none among 1. Each answer says why, under "error".\n')


def test_image_where_text_is_expected(texts: Path):
    write_pictures(Path("shades"))
    assert thuja("predict", texts / "artifact", "shades/dark/0.png") == (
        3, "", "shades/dark/0.png: expected lines of text or a table (.csv, .parquet, .jsonl), found .png. Convert it, or send rows to a server.\n")


def test_text_where_an_image_is_expected(pictures: Path):
    Path("note.png").write_text("hello")
    said = thuja("predict", pictures / "artifact", "note.png")
    assert answers(said.out) == [{"row": "note.png", "error": "image: expected a picture, found text 'hello'. "
                                                              "Send a whole JPEG, PNG, WebP, BMP, GIF, TIFF or PPM file."}]
    assert said.code == 3


def test_a_table_of_texts_where_images_are_expected(pictures: Path):
    write_texts(Path("films.csv"))
    assert thuja("predict", pictures / "artifact", "films.csv") == (
        3, "", "films.csv: expected the columns image, found no image. Add them; extra columns are ignored.\n")


def test_wrong_encoding(texts: Path):
    Path("lines.txt").write_text("Köln\n", "latin-1")
    assert thuja("predict", texts / "artifact", "lines.txt") == (
        3, "", "lines.txt:1: expected text in utf-8, found byte 0xf6 at 1. Set data.encoding, for example to latin-1 or cp1252, or save the file as UTF-8.\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_answers_that_cannot_be_written(people: Path):
    write_table(Path("people.csv"))
    assert thuja("predict", people / "artifact", "people.csv", "--out", "/dev/full") == (
        7, "", "/dev/full: expected a writable place, found no space left. Free some space or choose another folder; what was saved before is intact.\n")


def client(run: Path) -> Iterator[TestClient]:
    with TestClient(create_app(run / "artifact", ServeSettings(max_body_bytes=1000)), base_url="http://127.0.0.1") as started:
        yield started


@pytest.fixture
def table(people: Path) -> Iterator[TestClient]:
    yield from client(people)


@pytest.fixture
def reader(texts: Path) -> Iterator[TestClient]:
    yield from client(texts)


@pytest.fixture
def viewer(pictures: Path) -> Iterator[TestClient]:
    yield from client(pictures)


def problem(asked: TestClient, body: bytes, kind: str = "application/json") -> tuple[int, str]:
    answer = asked.post("/predict", content=body, headers={"Content-Type": kind})
    told = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert told["detail"] == f"{told['where']}: expected {told['expected']}, found {told['found']}. {told['fix']}"
    return answer.status_code, told["detail"]


def test_malformed_json(table: TestClient):
    assert problem(table, b'{"age": ') == (400, "body: expected JSON, found Input data was truncated. Check quotes, commas and brackets; NaN is not JSON.")


def test_infinity_in_json(table: TestClient):
    assert problem(table, b'{"age": Infinity, "city": "Bonn"}') == (
        400, "body: expected JSON, found JSON is malformed: invalid character (byte 8). Check quotes, commas and brackets; NaN is not JSON.")


def test_wrong_type_in_json(table: TestClient):
    assert problem(table, b'{"age": "old", "city": "Bonn"}') == (422, "age: expected a number, found 'old'. Send a plain number such as 3.5.")


def test_oversize_body(table: TestClient):
    assert problem(table, b" " * 1001) == (413, "body: expected at most 1000 bytes, found 1001. Send fewer rows or a smaller file.")


def test_image_sent_where_text_is_expected(reader: TestClient):
    assert problem(reader, b"\x89PNG", "image/png") == (
        415, "header Content-Type: expected application/json, multipart/form-data, text/plain, found 'image/png'. "
             "With curl, add -H 'Content-Type: application/json'.")
    assert problem(reader, b"\x89PNG", "text/plain") == (
        422, "sentence: expected text in UTF-8, found 4 bytes of something else. Encode the text as UTF-8.")


def test_text_sent_where_an_image_is_expected(viewer: TestClient):
    assert problem(viewer, b"hello", "text/plain") == (
        415, "header Content-Type: expected application/json, multipart/form-data, image/*, found 'text/plain'. "
             "With curl, add -H 'Content-Type: application/json'.")
    assert problem(viewer, b"hello", "image/png") == (
        422, "image: expected a picture, found text 'hello'. Send a whole JPEG, PNG, WebP, BMP, GIF, TIFF or PPM file.")
    assert problem(viewer, b'{"image": "hello"}') == (
        422, "image: expected a picture as base64 text, found text 'hello'. Encode the file's bytes as base64.")


NUMBERS = {"name": "numbers", "shape": [1, 1], "datatype": "FP32", "data": [30]}
CATEGORIES = {"name": "categories", "shape": [1, 1], "datatype": "INT64", "data": [1]}


@pytest.mark.parametrize(("changed", "error"), [
    ({"shape": [1, 2], "data": [1, 2]}, "inputs[numbers].shape: expected [-1, 1], found [1, 2]."),
    ({"datatype": "FP64"}, "inputs[numbers].datatype: expected FP32, found FP64."),
    ({"data": [1, 2]}, "inputs[numbers].data: expected 1 elements for shape [1, 1], found 2."),
    ({"data": ["x"]}, "inputs[numbers].data: expected FP32, flat or nested like the shape, "
                      "found Expected `float | null`, got `str` - at `$[0]`."),
])
def test_wrong_tensor_shape_or_type(table: TestClient, changed: dict[str, Any], error: str):
    answer = table.post("/v2/models/table-tensors/infer", json={"inputs": [NUMBERS | changed, CATEGORIES]})
    assert (answer.status_code, answer.json()) == (400, {"error": error})


def test_disk_full_while_exporting(people: Path, monkeypatch: pytest.MonkeyPatch):
    extend = Disk.extend

    def fill(self: Disk, path: Path, data: bytes | memoryview) -> None:
        if "shipped" in path.parent.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        extend(self, path, data)

    monkeypatch.setattr(Disk, "extend", fill)
    said = thuja("export", people, "--out", "shipped")
    assert said == (7, "", "shipped: expected a writable place, found no space left. "
                           "Free some space or choose another folder; what was saved before is intact.\n")
    assert list(Path().iterdir()) == [], "an artefact is written whole or not at all"
