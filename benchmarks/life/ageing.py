"""The ageing test on real decades: 18,159 days of weather (1949 to 1999), rain or not, six models trained at past dates and judged on what followed.

    python benchmarks/life/ageing.py

The rows have an order and no dates; a window is a twenty-fourth of what follows the first cut, some 530 days. Published for this stream, accuracy: 0.665
without retraining and 0.720 with the best detector (Hoeffding trees that learn as they go), 0.686 for the majority.
"""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import record

from thuja.spec import parse
from thuja.verbs.age import Asked, age


def main() -> None:
    before = os.getloadavg()[0]
    root = Path(os.environ.get("THUJA_DATA", Path(__file__).parents[3] / "shared" / "data"))
    spec = parse({"task": {"kind": "table", "target": "target", "problem": "binary", "numbers": [f"feat_{i}" for i in range(1, 9)], "categories": []},
                  "data": {"path": str(root / "noaa_weather" / "weather.csv"), "split": {"kind": "order"}}, "train": {"steps": 300, "threads": 1}})
    began = time.perf_counter()
    found = age(spec, asked=Asked(cuts=6), on_cut=lambda number, cut: print(number, cut.losses.round(3).tolist(), flush=True))
    result = {"says": "loss by age of six models of the weather; a window is some 530 days", "curve": found.curve.plain(), "window_rows": round(found.window),
              "cuts": [{"row": round(cut.at), "losses": cut.losses.round(4).tolist()} for cut in found.cuts],
              "lives": [list(life) for life in found.lives], "calendar_windows": None if found.calendar.every == float("inf") else found.calendar.every,
              "steps": found.steps, "seconds": round(time.perf_counter() - began, 1)}
    print(record.save("life_ageing_noaa", result, before))


if __name__ == "__main__":
    main()
