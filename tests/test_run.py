import json
from pathlib import Path

import pytest

from thuja.core.digest import of_bytes
from thuja.core.errors import ArtifactError
from thuja.run import Run


def begun(root: Path) -> Run:
    run = Run.create(root)
    run.write_spec("thuja: 1\ntask:\n  kind: table\n")
    return run


def checkpoint(run: Run, step: int, keep: int | None) -> None:
    folder = run.checkpoints / f"{step:08d}"
    folder.mkdir(parents=True)
    state = json.dumps({"step": step, "history": {"keep": keep}}).encode()
    (folder / "state.json").write_bytes(state)
    (folder / "manifest.json").write_text(json.dumps({"files": {"state.json": {"sha256": of_bytes(state)}}}))


def test_numbers_go_up_and_are_never_shared(tmp_path: Path) -> None:
    assert [Run.create(tmp_path / "runs").path.name for _ in range(3)] == ["0001", "0002", "0003"]
    (tmp_path / "runs/0002").rmdir()
    assert Run.create(tmp_path / "runs").path.name == "0004"


def test_a_run_without_its_spec_never_began(tmp_path: Path) -> None:
    run = Run.create(tmp_path)
    with pytest.raises(ArtifactError) as caught:
        Run.open(run.path)
    assert str(caught.value) == f"{run.path}: expected the folder of a run, found a folder without spec.yaml. List runs with `thuja runs`."
    assert Run.all(tmp_path) == []
    other = begun(tmp_path)
    assert Run.open(str(other.path)) == other
    assert Run.all(tmp_path) == [other]
    assert Run.all(tmp_path / "absent") == []
    assert other.spec_data() == {"thuja": 1, "task": {"kind": "table"}}


def test_plain_data(tmp_path: Path) -> None:
    run = begun(tmp_path)
    run.write("scores.json", {"a": [1, "é"]})
    assert run.read("scores.json") == {"a": [1, "é"]}
    (run.path / "scores.json").write_text("{")
    with pytest.raises(ArtifactError) as caught:
        run.read("scores.json")
    assert str(caught.value) == f"{run.path}/scores.json: expected JSON, found damaged text. Restore the file from a copy, or train again."
    with pytest.raises(ArtifactError) as caught:
        run.read("codec.json")
    assert str(caught.value) == f"{run.path}/codec.json: expected a file of this run, found nothing there. Train again."


def test_an_edited_file_is_refused(tmp_path: Path) -> None:
    run = begun(tmp_path)
    run.write("data.json", {"rows": 1, "empty": {}})
    for name, read in (("data.json", lambda: run.read("data.json")), ("spec.yaml", run.spec_data)):
        right = (run.path / name).read_text()
        for wrong in (right.replace("1", "2", 1), right + " ", right[:-70], ""):
            (run.path / name).write_text(wrong)
            with pytest.raises(ArtifactError):
                read()
        (run.path / name).write_text(right.replace("1", "2", 1))
        with pytest.raises(ArtifactError) as caught:
            read()
        assert str(caught.value) == (f"{run.path}/{name}: expected the bytes that were written, found damaged or edited ones. "
                                     "Restore the file from a copy, or train again.")


def test_rewind_forgets_later_steps_and_a_torn_tail(tmp_path: Path) -> None:
    run = begun(tmp_path)
    run.log({"step": 1}, {"step": 2}, {"event": "note"})
    run.log({"step": 3})
    with (run.path / "log.jsonl").open("ab") as file:
        file.write(b"0000")
    run.rewind(2)
    assert run.records() == [{"step": 1}, {"step": 2}, {"event": "note"}, {"event": "torn", "bytes": 4}]
    run.log({"step": 4})
    assert run.records()[-1] == {"step": 4}


def test_a_torn_tail_is_told_before_and_after_it_is_cut_off(tmp_path: Path) -> None:
    run = begun(tmp_path)
    run.log({"step": 1})
    with (run.path / "log.jsonl").open("ab") as file:
        file.write(b"0000")
    assert run.records() == [{"step": 1}, {"event": "torn", "bytes": 4}]
    run.rewind(1)
    assert run.records() == [{"step": 1}, {"event": "torn", "bytes": 4}]
    run.rewind(1)
    assert run.records() == [{"step": 1}, {"event": "torn", "bytes": 4}]


def test_the_best_checkpoint_is_the_kept_one_or_the_last(tmp_path: Path) -> None:
    run = begun(tmp_path)
    with pytest.raises(ArtifactError) as caught:
        run.best_checkpoint()
    assert str(caught.value) == f"{run.checkpoints}: expected a checkpoint, found none. Continue the run with `thuja train --resume`."
    checkpoint(run, 10, None)
    checkpoint(run, 20, None)
    assert run.best_checkpoint().name == "00000020"
    checkpoint(run, 30, 10)
    assert run.best_checkpoint().name == "00000010"
    (run.checkpoints / "00000030/state.json").write_text("")
    with pytest.raises(ArtifactError) as caught:
        run.best_checkpoint()
    assert str(caught.value) == (f"{run.checkpoints}/00000030: expected a whole checkpoint, found a damaged one. "
                                 "Continue the run with `thuja train --resume`: it falls back to the checkpoint before.")
