"""What is left of a model's life, on fleets of simulated models: does what is known of one model improve on what is known of its sisters?

    python benchmarks/life/fleet.py tune | held-out

REGISTERED BEFORE THE HELD-OUT FLEETS WERE OPENED
Fleets. A fleet is an application with many stations, a model each. Six kinds: `gradual` (rates differ from station to station, log-normal), `shocks` (a jump
at a random time, of random size), `seasonal` (a season with recovery on a slow decline), `variance` (a wander that grows), `calm` (nothing), and `mixed`
(a decline that stops, a season and shocks together), which is among the held-out fleets only: nothing was tuned on it. True loss by window: `path`.
Margin 0.05 of loss; an end is the third bad window in a row, of the true loss, against the loss of 2,000 test rows plus the margin. Horizon: 400 windows.
Evidence: the lives and paths of 24 sister models in an ageing test (windows of 500 rows, up to 120 windows), and for each of 40 models 100 audited labels a
window.
Origins: windows 8, 16, 24, 32, 48, 64, 96 of a model that has not ended; the forecasts of a life weigh as much as one life together.
Seeds: tuning fleets 1000 to 1009 of each kind, held-out fleets 2000 to 2003 of each kind (24 fleets, 960 lives).
Baseline: `forecast.prior`, Kaplan-Meier and Weibull of the same lives, given the age. Compared with the code that ships, `forecast.updated`.
Figures: of the models to which a date was given, how often the 80 % interval held the end (goal 75 to 85 %), by fleet as well (goal: none under 65 % of those
with 10 lives or more), and the median relative error of the median, of those that ended within the horizon (goal at most 45 %). Of all forecasts, the pinball
loss of the 10, 50 and 90 % quantiles (a third of twice its sum; a forecast without a date counts as what it says: a constant rate, or the horizon), censored at
the horizon: 1 - updated / prior, with an interval by 2,000 bootstrap draws of fleets (goal: at least 10 %, interval above 0). By kind, which states were given.
Stop rule: if that interval is not above 0 on the held-out fleets, `updated` returns the prior, and code, docs and this file call it a planning estimate.
"""

import os
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
import record

from thuja.life.forecast import HORIZON, Forecast, prior, updated
from thuja.life.lifetime import Life, first_end
from thuja.life.path import Seen, ways_of

MARGIN, LABELS, TEST_ROWS = 0.05, 100, 2000
SISTERS, SISTER_ROWS, SISTER_WINDOWS, MODELS = 24, 500, 120, 40
ORIGINS = (8, 16, 24, 32, 48, 64, 96)
LENGTH = max(ORIGINS) + HORIZON + 3
KINDS = ("gradual", "shocks", "seasonal", "variance", "calm", "mixed")
TUNING, HELD_OUT = range(1000, 1010), range(2000, 2004)
TUNED_ON = KINDS[:-1]
DRAWS = 2000


class Application(NamedTuple):
    """What the stations of a fleet have in common."""

    loss: float
    life: float
    """The median life of those that decline, or the mean time between shocks, in windows."""
    spread: float
    """Of the logarithm of the stations' rates."""
    period: float
    """Of the season, in windows."""


def application(rng: np.random.Generator) -> Application:
    return Application(rng.uniform(0.06, 0.25), float(np.exp(rng.uniform(np.log(15), np.log(90)))), rng.uniform(0.3, 0.8), rng.choice([26.0, 52.0]))


def wander(rng: np.random.Generator, size, memory: float = 0.8) -> np.ndarray:
    """A wander about 0 with this standard deviation (one, or by window)."""
    noise, found = rng.normal(size=LENGTH), np.zeros(LENGTH)
    found[0] = noise[0]
    for place in range(1, LENGTH):
        found[place] = memory * found[place - 1] + np.sqrt(1 - memory**2) * noise[place]
    return found * size


def path(kind: str, fleet: Application, rng: np.random.Generator) -> np.ndarray:
    """[LENGTH]: the true loss of one station's model, by window."""
    time = np.arange(1, LENGTH + 1)
    life = fleet.life * np.exp(fleet.spread * rng.normal())
    decline = MARGIN * (time / life) ** rng.uniform(0.7, 1.6)
    season = rng.uniform(0.3, 0.8) * MARGIN * (np.sin(2 * np.pi * (time / fleet.period + (start := rng.random()))) - np.sin(2 * np.pi * start))
    shocks = np.zeros(LENGTH)
    for at in np.cumsum(rng.exponential(fleet.life, 30)):
        if at < LENGTH:
            shocks[int(at) :] += rng.uniform(0.02, 0.2)
    match kind:
        case "gradual":
            moved = decline + wander(rng, 0.006)
        case "shocks":
            moved = shocks + wander(rng, 0.004)
        case "seasonal":
            moved = decline / 2 + season + wander(rng, 0.005)
        case "variance":
            moved = wander(rng, 0.004 + 0.035 * time / life, 0.7) + decline / 4
        case "calm":
            moved = wander(rng, 0.004)
        case _:
            moved = np.minimum(decline, rng.uniform(0.4, 1.5) * MARGIN) + season / 2 + shocks * (rng.random() < 0.5) + wander(rng, 0.006)
    return np.clip(fleet.loss + rng.normal(0, 0.01) + moved, 0.005, 0.6)


def sister(kind: str, fleet: Application, rng: np.random.Generator) -> tuple[Life, Seen]:
    """A life and its path as an ageing test measures them."""
    measured = rng.binomial(SISTER_ROWS, path(kind, fleet, rng)[:SISTER_WINDOWS]) / SISTER_ROWS
    life = first_end(measured[1:], float(measured[0]) + MARGIN, higher_is_better=False)
    seen = measured[1 : 1 + int(life.length)]
    return life, Seen(seen, np.full(len(seen), SISTER_ROWS), float(measured[0]) + MARGIN, float(measured[0]), SISTER_ROWS)


class Case(NamedTuple):
    """One forecast that is to be made, and what came of it."""

    kind: str
    fleet: int
    model: int
    lives: list[Life]
    ways: np.ndarray
    age: int
    seen: Seen
    left: float
    """Windows until the true end, at most HORIZON."""


def cases(kind: str, number: int) -> list[Case]:
    """All forecasts of a fleet."""
    rng = np.random.default_rng([number, KINDS.index(kind)])
    fleet = application(rng)
    sisters, found = [sister(kind, fleet, rng) for _ in range(SISTERS)], []
    lives, ways = [life for life, _ in sisters], ways_of([seen for life, seen in sisters if life.ended])
    for model in range(MODELS):
        true = path(kind, fleet, rng)
        known = float(rng.binomial(TEST_ROWS, true[0]) / TEST_ROWS)
        audited = rng.binomial(LABELS, true) / LABELS
        end = first_end(true, known + MARGIN, higher_is_better=False)
        for age in ORIGINS:
            if not end.ended or end.length > age:
                seen = Seen(audited[:age], np.full(age, LABELS), known + MARGIN, known, TEST_ROWS)
                found.append(Case(kind, number, model, lives, ways, age, seen, min(end.length - age, HORIZON) if end.ended else HORIZON))
    return found


def quantiles(said: Forecast) -> np.ndarray:
    """What a forecast says, as three quantiles up to the horizon: a rate is a constant one."""
    if said.quantiles is not None:
        return np.minimum(said.quantiles, HORIZON)
    if said.state == "hazard only":
        return np.minimum(-np.log([0.9, 0.5, 0.1]) / max(said.next_window, 1e-9), HORIZON)
    return np.full(3, float(HORIZON))


def pinball(said: np.ndarray, left: float) -> float:
    parts = np.array([0.1, 0.5, 0.9])
    return float(2 * np.maximum(parts * (left - said), (parts - 1) * (left - said)).mean())


def judged(fleets: list[list[Case]], forecaster) -> list[dict]:
    """A row for each forecast."""
    rows = []
    for fleet in fleets:
        of_life = {case.model: sum(other.model == case.model for other in fleet) for case in fleet}
        for case in fleet:
            said, before = forecaster(case), prior(case.lives, case.age)
            ours = quantiles(said)
            rows.append({"kind": case.kind, "fleet": (case.kind, case.fleet), "life": (case.kind, case.fleet, case.model), "age": case.age, "left": case.left,
                         "weight": 1 / of_life[case.model], "state": said.state, "said": ours, "before": before.state,
                         "inside": ours[0] <= case.left <= ours[2], "error": abs(ours[1] - case.left) / case.left,
                         "pinball": pinball(ours, case.left), "prior": pinball(quantiles(before), case.left)})
    return rows


def share(rows: list[dict], of: str) -> float:
    weights = np.array([row["weight"] for row in rows])
    return round(float(np.average([float(row[of]) for row in rows], weights=weights)), 4) if rows else float("nan")


def median(rows: list[dict], of: str) -> float:
    """Weighted by life."""
    rows = sorted(rows, key=lambda row: row[of])
    total = np.cumsum([row["weight"] for row in rows])
    return round(float(rows[int(np.searchsorted(total, total[-1] / 2))][of]), 4) if rows else float("nan")


def gain(rows: list[dict], seed: int = 0) -> dict:
    """1 - ours / prior of the pinball loss, with an interval over fleets."""
    names = sorted({row["fleet"] for row in rows})
    sums = np.array([[sum(row["weight"] * row[of] for row in rows if row["fleet"] == name) for of in ("pinball", "prior")] for name in names])
    drawn = np.random.default_rng(seed).integers(0, len(names), (DRAWS, len(names)))
    ratio = 1 - sums[drawn, 0].sum(axis=1) / np.maximum(sums[drawn, 1].sum(axis=1), 1e-9)
    return {"gain": round(float(1 - sums[:, 0].sum() / max(sums[:, 1].sum(), 1e-9)), 4), "low": round(float(np.quantile(ratio, 0.025)), 4),
            "high": round(float(np.quantile(ratio, 0.975)), 4)}


def figures(rows: list[dict]) -> dict:
    dated = [row for row in rows if row["state"] == "forecast"]
    ended = [row for row in dated if row["left"] < HORIZON]
    states = {state: round(sum(row["weight"] for row in rows if row["state"] == state) / sum(row["weight"] for row in rows), 4)
              for state in ("forecast", "hazard only", "no end in sight", "abstain")}
    return {"lives": len({row["life"] for row in rows}), "forecasts": len(rows), "lives_with_a_date": len({row["life"] for row in dated}),
            "covered": share(dated, "inside"), "relative_error": median(ended, "error"), "pinball": gain(rows), "states": states}


def summary(rows: list[dict]) -> dict:
    fleets = {}
    for row in rows:
        if row["state"] == "forecast":
            fleets.setdefault(row["fleet"], []).append(row)
    covered = {f"{kind} {number}": share(some, "inside") for (kind, number), some in fleets.items() if len({row["life"] for row in some}) >= 10}
    return figures(rows) | {"fleets_with_dates": len(covered), "least_covered_fleet": min(covered.items(), key=lambda item: item[1], default=None),
                            "by_kind": {kind: figures(some) for kind in KINDS if (some := [row for row in rows if row["kind"] == kind])}}


def ours(case: Case) -> Forecast:
    return updated(case.lives, case.age, case.seen, ways=case.ways)


def before(case: Case) -> Forecast:
    return prior(case.lives, case.age)


def main() -> None:
    held_out = sys.argv[1:] == ["held-out"]
    load = os.getloadavg()[0]
    numbers, kinds = (HELD_OUT, KINDS) if held_out else (TUNING[: int(sys.argv[2]) if len(sys.argv) > 2 else None], TUNED_ON)
    fleets = [cases(kind, number) for kind in kinds for number in numbers]
    found = {"updated": summary(judged(fleets, ours)), "prior": summary(judged(fleets, before))}
    for name, result in found.items():
        print(name, {key: value for key, value in result.items() if key != "by_kind"})
        for kind, figure in result["by_kind"].items():
            print("   ", kind, figure)
    if held_out:
        print(record.save("life_fleet", {"says": "what is left of 960 simulated lives: the audited path against the lives of sisters alone", **found}, load))


if __name__ == "__main__":
    main()
