"""The next day of an electricity transformer, tried at several times as if it were then: about two minutes on two cores.

    python examples/forecast.py

Reads the hours of ETTh1 from $THUJA_DATA/etth1/ETTh1.csv; without them, it makes up a year of hours with days, weeks and noise. First a back-test: the model is
trained up to three origins and judged on what came after each. Then the last one is exported and asked.
"""

import csv
import os
import tempfile
from pathlib import Path

import numpy as np

import thuja
from thuja.apps.forecast.task import Forecast
from thuja.artifact.runtime import Predictor
from thuja.data.windows import rolling_origins
from thuja.settings import Data, TimeSplit, Train
from thuja.spec import Spec

ORIGINS = 3
COLUMNS = ("OT", "HUFL")


def made_up(path: Path, hours: int = 24 * 365) -> Path:
    """Two columns with a day and a week in them, and noise that stays for a while."""
    rng, step = np.random.default_rng(0), np.arange(hours)
    noise = np.convolve(rng.normal(size=hours + 5), np.ones(6) / 6, mode="valid")
    wave = np.sin(2 * np.pi * step / 24) + 0.5 * np.sin(2 * np.pi * step / 168)
    times = np.datetime64("2025-01-01T00:00:00") + step * np.timedelta64(3600, "s")
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["date", *COLUMNS])
        rows.writerows(zip(map(str, times), (20 + 5 * wave + 3 * noise).round(3), (8 - 2 * wave + 2 * noise).round(3), strict=True))
    return path


def columns_of(path: Path) -> tuple[list[str], list[float]]:
    """The times, and the first of `COLUMNS`."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["date"] for row in rows], [float(row[COLUMNS[0]]) for row in rows]


def main() -> None:
    real = Path(os.environ.get("THUJA_DATA", "../shared/data")) / "etth1" / "ETTh1.csv"
    with tempfile.TemporaryDirectory() as place:
        path = real if real.is_file() else made_up(Path(place) / "hours.csv")
        times, values = columns_of(path)
        run = None
        for borders in rolling_origins(times, ORIGINS, share=0.3):
            data = Data(path=str(path.resolve()), split=TimeSplit(column="date", borders=borders))
            spec = Spec(task=Forecast(time="date", values=COLUMNS, horizon=24), data=data, train=Train(budget=10))
            run = thuja.train(spec, root=Path(place) / "runs")
            scores = thuja.evaluate(run)
            ours, range_ = scores.metrics["scaled_mse"], scores.metrics["coverage"]
            assert scores.baseline is not None
            print(f"from {borders[1]}: MSE {ours.value:.3f} ({ours.low:.3f} to {ours.high:.3f}), {scores.baseline_name} "
                  f"{scores.baseline.metrics['scaled_mse'].value:.3f}; {range_.value:.0%} of the true values in the 80 % range")
        assert run is not None
        predictor = Predictor(thuja.export(run))
        context = predictor.schema.inputs["history"].least
        answer = predictor.predict({"history": [values[-context:]], "start": [None]})
        for step in (0, 5, 11, 23):
            print(f"{COLUMNS[0]} in {step + 1} hours: {answer['forecast'][0][step]:.1f} ({answer['low'][0][step]:.1f} to {answer['high'][0][step]:.1f})")


if __name__ == "__main__":
    main()
