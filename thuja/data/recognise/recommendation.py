"""Who took what: a user and an item in each row, both of which come again and again, or a user and a list of items."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from thuja.data.guess import Guess
from thuja.data.interactions import NEGATIVES, named
from thuja.data.rows import Source

USER = re.compile(r"(user|customer|visitor|member|client|reader|listener|session|account)s?(_?id)?", re.IGNORECASE)
ITEM = re.compile(r"(item|product|movie|film|artist|track|song|book|article|sku|isbn|game|venue|asin|content)s?(_?id)?", re.IGNORECASE)
TIME = re.compile(r"(time|timestamp|ts|date|datetime|when|at|unix_?time)", re.IGNORECASE)
RATING = re.compile(r"(rating|stars|score|grade)s?", re.IGNORECASE)
MOST_COLUMNS = 6
"""A table with more of them describes something else as well."""
LEAST = 2.0
"""Interactions of a user, and of an item, on average."""
SAMPLE = 50_000
"""Rows looked at, the first ones: users often come one after the other."""
OFTEN = 0.05
"""Share of interactions with an item taken before, from which taking again counts."""


def recognise(parts: Mapping[str, Source], target: str | None) -> Guess | None:
    """Interactions; None for anything else, and where a column is named as the target that is not the item."""
    source = parts.get("train") or parts["all"]
    user = next((name for name in source.names if USER.fullmatch(name)), None)
    item = next((name for name in source.names if ITEM.fullmatch(name)), None)
    if user is None or item is None or len(source.names) > MOST_COLUMNS or target not in (None, item):
        return None
    rows = source.take(np.arange(min(len(source), SAMPLE)), (user, item))
    lists = source.kinds[item] == "other"
    if lists and not all(isinstance(taken, (list, tuple)) for taken in rows[item] if taken is not None):
        return None
    pairs = [(named(one), named(each)) for one, taken in zip(rows[user], rows[item], strict=True) for each in (taken or () if lists else (taken,))]
    users, items = len({pair[0] for pair in pairs}), len({pair[1] for pair in pairs})
    if not pairs or len(pairs) < LEAST * max(users, items):
        return None
    return _guess(parts, source, (user, item), pairs)


def _guess(parts: Mapping[str, Source], source: Source, known: tuple[str, str], pairs: list[tuple[str, str]]) -> Guess:
    user, item = known
    task: dict[str, Any] = {"kind": "recommendation", "user": user, "item": item}
    some = "" if len(source) <= SAMPLE or source.kinds[item] == "other" else f" in the first {SAMPLE:,} rows"
    notes = [f"{len(pairs):,} interactions of {len({p[0] for p in pairs}):,} users with {len({p[1] for p in pairs}):,} items{some}."]
    time = next((n for n in source.names if n not in known and (source.kinds[n] == "time" or (TIME.fullmatch(n) and source.kinds[n] == "number"))), None)
    if time is not None:
        task["time"] = time
        notes.append(f"Order: by {time!r}; rows need not be sorted.")
    else:
        notes.append("Order: as the items are listed." if source.kinds[item] == "other" else "Order: that of the rows, since there is no column of times.")
    rating = next((n for n in source.names if RATING.fullmatch(n) and source.kinds[n] == "number"), None)
    if rating is not None:
        task["rating"] = rating
        notes.append(f"Ratings: {rating!r} says how much an interaction counts; to foretell ratings, choose model matrix-factorisation with objective ratings.")
    again = 1 - len(set(pairs)) / len(pairs)
    if again > OFTEN:
        task["repeats"] = True
        notes.append(f"{again:.0%} of the interactions are with an item taken before: items are recommended again.")
    elif again:
        notes.append(f"{len(pairs) - len(set(pairs)):,} interactions are with an item taken before: the first time counts.")
    if NEGATIVES in source.names:
        notes.append("There are negatives: the tested item is also sought among them alone.")
    data: dict[str, Any] = {}
    if "train" in parts:
        task["holdout"] = "split"
        notes.append("Held out: the parts that are given.")
    else:
        data["split"] = {"kind": "hash", "validation": 0.0, "test": 0.0}
        notes.append("Held out: each user's last item for testing, the one before for validation; so the rows themselves are not split.")
    return Guess(task, data, notes)
