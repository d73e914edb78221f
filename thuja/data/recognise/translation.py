"""Pairs of texts: two columns named by languages (`en`, `de`), or `source` and `target`, that are both texts."""

from collections.abc import Mapping

import numpy as np

from thuja.core.errors import DataError
from thuja.data.guess import Guess
from thuja.data.rows import Source
from thuja.data.split import settle
from thuja.settings import Data

LANGUAGES = frozenset("""
af am ar as az be bg bn bs ca cs cy da de el en eo es et eu fa fi fr ga gl gu he hi hr hu hy id ig is it ja ka kk km kn ko ku ky la lb lo lt lv mg mi mk ml mn
mr ms mt my nb ne nl nn no or pa pl ps pt ro ru rw sd si sk sl so sq sr st su sv sw ta te tg th tk tl tr tt ug uk ur uz vi wo xh yi yo zh zu
""".split())  # noqa: SIM905 - a list of 100 quoted words reads worse
"""ISO 639-1, the living languages that have parallel texts."""
NAMES = (("source", "target"), ("src", "tgt"))
SAMPLE = 500
WORDS = 3.0
"""Words of a text on average, at least in one of the columns."""


def recognise(parts: Mapping[str, Source], target: str | None) -> Guess | None:
    """A translation where exactly two columns of text are named by languages, or as `NAMES` says; `target` may turn it round. Raises: DataError for a
    `target` that is none of them."""
    source = parts.get("train") or parts["all"]
    pair = _pair(source)
    if pair is None or not _sentences(source, pair):
        return None
    if target is not None and target not in pair:
        raise DataError("target", expected=f"one of the languages {', '.join(pair)}", found=repr(target), fix="Choose one of these.")
    if pair[1 if target is None else 0] == target or (target is None and pair[1] == "en"):
        pair = pair[1], pair[0]
    notes = [", ".join(f"{len(part):,} {'rows' if name == 'all' else f'{name} rows'} ({part.ids(np.zeros(1, np.int64))[0].rpartition(':')[0]})"
                       for name, part in parts.items()) + f" with {len(source.names)} columns.",
             f"Translation from {pair[0]!r} to {pair[1]!r}, {'as asked' if target else 'by their names; turn it round with --target'}."]
    if unused := [name for name in source.names if name not in pair]:
        notes.append(f"Not used: {', '.join(map(repr, unused))}.")
    how = settle(parts, Data())
    notes.append(f"Split: {how.value.kind}, because {how.reason}.")
    return Guess({"kind": "translation", "source": pair[0], "target": pair[1]}, {}, notes)


def _pair(source: Source) -> tuple[str, str] | None:
    texts = [name for name in source.names if source.kinds[name] == "text"]
    for first, second in NAMES:
        if sorted(texts) == sorted((first, second)):
            return first, second
    languages = [name for name in texts if name[:2].lower() in LANGUAGES and len(name.replace("_", "-").partition("-")[0]) == 2]
    return (languages[0], languages[1]) if len(languages) == 2 else None


def _sentences(source: Source, pair: tuple[str, str]) -> bool:
    """Whether both hold texts, and at least one of them several words."""
    some = source.take(np.unique(np.linspace(0, len(source) - 1, min(len(source), SAMPLE)).astype(np.int64)), pair)
    texts = [[text for text in some[name] if text] for name in pair]
    if not all(texts):
        return False
    return max(sum(len(text.split()) for text in column) / len(column) for column in texts) >= WORDS and all(len(set(c)) > 0.5 * len(c) for c in texts)
