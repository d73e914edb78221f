import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save
from torch import nn
from toy import Ring, RingCodec, columns

from thuja.settings import SGD, AdamW, Muon, Train
from thuja.training.loop import Average, State, begin, steps

PLAIN = Train(steps=8, batch=32, optimizer=AdamW(learning_rate=1e-2), schedule="linear", warmup=0.1, ema=0.0, precision="float32", device="cpu")


def trained(task: Ring, train: Train, rows: int = 128) -> State:
    state = begin(task, RingCodec(), train)
    for _ in steps(task, state, columns(rows), train):
        pass
    return state


def digest(state: State) -> str:
    data = {k: v.contiguous() for k, v in state.model.state_dict().items()}
    return hashlib.sha256(save(data)).hexdigest()


def vector(state: State) -> torch.Tensor:
    return nn.utils.parameters_to_vector(state.model.parameters()).detach()


@pytest.mark.parametrize("optimizer", [SGD(learning_rate=0.1), AdamW(learning_rate=1e-2), Muon(adamw=AdamW(learning_rate=1e-2))])
def test_learns_the_ring(optimizer) -> None:
    train = PLAIN.model_copy(update={"steps": 150, "batch": 64, "optimizer": optimizer})
    task, data = Ring(), columns(512)
    state = begin(task, RingCodec(), train)
    for step in steps(task, state, data, train):
        last = step
    assert last.number == 150
    assert set(last.losses) == {"loss", "size"}
    state.model.eval()
    held_out = columns(400, seed=1)
    right = state.model(torch.from_numpy(held_out["point"])).argmax(1).numpy() == held_out["side"]
    assert right.mean() > 0.95


def test_a_run_picked_up_in_the_middle_ends_with_the_same_bits() -> None:
    train = PLAIN.model_copy(update={"ema": 0.9})
    whole = trained(Ring(), train)
    state = begin(Ring(), RingCodec(), train)
    for step in steps(Ring(), state, columns(128), train):
        if step.number == 3:
            break
    for _ in steps(Ring(), state, columns(128), train):
        pass
    assert digest(state) == digest(whole)
    assert all(torch.equal(a, b) for a, b in zip(state.best_model.state_dict().values(), whole.best_model.state_dict().values(), strict=True))


@pytest.mark.parametrize("parts", [2, 5])  # 5 does not divide 32: the parts are ragged
def test_accumulation_equals_the_whole_batch(parts: int) -> None:
    task = Ring(norm=False, dropout=0.0, noise=0.0)
    sgd = PLAIN.model_copy(update={"optimizer": SGD(learning_rate=0.1)})
    whole, cut = trained(task, sgd), trained(task, sgd.model_copy(update={"accumulate": parts}))
    torch.testing.assert_close(vector(cut), vector(whole), rtol=1e-4, atol=1e-6)


def test_accumulated_losses_are_those_of_the_whole_batch() -> None:
    task = Ring(norm=False, dropout=0.0, noise=0.0)
    first = [next(steps(task, begin(task, RingCodec(), t), columns(128), t)).losses for t in (PLAIN, PLAIN.model_copy(update={"accumulate": 5}))]
    assert float(first[0]["loss"]) == pytest.approx(float(first[1]["loss"]), rel=1e-5)
    assert float(first[0]["size"]) == pytest.approx(float(first[1]["size"]), rel=1e-5)


def test_seeds_differ_in_every_random_stream() -> None:
    """Each stream alone: everything else that is random is switched off."""
    seen = {}

    class Watched(Ring):
        def augment(self, batch, rng):
            seen.setdefault("order", []).append(batch["side"].clone())
            out = super().augment(batch, rng)
            seen.setdefault("augment", []).append(out["point"] - batch["point"])
            return out

        def loss(self, model, batch, rng):
            seen.setdefault("loss", []).append(torch.randn(4, generator=rng))
            seen.setdefault("dropout", []).append(torch.rand(4))
            return super().loss(model, batch, rng)

    draws = []
    for seed in (0, 1):
        seen.clear()
        train = PLAIN.model_copy(update={"seed": seed, "steps": 3})
        state = begin(Watched(), RingCodec(), train)
        start = vector(state).clone()
        for _ in steps(Watched(), state, columns(128), train):
            pass
        draws.append({"init": [start], **{name: list(values) for name, values in seen.items()}})
    assert set(draws[0]) == {"init", "order", "augment", "dropout", "loss"}
    for name, values in draws[0].items():
        for one, other in zip(values, draws[1][name], strict=True):
            assert not torch.equal(one, other), name
        for i, one in enumerate(values):  # nor does a stream repeat itself from step to step
            assert not any(torch.equal(one, other) for other in values[i + 1 :]), name


def test_same_seed_gives_the_same_bits_in_another_process_and_folder(tmp_path: Path) -> None:
    program = "import sys; sys.path[:0] = sys.argv[1:]; from test_loop import *; print(digest(trained(Ring(), PLAIN)))"
    found = set()
    for hash_seed, folder in (("1", tmp_path), ("2", Path.cwd())):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", program, str(Path(__file__).parent), str(Path(__file__).parents[1])]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
        found.add(done.stdout.strip())
    assert len(found) == 1
    assert len(found.pop()) == 64


def test_the_average_follows_the_weights_and_copies_buffers() -> None:
    model, ema = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
    average = Average(model, ema, 0.9)
    with torch.no_grad():
        model.weight.fill_(3.0)
    model.running_mean.fill_(7.0)
    average.update(step=1000)
    torch.testing.assert_close(ema.weight.detach(), torch.full((3,), 0.9 * 1 + 0.1 * 3))
    assert torch.equal(ema.running_mean, model.running_mean)


def test_the_average_forgets_early_weights() -> None:
    model, ema = nn.Linear(1, 1), nn.Linear(1, 1)
    Average(model, ema, 0.999).update(step=1)
    expected = model.weight.detach()
    for step in range(1, 40):
        Average(model, ema, 0.999).update(step)
    torch.testing.assert_close(ema.weight.detach(), expected, rtol=1e-2, atol=1e-2)


def test_clipping_bounds_the_step() -> None:
    train = PLAIN.model_copy(update={"optimizer": SGD(learning_rate=1.0, momentum=0.0, weight_decay=0.0), "clip": 1e-3, "schedule": "constant", "warmup": 0.0})
    state = begin(Ring(), RingCodec(), train)
    before = vector(state).clone()
    next(steps(Ring(), state, columns(128), train))
    assert float((vector(state) - before).norm()) == pytest.approx(1e-3, rel=1e-2)


def test_bfloat16_keeps_float32_weights_and_learns() -> None:
    state = trained(Ring(), PLAIN.model_copy(update={"precision": "bfloat16", "steps": 40}))
    assert all(p.dtype == torch.float32 for p in state.model.parameters())
    assert digest(state) != digest(trained(Ring(), PLAIN.model_copy(update={"steps": 40})))
    assert bool(torch.isfinite(vector(state)).all())


def test_a_model_in_eval_mode_is_put_back_before_the_next_update() -> None:
    modes = []

    class Watched(Ring):
        def loss(self, model, batch, rng):
            modes.append(model.training)
            return super().loss(model, batch, rng)

    state = begin(Watched(), RingCodec(), PLAIN)
    for step in steps(Watched(), state, columns(128), PLAIN):
        step.state.model.eval()
    assert modes == [True] * 8


def test_compile_without_a_compiler_goes_on_with_one_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: None)
    train = PLAIN.model_copy(update={"compile": True, "steps": 2})
    with pytest.warns(RuntimeWarning, match=r"^train\.compile: no C\+\+ compiler was found; training goes on without\.$") as caught:
        state = trained(Ring(), train)
    assert len(caught) == 1
    assert state.step == 2


def test_each_row_once_an_epoch() -> None:
    seen = []

    class Watched(Ring):
        def augment(self, batch, rng):
            seen.append(batch["point"].numpy())
            return batch

    train = PLAIN.model_copy(update={"steps": 4})
    state = begin(Watched(), RingCodec(), train)
    for _ in steps(Watched(), state, columns(128), train):
        pass
    assert np.array_equal(np.unique(np.concatenate(seen), axis=0), np.unique(columns(128)["point"], axis=0))
