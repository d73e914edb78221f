"""A molecule as arrays: what is said of each atom and each bond, and descriptors of the whole. rdkit's names; no torch.

Source: the properties are those of chemprop (Yang et al. 2019, arXiv 1904.01561, tables 1 and 2). Differs: the size of the smallest ring, and the place in the
periodic table, by which an element that was never seen still says something.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from thuja.fields.molecule import rdkit

ATOM_SIZES = (11, 7, 6, 9, 4, 7, 2, 8, 13)
"""Values of each property of an atom, after the element: degree, charge (-3 to 3), hydrogens, hybridisation, chirality, smallest ring (none, 3 to 8), aromatic,
row and outer electrons of the periodic table."""
BOND_SIZES = (6, 2, 2, 6)
"""Values of each property of a bond: kind (0 is padding), conjugated, in a ring, stereo."""
OTHER = 1
"""The element that stands for all that training rows hardly had; 0 is padding."""
KINDS = {1.0: 1, 2.0: 2, 3.0: 3, 1.5: 4}
"""Single, double, triple, aromatic; 5 is everything else."""
RINGS = (3, 4, 5, 6, 7, 8)
AREAS = ("SlogP_VSA_", "SMR_VSA_", "PEOE_VSA_")
"""Shares of the surface by what it is like (rdkit's functions of that name): 12, 10 and 14 numbers."""


def atoms(molecule: Any, elements: Mapping[int, int]) -> np.ndarray:
    """int64 [atoms, 1 + len(ATOM_SIZES)]; `elements` gives the number of each atomic number that is known, from 2 on."""
    chem, _ = rdkit()
    table, rings = chem.GetPeriodicTable(), molecule.GetRingInfo()
    out = np.zeros((molecule.GetNumAtoms(), 1 + len(ATOM_SIZES)), np.int64)
    for i, atom in enumerate(molecule.GetAtoms()):
        number = atom.GetAtomicNum()
        ring = min(rings.MinAtomRingSize(i), RINGS[-1])
        out[i] = (elements.get(number, OTHER), atom.GetDegree(), atom.GetFormalCharge() + 3, atom.GetTotalNumHs(), int(atom.GetHybridization()),
                  int(atom.GetChiralTag()), ring - RINGS[0] + 1 if ring else 0, atom.GetIsAromatic(), table.GetRow(number), table.GetNOuterElecs(number))
    return np.clip(out, 0, [len(elements) + 1, *(size - 1 for size in ATOM_SIZES)])


def bonds(molecule: Any) -> np.ndarray:
    """int64 [bonds, 2 + len(BOND_SIZES)]: the two atoms, then the properties. A molecule of one atom has no bonds."""
    out = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx(), KINDS.get(b.GetBondTypeAsDouble(), 5), b.GetIsConjugated(), b.IsInRing(), min(int(b.GetStereo()), 5))
           for b in molecule.GetBonds()]
    return np.array(sorted(out), np.int64).reshape(-1, 2 + len(BOND_SIZES))


@cache
def _properties() -> Any:
    from rdkit.Chem import rdMolDescriptors

    return rdMolDescriptors.Properties(list(PROPERTIES))


def descriptors(molecule: Any) -> np.ndarray:
    """float32 [DESCRIPTORS]: counts, areas, lipophilicity and shape of the whole molecule; NaN where one is not defined."""
    from rdkit.Chem import rdMolDescriptors

    values = [*_properties().ComputeProperties(molecule)]
    for area in AREAS:
        values += getattr(rdMolDescriptors, area)(molecule)
    found = np.array(values, np.float64)
    return np.where(np.isfinite(found) & (np.abs(found) < 1e6), found, np.nan).astype(np.float32)


PROPERTIES = (
    "exactmw", "lipinskiHBA", "lipinskiHBD", "NumRotatableBonds", "NumHBD", "NumHBA", "NumHeavyAtoms", "NumAtoms", "NumHeteroatoms", "NumAmideBonds",
    "FractionCSP3", "NumRings", "NumAromaticRings", "NumAliphaticRings", "NumSaturatedRings", "NumHeterocycles", "NumAromaticHeterocycles",
    "NumSaturatedHeterocycles", "NumAliphaticHeterocycles", "NumSpiroAtoms", "NumBridgeheadAtoms", "NumAtomStereoCenters", "labuteASA", "tpsa", "CrippenClogP",
    "CrippenMR", "chi0v", "chi1v", "chi2v", "chi3v", "chi4v", "chi0n", "chi1n", "chi2n", "chi3n", "chi4n", "hallKierAlpha", "kappa1", "kappa2", "kappa3", "Phi",
)
DESCRIPTORS = len(PROPERTIES) + 36


def largest(molecule: Any) -> Any:
    """The part with the most atoms, of those the heaviest: a drug without its counter-ion."""
    chem, _ = rdkit()
    from rdkit.Chem import rdMolDescriptors

    parts = chem.GetMolFrags(molecule, asMols=True)
    return max(parts, key=lambda part: (part.GetNumAtoms(), rdMolDescriptors.CalcExactMolWt(part)))
