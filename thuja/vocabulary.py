"""Texts as numbers and back: characters, bytes, or pairs of bytes that were joined because they often stand together. Plain data, no torch.

In every vocabulary ids 0 to 3 are padding, begin, end and unknown, which no text can spell; the tokens follow. A text is any valid Unicode: what a vocabulary
has not met is written in its bytes, but for `Characters`, to which it is unknown.

Source: byte-pair encoding, Sennrich et al. 2016, arXiv 1508.07909, over bytes and split into words as in Radford et al. 2019 (GPT-2), learned and applied by
the library `tokenizers`. Differs from GPT-2: a pair that was seen once is not joined.
"""

import codecs
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Discriminator, field_validator

from thuja.codec import Ragged

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PADDING, BEGIN, END, UNKNOWN = range(4)
FIRST = 4
"""The id of the first token."""
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
"""What is written for an unknown character, and for bytes that are no text."""
LEAST = 2
"""Times that a pair must be seen to be joined."""
Kind = Literal["characters", "bytes", "byte-pairs"]


class Characters(BaseModel):
    """A token for each of the commonest characters; others are unknown, and come back as U+FFFD."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["characters"] = "characters"
    characters: str
    """By rising code point, each once."""

    @field_validator("characters")
    @classmethod
    def _rising(cls, value: str) -> str:
        if list(value) != sorted(set(value)):
            raise ValueError("characters by rising code point, each once")
        return value

    @classmethod
    def learn(cls, texts: Iterable[str], size: int) -> Self:
        """The `size - 4` commonest characters; of equally common ones those of lower code point."""
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(text)
        common = sorted(counts, key=lambda character: (-counts[character], character))[: max(size - FIRST, 0)]
        return cls(characters="".join(sorted(common)))

    @property
    def size(self) -> int:
        """How many ids there are; all are below it."""
        return FIRST + len(self.characters)

    def encode(self, texts: Sequence[str]) -> Ragged:
        """int64 ids, a row for each text, without begin and end."""
        codes, ours = _code_points("".join(texts)), _code_points(self.characters)
        place = np.searchsorted(ours, codes)
        known = np.append(ours, -1)[place] == codes
        return Ragged(np.where(known, place + FIRST, UNKNOWN), _offsets([len(text) for text in texts]))

    def decode(self, ids: Sequence[Sequence[int]], *, whole: bool = True) -> list[str]:
        """The texts of rows of ids; padding, begin and end are left out. `whole` changes nothing here."""
        table = ["", "", "", REPLACEMENT, *self.characters]
        return ["".join([table[i] for i in row]) for row in ids]


class Bytes(BaseModel):
    """A token for each byte of UTF-8: nothing to learn, nothing unknown, long rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["bytes"] = "bytes"

    @classmethod
    def learn(cls, texts: Iterable[str], size: int) -> Self:
        """Needs neither texts nor size."""
        return cls()

    @property
    def size(self) -> int:
        """How many ids there are; all are below it."""
        return FIRST + 256

    def encode(self, texts: Sequence[str]) -> Ragged:
        """int64 ids, a row for each text, without begin and end."""
        rows = [text.encode() for text in texts]
        return Ragged(np.frombuffer(b"".join(rows), np.uint8).astype(np.int64) + FIRST, _offsets(list(map(len, rows))))

    def decode(self, ids: Sequence[Sequence[int]], *, whole: bool = True) -> list[str]:
        """The texts of rows of ids; padding, begin, end and unknown are left out. With `whole=False` more may follow: a character that has only begun waits."""
        return [_text(bytes([i - FIRST for i in row if i >= FIRST]), whole) for row in ids]


class BytePairs(BaseModel):
    """A token for each byte, and one for every pair of tokens in `merges`, in the order in which they are joined.

    A text is split into words first, each with the space before it; no token reaches from one word into the next.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["byte-pairs"] = "byte-pairs"
    merges: tuple[str, ...]
    """Two tokens and a space between them, written as in GPT-2: printable bytes as themselves, others as letters from U+0100 on (a space is Ġ)."""

    @field_validator("merges")
    @classmethod
    def _of_known_tokens(cls, merges: tuple[str, ...]) -> tuple[str, ...]:
        known = set(_LETTERS)
        for merge in merges:
            first, _, second = merge.partition(" ")
            if first not in known or second not in known:
                raise ValueError(f"a pair of tokens made before, not {merge[:40]!r}")
            known.add(first + second)
        return merges

    @classmethod
    def learn(cls, texts: Iterable[str], size: int) -> Self:
        """Join the commonest pair until there are `size` ids, or no pair is seen twice. The same texts give the same pairs in every process."""
        from tokenizers import Tokenizer, models, pre_tokenizers, trainers

        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = trainers.BpeTrainer(vocab_size=max(size - FIRST, 256), min_frequency=LEAST, initial_alphabet=sorted(_LETTERS), special_tokens=[],
                                      show_progress=False)
        tokenizer.train_from_iterator(texts, trainer)
        return cls(merges=tuple(" ".join(pair) for pair in _pairs(tokenizer)))

    @property
    def size(self) -> int:
        """How many ids there are; all are below it."""
        return FIRST + len(self.tokens)

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        """All tokens, in the order of their ids and as `merges` writes them; two merges may make the same one."""
        return tuple(dict.fromkeys([*_LETTERS, *(merge.replace(" ", "") for merge in self.merges)]))

    @cached_property
    def _tokenizer(self) -> "Tokenizer":
        from tokenizers import Tokenizer, models, pre_tokenizers

        ids = {token: i for i, token in enumerate(self.tokens, FIRST)}
        pairs = [(first, second) for first, _, second in (merge.partition(" ") for merge in self.merges)]
        tokenizer = Tokenizer(models.BPE(vocab=ids, merges=pairs))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        return tokenizer

    @cached_property
    def _bytes(self) -> list[bytes]:
        """The bytes of every id; none for those that are no token."""
        return [b""] * FIRST + [bytes([_LETTERS[letter] for letter in token]) for token in self.tokens]

    def encode(self, texts: Sequence[str]) -> Ragged:
        """int64 ids, a row for each text, without begin and end."""
        rows = [found.ids for found in self._tokenizer.encode_batch_fast(list(texts))]
        offsets = _offsets(list(map(len, rows)))
        return Ragged(np.fromiter((i for row in rows for i in row), np.int64, int(offsets[-1])), offsets)

    def decode(self, ids: Sequence[Sequence[int]], *, whole: bool = True) -> list[str]:
        """The texts of rows of ids; padding, begin, end and unknown are left out. With `whole=False` more may follow: a character that has only begun waits."""
        table = self._bytes
        return [_text(b"".join([table[i] for i in row]), whole) for row in ids]


class Borrowed(BaseModel):
    """The tokens of a published checkpoint, as its tokenizer.json cuts texts: nothing is learned.

    Their numbers are not ours, in which 0 to 3 are padding, begin, end and unknown: what they have for the last three gets our number, all others follow.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["borrowed"] = "borrowed"
    tokenizer: str
    """tokenizer.json as text; normaliser, splitting, tokens and marks are all in it."""
    count: int
    """Rows of their table of tokens."""
    begin: int | None = None
    end: int | None = None
    unknown: int | None = None

    @field_validator("tokenizer")
    @classmethod
    def _of_a_known_kind(cls, value: str) -> str:
        try:
            model = json.loads(value)["model"]
        except (ValueError, RecursionError, KeyError, TypeError) as error:
            raise ValueError("the text of a tokenizer.json") from error
        if not isinstance(model, dict) or model.get("type") not in ("BPE", "WordPiece", "Unigram", "WordLevel"):
            raise ValueError("the text of a tokenizer.json with tokens of type BPE, WordPiece, Unigram or WordLevel")
        return value

    @cached_property
    def _tokenizer(self) -> "Tokenizer":
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_str(self.tokenizer)
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer

    @property
    def known(self) -> int:
        """Tokens that the tokenizer knows: at most `count`, or it belongs to another network."""
        size: int = self._tokenizer.get_vocab_size()
        return size

    @cached_property
    def places(self) -> np.ndarray:
        """int64 [count]: our number of each of theirs."""
        special = {theirs: ours for ours, theirs in ((UNKNOWN, self.unknown), (END, self.end), (BEGIN, self.begin)) if theirs is not None}
        found = np.zeros(self.count, np.int64)
        others = [i for i in range(self.count) if i not in special]
        found[others] = np.arange(FIRST, FIRST + len(others))
        found[list(special)] = list(special.values())
        return found

    @property
    def size(self) -> int:
        """How many ids there are; all are below it."""
        return int(self.places.max(initial=FIRST - 1)) + 1

    @cached_property
    def rows(self) -> np.ndarray:
        """int64 [size]: their number of each of ours, -1 where they have none."""
        found = np.full(self.size, -1, np.int64)
        found[self.places] = np.arange(self.count)
        found[:FIRST] = [-1, *(-1 if theirs is None else theirs for theirs in (self.begin, self.end, self.unknown))]
        return found

    def encode(self, texts: Sequence[str]) -> Ragged:
        """int64 ids, a row for each text, without begin and end."""
        rows = [found.ids for found in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]
        offsets = _offsets(list(map(len, rows)))
        return Ragged(self.places[np.fromiter((i for row in rows for i in row), np.int64, int(offsets[-1]))], offsets)

    def marked(self, texts: Sequence[str], longest: int) -> Ragged:
        """Their own numbers, each one more so that 0 is free for padding, with the marks they put around a text; at most `longest` of them, the last mark
        kept."""
        rows = [found.ids for found in self._tokenizer.encode_batch_fast(list(texts))]
        rows = [row if len(row) <= longest else [*row[: longest - 1], row[-1]] for row in rows]
        rows = [row or [self.unknown or 0] for row in rows]
        offsets = _offsets(list(map(len, rows)))
        return Ragged(np.fromiter((i + 1 for row in rows for i in row), np.int64, int(offsets[-1])), offsets)

    def decode(self, ids: Sequence[Sequence[int]], *, whole: bool = True) -> list[str]:
        """The texts of rows of ids; what is no token is left out. With `whole=False` more may follow: a character that has only begun waits."""
        rows = [[int(self.rows[i]) for i in row if i >= FIRST] for row in ids]
        texts: list[str] = self._tokenizer.decode_batch(rows, skip_special_tokens=True)
        return texts if whole else [text.rstrip(REPLACEMENT) for text in texts]


Vocabulary = Annotated[Characters | Bytes | BytePairs, Discriminator("kind")]
AnyVocabulary = Annotated[Characters | Bytes | BytePairs | Borrowed, Discriminator("kind")]
KINDS: dict[Kind, type[Characters] | type[Bytes] | type[BytePairs]] = {"characters": Characters, "bytes": Bytes, "byte-pairs": BytePairs}
"""Those that are learned from texts."""


def learn(kind: Kind, texts: Iterable[str], size: int) -> Characters | Bytes | BytePairs:
    """A vocabulary of a kind, of at most about `size` ids."""
    return KINDS[kind].learn(texts, size)


def _letters() -> dict[str, int]:
    """The letter that stands for each byte, as in GPT-2: itself where it is printable, else the next letter from U+0100 on; by byte."""
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte if byte in printable else 256 + others.index(byte)): byte for byte in range(256)}


_LETTERS = _letters()


def _pairs(tokenizer: "Tokenizer") -> list[list[str]]:
    """The merges that a tokenizer has learned, in order."""
    pairs: list[list[str]] = json.loads(tokenizer.to_str())["model"]["merges"]
    return pairs


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le"), "<u4").astype(np.int64)


def _offsets(lengths: Sequence[int]) -> np.ndarray:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])


def _text(data: bytes, whole: bool) -> str:
    """UTF-8 as text, U+FFFD for what is none; where more may follow, without the beginning of a character at its end."""
    return codecs.getincrementaldecoder("utf-8")("replace").decode(data, whole)
