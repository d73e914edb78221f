"""Which artist next, out of what listeners tagged: one to two minutes on two cores.

    python examples/recommendation.py

Reads LastFM's sequences from $THUJA_DATA/lastfm_seqrec; without them, it makes up listeners who walk through neighbouring artists. Trains for half a minute,
compares with alternating least squares on the same users, exports, and asks for a known taste, for a newcomer, and with filters.
"""

import os
import tempfile
from pathlib import Path

import numpy as np

import thuja
from thuja.apps.recommendation.task import Recommendation
from thuja.artifact.runtime import Predictor
from thuja.settings import Data, HashSplit, Train
from thuja.spec import Spec

SECONDS = 30.0


def made_up(path: Path, users: int = 600, items: int = 300) -> Path:
    """A line for each user: the user, and items each of which lies near the one before."""
    rng = np.random.default_rng(0)
    lines = []
    for user in range(1, users + 1):
        walk = (rng.integers(items) + np.cumsum(rng.geometric(0.3, size=int(rng.integers(8, 40))))) % items
        lines.append(" ".join(map(str, [user, *dict.fromkeys((walk + 1).tolist())])))
    path.write_text("\n".join(lines) + "\n")
    return path


def main() -> None:
    real = Path(os.environ.get("THUJA_DATA", "../shared/data")) / "lastfm_seqrec"
    with tempfile.TemporaryDirectory() as place:
        path = real if real.is_dir() else made_up(Path(place) / "walks.txt")
        data = Data(path=str(path.resolve()), split=HashSplit(validation=0, test=0))  # each user's last item is tested, so rows are not split
        run = thuja.train(Spec(task=Recommendation(), data=data, train=Train(budget=SECONDS)), root=Path(place) / "runs")
        scores = thuja.evaluate(run)
        for line in scores.rows():
            print(f"{line.label}: {line.network} ({line.interval}); {scores.baseline_name}: {line.baseline}")
        print(scores.recommendation)
        predictor = Predictor(thuja.export(run))
        names = predictor.schema.inputs["history"].model_dump()["examples"]
        rows = {"history": [names[:3], [], names[:3]], "exclude": [[], [], []], "only": [[], [], names[3:6]]}
        answer = predictor.predict(rows)
        for what, recommended, basis in zip(("a taste", "a newcomer", "three to choose from"), answer["recommended"], answer["basis"], strict=True):
            print(f"{what}, by {basis}: {', '.join(entry['item'] for entry in recommended[:5])}")


if __name__ == "__main__":
    main()
