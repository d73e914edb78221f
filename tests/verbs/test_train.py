import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy

from thuja.apps import CODECS, TASKS
from thuja.core.errors import ArtifactError, DataError, TrainError
from thuja.run import Run
from thuja.settings import AdamW, Check, Data, HashSplit, Train
from thuja.spec import Spec
from thuja.training.prepare import Prepared
from thuja.verbs import train as fit
from thuja.verbs.train import Progress

TRAIN = Train(steps=40, batch=32, optimizer=AdamW(learning_rate=1e-2), schedule="linear", warmup=0.1, ema=0.9, precision="float32", device="cpu",
              evaluate_every=10, save_every=7)


def prepared(folder: Path, train: Train = TRAIN, **task: Any) -> Prepared:
    folder.mkdir(parents=True, exist_ok=True)
    spec: Spec[Any] = Spec(task=toy.Ring(**task), train=train)
    return Prepared(Run(folder), spec, toy.RingCodec(), toy.columns(256), toy.columns(100, seed=1))


def outcome(folder: Path) -> dict[str, Any]:
    """All that an unbroken and a continued run must share, bit for bit: bytes of the last checkpoint, and losses and looks of the log."""
    run = Run(folder)
    last = sorted(p.name for p in run.checkpoints.iterdir())[-1]
    records = [{k: v for k, v in r.items() if k not in ("seconds", "rows_per_s")} for r in run.records() if r["event"] in ("step", "look")]
    return {"step": last, "files": {p.name: p.read_bytes() for p in sorted((run.checkpoints / last).iterdir())}, "records": records}


def test_learns_and_leaves_checkpoints_and_a_log(tmp_path: Path) -> None:
    seen: list[Progress] = []
    fit.carry_out(prepared(tmp_path, TRAIN.model_copy(update={"steps": 200, "evaluate_every": 50, "save_every": 50})), seen.append)
    assert seen[-1].step == seen[-1].steps == 200
    assert seen[-1].metric == "accuracy"
    assert seen[-1].best is not None and seen[-1].best > 0.9
    assert seen[0].losses.keys() == {"loss", "size"}
    records = Run(tmp_path).records()
    assert [r["step"] for r in records if r["event"] == "look"] == [50, 100, 150, 200]
    assert records[-1] | {"seconds": 0} == {"event": "end", "step": 200, "why": "all 200 steps made", "seconds": 0}
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["00000150", "00000200"]
    assert Run(tmp_path).best_checkpoint().name == "00000200"


class Stopped(BaseException):
    pass


@pytest.mark.parametrize("stops", [[3], [7], [13, 14, 33], [40]])
def test_continued_run_equals_the_unbroken_one(tmp_path: Path, stops: list[int]) -> None:
    train = TRAIN.model_copy(update={"accumulate": 2, "patience": 50})
    fit.carry_out(prepared(tmp_path / "whole", train))
    for stop in stops:

        def interrupt(progress: Progress, stop: int = stop) -> None:
            if progress.step >= stop:
                raise Stopped

        with pytest.raises(Stopped):
            fit.carry_out(prepared(tmp_path / "broken", train), interrupt)
    fit.carry_out(prepared(tmp_path / "broken", train))
    assert outcome(tmp_path / "broken") == outcome(tmp_path / "whole")


def test_early_stopping_keeps_the_best_and_a_finished_run_is_left_alone(tmp_path: Path) -> None:
    train = TRAIN.model_copy(update={"steps": 4000, "patience": 3})
    fit.carry_out(prepared(tmp_path, train))
    run = Run(tmp_path)
    looks = [r for r in run.records() if r["event"] == "look"]
    best = max(looks, key=lambda r: r["value"])
    assert looks[-1]["step"] == best["step"] + 30 < 4000
    assert run.best_checkpoint().name == f"{best['step']:08d}"
    assert run.records()[-1]["why"] == "no better look in the last 3"
    before = (tmp_path / "log.jsonl").read_bytes()
    fit.carry_out(prepared(tmp_path, train))
    assert (tmp_path / "log.jsonl").read_bytes() == before


def test_a_damaged_checkpoint_is_passed_over_and_said_so(tmp_path: Path) -> None:
    fit.carry_out(prepared(tmp_path / "whole"))
    broken = prepared(tmp_path / "broken")
    fit.carry_out(broken)
    weights = tmp_path / "broken/checkpoints/00000040/model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-3] ^= 1
    weights.write_bytes(data)
    seen: list[Progress] = []
    fit.carry_out(broken, seen.append)
    assert seen[0].note == (f"Continued from step 35; passed over: {weights}: expected the bytes that were written, found others. "
                            "An older checkpoint is used where there is one.")
    assert outcome(tmp_path / "broken") == outcome(tmp_path / "whole")


def test_loss_that_is_not_finite_stops_with_step_layer_and_fix(tmp_path: Path) -> None:
    train = TRAIN.model_copy(update={"optimizer": AdamW(learning_rate=1e30)})
    with pytest.raises(TrainError) as caught:
        fit.carry_out(prepared(tmp_path, train, norm=False))
    assert str(caught.value) == ("step 2, loss: expected a finite number, found nan (first in `3`). "
                                 "Lower train.learning_rate (now 1e+30), set train.clip to 1, or set train.precision to float32.")


RAW = {name: [*values] for name, values in toy.rows(400).items()}


def raw_spec(**train: Any) -> Spec[Any]:
    settings = {"batch": 32, "optimizer": AdamW(learning_rate=1e-2)} | train
    return Spec(task=toy.Ring(), check=Check(enabled=False), train=Train(**settings), data=Data(split=HashSplit()))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("THUJA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(CODECS, "ring", "toy:RingCodec")
    monkeypatch.setitem(TASKS, "ring", "toy:Ring")
    return tmp_path


def test_the_verb_from_rows_to_a_run(cache: Path) -> None:
    run = fit.train(raw_spec(steps=60), data=RAW, root=cache / "runs")
    assert run.path == cache / "runs/0001"
    assert sorted(p.name for p in run.path.iterdir()) == ["checkpoints", "codec.json", "data.json", "log.jsonl", "reasons.json", "spec.yaml"]
    assert run.codec() == toy.RingCodec()
    described = run.read("data.json")
    assert sum(described["rows"].values()) == 400
    reasons = run.read("reasons.json")
    assert reasons["train.steps"] == [60, "typed in the spec"]
    assert fit.train(None, data=RAW, resume=run.path).path == run.path


def test_data_that_changed_are_refused_on_resume(cache: Path) -> None:
    run = fit.train(raw_spec(steps=5), data=RAW, root=cache / "runs")
    with pytest.raises(DataError) as caught:
        fit.train(None, data=RAW | {"x": [value + 0.1 for value in RAW["x"]]}, resume=run.path)
    assert str(caught.value) == ("data: train: expected the rows that this run began with, found others. "
                                 "Put the data back as they were, or start a new run.")


def test_resume_of_no_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError) as caught:
        fit.train(None, resume=tmp_path / "7")
    assert str(caught.value) == f"{tmp_path / '7'}: expected the folder of a run, found no such folder. List runs with `thuja runs`."


def test_a_budget_becomes_steps(cache: Path) -> None:
    run = fit.train(raw_spec(budget=1.5), data=RAW, root=cache / "runs")
    end = run.records()[-1]
    steps, why = run.read("reasons.json")["train.steps"]
    assert steps == end["step"]
    assert why.startswith("1.5 s at ")


PROGRAM = """
import os, sys
sys.path[:0] = sys.argv[2:]
from pathlib import Path
from test_train import TRAIN, fit, prepared
train = TRAIN.model_copy(update={"steps": 100000, "save_every": 100000, "evaluate_every": 100000})
fit.carry_out(prepared(Path(sys.argv[1]), train), lambda progress: print(progress.step, flush=True))
"""


def test_sigterm_saves_and_exits_with_0(tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), str(Path(__file__).parent), str(Path(__file__).parents[1])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) == 500
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 0
    (saved,) = (tmp_path / "checkpoints").iterdir()
    assert json.loads((saved / "state.json").read_bytes())["step"] >= 500


def test_undefined_metric_is_never_the_best() -> None:
    from thuja.training.look import better

    assert not better(toy.Ring(), float("nan"), None)
    assert better(toy.Ring(), 0.1, None)
    assert not better(toy.Ring(), 0.1, 0.1)
    assert better(toy.Ring(), np.float64(0.2), 0.1)
