"""The scaffold split: sets stay whole, the largest train, nothing but the rows decides."""

import numpy as np
import pytest

from thuja.core.errors import DataError
from thuja.data.objects import from_object
from thuja.data.scaffold import by_scaffold, scaffold
from thuja.data.split import split
from thuja.fields import Molecule
from thuja.settings import Data, HashSplit, ScaffoldSplit

BENZENES = [f"c1ccccc1{'C' * i}" for i in range(1, 7)]
CHAINS = ["CC", "CCO", "CCCC"]
RINGS = ["C1CC1", "C1CCC1O"]


def test_scaffolds_are_rings_and_what_joins_them() -> None:
    assert [scaffold(text, Molecule()) for text in ("CCc1ccccc1", "c1ccccc1CCc1ccncc1O", "CCO", "F[C@H](Cl)C1CC1", "C1C")] == [
        "c1ccccc1", "c1ccc(CCc2ccncc2)cc1", "", "C1CC1", None]


def test_the_largest_sets_train_and_each_stays_whole() -> None:
    values = [*RINGS, *CHAINS, *BENZENES, "C1C"]
    parts = by_scaffold(values, 0.2, 0.2)
    kinds = {name: {scaffold(values[i], Molecule()) for i in places} for name, places in parts.items()}
    assert kinds == {"train": {"c1ccccc1", None}, "validation": {"C1CCC1", "C1CC1"}, "test": {""}}
    assert np.array_equal(np.sort(np.concatenate(list(parts.values()))), np.arange(len(values)))
    assert set(by_scaffold(values, 0.0, 0.2)) == {"train", "test"}


def test_it_agrees_with_the_rule_of_deepchem() -> None:
    """Written out as `ScaffoldSplitter.generate_scaffolds` and `.split` have it."""
    rng = np.random.default_rng(0)
    rings = ("C1CC1", "C1CCC1", "c1ccccc1", "c1ccncc1", "C1CCNCC1", "c1ccoc1", "C1CCCCCC1")
    values = [f"{'C' * int(rng.integers(1, 5))}{rng.choice(rings)}" for _ in range(100)]
    sets: dict[str, list[int]] = {}
    for i, value in enumerate(values):
        sets.setdefault(str(scaffold(value, Molecule())), []).append(i)
    train: list[int] = []
    valid: list[int] = []
    test: list[int] = []
    for one in [s for _, s in sorted(sets.items(), key=lambda x: (len(x[1]), x[1][0]), reverse=True)]:
        if len(train) + len(one) > 0.8 * len(values):
            if len(train) + len(valid) + len(one) > 0.9 * len(values):
                test += one
            else:
                valid += one
        else:
            train += one
    parts = by_scaffold(values, 0.1, 0.1)
    assert [parts[name].tolist() for name in ("train", "validation", "test") if name in parts] == [sorted(p) for p in (train, valid, test)]


def test_through_the_spec() -> None:
    source = {"all": from_object({"smiles": [*BENZENES, *RINGS, *CHAINS], "y": [float(i) for i in range(11)]})}
    parts = split(source, Data(split=ScaffoldSplit(column="smiles", validation=0.2, test=0.2)))
    assert sum(map(len, parts.values())) == 11
    with pytest.raises(DataError, match=r"data\.split\.column: expected the name of a column, found 'smile'"):
        split(source, Data(split=ScaffoldSplit(column="smile")))


def test_another_seed_is_another_split_by_hash() -> None:
    source = {"all": from_object({"a": np.arange(4000.0), "b": np.arange(4000.0) % 7})}
    found = [split(source, Data(split=HashSplit(seed=seed))) for seed in (0, 0, 1, 2)]
    tests = [set(parts["test"].index.tolist()) for parts in found]  # type: ignore[attr-defined]
    assert tests[0] == tests[1]
    for one, other in ((0, 2), (0, 3), (2, 3)):
        assert len(tests[one] & tests[other]) / 4000 == pytest.approx(0.04, abs=0.012)  # as two independent shares of 0.2
    assert all(len(test) / 4000 == pytest.approx(0.2, abs=0.03) for test in tests)
