"""Text to words, and words to ids: a learned vocabulary, and what an unknown word is read as. Pure Python, the same in every process. No torch."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

PADDING, NOTHING, UNKNOWN, NUMBER = range(4)
"""Ids below every ending and word: no place at all, a text without any word, a word that fits nowhere else, an unknown word with a digit in it."""
FIRST = 4
"""The first id of the endings; those of the words follow."""
ENDING = 3
"""Characters by which an unknown word is known: its grammar (-ing, -ed) and often its sense (-less, -ful) are there."""
LEAST = 3
"""Different words that an ending needs."""
MOST_COUNTED = 1_000_000
"""Different words counted at a time (some 100 MB)."""
WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")
"""A run of letters and digits, with apostrophes inside, or one other mark (an emoji, a stop)."""


def normal(text: str, lowercase: bool) -> str:
    """Text in compatible, composed form (full-width digits become digits), each run of white space one space.

    >>> normal(" Ｈé\\tLLO ", True)
    'hé llo'
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    text = " ".join(text.split())
    return text.lower() if lowercase else text


def split(text: str) -> list[str]:
    """The words of a text in normal form, in lower case.

    >>> split("don't -- stop!")
    ["don't", '-', '-', 'stop', '!']
    """
    return WORD.findall(text.lower())


def ending(word: str) -> str:
    """What is left of a long word when all but its end is unknown; empty for a short one."""
    return word[-ENDING:] if len(word) > ENDING + 1 else ""


def learn(texts: Iterable[str], most: int, counts: Counter[str]) -> None:
    """Add to `counts` how often each word comes in texts in normal form. The rarest are forgotten when there are too many, so that memory is bounded."""
    for text in texts:
        counts.update(split(text))
    while len(counts) > max(20 * most, MOST_COUNTED):
        least = min(counts.values())
        for word in [word for word, count in counts.items() if count == least]:
            del counts[word]


def choose(counts: Counter[str], most: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The `most` frequent words, and their common endings; each by falling frequency, equals by name."""
    words = tuple(word for word, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most])
    ends = Counter(end for word in words if (end := ending(word)) and not _numeric(word))
    endings = tuple(end for end, count in sorted(ends.items(), key=lambda item: (-item[1], item[0])) if count >= LEAST)
    return words, endings


class Vocabulary:
    """Ids of words, the unknown included."""

    def __init__(self, words: tuple[str, ...], endings: tuple[str, ...]) -> None:
        self.endings = {end: i for i, end in enumerate(endings, FIRST)}
        self.words = {word: i for i, word in enumerate(words, FIRST + len(endings))}

    def fallback(self, word: str) -> int:
        """The id of a word that is not known: a number's, its ending's, or that of the unknown."""
        return NUMBER if _numeric(word) else self.endings.get(ending(word), UNKNOWN)

    def ids(self, text: str) -> list[int]:
        """Ids of a text in normal form; never empty."""
        known = self.words
        return [known[word] if word in known else self.fallback(word) for word in split(text)] or [NOTHING]

    def fallbacks(self) -> list[int]:
        """For every id, the one it is read as when its ending alone is known; ids that are no words stay."""
        first = FIRST + len(self.endings)
        return [*range(first), *(self.fallback(word) for word in self.words)]


def _numeric(word: str) -> bool:
    return any(character.isdigit() for character in word)
