"""Texts to go on with: passages of prose, or conversations."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from thuja.data.guess import Guess
from thuja.data.jsonl import MESSAGES
from thuja.data.passages import PASSAGE, PassageSource
from thuja.data.rows import Source, places

SMALL = 4 << 20
"""Bytes of a text below which single characters are as good a vocabulary as any, and need the smaller network."""
LETTERS = 512
"""Different characters at most."""


def recognise(parts: Mapping[str, Source], target: str | None) -> Guess | None:
    """A text file or a folder of them: a language model of its passages. A column `messages`: one of conversations."""
    source = parts.get("train") or parts["all"]
    if target is None and MESSAGES in source.names and source.kinds[MESSAGES] in ("text", "other"):
        rows = ", ".join(f"{len(part):,} {'conversations' if name == 'all' else name + ' conversations'}" for name, part in parts.items())
        notes = [f"{rows}.", "Kind: language-model, because there is a column of messages. What the assistant says is learned."]
        return Guess({"kind": "language-model", "text": MESSAGES, "rows": "messages", "context": 512, "too_long": "cut", "temperature": 0.0}, {}, notes)
    if not isinstance(source, PassageSource):
        return None
    size = sum(os.path.getsize(file) for file in source.files)
    letters = {character for index in places(min(len(source), SMALL // PASSAGE), 1024) for text in source.take(index)["text"] for character in text}
    few = size <= SMALL and len(letters) <= LETTERS
    task: dict[str, Any] = {"kind": "language-model", "text": "text", "rows": "passages", "vocabulary": "characters" if few else "byte-pairs",
                            "vocabulary_size": len(letters) + 4 if few else int(np.clip(2 ** (size // 2000).bit_length(), 1024, 16384)), "context": 256}
    notes = [f"A text of {size:,} bytes in {len(source.files)} file{'s' if len(source.files) > 1 else ''}.",
             "Kind: language-model, because it is prose and no table.",
             f"Vocabulary: {len(letters)} characters, because the text is short." if few else "Vocabulary: pairs of bytes, because the text is long."]
    if "train" in parts:
        return Guess(task, {"format": "text"}, [*notes, f"Split: given, because the data come in parts ({', '.join(parts)})."])
    notes.append("Split: order, because each passage goes on from the one before: the last tenth tests.")
    return Guess(task, {"format": "text", "split": {"kind": "order", "validation": 0.05, "test": 0.1}}, notes)
