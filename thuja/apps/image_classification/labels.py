"""What the target column says of a picture: one name, or several of them, as a list or as a text with `;` or `|` between them. No torch."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from thuja.core.errors import DataError, ThujaError, did_you_mean

BETWEEN = re.compile(r"\s*[;|]\s*")
Labels = Literal["one", "several"]


def name_of(value: Any) -> str:
    """The class that a raw value stands for; whole numbers are written without a point, so that 3.0, 3 and "3" are one class.

    >>> name_of(3.0), name_of(3), name_of("cat")
    ('3', '3', 'cat')
    """
    return str(int(value)) if isinstance(value, (float, np.floating)) and float(value).is_integer() else str(value)


def names_in(value: Any) -> list[str]:
    """All names that a raw value holds, each once; none is allowed.

    >>> names_in("cat; dog|cat"), names_in(["cat", 3.0]), names_in('["cat", "big dog"]'), names_in(None), names_in("")
    (['cat', 'dog'], ['cat', '3'], ['cat', 'big dog'], [], [])
    """
    if isinstance(value, str):
        found: Sequence[Any] = _json(value) if value.startswith("[") else BETWEEN.split(value.strip())
    elif isinstance(value, (list, tuple, np.ndarray)):
        found = list(value)
    else:
        found = [] if value is None or value != value else [value]
    return list(dict.fromkeys(name for name in map(name_of, found) if name))


def _json(text: str) -> list[Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return [text]
    return value if isinstance(value, list) else [text]


def how_many(values: Sequence[Any]) -> Labels:
    """Whether the values of a target hold several names: they are lists, or they have `;` or `|` in them and the parts come again in other values."""
    if any(isinstance(value, (list, tuple, np.ndarray)) or (isinstance(value, str) and value.startswith("[") and names_in(value) != [value])
           for value in values):
        return "several"
    wholes = {value for value in values if isinstance(value, str)}
    parts = {name for whole in wholes for name in names_in(whole)}
    return "several" if any(BETWEEN.search(whole) for whole in wholes) and len(parts) < len(wholes) else "one"


def numbered(values: Sequence[Any], names: Sequence[str], target: str, bad: dict[int, ThujaError]) -> np.ndarray:
    """int64 [rows], the place of each value among the names; what is none of them is put into `bad`."""
    places = {name: i for i, name in enumerate(names)}
    found = np.zeros(len(values), np.int64)
    for i, value in enumerate(values):
        place = None if value is None else places.get(name_of(value))
        if place is None:
            words = "nothing" if value is None or value == "" else repr(value)[:60]
            bad.setdefault(i, DataError(f"rows[{i}].{target}", expected="a known class", found=words, fix=did_you_mean(name_of(value), names[:50])))
        else:
            found[i] = place
    return found


def marked(values: Sequence[Any], names: Sequence[str], target: str, bad: dict[int, ThujaError]) -> np.ndarray:
    """float32 [rows, names], 1 where a value holds a name; one with a name that is not known is put into `bad`."""
    places = {name: i for i, name in enumerate(names)}
    found = np.zeros((len(values), len(names)), np.float32)
    for i, value in enumerate(values):
        for name in names_in(value):
            if name in places:
                found[i, places[name]] = 1
            else:
                bad.setdefault(i, DataError(f"rows[{i}].{target}", expected="known labels", found=repr(name)[:60], fix=did_you_mean(name, names[:50])))
    return found


def weights_of(counts: Counter[str], rows: int, how: Labels) -> dict[str, float]:
    """What an example of each class counts, so that all classes count alike: the mean is 1 over the rows. Of several labels: how many times more a label
    that is there counts than one that is not.

    >>> weights_of(Counter(cat=30, dog=10), 40, "one"), weights_of(Counter(cat=30, dog=10), 40, "several")
    ({'cat': 0.6667, 'dog': 2.0}, {'cat': 0.3333, 'dog': 3.0})
    """
    if how == "one":
        return {name: round(rows / (len(counts) * count), 4) for name, count in counts.items()}
    return {name: round(max(rows - count, 1) / count, 4) for name, count in counts.items()}


def checked_weights(asked: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    """The weights that were typed, 1 for a class that was not named. Raises: DataError for a class that is not there."""
    for name in asked:
        if name not in names:
            raise DataError("task.class_weights", expected="names of classes", found=repr(name), fix=did_you_mean(name, names))
    return {name: float(asked.get(name, 1.0)) for name in names}


def by_value(name: str) -> tuple[float, str]:
    """Numbers by value, then words: for sorting names."""
    try:
        return float(name), name
    except ValueError:
        return float("inf"), name
