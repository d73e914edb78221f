"""The whole life of an application on made-up rows: aged, deployed, lived through four months in seconds, harmed, renewed, promoted, rehearsed, ended.
About one minute on two cores.

    python examples/life.py

A buyer is told by two numbers. From the 60th day on, what tells a buyer turns away from the first number towards the second: the model becomes wrong, and
nobody says so but the labels, which come half a day late.
"""

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import thuja
from thuja.core.seeds import stream
from thuja.life.deployment import Deployment
from thuja.life.plan import Challenge, Harm, Plan, Record, Renew
from thuja.life.replay import Hasty, Replay, ReplayClock, Row
from thuja.spec import Spec, parse
from thuja.verbs.age import Asked

DAY = 86400.0
BEGIN = 1704067200.0
"""The first of January 2024, when the model goes into service; it learned from the 500 days before."""
TURNS, A_DAY = 60, 40
PLAN = Plan(harm=Harm(window=DAY), record=Record(inputs="full", file=DAY), renew=Renew(calendar="never", on_forecast=False, cool_down=10 * DAY, lead=DAY),
            challenge=Challenge(step=DAY, fewest=60, canary=(0.1, 0.5, 1)), alone=("retrain", "shadow", "canary", "promote", "rollback"))


def people(first: int, last: int, each: int = A_DAY) -> list[dict[str, Any]]:
    """Who came on these days, by day; the same people whoever asks."""
    found: list[dict[str, Any]] = []
    for day in range(first, last):
        rng = stream(day + 1000, "people")
        angle = 0.6 + 1.2 * min(max(day - TURNS, 0) / 20, 1.0)
        for minute, age, income in zip(np.sort(rng.integers(0, 1440, each)), *rng.normal(size=(2, each)), strict=True):
            score = age * math.cos(angle) + income * math.sin(angle) + rng.normal(0, 0.3)
            date = np.datetime64("2024-01-01T00:00") + day * 1440 + int(minute)
            found.append({"date": str(date), "age": float(age), "income": float(income), "bought": "yes" if score > 0 else "no"})
    return found


def stream_of_rows(start: float, end: float) -> list[Row]:
    """The same people as a service meets them: their inputs now, the truth later."""
    rows = people(int((start - BEGIN) // DAY), int((end - BEGIN) // DAY))
    at = [float(np.datetime64(row["date"]).astype("datetime64[s]").astype(float)) for row in rows]
    return [Row(when, {"age": row["age"], "income": row["income"]}, {"label": row["bought"]}) for when, row in zip(at, rows, strict=True)]


def recipe() -> Spec[Any]:
    """What is learned, and the plan for the life of the model."""
    return parse({"task": {"kind": "table", "target": "bought", "problem": "binary", "numbers": ["age", "income"], "categories": []},
                  "data": {"split": {"kind": "time", "column": "date"}}, "train": {"steps": 150, "batch": 64, "threads": 1},
                  "evaluate": {"baseline": False}, "life": PLAN.model_dump(mode="json")})


def first_model(folder: Path) -> thuja.Artifact:
    """Trained on the days before, aged at three past dates, evaluated and exported."""
    past = people(-500, 0, each=4)
    run = thuja.train(recipe(), data=past, root=folder / "runs")
    aged = thuja.age(run.path, past, asked=Asked(cuts=3, windows=6))
    print(f"Aged: loss {aged.curve.loss[0]:.3f} fresh, {aged.curve.loss[-1]:.3f} in the last window; {sum(life.ended for life in aged.lives)} models ended.")
    thuja.evaluate(run, data=past)
    return thuja.export(run, data=past)


def renewed(deployment: Deployment, now: float) -> str:
    """A challenger from the last 40 days, as the policy wished for it."""
    day = int((now - BEGIN) // DAY)
    return thuja.retrain(deployment, data=people(day - 40, day), root=deployment.path.parent / "runs")


def main() -> None:
    """Live."""
    with tempfile.TemporaryDirectory() as place:
        folder, clock = Path(place), ReplayClock(BEGIN)
        artifact = first_model(folder)
        shop = thuja.deploy(artifact.path, Deployment(folder / "shop", clock, Hasty()), by="ada")
        for lived in Replay(shop, clock, stream_of_rows, renewed, delay=DAY / 2).live(BEGIN + 120 * DAY, DAY):
            looked = lived.ticked.looked
            if looked and looked.look.alarm:
                fresh = shop.reference(lived.standings.champion).loss
                print(f"Day {(lived.end - BEGIN) / DAY:.0f}: an alarm. Loss {looked.look.loss:.3f}, {fresh:.3f} when it was new.")
        found = thuja.drill(shop, by="ada")
        print(f"Drill: back in {found.seconds_back:.2f} s, the same bits: {found.same_bits}.\n")
        for line in thuja.timeline(shop).lines:
            if line.event.kind not in ("look", "comparison"):
                print(line.when, line.words)
        thuja.retire(shop, next(name for name, version in shop.standings().versions.items() if version.standing == "RETIRING"), by="ada",
                     waive={"unused": "the example is over"})


if __name__ == "__main__":
    main()
