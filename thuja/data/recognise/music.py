"""Piano rolls: a language model of the music."""

from collections.abc import Mapping
from typing import Any

from thuja.data.guess import Guess
from thuja.data.pianoroll import TEXT, RollSource
from thuja.data.rows import Source


def recognise(parts: Mapping[str, Source], target: str | None) -> Guess | None:
    """A guess where the source is a file of piano rolls (`thuja.data.pianoroll`)."""
    source = parts.get("train")
    if not isinstance(source, RollSource) or target not in (None, TEXT):
        return None
    longest = max(map(len, source.texts))
    task: dict[str, Any] = {"kind": "language-model", "text": TEXT, "rows": "documents", "vocabulary": "characters", "vocabulary_size": 128, "context": 256,
                            "max_tokens": min(longest, 1000), "too_long": "cut"}
    notes = [", ".join(f"{len(part):,} {name} pieces" for name, part in parts.items()) + ".",
             "Kind: language-model, because these are piano rolls: a character is a pitch (! is the lowest key of a piano), a space ends each step of time.",
             f"Split: given, because the data come in parts ({', '.join(parts)})."]
    return Guess(task, {}, notes)
