"""Molecules split by their scaffold, so that the test is of kinds of molecules that were not learned from.

Source: Bemis and Murcko 1996, "The properties of known drugs. 1. Molecular frameworks", J. Med. Chem. 39(15), as rdkit's MurckoScaffold (rings and what joins
them, without stereo marks; all molecules without rings have the empty one). The order is that of MoleculeNet and DeepChem's `ScaffoldSplitter` (Wu et al. 2018,
arXiv 1703.00564): sets of molecules with one scaffold, the largest first, of equal ones the one that begins last; each goes whole to training while there is
room for it, else to validation, else to the test. It depends on nothing but the rows.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from thuja.core.errors import DataError
from thuja.fields import Molecule


def scaffold(value: Any, field: Molecule) -> str | None:
    """The scaffold of a molecule as SMILES, empty where it has no ring; None for what is no molecule. Raises: MissingExtra without rdkit."""
    try:
        molecule = field.read(value, "molecule")
    except DataError:
        return None
    from rdkit.Chem.Scaffolds import MurckoScaffold

    murcko: Any = MurckoScaffold
    return str(murcko.MurckoScaffoldSmiles(mol=molecule, includeChirality=False))


def by_scaffold(values: Sequence[Any], validation: float, test: float) -> dict[str, np.ndarray]:
    """Places of the rows of "train", "validation" and "test" (one whose share is 0 is left out). Rows that are no molecule train, where they are counted."""
    field = Molecule()
    sets: dict[str, list[int]] = {}
    unread: list[int] = []
    for place, value in enumerate(values):
        found = scaffold(value, field)
        (unread if found is None else sets.setdefault(found, [])).append(place)
    rows = len(values) - len(unread)
    learned, chosen = (rows * share + 1e-9 for share in (1 - validation - test, 1 - test))  # the most in training, and in training and validation together
    parts: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    for one in sorted(sets.values(), key=lambda one: (len(one), one[0]), reverse=True):
        if len(parts["train"]) + len(one) <= learned:
            parts["train"] += one
        elif len(parts["train"]) + len(parts["validation"]) + len(one) <= chosen:
            parts["validation"] += one
        else:
            parts["test" if test else "validation"] += one
    parts["train"] += unread
    shares = {"train": 1.0, "validation": validation, "test": test}
    return {name: np.sort(np.array(places, np.int64)) for name, places in parts.items() if shares[name]}
