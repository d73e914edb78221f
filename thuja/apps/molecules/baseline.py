"""The classical model beside the network: a random forest on counted fingerprints and descriptors.

Source: Morgan fingerprints, Rogers and Hahn 2010, "Extended-connectivity fingerprints", JCIM 50(5), here with counts, radius 2, folded to 2048; random forests,
Breiman 2001.
"""

import time

import numpy as np

from thuja.apps.molecules import graph
from thuja.apps.molecules.codec import MoleculesCodec
from thuja.codec import Columns
from thuja.core.seeds import mix
from thuja.task import Baseline, Part

BITS, RADIUS = 2048, 2
TREES = 200


def fit(codec: MoleculesCodec, train: Part, test: Part, seed: int) -> Baseline:
    """One forest for each target, on the training rows that have it. Outputs as the program's."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    began = time.perf_counter()
    known, asked = features(codec, train), features(codec, test)
    binary = codec.problem == "binary"
    forest = RandomForestClassifier if binary else RandomForestRegressor
    found = []
    for i, y in enumerate(labels(codec, train.columns).T):
        there = ~np.isnan(y)
        if len(np.unique(y[there])) < 2:
            found.append(np.full(len(asked), codec.means[i]))
            continue
        model = forest(TREES, max_features="sqrt" if binary else 0.1, min_samples_leaf=1, random_state=mix(seed, "forest", i) % 2**31)
        model.fit(known[there], y[there])
        found.append(model.predict_proba(asked)[:, 1] if binary else model.predict(asked))
    answers = np.stack(found, axis=1).astype(np.float32)
    name = f"random forest ({TREES} trees) on counted Morgan fingerprints and {graph.DESCRIPTORS} descriptors"
    return Baseline(name, outputs_of(codec, answers), time.perf_counter() - began)


def features(codec: MoleculesCodec, part: Part) -> np.ndarray:
    """float32 [rows, BITS + DESCRIPTORS]: how often each surrounding of an atom comes, and descriptors; what is not defined is 0."""
    from rdkit.Chem import rdFingerprintGenerator

    generator = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=BITS)
    found = [np.concatenate([generator.GetCountFingerprintAsNumPy(molecule), np.nan_to_num(graph.descriptors(molecule))])
             for rows in part.source.batches() for molecule in (codec.read(value, codec.smiles) for value in rows[codec.smiles])]
    return np.array(found, np.float32)


def labels(codec: MoleculesCodec, columns: Columns) -> np.ndarray:
    """The targets: float64 [rows, targets], NaN where a label is missing."""
    return np.stack([np.asarray(columns[target], np.float64) for target in codec.targets], axis=1)


def outputs_of(codec: MoleculesCodec, answers: np.ndarray) -> dict[str, np.ndarray]:
    """Answers float32 [rows, targets] under the names of the program's outputs."""
    if codec.problem == "regression":
        return {"values": answers} if len(codec.targets) > 1 else {"value": answers[:, 0]}
    return {"chances": answers} if len(codec.targets) > 1 else {"probability": np.concatenate([1 - answers, answers], axis=1)}
