"""Recommendation: learn, from who took what and in which order, what is taken next."""

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, cast

import numpy as np
import torch
from pydantic import Discriminator, Field, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from thuja.apps.recommendation import als, pictures
from thuja.apps.recommendation.codec import HISTORY, LIMITED, NEGATIVES, ONLY, RATINGS, SEEN, TARGET, UNKNOWN, USER, RecommendationCodec
from thuja.apps.recommendation.programs import Predict, Rank
from thuja.chart import Chart
from thuja.codec import Arrays, Codec, Columns
from thuja.core.errors import DataError, SpecError
from thuja.data import interactions
from thuja.losses import bayesian_personalised_ranking, sampled_softmax
from thuja.metrics import Outputs
from thuja.models.matrix_factorisation import Factors, MatrixFactorisation
from thuja.models.sasrec import SASRec
from thuja.models.two_tower import TwoTower
from thuja.settings import AdamW, Auto
from thuja.task import Baseline, Batch, Choice, Facts, Goal, Loss, Part, Program, Source, Task

LARGE = 20_000
"""Items from which the softmax is sampled."""
EPOCHS = 20
LEAST_STEPS = 300
Objective = Literal["softmax", "sampled-softmax", "bpr", "ratings"]


class Recommendation(Task):
    """What a user takes next, out of a catalogue."""

    kind: Literal["recommendation"] = "recommendation"
    user: str = "user"
    """The column of users."""
    item: str = "item"
    """The column of items; its cells may be lists, all that a user took, in order."""
    time: str = ""
    """The column of times or of numbers that grow with time, by which each user's rows are put in order; empty: they come in order."""
    rating: str = ""
    """A column of ratings: how much an interaction counts, or, with objective ratings, what is foretold."""
    rating_range: tuple[float, float] | None = None
    """Smallest and largest rating there may be; a row with another is left out and named. Empty: those of the training rows."""
    repeats: bool = False
    """Whether what was taken may be taken, and recommended, again."""
    holdout: Literal["last", "split"] = "last"
    """What is tested. last: each user's last item, and the one before for validation; split: what data.split says (a time after which all is tested)."""
    longest: PositiveInt = 200
    """Items of a history that are read, the latest ones."""
    top: Annotated[int, Field(ge=1, le=1000)] = 10
    """Items recommended."""
    model: Annotated[SASRec | TwoTower | MatrixFactorisation, Discriminator("kind")] = SASRec()
    """How a history, or a user, becomes a query for items."""
    objective: Auto | Objective = "auto"
    """What is minimised. softmax: surprise at the next item, out of all; sampled-softmax: out of some drawn ones; bpr: pairs of an item taken and one not;
    ratings: the squared error of ratings. Auto: softmax, sampled for 20,000 items and more."""
    negatives: PositiveInt = 512
    """Items drawn for each batch by sampled-softmax and bpr."""

    def arrange(self, parts: dict[str, Source]) -> dict[str, Source]:
        """A row for each user and what comes next."""
        columns = interactions.Columns(self.user, self.item, self.time, self.rating)
        plan = interactions.Plan(columns, self.longest, self.holdout, self.repeats, self.rating_range)
        return cast("dict[str, Source]", interactions.histories(cast("Any", parts), plan))

    def prepare(self, source: Source) -> tuple[Self, RecommendationCodec]:
        """One pass over the training rows. Raises: DataError for fewer than two items; SpecError for ratings that are wanted and not there."""
        items: Counter[str] = Counter()
        users: dict[str, None] = {}
        ratings: list[np.ndarray] = []
        places = 0
        for rows in source.batches():
            for history, target in zip(rows[HISTORY], rows[TARGET], strict=True):
                items.update(history)
                items[target] += 1
                places += len(history)
            users.update(dict.fromkeys(rows.get(USER, ())))
            ratings += [np.array(r, float) for r in rows[RATINGS]] if RATINGS in rows else []
        if len(items) < 2:
            raise DataError(self.item, expected="at least two items", found=str(len(items)), fix="Give interactions with more items.")
        objective = self.objective if self.objective != "auto" else "sampled-softmax" if len(items) >= LARGE else "softmax"
        self._check(objective, ratings)
        known = np.concatenate(ratings) if ratings else np.zeros(0)
        limits = self.rating_range or ((float(known.min()), float(known.max())) if len(known) else None)
        ordered = sorted(items.items(), key=lambda pair: (-pair[1], pair[0]))
        codec = RecommendationCodec(
            items=tuple(name for name, _ in ordered), counts=tuple(count for _, count in ordered), longest=self.longest, top=min(self.top, len(items)),
            users=tuple(sorted(users)) if isinstance(self.model, MatrixFactorisation) else (), repeats=self.repeats, places=places / max(len(source), 1),
            negatives=NEGATIVES in source.names, ratings=None if limits is None or not len(known) else (*limits, float(known.mean())),
            score="rating" if objective == "ratings" else "score" if objective == "bpr" else "probability")
        return self.model_copy(update={"objective": objective}), codec

    def build(self, codec: Codec) -> nn.Module:
        assert isinstance(codec, RecommendationCodec)
        net = self.model.build(len(codec.items), len(codec.users))
        popularity = np.log(np.array([1, *codec.counts]) / sum(codec.counts))
        return Recommender(net, torch.tensor(popularity, dtype=torch.float32), codec.places, codec.ratings)

    def loss(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        """Summed over the places of each row, in units of an average row: nats for an item, or squared units of the rating."""
        assert isinstance(model, Recommender)
        history, target = batch[HISTORY], batch[TARGET]
        wanted = next_items(history, target)
        there = wanted != 0
        queries = model.net(history, batch.get(USER))
        vectors, bias = model.net.catalogue()
        rating = batch.get(RATINGS)
        if self.objective == "ratings":
            assert rating is not None and isinstance(model.net, Factors)
            foretold = model.rating((queries * vectors[wanted]).sum(2) + bias[wanted] + model.net.level(batch[USER])[:, None])
            error = mse_loss(foretold[there], aligned(rating, history)[there], reduction="sum")
            return Loss(error / (len(history) * model.places))
        rows = self._surprise(queries[there], wanted[there], vectors, bias, rng)
        if rating is not None:
            rows = rows * model.weight(aligned(rating, history)[there])
        return Loss(rows.sum() / (len(history) * model.places))

    def _surprise(self, queries: Tensor, wanted: Tensor, vectors: Tensor, bias: Tensor, rng: torch.Generator) -> Tensor:
        """[M]: the loss at each place."""
        if self.objective == "softmax":
            right = (queries * vectors[wanted]).sum(1) + bias[wanted]
            return torch.logsumexp(queries @ vectors[1:].T + bias[1:], dim=1) - right  # cross-entropy, without a second array of all scores
        items = len(bias) - 1
        drawn = torch.randint(1, items + 1, (min(self.negatives, items),), generator=rng, device=queries.device)
        positive = (queries * vectors[wanted]).sum(1) + bias[wanted]
        negative = queries @ vectors[drawn].T + bias[drawn]
        same = wanted[:, None] == drawn
        if self.objective == "bpr":
            pairs = bayesian_personalised_ranking(positive[:, None], negative).masked_fill(same, 0.0)
            return pairs.sum(1) / (~same).sum(1).clamp_min(1)
        return sampled_softmax(positive, negative, torch.full_like(drawn, len(drawn) / items, dtype=negative.dtype), same)

    def programs(self, model: nn.Module, codec: Codec) -> dict[str, Program]:
        assert isinstance(model, Recommender) and isinstance(codec, RecommendationCodec)
        user = (USER,) if codec.users else ()
        lists = dict.fromkeys((HISTORY, SEEN, ONLY, NEGATIVES), (1,))
        asked = (HISTORY, SEEN, ONLY, LIMITED, UNKNOWN, *user)
        judged = (HISTORY, SEEN, TARGET, NEGATIVES, *user)
        return {
            "predict": Program(Predict(model, codec.top, codec.score).eval(), asked, ("item", "score", "basis", "ignored"), _of(lists, asked)),
            "rank": Program(Rank(model, min(10, len(codec.items))).eval(), judged, ("rank", "sampled", "top"), _of(lists, judged)),
        }

    def metrics(self, codec: Codec) -> tuple[str, ...]:
        assert isinstance(codec, RecommendationCodec)
        sampled = ("hit_rate_10_sampled", "ndcg_10_sampled") if codec.negatives else ()
        return ("hit_rate_10", "ndcg_10", "mrr", *sampled, "coverage_10", "popularity_lift")

    @property
    def goal(self) -> Goal:
        return Goal("ndcg_10", "max")

    @property
    def look(self) -> Goal:
        """The loss, where ranking all items takes long."""
        return Goal("loss", "min") if self.objective == "sampled-softmax" else self.goal

    @property
    def judged(self) -> str:
        return "rank"

    @property
    def targets(self) -> tuple[str, ...]:
        return (TARGET,)

    def outputs(self, codec: Codec, columns: Columns, arrays: Arrays, source: Source | None = None) -> Outputs:
        """Ranks, what is recommended, and how popular that is; the target is the name of the item."""
        assert isinstance(codec, RecommendationCodec)
        target = np.asarray(columns[TARGET])[:, 0]
        names = np.array(["(not in the catalogue)", *codec.items], object)[target]
        if source is not None:
            names = np.array([name for rows in source.batches() for name in rows[TARGET]], object)
        return Outputs(names, arrays | popular(np.array([0, *codec.counts], float), arrays["top"], target))

    def charts(self, model: nn.Module, codec: Codec, part: Part, outputs: Outputs) -> tuple[Chart, ...]:
        assert isinstance(codec, RecommendationCodec)
        return pictures.charts(codec, part.columns, outputs)

    def baseline(self, codec: Codec, train: Part, test: Part, seed: int) -> Baseline:
        """Alternating least squares, solved exactly."""
        history, target = train.columns[HISTORY], np.asarray(train.columns[TARGET])
        counts = np.bincount(np.concatenate([cast("Any", history).values, target[:, 0]])).astype(float)
        top = min(10, len(counts) - 1)
        found, seconds = als.fit(train, test, len(counts) - 1, top, seed)
        return Baseline(f"alternating least squares (iALS, {als.DIM} numbers)",
                        found | popular(counts, found["top"], np.asarray(test.columns[TARGET])[:, 0]), seconds)

    def choices(self, codec: Codec, facts: Facts) -> dict[str, Choice]:
        batch = min(256, max(16, 1 << (facts.rows // 32).bit_length()))
        chosen = {
            "train.batch": Choice(batch, f"about 1/32 to 1/16 of {facts.rows} histories as a power of two, from 16 to 256"),
            "train.optimizer": Choice(AdamW(learning_rate=5e-3, weight_decay=0.1),
                                      "AdamW at five times its usual rate: most vectors are met in few batches; more decay, since there are many of them"),
        }
        if facts.budget_s is None and facts.steps is None:
            steps = max(LEAST_STEPS, EPOCHS * facts.rows // batch)
            chosen["train.steps"] = Choice(steps, f"{EPOCHS} passes over {facts.rows} histories, at least {LEAST_STEPS} steps")
        return chosen

    def _check(self, objective: str, ratings: list[np.ndarray]) -> None:
        if objective == "ratings" and not ratings:
            raise SpecError("task.objective", expected="a column of ratings for objective ratings", found="none", fix="Name it in task.rating.")
        if objective == "ratings" and not isinstance(self.model, MatrixFactorisation):
            raise SpecError("task.objective", expected="model matrix-factorisation for objective ratings", found=self.model.kind,
                            fix="Set task.model to {kind: matrix-factorisation}, or choose another objective.")


class Recommender(nn.Module):
    """A network that makes queries, and what is known of the catalogue without it."""

    popularity: Tensor

    def __init__(self, net: nn.Module, popularity: Tensor, places: float, ratings: tuple[float, float, float] | None) -> None:
        """`popularity`: [items + 1], the logarithm of each item's share of the interactions; the first is of no item."""
        super().__init__()
        self.net: Any = net
        self.register_buffer("popularity", popularity)
        self.places, self.ratings = max(places, 1.0), ratings

    def rating(self, score: Tensor) -> Tensor:
        """Scores around the mean as ratings, within what ratings may be."""
        assert self.ratings is not None
        low, high, mean = self.ratings
        return score + mean if self.training else (score + mean).clamp(low, high)

    def weight(self, rating: Tensor) -> Tensor:
        """How much an interaction of this rating counts: from 0.1 for the smallest to 1 for the largest, in equal steps."""
        assert self.ratings is not None
        low, high, _ = self.ratings
        return 0.1 + 0.9 * (rating - low) / max(high - low, 1e-9)


def next_items(history: Tensor, target: Tensor) -> Tensor:
    """At each place of [B, T], padded with 0 at the end, the item of the next place, or the target [B, 1] after the last one; 0 at padding."""
    moved = torch.cat([history[:, 1:], torch.zeros_like(target)], dim=1)
    last = (history != 0) & (moved == 0)
    return torch.where(last, target, moved)


def aligned(rating: Tensor, history: Tensor) -> Tensor:
    """Ratings [B, T + 1 at most] of the items of the histories and the target as those of `next_items` [B, T]."""
    return rating[:, 1 : history.shape[1] + 1]


def popular(counts: np.ndarray, top: np.ndarray, target: np.ndarray) -> Arrays:
    """What the metrics of popularity take: `popularity`, `target_popularity` and `catalogue`, each [rows]."""
    share = counts / counts.sum()
    there = top > 0
    mean = (share[top] * there).sum(1) / np.maximum(there.sum(1), 1)
    return {"popularity": mean, "target_popularity": share[target], "catalogue": np.full(len(top), len(counts) - 1, np.int64)}


def _of(lists: Mapping[str, tuple[int, ...]], inputs: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    return {name: axes for name, axes in lists.items() if name in inputs}
