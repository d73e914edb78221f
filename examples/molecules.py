"""How soluble a molecule is, learned from its structure: the ESOL table where THUJA_DATA has it, else molecules and a rule that are made up.

    python examples/molecules.py

Trains for a minute, compares with a random forest on fingerprints, exports, and asks the artefact about a few drugs. Needs the extra `molecules`.
"""

import os
import tempfile
from pathlib import Path

import numpy as np

import thuja
from thuja.apps.molecules.task import Molecules
from thuja.artifact.runtime import Predictor
from thuja.settings import Data, ScaffoldSplit, Train
from thuja.spec import Spec

ASKED = {"aspirin": "CC(=O)Oc1ccccc1C(=O)O", "caffeine": "CN1C=NC2=C1C(=O)N(C)C(=O)N2C", "ibuprofen": "CC(C)Cc1ccc(cc1)C(C)C(=O)O"}


def made_up(rows: int = 900) -> dict[str, list[object]]:
    """Chains with side groups; every oxygen makes them more soluble, every other heavy atom less."""
    rng = np.random.default_rng(0)
    pieces = ("C", "C(O)", "C(C)", "C(Cl)", "c1ccc(cc1)", "C1CCC(CC1)", "C1CC1", "c1cnc(cc1)", "c1ccc(o1)", "C(=O)", "O")
    texts = [f"C{''.join(rng.choice(pieces, int(rng.integers(2, 7))).tolist())}C" for _ in range(rows)]
    return {"smiles": [*texts], "solubility": [1.2 * t.count("O") - 0.4 * sum(map(str.isalpha, t)) + 0.3 * float(rng.normal()) for t in texts]}


def main() -> None:
    real = Path(os.environ.get("THUJA_DATA", "../shared/data")) / "molecules" / "delaney-processed.csv"
    target = "measured log solubility in mols per litre" if real.is_file() else "solubility"
    split = ScaffoldSplit(column="smiles")  # tested on kinds of molecules that it has not learned from
    spec = Spec(task=Molecules(target=target), data=Data(path=str(real.resolve()) if real.is_file() else "", split=split), train=Train(budget=60))
    with tempfile.TemporaryDirectory() as place:
        data = None if real.is_file() else made_up()
        run = thuja.train(spec, data=data, root=Path(place))
        scores = thuja.evaluate(run, data=data)
        error = scores.metrics["rmse"]
        print(f"RMSE {error.value:.2f} ({error.low:.2f} to {error.high:.2f})", end="")
        print(f"; {scores.baseline_name}: {scores.baseline.metrics['rmse'].value:.2f}" if scores.baseline else "")
        predictor = Predictor(thuja.export(run, data=data))
        for name, value in zip(ASKED, predictor.predict({"smiles": list(ASKED.values())})["value"], strict=True):
            print(f"{name}: {value:.2f}")


if __name__ == "__main__":
    main()
