"""Molecules: the codec, bad rows, the task, the program in onnxruntime, attributions that add up, and the whole way for one target and for several."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from thuja.apps import CODECS
from thuja.apps.molecules import graph, pictures
from thuja.apps.molecules.codec import MoleculesCodec
from thuja.apps.molecules.task import Molecules
from thuja.artifact.runtime import Predictor
from thuja.codec import load, rectangular
from thuja.core.errors import BadRows, DataError, SpecError
from thuja.data.objects import from_object
from thuja.fields import Molecule
from thuja.graph.onnxwrite import to_onnx
from thuja.models.message_passing import MessagePassing
from thuja.spec import parse
from thuja.task import Draw, Facts, Part
from thuja.testing import check_codec, check_task
from thuja.training.prepare import gather
from thuja.verbs.evaluate import evaluate
from thuja.verbs.export import export
from thuja.verbs.train import train

SMALL = {"kind": "message-passing", "width": 16, "depth": 3}
QUICK = {"kind": "adamw", "learning_rate": 3e-3}
NONE = float("nan")


@pytest.fixture(autouse=True)
def cache_folder(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("THUJA_CACHE", str(tmp_path_factory.mktemp("cache")))


def acids(rows=120, seed=0):
    """Chains and rings with some oxygens and chlorines; the target is two for each oxygen, less one for each chlorine, and a little noise."""
    rng = np.random.default_rng(seed)
    pieces = ("C", "C(O)", "C(Cl)", "C(C)", "c1ccccc1", "C(=O)N")
    made = [f"C{''.join(rng.choice(pieces, int(rng.integers(2, 6))).tolist())}C" for _ in range(rows)]
    made = [text.replace("c1ccccc1", "C2CCCCC2") for text in made]
    y = [2.0 * text.count("O") - text.count("Cl") + 0.1 * float(rng.normal()) for text in made]
    return {"smiles": made, "y": y}


def several(rows=90):
    """Two yes-or-no targets, of which each row lacks one or none."""
    made = acids(rows)
    oxygen, chlorine = ([float(mark in text) for text in made["smiles"]] for mark in ("O", "Cl"))
    return {"smiles": made["smiles"], "oxygen": [None if i % 3 == 0 else v for i, v in enumerate(oxygen)],
            "chlorine": [None if i % 3 == 1 else v for i, v in enumerate(chlorine)]}


def codec(**changes):
    return MoleculesCodec(**{"smiles": "smiles", "targets": ("y",), "problem": "regression", "means": (0.0,), "stds": (1.0,), "elements": (6, 8), **changes})


def encoded(texts, **changes):
    return codec(**changes).encode({"smiles": texts})


def test_the_contract_for_a_number():
    rows = acids(24)
    rows["smiles"][:8] = Molecule().fake(np.random.default_rng(0), 8)
    check_task(Molecules(target="y", model=MessagePassing(width=16, depth=3)), rows)


def test_the_contract_for_several_targets_with_missing_labels():
    check_task(Molecules(target=("oxygen", "chlorine"), descriptors=False, model=MessagePassing(width=16, depth=2, members=2)), several(24))


def test_the_contract_for_two_classes():
    rows = acids(24)
    check_task(Molecules(model=MessagePassing(width=16, depth=2)), {"smiles": rows["smiles"], "label": ["wet" if v > 2 else "dry" for v in rows["y"]]})


def test_atoms_and_bonds_are_what_they_are():
    columns = encoded(["[O-]C(=O)/C=C/[Fe]"])
    atoms, bonds = columns["smiles"].values, columns["smiles_bonds"].values
    assert sorted(atoms[:, 0].tolist()) == [1, 2, 2, 2, 3, 3]  # iron is another element, carbon the first known, oxygen the second
    charged = atoms[(atoms[:, 0] == 3) & (atoms[:, 1] == 1) & (atoms[:, 2] == 2)]
    assert len(charged) == 1  # an oxygen of degree 1 with charge -1
    assert (atoms[atoms[:, 0] == 1][0, 8], atoms[atoms[:, 0] == 1][0, 9]) == (4, 8)  # iron's row and outer electrons
    assert sorted(bonds[:, 2].tolist()) == [1, 1, 1, 2, 2] and (bonds[:, 2:] < graph.BOND_SIZES).all()
    assert (atoms[:, 1:] < graph.ATOM_SIZES).all()
    ring = encoded(["c1ccncc1C"])["smiles"].values
    assert sorted(ring[:, 6].tolist()) == [0, 4, 4, 4, 4, 4, 4] and sorted(ring[:, 7].tolist()) == [0, 1, 1, 1, 1, 1, 1]


def test_odd_molecules_have_an_encoding():
    texts = ["C", "[H][H]", "[Na+].[Cl-]", "C" * 500, "*", "[U]"]
    columns = encoded(texts, centre=(0.0,) * graph.DESCRIPTORS, spread=(1.0,) * graph.DESCRIPTORS)
    assert np.diff(columns["smiles"].offsets).tolist() == [1, 2, 2, 500, 1, 1]
    assert np.diff(columns["smiles_bonds"].offsets).tolist() == [0, 1, 0, 499, 0, 0]
    assert columns["smiles_descriptors"].shape == (6, graph.DESCRIPTORS)
    assert encoded(["CC(=O)O.[Na+]"], fragments="largest")["smiles"].offsets.tolist() == [0, 4]


@pytest.mark.parametrize(("row", "changes", "message"), [
    ({"smiles": "C(C"}, {}, "rows[0].smiles: expected SMILES text, found 'C(C', which cannot be read. Check brackets, rings and names of elements."),
    ({"smiles": ""}, {}, 'rows[0].smiles: expected SMILES text, found empty text. Send a molecule such as "CCO".'),
    ({"smiles": "C", "y": None}, {}, "rows[0].y: expected a label, found nothing. Fill it in, or leave the row out."),
    ({"smiles": "C", "y": "high"}, {}, "rows[0].y: expected a number, found 'high'. Send a plain number such as 3.5."),
    ({"smiles": "C", "y": "yess"}, {"problem": "binary", "names": ("no", "yes")}, "rows[0].y: expected one of no and yes, found 'yess'. Did you mean 'yes'?"),
    ({"smiles": "C", "y": None, "z": NONE}, {"targets": ("y", "z")},
     "rows[0]: expected a label for one of 2 targets, found nothing. Fill it in, or leave the row out."),
])
def test_bad_rows_are_named(row, changes, message):
    with pytest.raises(BadRows) as caught:
        codec(**changes).encode({name: [value] for name, value in row.items()})
    assert str(caught.value) == message


def test_a_missing_label_among_several_stays_missing():
    columns = codec(targets=("y", "z")).encode({"smiles": ["C", "CC"], "y": [1.0, None], "z": [None, 2.0]})
    np.testing.assert_array_equal(columns["y"], np.array([1, NONE], np.float32))
    np.testing.assert_array_equal(columns["z"], np.array([NONE, 2], np.float32))


def test_the_codec_promises_and_reads_back():
    _, made = Molecules(target="y").prepare(from_object(acids(30)))
    check_codec(made, acids(8))
    assert load(made.model_dump(mode="json"), CODECS) == made
    assert made.elements == (6, 7, 8, 17)


def test_prepare_learns_what_the_rows_say():
    rows = {"smiles": ["CCO"] * 4 + ["CS", "CS", "bad"], "y": [1.0, 2, 3, 4, 5, 6, 7]}
    task, made = Molecules(target="y").prepare(from_object(rows))
    assert (task.problem, made.elements, made.means) == ("regression", (6, 8), (4.0,))  # sulphur in two molecules is too rare
    assert Molecules(target="y").prepare(from_object(rows | {"y": [0.0, 1] * 3 + [0]}))[1].names == ("0", "1")
    assert Molecules(target="y", problem="regression").prepare(from_object(rows | {"y": [0.0, 1] * 3 + [0]}))[1].problem == "regression"
    assert made.spread[graph.PROPERTIES.index("NumSpiroAtoms")] == 1e30


@pytest.mark.parametrize(("rows", "task", "error", "message"), [
    ({"smile": ["C"] * 2, "y": [1.0, 2]}, {"target": "y"}, DataError, "smiles: expected a column of this name, found 2 others. Did you mean 'smile'?"),
    ({"smiles": ["C"] * 2, "y": [1.0, 1]}, {"target": "y"}, DataError,
     "y: expected at least two different values, found only 1.0. Leave this target out, or give rows with another value."),
    ({"smiles": ["C"] * 2, "y": [1.0, 2], "z": [None, None]}, {"target": ["y", "z"]}, DataError,
     "z: expected at least two different values, found none. Leave this target out, or give rows with another value."),
    ({"smiles": ["C"] * 3, "y": ["a", "b", "c"]}, {"target": "y"}, DataError, "task.target: expected numbers, or two classes, found 'a' among 3 values. "
     "Targets are learned together: all of them numbers, or all of the same two classes."),
    ({"smiles": ["C"] * 3, "y": [1.0, 2, 3]}, {"target": "y", "problem": "binary"}, SpecError,
     "task.problem: expected two classes, the same for every target, found 3 values. Set it to regression."),
    ({"smiles": ["house", "C1"], "y": [1.0, 2]}, {"target": "y"}, DataError,
     "smiles: expected molecules as SMILES, found none that can be read. Name their column in task.smiles."),
    ({"smiles": ["C"] * 2, "y": [1.0, 2]}, {"target": ["y", "y"]}, SpecError, "task.target: expected columns named once, found 'y', 'y'. Name each once."),
])
def test_data_that_do_not_fit(rows, task, error, message):
    with pytest.raises(error) as caught:
        Molecules.model_validate({"kind": "molecules"} | task).prepare(from_object(rows))
    assert str(caught.value) == message


def test_a_missing_label_gives_no_gradient_and_a_loss_that_adds_up():
    task, made = Molecules(target=("oxygen", "chlorine"), descriptors=False, model=MessagePassing(width=8, depth=2, dropout=0)).prepare(from_object(several()))
    net = task.build(made)
    batch = {name: torch.from_numpy(array) for name, array in rectangular(made.encode({n: v[:6] for n, v in several().items()})).items()}
    whole = task.loss(net, batch, torch.Generator()).total
    halves = [task.loss(net, {n: v[part] for n, v in batch.items()}, torch.Generator()).total for part in (slice(0, 3), slice(3, 6))]
    torch.testing.assert_close(sum(halves) / 2, whole)
    whole.backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())
    only = batch | {"oxygen": torch.full((6,), NONE)}
    net.zero_grad()
    task.loss(net, only, torch.Generator()).total.backward()
    assert float(net.net.members[0].head[-1].bias.grad[0]) == 0 != float(net.net.members[0].head[-1].bias.grad[1])


def test_batches_hold_molecules_of_similar_size():
    rows = {"smiles": ["C" * (1 + i % 40) for i in range(256)], "y": [float(i) for i in range(256)]}
    task, made = Molecules(target="y", descriptors=False).prepare(from_object(rows))
    drawn = task.batches(torch.nn.Identity(), made.encode(rows), Draw(64, 0))
    widths = [next(drawn)["smiles"].shape[1] for _ in range(4)]
    assert max(widths) == 40 and min(widths) <= 12


@pytest.mark.parametrize("target", [pytest.param("y", marks=pytest.mark.slow), ("oxygen", "chlorine")])
def test_the_exported_program_agrees_at_other_sizes(target):
    import onnxruntime

    rows = acids(40) if target == "y" else several(40)
    task, made = Molecules(target=target, descriptors=target == "y", model=MessagePassing(width=16, depth=3, members=2)).prepare(from_object(rows))
    torch.manual_seed(0)
    program = task.programs(task.build(made).eval(), made)["predict"]
    data = to_onnx(program, rectangular(made.encode({"smiles": rows["smiles"][:3]})))
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    for texts in (["C"], ["C" * 500], rows["smiles"][:7], ["[Na+].[Cl-]", "[U]"]):
        asked = rectangular(made.encode({"smiles": texts}))
        with torch.inference_mode():
            expected = program.module(*[torch.from_numpy(asked[name]) for name in program.inputs]).numpy()
        np.testing.assert_allclose(session.run(None, asked)[0], expected, rtol=1e-4, atol=1e-5)


def test_attributions_add_up_to_the_change_of_the_answer():
    rows = acids(40)
    task, made = Molecules(target="y", model=MessagePassing(width=16, depth=3, members=2)).prepare(from_object(rows))
    torch.manual_seed(0)
    net, columns, source = task.build(made).eval(), made.encode(rows), from_object(rows)
    for place in range(4):
        shares = pictures.shares_of(net, made, Part(source, columns), place)
        assert len(shares.atoms) == Molecule().read(rows["smiles"][place], "m").GetNumAtoms()
        assert shares.atoms.sum() + shares.descriptors == pytest.approx(shares.change, abs=0.03 * abs(shares.change) + 0.01)


def test_the_choices_follow_the_rows():
    _, made = Molecules(target="y", descriptors=False).prepare(from_object(acids(20)))
    chosen = Molecules(target="y").choices(made, Facts(4000, 2, "cpu", None))
    assert (chosen["train.batch"].value, chosen["train.steps"].value) == (64, 3125)
    assert "train.steps" not in Molecules(target="y").choices(made, Facts(4000, 2, "cpu", 60.0))


def test_from_molecules_to_a_served_number(tmp_path):
    rows = acids(300)
    rows["smiles"][5] = "C(C"
    spec = parse({"task": {"kind": "molecules", "target": "y", "model": SMALL}, "train": {"steps": 200, "batch": 32, "optimizer": QUICK}})
    run = train(spec, data=rows, root=tmp_path)
    assert sum(map(len, run.read("data.json")["bad"].values())) == 1
    scores = evaluate(run, data=rows)
    assert scores.metrics["rmse"].value < 0.8 and scores.baseline.metrics["rmse"].value < 1.5
    page = (run.path / "report.html").read_text("utf-8")
    assert "What the answers rest on" in page and page.count("data:image/svg+xml") > 12
    artifact = export(run, data=rows)
    assert "rdkit==" in (artifact.path / "requirements.txt").read_text()
    found = Predictor(artifact).predict({"smiles": ["CC(O)C(O)C(O)C", "CC(Cl)C(Cl)C"]})["value"]
    assert found[0] > 3 > 0 > found[1]


def test_from_missing_labels_to_served_chances(tmp_path):
    rows = several(200)
    spec = parse({"task": {"kind": "molecules", "target": ["oxygen", "chlorine"], "model": SMALL}, "train": {"steps": 120, "batch": 32, "optimizer": QUICK}})
    run = train(spec, data=rows, root=tmp_path)
    scores = evaluate(run, data=rows)
    assert scores.metrics["roc_auc_mean"].value > 0.9 and scores.baseline.metrics["roc_auc_mean"].value > 0.8
    found = Predictor(export(run, data=rows)).predict({"smiles": ["CC(O)C(O)C"]})
    assert set(found) == {"oxygen", "chlorine"} and found["oxygen"][0] > 0.5 > found["chlorine"][0]


def test_the_codec_needs_no_torch_and_no_rdkit_until_it_reads():
    code = "import sys, thuja.apps.molecules.codec; sys.exit('torch' in sys.modules or 'rdkit' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_molecules_that_are_written_alike_are_no_near_copies_and_doubtful_labels_are_looked_for():
    texts = [f"C{'C' * (i % 30)}C(=O)N{'C' * (i // 30)}C" for i in range(240)]
    rows = {"smiles": texts, "label": [float("CCCCCCCCCC(=O)" in text) for text in texts]}
    spec = parse({"task": {"kind": "molecules", "model": SMALL, "descriptors": False}})
    assert {finding.check for finding in gather(spec, rows, check=True).findings} <= {"suspected-labels"}


def test_a_scaffold_split_through_the_spec_holds_whole_scaffolds():
    rows = {"smiles": [f"{'C' * (1 + i % 6)}{ring}" for i in range(18) for ring in ("c1ccccc1", "C1CC1", "C1CCC1", "c1ccncc1", "C1CCOC1")],
            "label": [float(i) for i in range(90)]}
    spec = parse({"task": {"kind": "molecules", "model": SMALL, "descriptors": False},
                  "data": {"split": {"kind": "scaffold", "column": "smiles", "validation": 0.2, "test": 0.2}}})
    sources = gather(spec, rows, check=False).opened.sources
    rings = {name: {text.lstrip("C")[-5:] for text in source.take(np.arange(len(source)))["smiles"]} for name, source in sources.items()}
    assert sorted(map(len, sources.values())) == [18, 18, 54]
    assert not rings["train"] & rings["test"]
