"""Histories and arrays: names of items as int64 ids from 1, 0 where there is none. No torch."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
from pydantic import PositiveInt

from thuja.codec import Arrays, Codec, Columns, Ragged, Rows, ragged
from thuja.core.errors import BadRows, DataError, ThujaError, did_you_mean
from thuja.fields import Category, Items, Number, Ranking, Schema

FORBIDDEN = -1e30
"""The score of what must not be recommended; it is never shown."""
BASES = ("popularity", "history", "user")
"""What an answer rests on, in the order of the program's numbers."""
LONGEST_HISTORY = 1000
"""Names of one request's history that are taken: all of them are left out of the answer, the last ones are read."""
SHOWN = 200
"""Names of the catalogue that the schema mentions."""
USER, HISTORY, TARGET, EXCLUDE, ONLY, RATINGS, NEGATIVES = "user", "history", "target", "exclude", "only", "ratings", "negatives"
SEEN, LIMITED, UNKNOWN = "seen", "limited", "unknown"


class RecommendationCodec(Codec):
    """The catalogue, the users where each has a vector, and how much of a history is read.

    Columns that come of a row: `history` (ids, the last `longest` that are known), `seen` (what must not be recommended), `only` and `limited` (what alone may
    be, where `limited` is 1), `unknown` (how many names of the history are in no catalogue), `user` (0: not known, or users have no vectors); for
    training and evaluation `target` [rows, 1] (0: not in the catalogue), `ratings` and `negatives`.
    """

    kind: Literal["recommendation"] = "recommendation"
    items: tuple[str, ...]
    """By falling number of training interactions; item i has the id i + 1."""
    counts: tuple[int, ...]
    """Training interactions of each item."""
    users: tuple[str, ...] = ()
    """Those with a vector; user i has the id i + 1."""
    longest: PositiveInt
    """Items of a history that are read, the latest ones."""
    top: PositiveInt = 10
    """Items recommended."""
    repeats: bool = False
    """Whether what was taken may be recommended again."""
    places: float = 1.0
    """Items that a training row teaches, on average."""
    ratings: tuple[float, float, float] | None = None
    """Smallest, largest and mean rating, where there are ratings."""
    negatives: bool = False
    """Whether some rows come with items not taken, among which the right one is sought as well."""
    score: Literal["probability", "rating", "score"] = "probability"
    """What the scores are."""

    @cached_property
    def ids(self) -> dict[str, int]:
        """Ids of items by name."""
        return {name: i for i, name in enumerate(self.items, 1)}

    @cached_property
    def user_ids(self) -> dict[str, int]:
        """Ids of users by name."""
        return {name: i for i, name in enumerate(self.users, 1)}

    @cached_property
    def fields(self) -> dict[str, Items | Category]:
        """What may be asked."""
        shown = self.items[:SHOWN]
        again = "" if self.repeats else " None of it is recommended again."
        known = {USER: Category(names=self.users[:SHOWN], missing=True, unknown=True, description="Who asks, if known from training.")} if self.users else {}
        return {
            HISTORY: Items(longest=LONGEST_HISTORY, missing=True, examples=shown,
                           description=f"What was taken so far, the latest last; the last {self.longest} are read.{again}"),
            **known,
            EXCLUDE: Items(longest=LONGEST_HISTORY, missing=True, examples=shown, description="What is not to be recommended."),
            ONLY: Items(longest=LONGEST_HISTORY, missing=True, examples=shown, description="What alone may be recommended; empty: everything."),
        }

    def schema(self) -> Schema:  # type: ignore[override]
        """`history`, `exclude`, `only` (and `user`) in; `recommended`, `basis` and `unknown` out."""
        meaning = {"probability": "how probable it is that this is taken next, of everything in the catalogue", "rating": "the rating foretold",
                   "score": "higher is better; compare within one answer"}[self.score]
        return Schema(inputs=dict(self.fields), outputs={
            "recommended": Ranking(most=self.top, examples=self.items[:SHOWN], description=f"The best first. Score: {meaning}."),
            "basis": Category(names=BASES, description="What the answer rests on: the history, the known user, or, where neither is known, what all like."),
            "unknown": Number(integer=True, lower=0, description="Names of the history that are in no catalogue; they are not counted."),
        })

    def encode(self, rows: Rows) -> Columns:
        """See the class. Raises: BadRows for what is no list of names, too many names, an absent target; DataError for an absent column."""
        for name in self.fields:
            if name not in rows:
                raise DataError(name, expected="a column of this name", found=f"{len(rows)} others", fix=did_you_mean(name, rows))
        bad = self._unusable(rows)
        if bad:
            raise BadRows(bad)
        taken = [[self.ids.get(name, 0) for name in value or ()] for value in rows[HISTORY]]
        known = [[i for i in row if i] for row in taken]
        left_out = [_known(self.ids, value) for value in rows[EXCLUDE]]
        columns: Columns = {
            HISTORY: _ragged([row[-self.longest :] for row in known]),
            SEEN: _ragged(left_out if self.repeats else [row + more for row, more in zip(known, left_out, strict=True)]),
            ONLY: _ragged([_known(self.ids, value) for value in rows[ONLY]]),
            LIMITED: np.array([int(bool(value)) for value in rows[ONLY]], np.int64),
            UNKNOWN: np.array([row.count(0) for row in taken], np.int64),
        }
        if USER in rows:  # of rows that are learned from always: two users with equal histories are no copies
            columns[USER] = np.array([self.user_ids.get(str(name), 0) for name in rows[USER]], np.int64)
        if TARGET in rows:
            columns[TARGET] = np.array([self.ids.get(name, 0) for name in rows[TARGET]], np.int64)[:, None]
            columns[NEGATIVES] = _ragged([_known(self.ids, value) for value in rows.get(NEGATIVES, [()] * len(taken))])
        if RATINGS in rows and self.ratings is not None:
            columns[RATINGS] = ragged([np.array(_fitting(ratings, row, self.longest), np.float32) for ratings, row in zip(rows[RATINGS], taken, strict=True)])
        return columns

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        """`item` int64 [rows, K] and `score` float [rows, K], the best first; what is forbidden is left out."""
        recommended = []
        for ids, scores in zip(outputs["item"].tolist(), outputs["score"].astype(float).tolist(), strict=True):
            recommended.append([{"item": self.items[i - 1], "score": score} for i, score in zip(ids, scores, strict=True) if score > FORBIDDEN / 2])
        return {"recommended": recommended, "basis": [BASES[i] for i in outputs["basis"].tolist()], "unknown": [float(n) for n in outputs["ignored"].tolist()]}

    def _unusable(self, rows: Rows) -> dict[int, ThujaError]:
        """Rows with a value that its field refuses, or without a target where there is such a column."""
        bad: dict[int, ThujaError] = {}
        for name, field in self.fields.items():
            for i, value in enumerate(rows[name]):
                try:
                    field.check(value, f"rows[{i}].{name}")
                except DataError as error:
                    bad.setdefault(i, error)
        for i, value in enumerate(rows[USER] if self.users else ()):
            if value is not None and not isinstance(value, (str, int)):
                bad.setdefault(i, DataError(f"rows[{i}].{USER}", expected="a name", found=type(value).__name__, fix="Send plain text, or leave it out."))
        for i, value in enumerate(rows.get(TARGET, ())):
            if not isinstance(value, str) or not value:
                bad.setdefault(i, DataError(f"rows[{i}].{TARGET}", expected="what was taken next", found="nothing" if value is None else repr(value)[:60],
                                            fix="Give the name of the item."))
        return bad


def _known(ids: Mapping[str, int], names: Sequence[str] | None) -> list[int]:
    return [i for i in (ids.get(name, 0) for name in names or ()) if i]


def _fitting(ratings: Sequence[float], taken: list[int], longest: int) -> list[float]:
    """The ratings of the items of the history that are read, and of the target."""
    return [rating for rating, i in zip(ratings, taken, strict=False) if i][-longest:] + list(ratings[len(taken) :])


def _ragged(rows: Sequence[Sequence[int]]) -> Ragged:
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum([len(row) for row in rows], dtype=np.int64)])
    return Ragged(np.fromiter((i for row in rows for i in row), np.int64, int(offsets[-1])), offsets)
