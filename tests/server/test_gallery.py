import base64
import contextlib
import io
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import serve_toys
from PIL import Image as Pillow

from thuja.core.errors import ArtifactError, MissingExtra, SpecError
from thuja.core.storage import TEMPORARY, Disk
from thuja.server import gallery
from thuja.server.gallery import PLAIN, SEALED, VARIABLE, Galleries, Gallery, Person, pack, unpack
from thuja.server.problem import Refusal
from thuja.server.settings import ServeSettings

TOKEN = "a-token-of-some-length"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
KEY = bytes(range(32))
SETTINGS = ServeSettings()


def photo(person: int, take: int = 0) -> str:
    """Sixteen squares that belong to somebody, a little different in each take, as base64 of a PNG."""
    squares = np.random.default_rng(person).integers(0, 256, (4, 4)) + np.random.default_rng((person, take)).integers(-9, 10, (4, 4))
    out = io.BytesIO()
    Pillow.fromarray(squares.clip(0, 255).astype(np.uint8)).resize((40, 40), Pillow.Resampling.NEAREST).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def vectors(*people: int) -> np.ndarray:
    return np.stack([np.eye(4, dtype=np.float32)[person] for person in people])


def some() -> Gallery:
    return Gallery("m" * 64, {"Ann": Person(1.5, vectors(0, 1)), "Bo <b>": Person(2.5, vectors(2))})


def said(call, *arguments) -> str:
    with pytest.raises((Refusal, ArtifactError, SpecError, MissingExtra)) as caught:
        call(*arguments)
    return str(caught.value)


@pytest.mark.parametrize("key", [None, KEY])
def test_a_file_reads_back_and_any_changed_bit_is_found(key) -> None:
    data = pack(some(), "club", key)
    read = unpack(data, "club", key)
    assert read.model == some().model and list(read.people) == ["Ann", "Bo <b>"]
    assert read.people["Ann"].enrolled == 1.5 and np.array_equal(read.people["Ann"].vectors, vectors(0, 1))
    for place in range(0, len(data), 7):
        for bit in (0, 5):
            broken = bytearray(data)
            broken[place] ^= 1 << bit
            with pytest.raises(ArtifactError):
                unpack(bytes(broken), "club", key)
    for end in (0, 10, len(data) // 2, len(data) - 1):
        with pytest.raises(ArtifactError):
            unpack(data[:end], "club", key)


def test_what_is_said_of_a_damaged_or_foreign_file() -> None:
    plain, sealed = pack(some(), "club", None), pack(some(), "club", KEY)
    again = " Restore the file from a copy, or delete the gallery and enrol again."
    assert said(unpack, plain[:-1] + b"!", "club", None) == "gallery club: expected the bytes that were written, found a damaged file." + again
    closed = "gallery club: expected a file that this key opens, found a damaged one, or one of another key or name." + again
    assert said(unpack, sealed[:-1] + b"!", "club", KEY) == closed
    assert said(unpack, sealed, "club", bytes(32)) == closed
    assert said(unpack, pack(some(), "other", KEY), "club", KEY) == closed, "under another name"
    assert said(unpack, pack(some(), "other", None), "club", None) == (
        "gallery club: expected the gallery of this name, found that of 'other'. Give the file its own name again.")
    assert said(unpack, sealed, "club", None) == (
        "gallery club: expected a key, because the file is encrypted, found none. Set THUJA_GALLERY_KEY or gallery_key_file.")
    assert said(unpack, plain, "club", KEY) == (
        "gallery club: expected an encrypted file, because there is a key, found a plain one. "
        "Enrol its people again in another gallery, or start the server without the key.")
    assert said(unpack, b"hello", "club", None) == "gallery club: expected a file of galleries, version 1, found 5 bytes of something else." + again


def test_encrypted_files_hold_no_name_and_are_never_the_same_twice() -> None:
    one, other = pack(some(), "club", KEY), pack(some(), "club", KEY)
    assert one != other and one.startswith(SEALED)
    assert all(word not in one for word in (b"Ann", b"people", b"mmmm", b"club"))
    assert b"Ann" in pack(some(), "club", None) and pack(some(), "club", None).startswith(PLAIN)


def test_the_key_comes_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key"
    file.write_text(KEY.hex() + "\n")
    with_file = SETTINGS.model_copy(update={"gallery_key_file": file})
    assert gallery.key(with_file, {}) == gallery.key(SETTINGS, {VARIABLE: KEY.hex()}) == KEY
    assert gallery.key(SETTINGS, {}) is None
    make = "Make one: python -c 'import secrets; print(secrets.token_hex(32))'"
    assert said(gallery.key, SETTINGS, {VARIABLE: "secret"}) == f"THUJA_GALLERY_KEY: expected a key of 64 hexadecimal digits, found 6 characters. {make}"
    file.unlink()
    assert said(gallery.key, with_file, {}) == f"{file}: expected a readable file with a key, found FileNotFoundError. Check the path and its permissions."
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    assert said(gallery.key, SETTINGS, {VARIABLE: KEY.hex()}) == (
        "THUJA_GALLERY_KEY: expected the package cryptography, found none. Type: pip install 'thuja[faces]'.")


def test_a_search_takes_the_best_picture_of_each_person() -> None:
    vector = np.array([0.1, 0.6, 0.5, 0.0], np.float32)
    found = some().search(vector, 5)
    assert [(match.person, round(match.score, 4)) for match in found] == [("Ann", 0.6), ("Bo <b>", 0.5)]
    assert [match.person for match in some().search(vector, 1)] == ["Ann"]
    assert Gallery("m", {}).search(vector, 5) == []


@pytest.mark.parametrize("key", [None, KEY])
def test_enrolled_people_outlive_the_server_and_deleted_ones_do_not(tmp_path: Path, key) -> None:
    held = Galleries(tmp_path, SETTINGS, key)
    held.enrol("club", "m1", "Ann", vectors(0))
    held.enrol("club", "m1", "Bo", vectors(1, 2))
    again = Galleries(tmp_path, SETTINGS, key)
    assert again.names() == ["club"] and sorted(again.read("club").people) == ["Ann", "Bo"]
    again.remove("club", "Ann")
    assert list(held.read("club").people) == ["Bo"], "another server's change is seen"
    assert key is not None or all(b"Ann" not in file.read_bytes() for file in tmp_path.iterdir()), "in no file any more"
    held.drop("club")
    assert again.names() == [] and said(again.read, "club").startswith("gallery: expected a gallery that is there, found 'club'.")


def test_what_a_gallery_refuses(tmp_path: Path) -> None:
    held = Galleries(tmp_path, ServeSettings(max_galleries=1, max_people=2))
    held.enrol("club", "m1", "Ann", vectors(0))
    assert said(held.enrol, "club", "m1", "Ann", vectors(1)) == (
        "person: expected someone who is not enrolled yet, found 'Ann'. If it is the same person, delete the old entry first; if not, give another name.")
    assert said(held.enrol, "club", "m2", "Bo", vectors(1)) == (
        "gallery: expected vectors of the model in service, m2, found those of m1. "
        "Serve that model, or delete the gallery and enrol its people again: vectors of two models cannot be compared.")
    assert said(held.remove, "club", "Cy") == "person: expected someone who is enrolled, found 'Cy'. GET /galleries/club lists who is."
    assert said(held.drop, "none") == "gallery: expected a gallery that is there, found 'none'. GET /galleries lists them."
    assert said(held.enrol, "other", "m1", "Bo", vectors(1)) == (
        "gallery: expected at most 1 galleries, found one more. Delete one, or raise max_galleries.")
    held.enrol("club", "m1", "Bo", vectors(1))
    assert said(held.enrol, "club", "m1", "Cy", vectors(1)) == (
        "gallery: expected at most 2 people, found one more. Delete someone, begin another gallery, or raise max_people.")
    for name in ("../club", "", ".hidden", "a/b", "x" * 65, "ü"):
        assert said(held.read, name).startswith("gallery: expected a name of 1 to 64 letters, digits, - and _, found ")


class Crash(Exception):
    """The power fails."""


class Failing(Disk):
    """Ends at the given operation that changes the disk."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __getattribute__(self, name: str):
        if name in ("create", "extend", "sync", "rename", "sync_folder", "unlink"):
            if (left := object.__getattribute__(self, "left")) == 0:
                raise Crash
            self.left = left - 1
        return object.__getattribute__(self, name)


def test_a_crash_at_any_moment_leaves_the_old_gallery_or_the_new_one(tmp_path: Path) -> None:
    ends = set()
    for at in range(12):
        folder = tmp_path / str(at)
        Galleries(folder, SETTINGS).enrol("club", "m1", "Ann", vectors(0))
        failing = Failing(10_000)
        held = Galleries(folder, SETTINGS, disk=failing)
        failing.left = at
        with contextlib.suppress(Crash):
            held.enrol("club", "m1", "Bo", vectors(1))
        after = Galleries(folder, SETTINGS)
        ends.add(tuple(sorted(after.read("club").people)))
        assert not [file.name for file in folder.iterdir() if file.name.startswith(TEMPORARY)], "nothing half written stays"
    assert ends == {("Ann",), ("Ann", "Bo")}


def test_many_at_once_are_all_enrolled(tmp_path: Path) -> None:
    two = [Galleries(tmp_path, SETTINGS), Galleries(tmp_path, SETTINGS)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: two[i % 2].enrol("club", "m1", f"p{i}", vectors(i % 4)), range(24)))
    assert len(two[0].read("club").people) == len(two[1].read("club").people) == 24


def test_enrol_search_compare_list_and_delete(start, tmp_path: Path) -> None:
    client = start("face", TOKEN, galleries=tmp_path / "kept")
    client.headers.update(BEARER)
    assert client.get("/galleries").json() == {"galleries": []}
    answer = client.post("/galleries/club/people", json={"person": "Ann Böll", "images": [photo(1), photo(1, 1)]})
    assert (answer.status_code, answer.json()) == (201, {"person": "Ann Böll", "pictures": 2, "people": 1})
    client.post("/galleries/club/people", json={"person": "Bo", "images": [photo(2)]})
    found = client.post("/galleries/club/search", json={"image": photo(1, 7)}).json()
    assert (found["threshold"], found["far"], found["comparisons"]) == (0.95, 0.001, 3)
    assert [(m["person"], m["accepted"]) for m in found["matches"]] == [("Ann Böll", True), ("Bo", False)] and found["matches"][0]["score"] > 0.98
    mild = client.post("/galleries/club/search", json={"image": photo(1, 7), "far": 0.01, "top": 1}).json()
    assert (mild["threshold"], len(mild["matches"])) == (0.8, 1)
    alone = client.post("/galleries/club/search", json={"image": photo(1, 7), "person": "Bo"}).json()
    assert [(m["person"], m["accepted"]) for m in alone["matches"]] == [("Bo", False)] and alone["comparisons"] == 1
    listed = client.get("/galleries/club").json()
    assert listed["usable"] is True and [(p["person"], p["pictures"]) for p in listed["people"]] == [("Ann Böll", 2), ("Bo", 1)]
    assert client.delete("/galleries/club/people/Ann Böll").json() == {"person": "Ann Böll", "people": 1}
    assert [m["person"] for m in client.post("/galleries/club/search", json={"image": photo(1, 7)}).json()["matches"]] == ["Bo"]
    assert client.delete("/galleries/club").json() == {"gallery": "club"}
    assert client.get("/galleries/club").status_code == 404


def test_pictures_are_not_kept_and_vectors_are_sealed(start, tmp_path: Path) -> None:
    client = start("face", TOKEN, KEY, galleries=tmp_path)
    client.post("/galleries/club/people", json={"person": "Ann", "images": [photo(1)]}, headers=BEARER)
    data = (tmp_path / "club.gallery").read_bytes()
    assert data.startswith(SEALED) and b"Ann" not in data and len(data) < 500
    assert list(unpack(data, "club", KEY).people) == ["Ann"]


@pytest.mark.parametrize(("body", "status", "detail"), [
    ({"person": "Bo"}, 422, "images: expected a value, found nothing. See /docs for the fields."),
    ({"person": "Bo", "images": []}, 422, "images: expected 1 to 3 pictures, found 0. Send a few good ones."),
    ({"person": "Bo", "images": [photo(1)] * 4}, 413, "images: expected 1 to 3 pictures, found 4. Send a few good ones."),
    ({"person": "Bo", "images": [photo(1), "anVzdCB3b3Jkcw=="]}, 422,
     "images[1]: expected a picture, found text 'just words'. Send a whole JPEG, PNG, WebP, BMP, GIF, TIFF or PPM file."),
    ({"person": "Bo", "images": ["%"]}, 422, "images[0]: expected a picture as base64 text, found text '%'. Encode the file's bytes as base64."),
    ({"person": "", "images": [photo(1)]}, 422, "person: expected a string of length >= 1, found another value. See /docs for the fields."),
    ({"person": "Bo\x07", "images": [photo(1)]}, 422,
     "person: expected a printable name without spaces at its ends, found 'Bo\\x07'. Write it as people read it."),
    ({"person": 3, "images": [photo(1)]}, 422, "person: expected a string, found a number. See /docs for the fields."),
    ({"person": "Bo", "images": [photo(1)], "age": 3}, 422, "age: expected a field of this route, found an unknown one. See /docs for the fields."),
    ({"person": "Ann", "images": [photo(1)]}, 409,
     "person: expected someone who is not enrolled yet, found 'Ann'. If it is the same person, delete the old entry first; if not, give another name."),
])
def test_what_an_enrolment_refuses(start, tmp_path: Path, body, status, detail) -> None:
    client = start("face", TOKEN, galleries=tmp_path, max_pictures=3)
    client.headers.update(BEARER)
    client.post("/galleries/club/people", json={"person": "Ann", "images": [photo(1)]})
    answer = client.post("/galleries/club/people", json=body)
    assert (answer.status_code, answer.json()["detail"]) == (status, detail)
    assert len(client.get("/galleries/club").json()["people"]) == 1


@pytest.mark.parametrize(("body", "status", "detail"), [
    ({"image": photo(1), "far": 0.5}, 422, "far: expected a false accept rate that was measured, 0.001 or 0.01, found 0.5. Choose one of these."),
    ({"image": photo(1), "top": 0}, 422, "top: expected a number >= 1, found another value. See /docs for the fields."),
    ({"image": photo(1), "person": "Anne"}, 404, "person: expected someone who is enrolled, found 'Anne'. Did you mean 'Ann'?"),
    ({"image": "aGVsbG8="}, 422, "image: expected a picture, found text 'hello'. Send a whole JPEG, PNG, WebP, BMP, GIF, TIFF or PPM file."),
    ([], 422, "body: expected an object, found a list. See /docs for the fields."),
])
def test_what_a_search_refuses(start, tmp_path: Path, body, status, detail) -> None:
    client = start("face", TOKEN, galleries=tmp_path)
    client.headers.update(BEARER)
    client.post("/galleries/club/people", json={"person": "Ann", "images": [photo(1)]})
    answer = client.post("/galleries/club/search", json=body)
    assert (answer.status_code, answer.json()["detail"]) == (status, detail)


def test_a_damaged_gallery_is_told_of_and_can_be_deleted(start, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = bytearray(pack(some(), "club", None))
    data[-9] ^= 1
    (tmp_path / "club.gallery").write_bytes(bytes(data))
    client = start("face", TOKEN, galleries=tmp_path)
    assert "gallery club: expected the bytes that were written, found a damaged file." in caplog.text, "at the start, in the log"
    client.headers.update(BEARER)
    answer = client.post("/galleries/club/search", json={"image": photo(1)})
    assert (answer.status_code, answer.json()["detail"]) == (500, "gallery club: expected the bytes that were written, found a damaged file. "
            "Restore the file from a copy, or delete the gallery and enrol again.")
    assert client.post("/galleries/club/people", json={"person": "Bo", "images": [photo(1)]}).status_code == 500, "nothing is written over it"
    assert (tmp_path / "club.gallery").read_bytes() == bytes(data)
    assert client.delete("/galleries/club").status_code == 200


def test_vectors_of_another_model_are_refused_after_a_swap(start, tmp_path: Path) -> None:
    serve_toys.write(serve_toys.ToyFace(), tmp_path / "models" / "other", shift=3)
    client = start("face", TOKEN, galleries=tmp_path / "kept", models=tmp_path / "models")
    client.headers.update(BEARER)
    client.post("/galleries/club/people", json={"person": "Ann", "images": [photo(1)]})
    assert client.post("/admin/swap", json={"name": "other"}).status_code == 200
    answer = client.post("/galleries/club/search", json={"image": photo(1)})
    assert answer.status_code == 409 and answer.json()["fix"].endswith("vectors of two models cannot be compared.")
    assert client.get("/galleries/club").json()["usable"] is False


def test_galleries_want_a_folder_a_token_and_a_bearer(start, tmp_path: Path) -> None:
    detail = ("/galleries: expected a server with a token and a folder for galleries, found none. "
              "Start it with THUJA_TOKEN and --galleries, and send the token as Bearer.")
    basic = {"Authorization": "Basic " + base64.b64encode(f"x:{TOKEN}".encode()).decode()}
    for client, headers in ((start("face", TOKEN), BEARER), (start("face", galleries=tmp_path), {}), (start("face", TOKEN, galleries=tmp_path), basic)):
        for method, path in (("GET", "/galleries"), ("GET", "/galleries/a"), ("DELETE", "/galleries/a"), ("DELETE", "/galleries/a/people/b"),
                             ("POST", "/galleries/a/people"), ("POST", "/galleries/a/search")):
            answer = client.request(method, path, headers=headers, content=b"{}")
            assert (answer.status_code, answer.json()["detail"]) == (403, detail), (method, path)
    assert start("face", TOKEN, galleries=tmp_path).get("/galleries").status_code == 401


def test_a_model_without_vectors_has_no_galleries(start, tmp_path: Path) -> None:
    client = start("text", TOKEN, galleries=tmp_path)
    client.headers.update(BEARER)
    for path in ("/gallery", "/galleries"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["detail"]) == (
            404, "address: expected a model that makes vectors to compare, found toy-text. Ask POST /predict; see /docs.")
    assert not [path for path in client.get("/openapi.json").json()["paths"] if path.startswith("/galler")]
    assert "/gallery" not in client.get("/").text


def test_the_pages_and_the_document(start, tmp_path: Path) -> None:
    client = start("face", TOKEN, galleries=tmp_path)
    client.headers.update(BEARER)
    assert 'href="/gallery"' in client.get("/").text
    html = client.get("/gallery").text
    assert "Not for &lt;strangers&gt;." in html and 'id="enrol"' in html
    assert client.get("/static/gallery.js").status_code == 200
    closed = start("face")
    assert "keeps no galleries" in closed.get("/gallery").text and 'href="/gallery"' not in closed.get("/").text
    document = client.get("/openapi.json").json()
    assert {"/galleries", "/galleries/{gallery}", "/galleries/{gallery}/people", "/galleries/{gallery}/people/{person}", "/galleries/{gallery}/search",
            "/gallery"} <= set(document["paths"])
    assert "/galleries/{gallery}/search" in client.get("/docs").text
    assert json.dumps(document).count("GallerySearch") >= 2


def test_without_an_evaluation_there_is_no_threshold(start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from thuja.artifact.folder import Artifact

    monkeypatch.setattr(Artifact, "scores", {})
    client = start("face", TOKEN, galleries=tmp_path)
    client.headers.update(BEARER)
    client.post("/galleries/club/people", json={"person": "Ann", "images": [photo(1)]})
    found = client.post("/galleries/club/search", json={"image": photo(1)}).json()
    assert found["threshold"] is None and found["matches"][0]["accepted"] is None
