"""Molecules: whatever is written as SMILES becomes one molecule in one order, or a four-part error."""

import builtins

import numpy as np
import pytest

from thuja.core.errors import DataError, MissingExtra
from thuja.fields import Molecule
from thuja.fields.molecule import drawn
from thuja.testing import check_field

FIELD = Molecule()


def test_the_promises_of_a_field() -> None:
    check_field(FIELD)


def test_every_fake_is_a_molecule() -> None:
    values = FIELD.fake(np.random.default_rng(3), 64)
    assert all(FIELD.read(value, "m").GetNumAtoms() for value in values)


@pytest.mark.parametrize(("value", "message"), [
    ("C[", "m: expected SMILES text, found 'C[', which cannot be read. Check brackets, rings and names of elements."),
    ("[Xx]", "m: expected SMILES text, found '[Xx]', which cannot be read. Check brackets, rings and names of elements."),
    ("C1CC", "m: expected SMILES text, found 'C1CC', which cannot be read. Check brackets, rings and names of elements."),
    ("CO(C)C", "m: expected a molecule that can exist, found 'CO(C)C': Explicit valence for atom # 1 O, 3, is greater than permitted. "
               "Check charges, valences and aromatic atoms."),
    ("c1cccc1", "m: expected a molecule that can exist, found 'c1cccc1': Can't kekulize mol.  Unkekulized atoms: 0 1 2 3 4. "
                "Check charges, valences and aromatic atoms."),
    ("", 'm: expected SMILES text, found empty text. Send a molecule such as "CCO".'),
    ("  ", 'm: expected SMILES text, found empty text. Send a molecule such as "CCO".'),
    (None, 'm: expected SMILES text, found nothing. Send a molecule such as "CCO".'),
    (7, 'm: expected SMILES text, found int. Send a molecule such as "CCO".'),
    ("C" * 501, "m: expected at most 500 atoms, found 501. Send a smaller molecule."),
    ("C" * 4001, "m: expected at most 4000 characters, found 4001. Send a smaller molecule."),
])
def test_what_is_no_molecule_is_refused_with_the_reason(value: object, message: str) -> None:
    with pytest.raises(DataError) as caught:
        FIELD.read(value, "m")
    assert str(caught.value) == message


@pytest.mark.parametrize(("value", "atoms"), [
    ("C" * 500, 500), ("[H][H]", 2), ("[H+]", 1), ("C", 1), ("[Na+].[Cl-]", 2), ("[2H]O[2H]", 3), ("*", 1), (" CCO ", 3),
])
def test_odd_molecules_are_read(value: str, atoms: int) -> None:
    assert FIELD.read(value, "m").GetNumAtoms() == atoms


def test_one_molecule_written_in_several_ways_is_the_same() -> None:
    from rdkit import Chem

    def plain(text: str) -> list[tuple[object, ...]]:
        molecule = FIELD.read(text, "m")
        bonds = sorted((*sorted((b.GetBeginAtomIdx(), b.GetEndAtomIdx())), b.GetBondTypeAsDouble()) for b in molecule.GetBonds())
        return [tuple(a.GetAtomicNum() for a in molecule.GetAtoms()), *bonds]

    for text in ("CC(=O)Oc1ccccc1C(=O)O", "CN1C=NC2=C1C(=O)N(C)C(=O)N2C"):
        ways = {Chem.MolToSmiles(Chem.MolFromSmiles(text), doRandom=True) for _ in range(8)} | {text}
        assert len(ways) > 3
        assert all(plain(way) == plain(text) for way in ways)


def test_what_rdkit_thinks_stays_off_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError):
        FIELD.read("C1CC", "m")
    assert capfd.readouterr() == ("", "")


def test_without_rdkit_the_error_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, *rest: object, **more: object) -> object:
        if name.partition(".")[0] == "rdkit":
            raise ImportError(name)
        return original(name, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra) as caught:
        FIELD.read("CCO", "m")
    assert str(caught.value) == "molecules: expected the package rdkit, found nothing. pip install 'thuja[molecules]'"


def test_a_summary_sees_other_elements() -> None:
    carbon, metals = (FIELD.summarise([text] * 50) for text in ("CCCCO", "[Na+].[Cl-]"))
    assert FIELD.distance(carbon, FIELD.summarise(["CCCCO"] * 10)) == 0
    assert FIELD.distance(carbon, metals) > 0.5


def test_a_drawing_is_svg_with_the_colours_asked_for() -> None:
    picture = drawn(FIELD.read("CCO", "m"), {0: (1.0, 0.0, 0.0)})
    assert b"<svg" in picture and b"#FF0000" in picture and len(picture) < 20_000
    assert b"#FF0000" not in drawn(FIELD.read("CCC", "m"))
