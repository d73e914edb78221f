"""The artefact: a folder with everything that serving a model needs, written whole or not at all, verified before anything in it is opened.

No pickle, no torch, and nothing in it names code: `codec.json` names a short kind that this program looks up in its own closed table. Bytes are only
ever handed out by `Artifact.read`, which checks their hash in the same breath, so nobody can change a file between the check and its use.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError

from thuja.apps import CODECS
from thuja.artifact.onnxscan import scan
from thuja.codec import Codec, load
from thuja.core import digest, storage
from thuja.core.clock import Clock, wall
from thuja.core.errors import ArtifactError, StorageError
from thuja.core.storage import DISK, Disk
from thuja.fields import Schema

FORMAT = 1
MANIFEST = "manifest.json"
LIFE = "life.json"
PROGRAM = ".onnx"
REQUIRED = ("spec.yaml", "codec.json", "schema.json", "weights.safetensors", "reference.json", "scores.json", "card.md", "certificate.json",
            "requirements.txt")
"""Present in every artefact of format 1, besides the manifest and one `.onnx` file per program."""

MANIFEST_BYTES = 1 << 20
JSON_BYTES = 64 << 20
FILES = 64
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_AGAIN = "Copy the artefact again from where it was made, or export it again."


class FileEntry(BaseModel):
    """What the manifest says about one file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    sha256: str
    bytes: NonNegativeInt


class Manifest(BaseModel):
    """`manifest.json`: every other file with its hash; read before anything else."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    thuja: int
    """Format version of the folder."""
    kind: str
    """The application, for people; the codec's own kind decides."""
    created: float
    """Seconds since 1970."""
    files: dict[str, FileEntry]
    digest: str
    """Identity of the content: equal for two exports of the same run, whenever they were made."""
    seal: str
    """Hash of all of the above, so that an edit anywhere shows."""

    def render(self) -> bytes:
        """The one way these values are written; a file with any other bytes has been edited."""
        return (json.dumps(self.model_dump(), indent=1, sort_keys=True) + "\n").encode()

    def identity(self) -> str:
        """What `digest` must be."""
        return digest.of_data(self.model_dump(include={"thuja", "kind", "files"}))

    def sealed(self) -> str:
        """What `seal` must be."""
        return digest.of_data(self.model_dump(exclude={"seal"}))


@dataclass(frozen=True)
class Artifact:
    """A verified folder. `open` is the only way in."""

    path: Path
    manifest: Manifest
    codec: Codec
    schema: Schema

    @classmethod
    def open(cls, path: Path, kinds: Mapping[str, str] = CODECS) -> Self:
        """Verify every file against the manifest, then read the codec and the schema. A folder that is being replaced is opened old or new, never between.

        Raises: ArtifactError naming the file that is damaged, edited, missing, extra or linked, a version or kind this program does not know, or a
        program that is more than arithmetic on numbers inside its file.
        """
        return storage.read_folder(Path(path), lambda place: cls._verified(place, kinds))

    @classmethod
    def _verified(cls, path: Path, kinds: Mapping[str, str]) -> Self:
        manifest = _read_manifest(path)
        _match_names(path, manifest)
        small: dict[str, bytes] = {}
        for name in sorted(manifest.files):
            if name.endswith(PROGRAM):
                scan(_verified(path, name, manifest), str(path / name))
            elif name in ("codec.json", "schema.json"):
                small[name] = _verified(path, name, manifest)
            elif digest.of_file(_sized(path, name, manifest)) != manifest.files[name].sha256:
                raise _damaged(path, name)
        codec = load(parse_json(small["codec.json"], str(path / "codec.json")), kinds)
        try:
            schema = Schema.model_validate_json(small["schema.json"])
        except ValidationError as error:
            raise ArtifactError(str(path / "schema.json"), expected="a schema", found=_first_line(error), fix=_AGAIN) from error
        if schema != codec.schema():
            raise ArtifactError(str(path / "schema.json"), expected="the fields of codec.json", found="other ones", fix="Export the artefact again.")
        return cls(path, manifest, codec, schema)

    @property
    def digest(self) -> str:
        """Identity of the content, SHA-256."""
        return self.manifest.digest

    @property
    def programs(self) -> tuple[str, ...]:
        """Names of the programs; "predict" is the one that serves."""
        return tuple(sorted(name.removesuffix(PROGRAM) for name in self.manifest.files if name.endswith(PROGRAM)))

    @cached_property
    def scores(self) -> dict[str, Any]:
        """What evaluation found, with intervals (`scores.json`)."""
        return self._json("scores.json")

    @cached_property
    def reference(self) -> dict[str, Any]:
        """A summary per field of the training rows (`reference.json`)."""
        return self._json("reference.json")

    @cached_property
    def certificate(self) -> dict[str, Any]:
        """Probes with the answers of the training code, and what was measured (`certificate.json`)."""
        return self._json("certificate.json")

    @cached_property
    def life(self) -> dict[str, Any]:
        """What is known of it before it answers anybody (`life.json`); empty in an artefact that was exported before there was such a file."""
        return self._json(LIFE) if LIFE in self.manifest.files else {}

    def read(self, name: str) -> bytes:
        """The bytes of a file, verified as they are read. Raises: ArtifactError if they have changed since."""
        return _verified(self.path, name, self.manifest)

    def _json(self, name: str) -> dict[str, Any]:
        return parse_json(self.read(name), str(self.path / name))


def write(path: Path, files: Mapping[str, bytes], *, kind: str, clock: Clock = wall, disk: Disk = DISK) -> None:
    """Write an artefact in one step: `files` by plain name, without the manifest, which is made here.

    Raises: StorageError when the disk is full or read-only, or something else than an artefact is at `path`; what is there is untouched then.
    """
    missing = [name for name in REQUIRED if name not in files]
    assert not missing and f"predict{PROGRAM}" in files and len(files) <= FILES, (missing, sorted(files))
    assert all(_NAME.fullmatch(name) for name in files), sorted(files)
    entries = {name: FileEntry(sha256=digest.of_bytes(data), bytes=len(data)) for name, data in files.items()}
    manifest = Manifest(thuja=FORMAT, kind=kind, created=clock(), files=entries, digest="", seal="")
    manifest = manifest.model_copy(update={"digest": manifest.identity()})
    manifest = manifest.model_copy(update={"seal": manifest.sealed()})
    storage.read_folder(path, _refuse_other)  # again where another export was replacing it meanwhile
    storage.write_folder(path, {**files, MANIFEST: manifest.render()}, disk)


def _refuse_other(path: Path) -> None:
    """What is replaced is an artefact, whole or damaged, or an empty folder: nobody's files are deleted by a mistyped name."""
    if os.path.lexists(path) and not (path / MANIFEST).is_file() and not (path.is_dir() and not path.is_symlink() and not any(path.iterdir())):
        found = "a folder with other files" if path.is_dir() else "a file"
        raise StorageError(str(path), expected="an artefact to replace, or nothing", found=found, fix="Choose another name for the artefact.")


def parse_json(data: bytes, where: str, limit: int = JSON_BYTES) -> dict[str, Any]:
    """A JSON object from bytes of limited size. Raises: ArtifactError for anything else, nesting beyond the interpreter's stack included."""
    if len(data) > limit:
        raise ArtifactError(where, expected=f"at most {limit} bytes", found=str(len(data)), fix=_AGAIN)
    try:
        value = json.loads(data)
    except RecursionError as error:
        raise ArtifactError(where, expected="a JSON object", found="one nested too deeply", fix=_AGAIN) from error
    except ValueError as error:
        raise ArtifactError(where, expected="a JSON object", found="damaged text", fix=_AGAIN) from error
    if not isinstance(value, dict):
        raise ArtifactError(where, expected="a JSON object", found=type(value).__name__, fix=_AGAIN)
    return value


def _read_manifest(path: Path) -> Manifest:
    where = path / MANIFEST
    if not path.is_dir():
        found = "a file" if path.exists() else "nothing there"
        raise ArtifactError(str(path), expected="an artefact folder", found=found, fix="Name a folder that `thuja export` has written.")
    if where.is_symlink() or not where.is_file():
        found = "a link" if where.is_symlink() else "no such file"
        raise ArtifactError(str(where), expected="a manifest", found=found, fix="Name a folder that `thuja export` has written.")
    with where.open("rb") as file:
        data = file.read(MANIFEST_BYTES + 1)
    value = parse_json(data, str(where), MANIFEST_BYTES)
    version = value.get("thuja")
    if type(version) is int and version > FORMAT:
        raise ArtifactError(str(where), expected=f"format version {FORMAT}", found=f"version {version}, written by a newer Thuja",
                            fix="Upgrade Thuja: pip install --upgrade thuja.")
    if version != FORMAT:
        raise ArtifactError(str(where), expected=f"format version {FORMAT}", found=f"version {version!r:.40}", fix="Export the artefact again.")
    try:
        manifest = Manifest.model_validate(value)
    except ValidationError as error:
        raise ArtifactError(str(where), expected="a manifest", found=_first_line(error), fix=_AGAIN) from error
    if manifest.render() != data or manifest.digest != manifest.identity() or manifest.seal != manifest.sealed():
        raise _damaged(path, MANIFEST)
    return manifest


def _match_names(path: Path, manifest: Manifest) -> None:
    """Exactly the files of the manifest are there, as plain files under plain names."""
    bad = sorted(name for name in manifest.files if not _NAME.fullmatch(name) or name == MANIFEST)
    if bad:
        raise ArtifactError(str(path / MANIFEST), expected="plain file names", found=repr(bad[0])[:60],
                            fix="Do not use this artefact: it was not written by Thuja.")
    for name in (*REQUIRED, f"predict{PROGRAM}", *manifest.files):
        if name not in manifest.files or not os.path.lexists(path / name):
            raise ArtifactError(str(path / name), expected="a file of the artefact", found="no such file", fix=_AGAIN)
    with os.scandir(path) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            if entry.name != MANIFEST and entry.name not in manifest.files:
                raise ArtifactError(str(path / entry.name), expected="only files named in manifest.json", found="another file", fix="Move it away.")
            if not entry.is_file(follow_symlinks=False):
                found = "a link" if entry.is_symlink() else "no plain file"
                raise ArtifactError(str(path / entry.name), expected="a plain file", found=found, fix=_AGAIN)


def _sized(path: Path, name: str, manifest: Manifest) -> Path:
    size = (path / name).stat().st_size
    if size != manifest.files[name].bytes:
        raise ArtifactError(str(path / name), expected=f"{manifest.files[name].bytes} bytes", found=str(size), fix=_AGAIN)
    return path / name


def _verified(path: Path, name: str, manifest: Manifest) -> bytes:
    data = _sized(path, name, manifest).read_bytes()
    if digest.of_bytes(data) != manifest.files[name].sha256:
        raise _damaged(path, name)
    return data


def _damaged(path: Path, name: str) -> ArtifactError:
    return ArtifactError(str(path / name), expected="the bytes that were exported", found="damaged or edited ones", fix=_AGAIN)


def _first_line(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'the whole'}: {first['msg']}"[:120]
