"""Galleries: named people with the vectors of their pictures, kept in a folder that the operator names. One file a gallery, replaced whole at every change.

A file is a line that says what follows, then either a hash and plain JSON, or, where the operator gives a key, a nonce and the same JSON under AES-256-GCM,
whose tag covers the line and the gallery's name as well: a file that was changed, or put under another name, is refused. Nothing is pickled. Pictures are
not kept. What is deleted is in no file any more; what an old file held may remain on the medium until it is overwritten, which a key makes worthless.

Source: AES-GCM, NIST SP 800-38D; a nonce of 96 random bits for each write, far from the 2^32 after which a key must be changed.
"""

import base64
import binascii
import hashlib
import json
import logging
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thuja.core.clock import Clock, wall
from thuja.core.digest import canonical
from thuja.core.errors import ArtifactError, MissingExtra, SpecError
from thuja.core.storage import DISK, Disk, explained, locked, sweep, write_atomic
from thuja.server.problem import Refusal
from thuja.server.settings import ServeSettings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

LOG = logging.getLogger("thuja.server")
VARIABLE = "THUJA_GALLERY_KEY"
PLAIN, SEALED = b"thuja-gallery 1 plain\n", b"thuja-gallery 1 aes-256-gcm\n"
NONCE, HASH, KEY = 12, 32, 32
SUFFIX = ".gallery"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
LONGEST = 200
"""Characters of a person's name."""
PERSON = r"^[^\s/\\.][^/\\]*$"
"""What a person's name looks like, besides being printable and without a space at its end; it is a part of an address."""
_MAKE_ONE = "Make one: python -c 'import secrets; print(secrets.token_hex(32))'"


def key(settings: ServeSettings, environment: Mapping[str, str]) -> bytes | None:
    """The key of all galleries, from the file or from THUJA_GALLERY_KEY; None for none.

    Raises: SpecError for one that is not 64 hexadecimal digits, or a file that cannot be read; MissingExtra where `cryptography` is not installed.
    """
    found, where = environment.get(VARIABLE), VARIABLE
    if settings.gallery_key_file is not None:
        where = str(settings.gallery_key_file)
        try:
            found = settings.gallery_key_file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SpecError(where, expected="a readable file with a key", found=type(error).__name__, fix="Check the path and its permissions.") from error
    if found is None:
        return None
    try:
        read = bytes.fromhex(found)
    except ValueError:
        read = b""
    if len(read) != KEY:
        raise SpecError(where, expected=f"a key of {2 * KEY} hexadecimal digits", found=f"{len(found)} characters", fix=_MAKE_ONE)
    _cipher(read)
    return read


class Person(NamedTuple):
    """Someone who is enrolled."""

    enrolled: float
    """When, in seconds since 1970."""
    vectors: np.ndarray
    """float32 [pictures, dim]."""


class Match(NamedTuple):
    """Someone who may be on a picture."""

    person: str
    score: float
    """The largest similarity with any of their pictures."""


@dataclass(frozen=True)
class Gallery:
    """Who is in it. All vectors are those of one model."""

    model: str
    """The digest of the artefact that made the vectors."""
    people: dict[str, Person]

    @cached_property
    def _stacked(self) -> tuple[list[str], np.ndarray, np.ndarray]:
        names = list(self.people)
        vectors = np.concatenate([self.people[name].vectors for name in names])
        return names, vectors, np.cumsum([0, *(len(self.people[name].vectors) for name in names[:-1])])

    @property
    def pictures(self) -> int:
        """Of all people together."""
        return sum(len(person.vectors) for person in self.people.values())

    def search(self, vector: np.ndarray, most: int) -> list[Match]:
        """The `most` people who are most like `vector` float32 [dim], the most alike first; those equally alike by name."""
        if not self.people:
            return []
        names, vectors, starts = self._stacked
        best = np.maximum.reduceat(vectors @ vector, starts)
        order = sorted(np.argsort(-best, kind="stable")[: most + 1], key=lambda i: (-best[i], names[i]))[:most]
        return [Match(names[i], float(best[i])) for i in order]


def pack(gallery: Gallery, name: str, key: bytes | None) -> bytes:
    """The bytes of a gallery's file."""
    people = {who: {"enrolled": person.enrolled, "vectors": [base64.b64encode(v.astype("<f4").tobytes()).decode() for v in person.vectors]}
              for who, person in gallery.people.items()}
    plain = canonical({"name": name, "model": gallery.model, "people": people})
    if key is None:
        return PLAIN + hashlib.sha256(plain).digest() + plain
    nonce = secrets.token_bytes(NONCE)
    return bytes(SEALED + nonce + _cipher(key).encrypt(nonce, plain, SEALED + name.encode()))


def unpack(data: bytes, name: str, key: bytes | None) -> Gallery:
    """A gallery out of its file's bytes. Raises: ArtifactError for a damaged or foreign one, and where there is a key and should be none, or the reverse."""
    where, again = f"gallery {name}", "Restore the file from a copy, or delete the gallery and enrol again."
    if data.startswith(SEALED):
        if key is None:
            raise ArtifactError(where, expected="a key, because the file is encrypted", found="none", fix=f"Set {VARIABLE} or gallery_key_file.")
        plain = _opened(data, name, key)
        if plain is None:
            raise ArtifactError(where, expected="a file that this key opens", found="a damaged one, or one of another key or name", fix=again)
    elif data.startswith(PLAIN):
        if key is not None:
            raise ArtifactError(where, expected="an encrypted file, because there is a key", found="a plain one",
                                fix="Enrol its people again in another gallery, or start the server without the key.")
        plain = data[len(PLAIN) + HASH :]
        if hashlib.sha256(plain).digest() != data[len(PLAIN) : len(PLAIN) + HASH]:
            raise ArtifactError(where, expected="the bytes that were written", found="a damaged file", fix=again)
    else:
        raise ArtifactError(where, expected="a file of galleries, version 1", found=f"{len(data)} bytes of something else", fix=again)
    try:
        known = json.loads(plain)
        people = {who: Person(float(about["enrolled"]), np.stack([np.frombuffer(base64.b64decode(v, validate=True), "<f4") for v in about["vectors"]]))
                  for who, about in known["people"].items()}
        if known["name"] != name:
            raise ArtifactError(where, expected="the gallery of this name", found=f"that of {known['name']!r}", fix="Give the file its own name again.")
        return Gallery(str(known["model"]), people)
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise ArtifactError(where, expected="people and their vectors", found=type(error).__name__, fix=again) from error


def _opened(data: bytes, name: str, key: bytes) -> bytes | None:
    from cryptography.exceptions import InvalidTag

    nonce, sealed = data[len(SEALED) : len(SEALED) + NONCE], data[len(SEALED) + NONCE :]
    try:
        plain: bytes = _cipher(key).decrypt(nonce, sealed, SEALED + name.encode())
        return plain
    except (InvalidTag, ValueError):
        return None


def _cipher(key: bytes) -> "AESGCM":
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        raise MissingExtra(VARIABLE, expected="the package cryptography", found="none", fix="Type: pip install 'thuja[faces]'.") from error
    return AESGCM(key)


class Galleries:
    """The folder of galleries. Several servers may share it: every change takes a lock, reads the file again and replaces it. Methods block: call them in a
    thread."""

    def __init__(self, folder: Path, settings: ServeSettings, key: bytes | None = None, disk: Disk = DISK, clock: Clock = wall) -> None:
        """Removes what writers that died have left, and says in the log which galleries cannot be opened. Raises: StorageError."""
        self.folder, self.settings, self.key, self.disk, self.clock = folder, settings, key, disk, clock
        self._held: dict[str, tuple[tuple[int, int, int], Gallery]] = {}
        with self._changing():
            sweep(folder, disk)
        for name in self.names():
            try:
                self.read(name)
            except Refusal as error:
                LOG.error("%s", error)

    def names(self) -> list[str]:
        """Those that are there, sorted."""
        found = (file.removesuffix(SUFFIX) for file in self.disk.list(self.folder) if file.endswith(SUFFIX))
        return [name for name in found if NAME.fullmatch(name)]

    def read(self, name: str) -> Gallery:
        """A gallery; held in memory until its file changes. Raises: Refusal 404, or 500 for a file that cannot be used."""
        path = self._path(name)
        try:
            stat = path.stat()
            identity = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            known = self._held.get(name)
            if known is not None and known[0] == identity:
                return known[1]
            gallery = unpack(self.disk.read(path), name, self.key)
        except FileNotFoundError as error:
            self._held.pop(name, None)
            raise Refusal(404, "gallery", expected="a gallery that is there", found=repr(name), fix="GET /galleries lists them.") from error
        except ArtifactError as error:
            raise Refusal(500, error.where, expected=error.expected, found=error.found, fix=error.fix) from error
        self._held[name] = (identity, gallery)
        return gallery

    def of_model(self, name: str, model: str) -> Gallery:
        """A gallery whose vectors are of this model. Raises: Refusal 409 where they are of another; as `read`."""
        gallery = self.read(name)
        if gallery.model != model:
            raise Refusal(409, "gallery", expected=f"vectors of the model in service, {model[:12]}", found=f"those of {gallery.model[:12]}",
                          fix="Serve that model, or delete the gallery and enrol its people again: vectors of two models cannot be compared.")
        return gallery

    def enrol(self, name: str, model: str, person: str, vectors: np.ndarray) -> Gallery:
        """Add someone; the first one makes the gallery. Raises: Refusal 409 for someone who is there already, 413 beyond the limits; StorageError."""
        with self._changing():
            there = self._path(name).exists()
            if not there and len(self.names()) >= self.settings.max_galleries:
                raise Refusal(413, "gallery", expected=f"at most {self.settings.max_galleries} galleries", found="one more",
                              fix="Delete one, or raise max_galleries.")
            gallery = self.of_model(name, model) if there else Gallery(model, {})
            if person in gallery.people:
                raise Refusal(409, "person", expected="someone who is not enrolled yet", found=repr(person),
                              fix="If it is the same person, delete the old entry first; if not, give another name.")
            if len(gallery.people) >= self.settings.max_people:
                raise Refusal(413, "gallery", expected=f"at most {self.settings.max_people} people", found="one more",
                              fix="Delete someone, begin another gallery, or raise max_people.")
            return self._write(name, Gallery(model, gallery.people | {person: Person(round(self.clock(), 3), np.asarray(vectors, np.float32))}))

    def remove(self, name: str, person: str) -> Gallery:
        """Take someone out. Raises: Refusal 404 for someone unknown; as `read`; StorageError."""
        with self._changing():
            gallery = self.read(name)
            if person not in gallery.people:
                raise Refusal(404, "person", expected="someone who is enrolled", found=repr(person[:60]), fix=f"GET /galleries/{name} lists who is.")
            return self._write(name, Gallery(gallery.model, {who: known for who, known in gallery.people.items() if who != person}))

    def drop(self, name: str) -> None:
        """Delete a gallery, a damaged one too. Raises: Refusal 404; StorageError."""
        path = self._path(name)
        with self._changing():
            if not path.exists():
                raise Refusal(404, "gallery", expected="a gallery that is there", found=repr(name), fix="GET /galleries lists them.")
            with explained(path):
                self.disk.remove(path)
                self.disk.sync_folder(self.folder)
            self._held.pop(name, None)

    def _write(self, name: str, gallery: Gallery) -> Gallery:
        self._held.pop(name, None)
        write_atomic(self._path(name), pack(gallery, name, self.key), self.disk)
        return gallery

    def _path(self, name: str) -> Path:
        if not NAME.fullmatch(name):
            raise Refusal(404, "gallery", expected="a name of 1 to 64 letters, digits, - and _", found=repr(name[:60]), fix="Send a gallery's plain name.")
        return self.folder / f"{name}{SUFFIX}"

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with locked(self.folder / ".lock", self.disk):
            yield
