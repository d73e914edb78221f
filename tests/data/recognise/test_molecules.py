"""What is taken for molecules, and what is not."""

import pytest

from thuja.core.errors import DataError
from thuja.data.infer import infer
from thuja.data.objects import from_object
from thuja.data.recognise.molecules import recognise

SMILES = [f"c1ccccc1{'C' * (i % 9)}C(=O)O" for i in range(30)]
AMOUNTS = [i / 7 for i in range(30)]


def parts(**columns):
    return {"all": from_object(columns)}


def test_a_column_of_smiles_and_what_was_measured():
    guess = infer(parts(name=[f"acid {i}" for i in range(30)], calc=AMOUNTS, expt=AMOUNTS, smiles=SMILES))
    assert guess.task == {"kind": "molecules", "smiles": "smiles", "target": "expt"}
    assert guess.notes == [
        "30 molecules ('smiles').", "Target: 'expt', by its name; name another with --target.", "Not used: 'name', 'calc'.",
        "Split: hash, because the rows have no time, group or given part; by hash, equal rows land together and adding rows moves none.",
        "To test on kinds of molecules never learned from: `data.split: {kind: scaffold, column: smiles}`."]
    assert infer(parts(calc=AMOUNTS, expt=AMOUNTS, smiles=SMILES), "calc").task["target"] == "calc"


def test_the_form_is_enough_and_a_word_is_none():
    assert infer(parts(drug=SMILES, y=AMOUNTS)).task["smiles"] == "drug"
    for words in (["C", "N", "O", "CC", "I"] * 6, ["Co", "Sn", "In"] * 10, [f"part({i})" for i in range(30)], [f"sentence {i}" for i in range(30)]):
        assert recognise(parts(drug=words, y=AMOUNTS), None) is None
    assert recognise(parts(SMILES=["CO", "C", "CCO"] * 10, y=AMOUNTS), None) is not None


def test_yes_and_no_columns_are_learned_together():
    one, other = [i % 2 for i in range(30)], [None if i % 3 else 1.0 for i in range(30)]
    assert infer(parts(smiles=SMILES, nr=one, sr=other)).task["target"] == ["nr", "sr"]
    assert infer(parts(smiles=SMILES, a=AMOUNTS, b=AMOUNTS)).task["target"] == "b"


def test_nothing_to_learn():
    with pytest.raises(DataError) as caught:
        infer(parts(smiles=SMILES, name=[f"x{i}" for i in range(30)]))
    assert str(caught.value) == ("data: expected a column with what is known of each molecule, found 1 others, none of numbers. "
                                 "Add one, or name it with --target.")
    with pytest.raises(DataError) as caught:
        infer(parts(smiles=SMILES, y=AMOUNTS), "z")
    assert str(caught.value) == "target: expected the name of a column, found 'z'. Choose from: y."
