"""How well the next item is foretold on LastFM (1,090 users, 3,646 artists), by both published protocols, beside classical models.

    python benchmarks/quality_recommendation.py --seeds 3

Each user's last item is tested, the one before was for choosing (`--validation`); what a user has taken is never recommended. Ranked are all items of the
catalogue, and, with the negatives that come with the data, the right one among 99 others. Published (SASRec, RecBole-style runs of S3-Rec's data): hit rate at
10 0.0688 and NDCG at 10 0.0390 among all; 0.4706 and 0.2755 among 99. Items that occur in no training interaction can never be recommended: a miss.
"""

import json
import os
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import record
from experiment import learn, options

from thuja.apps.recommendation import als
from thuja.apps.recommendation.codec import RecommendationCodec
from thuja.apps.recommendation.ranks import ranked
from thuja.apps.recommendation.task import Recommendation, popular
from thuja.codec import Arrays, Columns, Ragged, count
from thuja.data.source import open_source
from thuja.metrics import METRICS, intervals
from thuja.settings import Data, Train
from thuja.spec import Spec
from thuja.task import Part

NAMES = ("hit_rate_10", "ndcg_10", "mrr", "hit_rate_10_sampled", "ndcg_10_sampled", "coverage_10", "popularity_lift")
PUBLISHED = {"hit_rate_10": 0.0688, "ndcg_10": 0.0390, "hit_rate_10_sampled": 0.4706, "ndcg_10_sampled": 0.2755}
TOP = 10


def figures(task: Recommendation, codec: RecommendationCodec, columns: Columns, arrays: Arrays) -> dict[str, list[float | None]]:
    """Each metric with its interval."""
    found = intervals([METRICS[name] for name in NAMES], task.outputs(codec, columns, arrays))
    return {name: [round(float(v), 4) if v == v else None for v in (e.value, e.low, e.high)] for name, e in found.items()}


def taken(columns: Columns, items: int) -> np.ndarray:
    """Who took what before: float32 [rows, items + 1] of zeros and ones."""
    seen = columns["seen"]
    assert isinstance(seen, Ragged)
    out = np.zeros((count(columns), items + 1), np.float32)
    out[np.repeat(np.arange(len(out)), np.diff(seen.offsets)), seen.values] = 1
    return out


def linear(train: np.ndarray) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Models that score by a matrix of items against items, from who took what [users, items + 1]: cosine neighbours, and EASE (Steck 2019, arXiv
    1905.03375)."""
    together = train.T @ train
    norm = np.sqrt(np.maximum(np.diag(together), 1))
    cosine = together / np.outer(norm, norm)
    np.fill_diagonal(cosine, 0)
    near = np.where(cosine >= np.sort(cosine, axis=1)[:, -400][:, None], cosine, 0)
    inverse = np.linalg.inv(together + 50 * np.eye(len(together), dtype=np.float32))
    ease = -inverse / np.diag(inverse)
    np.fill_diagonal(ease, 0)
    share = together.diagonal()
    return {"popularity": lambda rows: np.tile(share, (len(rows), 1)), "item-kNN (cosine, 400 neighbours)": lambda rows: rows @ near,
            "EASE (50)": lambda rows: rows @ ease}


def classical(task: Recommendation, codec: RecommendationCodec, parts: dict[str, Part], part: str) -> dict[str, Any]:
    """The figures of the classical models."""
    items, found = len(codec.items), {}
    columns = parts[part].columns
    counts = np.array([0, *codec.counts], float)
    target = np.asarray(columns["target"])[:, 0]
    for name, score in linear(taken(parts["validation"].columns, items)).items():
        arrays = ranked(lambda c, score=score: score(taken(c, items)), columns, TOP)  # type: ignore[misc]  # the default binds the loop's value
        found[name] = figures(task, codec, columns, arrays | popular(counts, arrays["top"], target))
    arrays, seconds = als.fit(parts["train"], parts[part], items, TOP, 0)
    found[f"iALS ({als.DIM})"] = figures(task, codec, columns, arrays | popular(counts, arrays["top"], target)) | {"seconds": round(seconds, 1)}
    return found


def experiment(task: Recommendation, codec: RecommendationCodec, parts: dict[str, Part], part: str, train: Train) -> dict[str, Any]:
    """Train once and judge."""
    learned = learn(Spec(task=task, train=train), codec, parts["train"])
    judged = {name: figures(task, codec, parts[name].columns, learned.answers(parts[name].columns, task.judged)) for name in {part, "validation"}}
    result = {"seed": train.seed, **judged[part], "validation_ndcg_10": judged["validation"]["ndcg_10"][0], "steps": learned.steps,
              "train_s": round(learned.seconds, 1), "parameters": learned.parameters(), "settled": learned.settled()}
    return result | (learned.served(parts[part]) if train.seed == 0 else {})


def pooled(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Over seeds: the mean, the mean interval (of the test rows, not of the seeds), the standard deviation, and what was published."""
    out = {}
    for name in NAMES:
        values = [run[name] for run in runs if run[name][0] is not None]
        if values:
            mean = [round(statistics.fmean(v), 4) if all(x is not None for x in v) else None for v in zip(*values, strict=True)]
            out[name] = {"mean": mean[0], "interval_95": mean[1:], "seed_std": round(statistics.stdev([v[0] for v in values]), 4) if len(values) > 1 else None,
                         "published_sasrec": PUBLISHED.get(name)}
    return out


def main() -> None:
    chosen = options(__doc__).parse_args()
    load, part = os.getloadavg()[0], "validation" if chosen.validation else "test"
    task = Recommendation(**chosen.task)
    sources = task.arrange({"train": open_source(Data(path=str(chosen.root / "lastfm_seqrec")))["all"]})
    task, codec = task.prepare(sources["train"])
    parts = {name: Part(source, codec.encode(source.take(np.arange(len(source))))) for name, source in sources.items()}
    beside = classical(task, codec, parts, part)
    print(json.dumps(beside), flush=True)
    runs = []
    for seed in range(chosen.seeds):
        run = experiment(task, codec, parts, part, Train(**{**chosen.train, "seed": seed}))
        settled = run.pop("settled")
        runs.append(run)
        print(json.dumps(run), flush=True)
        result = {"data": "lastfm_seqrec", "part": part, "figures": pooled(runs), "baselines": beside, "runs": runs, "settled": settled}
        if not chosen.validation:  # after each seed, so that what is interrupted leaves what it has found
            print(record.save("recommendation_lastfm", result, load), flush=True)
    print(json.dumps(result["figures"]))


if __name__ == "__main__":
    main()
