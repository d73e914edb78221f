"""Export: parity on pictures, text and tables; the three ways a house can lie to its server are caught; nothing private is in the file."""

import json
from pathlib import Path

import numpy as np
import pytest
import toys
from toys import KINDS, OPTIONS

from thuja import spec as specs
from thuja.artifact.folder import Artifact
from thuja.artifact.runtime import Predictor
from thuja.core.errors import ParityError
from thuja.proof import certificate as proof
from thuja.verbs import export
from thuja.verbs import train as fit


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export.package(toys.picture(), tmp_path_factory.mktemp("pictures") / "artifact", OPTIONS).path


def test_pictures_agree(pictures: Path) -> None:
    artifact = Artifact.open(pictures, KINDS)
    certificate = proof.read(artifact)
    here, server = certificate.measured
    assert (here.way, server.way) == ("artifact", "server")
    assert here.probes == 208 == server.probes and here.answers == 4 * 208 and server.answers == 208
    assert here.largest <= 1e-4 and certificate.real_rows == 40
    assert len(set(certificate.answers["label"])) > 1, "probes that all get one answer prove little"


def test_text_agrees_at_every_length(tmp_path: Path) -> None:
    artifact = export.package(toys.words(), tmp_path / "a", OPTIONS)
    predictor = Predictor(artifact)
    assert [s.shape for s in predictor.inputs["predict"]] == [(None, None)]
    assert predictor.predict({"message": ["x"]})["label"][0] in ("bad", "good")


def test_tables_agree_and_units_are_theirs(tmp_path: Path) -> None:
    artifact = export.package(toys.cells(), tmp_path / "a", OPTIONS)
    certificate = proof.read(artifact)
    assert certificate.units["value"] > 1
    assert None in certificate.rows["size"] and None in certificate.rows["shop"]


def test_int8_is_smaller_and_its_price_is_reported(tmp_path: Path) -> None:
    exact = export.package(toys.cells(), tmp_path / "a", OPTIONS)
    packed = export.package(toys.cells(), tmp_path / "b", OPTIONS._replace(int8=True))
    assert len(packed.read("predict.onnx")) < len(exact.read("predict.onnx")) / 2
    change = proof.read(packed).int8
    assert change is not None and change["test_rows"] == 40 and change["probes"] == 208
    assert set(change["metrics"]) == {"rmse"} and 0 < change["largest"] < 0.2
    assert change["metrics"]["rmse"]["change"] == change["metrics"]["rmse"]["int8"] - change["metrics"]["rmse"]["float32"] != 0
    assert proof.verify(packed.path, KINDS, server=False).agreements[0].largest <= 1e-4
    assert "## Weights in 8 bits" in packed.read("card.md").decode() and "| rmse |" in packed.read("card.md").decode()
    assert "8 bits" not in exact.read("card.md").decode()


def test_two_exports_of_one_run_are_equal(pictures: Path, tmp_path: Path) -> None:
    again = export.package(toys.picture(), tmp_path / "a", OPTIONS)
    assert again.digest == Artifact.open(pictures, KINDS).digest


def test_nothing_of_this_machine_is_in_the_artefact(pictures: Path) -> None:
    here = str(Path(__file__).parent.parent).encode()
    for path in pictures.iterdir():
        data = path.read_bytes()
        assert here not in data and b"site-packages" not in data and b"PictureNet" not in data, path.name


def test_the_reference_summarises_every_field(pictures: Path) -> None:
    reference = Artifact.open(pictures, KINDS).reference
    assert set(reference["inputs"]) == {"photo"} and set(reference["outputs"]) == {"label", "probability", "probabilities"}
    assert reference["inputs"]["photo"]["rows"] == 40


def test_requirements_name_no_torch_and_follow_the_fields() -> None:
    picture, text = (export.requirements(codec) for codec in (toys.PictureCodec(), toys.WordCodec()))
    assert "torch" not in picture + text and "+" not in picture + text
    assert "pillow==" in picture and "pillow" not in text
    assert all("==" in line for line in text.splitlines())


def test_a_run_is_exported_from_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THUJA_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    rows = [f"{a:.3f},{'abc'[i % 3]},{'yes' if a > 0 else 'no'}" for i, a in enumerate(rng.normal(size=200))]
    (tmp_path / "rows.csv").write_text("\n".join(["size,shop,sold", *rows]))
    spec = {"thuja": 1, "task": {"kind": "table", "target": "sold"}, "data": {"path": str(tmp_path / "rows.csv")}, "check": {"enabled": False},
            "train": {"steps": 5}, "evaluate": {"baseline": False}, "export": {"tolerance": 2e-4}}
    run = fit.train(specs.parse(spec), root=tmp_path / "runs")
    artifact = export.export(run)
    certificate = proof.read(artifact)
    assert artifact.path == run.path / "artifact" and certificate.tolerance == 2e-4 and certificate.real_rows > 10
    assert [a.way for a in certificate.measured] == ["artifact", "server"]
    assert artifact.read("spec.yaml") == (run.path / "spec.yaml").read_bytes() and artifact.codec == run.codec()
    assert artifact.read("weights.safetensors") == (run.best_checkpoint() / "model.safetensors").read_bytes()


# Positive controls: each lie must be caught, or the certificate proves nothing.

def tampered_mean(artifact: Path) -> bytes:
    import onnx
    from onnx import numpy_helper

    model = onnx.load_model_from_string((artifact / "predict.onnx").read_bytes())
    (mean,) = [t for t in model.graph.initializer if np.array_equal(numpy_helper.to_array(t).ravel(), np.float32([0.4, 0.5, 0.6]))]
    mean.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(mean) + np.float32(0.02), mean.name))
    return model.SerializeToString()


def test_a_tampered_normalisation_is_caught(pictures: Path, tmp_path: Path) -> None:
    forged = toys.rewrite(pictures, tmp_path / "forged", "toy-image", predict_onnx=tampered_mean(pictures))
    certificate = proof.read(Artifact.open(pictures, KINDS))
    right, wrong = certificate.answers["probabilities"][0], toys.ways(forged)(toys.first_probe(certificate))["probabilities"][0]
    worst = max(right, key=lambda name: abs(right[name] - wrong[name]))
    with pytest.raises(ParityError) as caught:
        proof.verify(forged, KINDS, server=False)
    assert str(caught.value) == (
        f"artifact: made-up 0, probabilities[{worst}] (asked with 0 others): expected {right[worst]:.9g} within 0.0001, as training answered, "
        f"found {wrong[worst]:.9g}. Do not serve this artefact: it decides otherwise than what was trained and evaluated. Export it again.")


def test_a_tampered_normalisation_stops_the_export(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "to_onnx", lambda program, example: tampered_mean(pictures))
    with pytest.raises(ParityError, match=r"^artifact: made-up 0, probabilit"):
        export.package(toys.picture(), tmp_path / "a", OPTIONS)
    assert not (tmp_path / "a").exists()


def test_a_swapped_label_order_is_caught(pictures: Path, tmp_path: Path) -> None:
    swapped = toys.PictureCodec(names=("dog", "cat", "owl"))
    forged = toys.rewrite(pictures, tmp_path / "forged", "toy-image", codec_json=swapped.dumps(), schema_json=swapped.schema().model_dump_json().encode())
    with pytest.raises(ParityError, match=r"^artifact: made-up \d+, (label|probabilities)"):
        proof.verify(forged, KINDS, server=False)


def test_an_off_by_one_resize_is_caught(pictures: Path, tmp_path: Path) -> None:
    forged = toys.rewrite(pictures, tmp_path / "forged", "toy-image", codec_json=toys.PictureCodec(left=1).dumps())
    with pytest.raises(ParityError, match=r"^artifact: made-up 0, "):
        proof.verify(forged, KINDS, server=False)


def test_padding_that_changes_answers_stops_the_export(tmp_path: Path) -> None:
    with pytest.raises(ParityError, match=r"^artifact: .*asked with 0 others"):
        export.package(toys.words(toys.LeakyWordNet), tmp_path / "a", OPTIONS)


def test_a_server_that_answers_otherwise_stops_the_export(tmp_path: Path) -> None:
    from contextlib import contextmanager

    @contextmanager
    def lying(path, schema):
        with toys.pretend(path, schema) as ask:
            yield lambda rows: {**ask(rows), "value": [v + 900.0 for v in ask(rows)["value"]]}

    with pytest.raises(ParityError, match=r"^server: .*, value \(asked with \d+ others\): expected "):
        export.package(toys.cells(), tmp_path / "a", OPTIONS._replace(serving=lying))
    assert not (tmp_path / "a").exists()


def test_the_certificate_holds_no_real_row(tmp_path: Path) -> None:
    trained = toys.words()
    secret = [f"patient {i}" for i in range(40)]
    source = toys.Made({**trained.test.source.rows, "message": secret})  # type: ignore[attr-defined]
    artifact = export.package(trained._replace(train=source, test=trained.test._replace(source=source)), tmp_path / "a", OPTIONS)
    assert proof.read(artifact).real_rows == 40
    assert all(b"patient" not in path.read_bytes() for path in artifact.path.iterdir())
    assert json.loads(artifact.read("certificate.json"))["ids"][0] == "made-up 0"
