"""Text: a sentence, a message, a document."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from thuja.core.errors import DataError
from thuja.fields.base import Field, histogram_distance

ODD = ("", " ", "a", "naïve café", "😀👍🏽", "１２３ ＡＢＣ", "שלום", "line\nbreak\ttab", "x" * 400, "don't -- stop!!!", "\u200b\ufeff")


class Text(Field):
    """Unicode text up to a stated length; empty text is allowed and answered like any other."""

    kind: Literal["text"] = "text"
    max_characters: int = 100_000
    """Longest text taken; longer ones are refused, never cut in silence."""

    def check(self, value: Any, where: str) -> None:
        if not isinstance(value, str):
            found = "a picture" if isinstance(value, bytes) and _looks_like_image(value) else type(value).__name__
            raise DataError(where, expected="text", found=found, fix="Send a string; to classify pictures, train an image-classification task.")
        if len(value) > self.max_characters:
            raise DataError(where, expected=f"at most {self.max_characters} characters", found=str(len(value)),
                            fix="Send a shorter text, or raise max_characters.")
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            raise DataError(where, expected="valid Unicode", found="half a surrogate pair", fix="Encode the text as UTF-8.")

    def to_json(self, value: Any) -> Any:
        return str(value)

    def from_json(self, value: Any, where: str) -> str:
        self.check(value, where)
        return str(value)

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "maxLength": self.max_characters} | ({"description": self.description} if self.description else {})

    def fake(self, rng: np.random.Generator, count: int) -> list[Any]:
        words = ["the", "a", "cat", "dog", "runs", "slowly", "good", "bad", "film", "very", "not", "price", "3", "km", "today"]
        made = [" ".join(rng.choice(words, size=int(rng.integers(1, 12)))) for _ in range(count)]
        return [ODD[i // 2 % len(ODD)] if i % 2 else made[i] for i in range(count)]

    def summarise(self, values: Sequence[Any]) -> dict[str, Any]:
        lengths = np.fromiter(map(len, values), int, len(values))
        kinds = np.zeros(5, int)
        for character, times in Counter("".join(value[:500] for value in values[:2000])).items():  # each of them in Python would take ten times as long
            kinds["LNPZ".find(unicodedata.category(character)[0])] += times
        return {"rows": len(values), "lengths": np.histogram(np.log2(lengths + 1), bins=20, range=(0, 20))[0].tolist(),
                "mean_length": float(lengths.mean()) if len(lengths) else 0.0, "characters": kinds.tolist()}

    def distance(self, old: dict[str, Any], new: dict[str, Any]) -> float:
        return max(histogram_distance(old["lengths"], new["lengths"]), histogram_distance(old["characters"], new["characters"]))


def _looks_like_image(value: bytes) -> bool:
    return value[:3] == b"\xff\xd8\xff" or value[:8] == b"\x89PNG\r\n\x1a\n" or value[:6] in (b"GIF87a", b"GIF89a")
