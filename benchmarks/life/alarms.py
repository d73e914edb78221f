"""How often the harm alarm is wrong, how late it is right, and how often a challenger is promoted by luck: simulated, so that the truth is known.

    python benchmarks/life/alarms.py

Accuracy 85 %, batches of 100 labels, a reference of 10,000 labels drawn anew for each life, the alarm set at one false one in 1,000 batches. The streams and
seeds were fixed before the first run with the final stakes; those were chosen on seed 0. Rows are independent here: real ones are less so, and real rates
are higher. `three sigma` is the usual rule, its limits from ten reference batches.
"""

import os
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
import record

from thuja.life.sequential import Comparison, Detector, upper_bound

ERROR, ROWS, REFERENCE, BATCHES, BUDGET = 0.15, 100, 10_000, 1000, 1000
LIVES, RETRAINS = 400, 200


def first_alarm(rate: float, batches: int, rng: np.random.Generator, reference: int = REFERENCE) -> int | None:
    """The batch of the first alarm in one life at this error rate; None where there is none."""
    known = rng.binomial(reference, ERROR) / reference
    detector = Detector(upper_bound(known, reference))
    for number, wrong in enumerate(rng.binomial(ROWS, rate, batches), 1):
        detector = detector.after(np.repeat([1.0, 0.0], [wrong, ROWS - wrong]))
        if detector.statistic >= BUDGET:
            return number
    return None


def three_sigma(rate: float, batches: int, rng: np.random.Generator) -> int | None:
    """The usual rule."""
    known = rng.binomial(ROWS, ERROR, 10) / ROWS
    high = known.mean() + 3 * known.std(ddof=1)
    over = np.flatnonzero(rng.binomial(ROWS, rate, batches) / ROWS > high)
    return int(over[0]) + 1 if len(over) else None


def calm(rule, seed: int) -> dict[str, float]:
    """When nothing changes: lives of BATCHES, each until its first alarm."""
    rng = np.random.default_rng(seed)
    found = [rule(ERROR, BATCHES, rng) for _ in range(LIVES)]
    watched = sum(BATCHES if first is None else first for first in found)
    alarms = sum(first is not None for first in found)
    return {"lives": LIVES, "with_an_alarm": round(alarms / LIVES, 4), "alarms_per_1000_batches": round(1000 * alarms / watched, 3)}


def harm(rule, drop: float, seed: int) -> dict[str, float]:
    """When the error rate has risen by `drop`: batches until the alarm, at most 400."""
    rng = np.random.default_rng(seed)
    found = [rule(ERROR + drop, 400, rng) for _ in range(LIVES)]
    late = np.array([400 if first is None else first for first in found])
    return {"mean_batches": round(float(late.mean()), 2), "median_batches": float(np.median(late)), "nine_in_ten": float(np.quantile(late, 0.9)),
            "missed": round(float(np.mean([first is None for first in found])), 4)}


def promotions(gain: float, disagreement: float, rows: int, seed: int, looks: int = 100) -> dict[str, float]:
    """How many of RETRAINS challengers of this true gain are promoted (evidence 20 to 1 at any look), and by "the better number wins" at the end."""
    rng, bets, numbers = np.random.default_rng(seed), 0, 0
    for _ in range(RETRAINS):
        kinds = rng.choice([0, 1, 2], p=[1 - disagreement, (disagreement + gain) / 2, (disagreement - gain) / 2], size=rows)
        champion, challenger = (kinds == 1).astype(float), (kinds == 2).astype(float)
        numbers += champion.sum() > challenger.sum()
        comparison = Comparison()
        for part in np.array_split(np.arange(rows), looks):
            comparison = comparison.after(champion[part], challenger[part])
            if comparison.wealth >= 20:
                bets += 1
                break
    return {"promoted": round(bets / RETRAINS, 4), "by_better_number": round(numbers / RETRAINS, 4)}


def main() -> None:
    before = os.getloadavg()[0]
    result = {
        "says": "harm alarm at one false one in 1,000 batches of 100 labels; promotions at evidence of 20 to 1",
        "nothing_changes": {"thuja": calm(first_alarm, 100), "three_sigma": calm(three_sigma, 100)},
        "reference_of_1000": calm(lambda rate, batches, rng: first_alarm(rate, batches, rng, 1000), 101),
        "five_points": {"thuja": harm(first_alarm, 0.05, 102), "three_sigma": harm(three_sigma, 0.05, 102)},
        "two_points": {"thuja": harm(first_alarm, 0.02, 103), "three_sigma": harm(three_sigma, 0.02, 103)},
        "unchanged_process": promotions(0.0, 0.1, 10_000, 104),
        "true_gain_of_two_points": {"disagreement_10": promotions(0.02, 0.1, 10_000, 105), "disagreement_20": promotions(0.02, 0.2, 10_000, 106)},
        "goals": {"alarms_per_1000_batches": 1, "batches_to_find_five_points": 10, "promoted_unchanged": 0.05, "missed_two_points": 0.2},
    }
    print(result)
    print(record.save("life_alarms", result, before))


if __name__ == "__main__":
    main()
