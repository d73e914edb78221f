"""The artefact folder: whole, untouched and known, or refused by name before anything in it is parsed by a runtime."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import toys
from toys import KINDS

from thuja.artifact import folder
from thuja.artifact.folder import Artifact
from thuja.core.digest import canonical
from thuja.core.errors import ArtifactError, StorageError

AGAIN = "Copy the artefact again from where it was made, or export it again."


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder.write(tmp_path / "a", toys.plain_files(), kind="toy-table", clock=lambda: 1_700_000_000.0)
    return tmp_path / "a"


def refusal(path: Path) -> str:
    with pytest.raises(ArtifactError) as caught:
        Artifact.open(path, KINDS)
    return str(caught.value)


def edit_manifest(place: Path, **values: object) -> None:
    """As a patient forger would: with the digest and the seal made right again."""
    data = json.loads((place / "manifest.json").read_bytes()) | values
    manifest = folder.Manifest.model_validate(data | {"digest": "", "seal": ""})
    manifest = manifest.model_copy(update={"digest": manifest.identity()})
    (place / "manifest.json").write_bytes(manifest.model_copy(update={"seal": manifest.sealed()}).render())


def test_what_is_written_is_read(place: Path) -> None:
    artifact = Artifact.open(place, KINDS)
    assert artifact.codec == toys.CellCodec() and artifact.schema == toys.CellCodec().schema()
    assert artifact.programs == ("predict",) and artifact.scores == {"test": {}} and artifact.reference == {}
    assert artifact.manifest.created == 1_700_000_000.0 and artifact.read("card.md") == b"# Card\n"


def test_the_digest_is_of_the_content_not_of_the_time(place: Path, tmp_path: Path) -> None:
    folder.write(tmp_path / "b", toys.plain_files(), kind="toy-table")
    folder.write(tmp_path / "c", toys.plain_files(weight=3.0), kind="toy-table")
    one, again, other = (Artifact.open(p, KINDS).digest for p in (place, tmp_path / "b", tmp_path / "c"))
    assert one == again != other


def test_nothing_there_and_a_file(tmp_path: Path) -> None:
    fix = "Name a folder that `thuja export` has written."
    assert refusal(tmp_path / "x") == f"{tmp_path}/x: expected an artefact folder, found nothing there. {fix}"
    (tmp_path / "x").write_text("")
    assert refusal(tmp_path / "x") == f"{tmp_path}/x: expected an artefact folder, found a file. {fix}"
    (tmp_path / "y").mkdir()
    assert refusal(tmp_path / "y") == f"{tmp_path}/y/manifest.json: expected a manifest, found no such file. {fix}"


@pytest.mark.parametrize("name", [*folder.REQUIRED, "predict.onnx"])
def test_an_edited_file_is_named(place: Path, name: str) -> None:
    data = bytearray((place / name).read_bytes())
    data[len(data) // 2] ^= 1
    (place / name).write_bytes(data)
    assert refusal(place) == f"{place}/{name}: expected the bytes that were exported, found damaged or edited ones. {AGAIN}"


def test_a_truncated_file_is_named(place: Path) -> None:
    size = (place / "predict.onnx").stat().st_size
    os.truncate(place / "predict.onnx", size - 1)
    assert refusal(place) == f"{place}/predict.onnx: expected {size} bytes, found {size - 1}. {AGAIN}"


def test_a_missing_an_extra_and_a_linked_file_are_named(place: Path) -> None:
    (place / "evil.py").write_text("")
    assert refusal(place) == f"{place}/evil.py: expected only files named in manifest.json, found another file. Move it away."
    (place / "evil.py").unlink()
    (place / "card.md").rename(place.parent / "card.md")
    assert refusal(place) == f"{place}/card.md: expected a file of the artefact, found no such file. {AGAIN}"
    (place / "card.md").symlink_to(place.parent / "card.md")
    assert refusal(place) == f"{place}/card.md: expected a plain file, found a link. {AGAIN}"
    (place / "card.md").unlink()
    os.mkfifo(place / "card.md")
    assert refusal(place) == f"{place}/card.md: expected a plain file, found no plain file. {AGAIN}"


def test_a_linked_manifest_is_refused(place: Path) -> None:
    (place / "manifest.json").rename(place.parent / "m")
    (place / "manifest.json").symlink_to(place.parent / "m")
    assert refusal(place) == f"{place}/manifest.json: expected a manifest, found a link. Name a folder that `thuja export` has written."


def test_every_flipped_bit_of_the_manifest_is_noticed(place: Path) -> None:
    right = (place / "manifest.json").read_bytes()
    for at in range(0, len(right), 7):
        (place / "manifest.json").write_bytes(right[:at] + bytes([right[at] ^ (1 << at % 8)]) + right[at + 1 :])
        with pytest.raises(ArtifactError):
            Artifact.open(place, KINDS)


def test_a_random_bit_anywhere_is_noticed_and_so_is_a_zeroed_block(place: Path) -> None:
    rng = np.random.default_rng(0)
    names = sorted(p.name for p in place.iterdir())
    for i in range(120):
        path = place / names[i % len(names)]
        right = path.read_bytes()
        at = int(rng.integers(len(right)))
        block = bytes([right[at] ^ (1 << int(rng.integers(8)))]) if i % 3 else b"\1" * len(right[at : at + 16])
        wrong = right[:at] + block + right[at + len(block) :]
        path.write_bytes(wrong)
        with pytest.raises(ArtifactError):
            Artifact.open(place, KINDS)
        path.write_bytes(right)
    Artifact.open(place, KINDS)


def test_a_newer_and_an_unknown_version(place: Path) -> None:
    edit_manifest(place, thuja=2)
    assert refusal(place) == (f"{place}/manifest.json: expected format version 1, found version 2, written by a newer Thuja. "
                              "Upgrade Thuja: pip install --upgrade thuja.")
    edit_manifest(place, thuja=0)
    assert refusal(place) == f"{place}/manifest.json: expected format version 1, found version 0. Export the artefact again."
    (place / "manifest.json").write_text("{}")
    assert refusal(place) == f"{place}/manifest.json: expected format version 1, found version None. Export the artefact again."


@pytest.mark.parametrize("name", ["../codec.json", "/etc/passwd", "a/b", ".hidden", "C:\\x", "manifest.json"])
def test_names_that_are_paths_are_refused(place: Path, name: str) -> None:
    entries = json.loads((place / "manifest.json").read_bytes())["files"]
    edit_manifest(place, files=entries | {name: {"sha256": "0", "bytes": 1}})
    assert refusal(place) == f"{place}/manifest.json: expected plain file names, found {name!r}. Do not use this artefact: it was not written by Thuja."


def test_a_manifest_that_is_no_manifest(place: Path) -> None:
    for text, found in [("[]", "list"), ("{", "damaged text"), ('{"thuja":' + "[" * 100_000, "one nested too deeply")]:
        (place / "manifest.json").write_text(text)
        assert refusal(place) == f"{place}/manifest.json: expected a JSON object, found {found}. {AGAIN}"
    (place / "manifest.json").write_bytes(b" " * ((1 << 20) + 1))
    assert refusal(place) == f"{place}/manifest.json: expected at most 1048576 bytes, found 1048577. {AGAIN}"
    (place / "manifest.json").write_text('{"thuja": 1, "kind": 3}')
    assert refusal(place) == f"{place}/manifest.json: expected a manifest, found kind: Input should be a valid string. {AGAIN}"


def test_an_unknown_codec_is_refused_even_with_right_hashes(place: Path, tmp_path: Path) -> None:
    forged = toys.rewrite(place, tmp_path / "f", "toy-table", codec_json=b'{"kind":"os:system"}')
    assert refusal(forged) == "codec.json: kind: expected a known application, found 'os:system'. Choose from: toy-image, toy-table, toy-text."


def test_a_schema_that_is_not_the_codecs_is_refused(place: Path, tmp_path: Path) -> None:
    other = canonical(toys.PictureCodec().schema().model_dump(mode="json"))
    forged = toys.rewrite(place, tmp_path / "f", "toy-table", schema_json=other)
    assert refusal(forged) == f"{forged}/schema.json: expected the fields of codec.json, found other ones. Export the artefact again."


def test_a_file_changed_after_opening_is_never_handed_out(place: Path) -> None:
    artifact = Artifact.open(place, KINDS)
    right = (place / "predict.onnx").read_bytes()
    (place / "predict.onnx").write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
    with pytest.raises(ArtifactError) as caught:
        artifact.read("predict.onnx")
    assert str(caught.value) == f"{place}/predict.onnx: expected the bytes that were exported, found damaged or edited ones. {AGAIN}"


def test_an_older_artefact_is_replaced_whole(place: Path) -> None:
    folder.write(place, toys.plain_files(weight=5.0), kind="toy-table")
    assert toys.ways(place)({"size": [2.0], "shop": ["north"]}) == {"value": [10.0]}


def test_an_artefact_that_is_replaced_while_it_is_opened_is_opened_old_or_new(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    match, matched = folder._match_names, []

    def replaced(path: Path, manifest: folder.Manifest) -> None:
        match(path, manifest)
        matched.append(path)
        if len(matched) == 1:
            folder.write(place, toys.plain_files(weight=5.0), kind="toy-table")

    monkeypatch.setattr(folder, "_match_names", replaced)
    assert b"5.0" in Artifact.open(place, KINDS).read("certificate.json") and len(matched) == 2


def test_between_two_renames_the_old_one_is_opened(place: Path) -> None:
    place.rename(place.with_name(".tmp-old-a"))
    assert Artifact.open(place, KINDS).manifest.created == 1_700_000_000.0
    folder.write(place, toys.plain_files(weight=5.0), kind="toy-table")
    assert os.listdir(place.parent) == ["a"]


def test_what_is_no_artefact_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    folder.write(tmp_path / "thesis", toys.plain_files(), kind="toy-table")  # an empty folder will do
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "one.txt").write_text("dear")
    (tmp_path / "note").write_text("dear")
    for name, found in (("letters", "a folder with other files"), ("note", "a file")):
        with pytest.raises(StorageError) as caught:
            folder.write(tmp_path / name, toys.plain_files(), kind="toy-table")
        assert str(caught.value) == f"{tmp_path}/{name}: expected an artefact to replace, or nothing, found {found}. Choose another name for the artefact."
    assert (tmp_path / "letters" / "one.txt").read_text() == (tmp_path / "note").read_text() == "dear"
