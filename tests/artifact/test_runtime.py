"""The predictor: raw rows to answers without torch, and refusals that name the place."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import toys
from toys import KINDS

from thuja.artifact import folder
from thuja.artifact.folder import Artifact
from thuja.artifact.runtime import Predictor
from thuja.core.errors import ArtifactError, BadRows, DataError, ShapeError


@pytest.fixture
def predictor(tmp_path: Path) -> Predictor:
    folder.write(tmp_path / "a", toys.plain_files(), kind="toy-table")
    return Predictor(Artifact.open(tmp_path / "a", KINDS))


def test_rows_in_answers_out(predictor: Predictor) -> None:
    assert predictor.predict({"size": [1.0, 4.0], "shop": ["north", None]}) == {"value": [2.0, 8.0]}
    predictor.warm_up()


def test_what_a_program_takes_and_gives(predictor: Predictor) -> None:
    assert [tuple(spec) for spec in predictor.inputs["predict"]] == [("numbers", np.float32, (None, 1)), ("categories", np.int64, (None, 1))]
    assert [tuple(spec) for spec in predictor.outputs["predict"]] == [("value", np.float32, (None,))]


def test_columns_that_are_not_inputs_are_left_out(predictor: Predictor) -> None:
    assert set(predictor.encode({"size": [1.0], "shop": [None], "price": [3.0]})) == {"numbers", "categories"}


def test_arrays_of_the_wrong_type_or_shape_are_refused(predictor: Predictor) -> None:
    good = predictor.encode({"size": [1.0, 2.0], "shop": [None, None]})
    for numbers, found in [(np.zeros((2, 1)), "float64 [2, 1]"), (np.zeros((2, 3), np.float32), "float32 [2, 3]"), (np.zeros(2, np.float32), "float32 [2]")]:
        with pytest.raises(ShapeError) as caught:
            predictor.run({**good, "numbers": numbers})
        assert str(caught.value) == f"numbers: expected float32 [any, 1], found {found}. Encode the rows with this artefact's own codec."


def test_an_answer_that_is_not_finite_is_an_error_with_its_row(predictor: Predictor) -> None:
    numbers = np.array([[1.0], [3e38], [2.0]], np.float32)
    with pytest.raises(DataError) as caught:
        predictor.run({"numbers": numbers, "categories": np.zeros((3, 1), np.int64)})
    assert str(caught.value) == "rows[1]: expected a finite value, found inf. Check this row for extreme values."


def test_bad_rows_are_named(predictor: Predictor) -> None:
    with pytest.raises(BadRows) as caught:
        predictor.predict({"size": [1.0, "tall"], "shop": [None, None]})
    assert list(caught.value.rows) == [1]


def test_a_program_the_runtime_cannot_load_is_refused(tmp_path: Path) -> None:
    import onnx

    model = onnx.load_model_from_string(toys.linear(np.ones((1, 1))))
    model.graph.node[0].op_type = "GRU"  # a known operator, given too little
    folder.write(tmp_path / "a", toys.plain_files() | {"predict.onnx": model.SerializeToString()}, kind="toy-table")
    with pytest.raises(ArtifactError) as caught:
        Predictor(Artifact.open(tmp_path / "a", KINDS))
    assert caught.value.where == f"{tmp_path}/a/predict.onnx" and caught.value.expected == "a program that this onnxruntime can run"
    assert "GRU" in caught.value.found
    assert caught.value.fix == "Install the versions in the artefact's requirements.txt, or export it again."


def test_it_works_without_torch_and_pyarrow(tmp_path: Path) -> None:
    folder.write(tmp_path / "a", toys.plain_files(), kind="toy-table")
    code = ("import sys; sys.modules['torch'] = sys.modules['pyarrow'] = sys.modules['onnx'] = None\n"
            "from pathlib import Path\n"
            "from thuja.artifact.folder import Artifact; from thuja.artifact.runtime import Predictor; from thuja.proof import certificate, live\n"
            f"from thuja.core.errors import ArtifactError\n"
            f"try: Artifact.open(Path({str(tmp_path / 'a')!r}))\n"
            "except ArtifactError as error: print(error.found)\n")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "'toy-table'\n"
