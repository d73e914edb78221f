import json
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
import toy
from torch import nn

from thuja.core.errors import ArtifactError, StorageError
from thuja.core.storage import Disk
from thuja.settings import SGD, AdamW, Muon, Train
from thuja.training import checkpoint
from thuja.training.checkpoint import NotFinite, Saver
from thuja.training.loop import State, begin, steps

TRAIN = Train(steps=6, batch=16, optimizer=AdamW(learning_rate=1e-2), schedule="linear", warmup=0.0, ema=0.9, precision="float32", device="cpu")


def trained(train: Train = TRAIN, seed: int = 0) -> State:
    train = train.model_copy(update={"seed": seed})
    state = begin(toy.Ring(), toy.RingCodec(), train)
    for _ in steps(toy.Ring(), state, toy.columns(64), train):
        pass
    return state


def tensors(state: State) -> list[torch.Tensor]:
    """Everything that a checkpoint must bring back."""
    found = [*state.model.state_dict().values(), *(state.ema.state_dict().values() if state.ema is not None else ())]
    for optimizers in state.optimizers:
        for optimizer in optimizers:
            found += [value for moments in optimizer.state.values() for value in moments.values()]
    return found


@pytest.mark.parametrize("optimizer", [SGD(), AdamW(), Muon()])
@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_everything_comes_back_bit_for_bit(tmp_path: Path, optimizer, ema: float) -> None:
    train = TRAIN.model_copy(update={"optimizer": optimizer, "ema": ema})
    state = trained(train)
    checkpoint.save(tmp_path, state, {"best": 0.1})
    other = begin(toy.Ring(), toy.RingCodec(), train.model_copy(update={"seed": 5}))
    restored = checkpoint.restore(tmp_path, other)
    assert restored == checkpoint.Restored({"best": 0.1}, [])
    assert other.step == 6
    assert len(tensors(other)) == len(tensors(state))
    assert all(torch.equal(a, b) and a.dtype == b.dtype for a, b in zip(tensors(other), tensors(state), strict=True))


def test_the_model_to_export_is_the_average(tmp_path: Path) -> None:
    state = trained()
    path = checkpoint.save(tmp_path, state, {})
    model = toy.Ring().build(toy.RingCodec())
    checkpoint.load_model(path, model)
    assert torch.equal(model[0].weight, state.best_model[0].weight)
    assert not torch.equal(model[0].weight, state.model[0].weight)


def test_tied_weights(tmp_path: Path) -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
            self.head.weight = self.embed.weight

    one, other = Tied(), Tied()
    path = checkpoint.save(tmp_path, State(one, (), []), {})
    checkpoint.load_model(path, other)
    assert torch.equal(other.embed.weight, one.embed.weight)
    assert other.head.weight is other.embed.weight


def test_the_last_two_and_the_best_are_kept(tmp_path: Path) -> None:
    state = trained()
    for step in (10, 20, 30, 40, 50):
        state.step = step
        checkpoint.save(tmp_path, state, {}, best=20)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["00000020", "00000040", "00000050"]


def test_nothing_to_restore(tmp_path: Path) -> None:
    assert checkpoint.restore(tmp_path / "absent", trained()) is None


def two(root: Path) -> tuple[State, State]:
    """Checkpoints of steps 6 and 7, of different weights."""
    first, second = trained(), trained(seed=1)
    second.step = 7
    checkpoint.save(root, first, {"looks": 1})
    checkpoint.save(root, second, {"looks": 2})
    return first, second


@pytest.mark.parametrize("name", ["model.safetensors", "raw.safetensors", "optimizer.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "zeros", "gone", "grown"])
def test_damage_is_found_and_the_one_before_is_used(tmp_path: Path, name: str, damage: str) -> None:
    first, _ = two(tmp_path)
    path = tmp_path / "00000007" / name
    data = path.read_bytes()
    middle = len(data) // 2
    if damage == "gone":
        path.unlink()
    else:
        flipped = data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :]
        path.write_bytes({"flip": flipped, "cut": data[:middle], "zeros": bytes(len(data)), "grown": data + b"\0"}[damage])
    state = begin(toy.Ring(), toy.RingCodec(), TRAIN)
    restored = checkpoint.restore(tmp_path, state)
    assert restored is not None
    assert (state.step, restored.history) == (6, {"looks": 1})
    assert all(torch.equal(a, b) for a, b in zip(tensors(state), tensors(first), strict=True))
    (message,) = restored.damaged
    assert "00000007" in message
    assert sorted(p.name for p in tmp_path.iterdir()) == ["00000006"]  # so that it is not passed over for ever


def test_messages_of_damage(tmp_path: Path) -> None:
    two(tmp_path)
    older, newer = tmp_path / "00000006", tmp_path / "00000007"
    (older / "state.json").write_text("{}")
    (newer / "manifest.json").write_text(json.dumps({"thuja": 2, "files": {}}))
    with pytest.raises(ArtifactError) as caught:
        checkpoint.verify(newer)
    assert str(caught.value) == f"{newer}/manifest.json: expected format 1, found format 2. An older checkpoint is used where there is one."
    with pytest.raises(ArtifactError) as caught:
        checkpoint.restore(tmp_path, trained())
    assert str(caught.value) == f"{tmp_path}: expected a whole checkpoint, found 2, all damaged. Restore the folder from a copy, or train again."


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    path = checkpoint.save(tmp_path, trained(), {})
    with pytest.raises(ArtifactError) as caught:
        checkpoint.load_model(path, nn.Linear(2, 2))
    assert str(caught.value) == f"{path}: expected the weights of this model, found those of another. Use the spec of the run it belongs to."


class Liar(Disk):
    """Says it wrote, and wrote something else."""

    def extend(self, path: Path, data: bytes | memoryview) -> None:
        super().extend(path, bytes(len(data)) if path.name == "optimizer.safetensors" else data)


def test_what_cannot_be_read_back_is_not_believed_and_nothing_older_is_deleted(tmp_path: Path) -> None:
    state, _ = two(tmp_path)
    state.step = 8
    with pytest.raises(ArtifactError):
        checkpoint.save(tmp_path, state, {}, disk=Liar())
    restored = checkpoint.restore(tmp_path, state)
    assert restored is not None
    assert (state.step, len(restored.damaged)) == (7, 1)


class Full(Disk):
    def extend(self, path: Path, data: bytes | memoryview) -> None:
        raise OSError(28, "No space left on device")


def test_a_full_disk_while_saving(tmp_path: Path) -> None:
    state, _ = two(tmp_path)
    state.step = 8
    with pytest.raises(StorageError) as caught:
        checkpoint.save(tmp_path, state, {}, disk=Full())
    assert str(caught.value) == (f"{tmp_path}/00000008: expected a writable place, found no space left. "
                                 "Free some space or choose another folder; what was saved before is intact.")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["00000006", "00000007"]


class Slow(Disk):
    """Writes nothing until it is told to."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def extend(self, path: Path, data: bytes | memoryview) -> None:
        assert self.go.wait(60)
        super().extend(path, data)


class Uncopied(Saver):
    """The planted bug: a saver that reads the weights when it writes."""

    state: State

    def _write(self, *arguments: Any) -> None:
        self.disk.go.wait(60)
        checkpoint._stage(self.state, self._staged)
        super()._write(*arguments)


@pytest.mark.parametrize("copies", [True, False])
def test_what_is_saved_is_what_was_there_at_the_call(tmp_path: Path, copies: bool) -> None:
    state, disk = trained(), Slow()
    saver = Saver(tmp_path, disk) if copies else Uncopied(tmp_path, disk)
    if isinstance(saver, Uncopied):
        saver.state = state
    wanted = [value.clone() for value in tensors(state)]
    history = {"looks": [1]}
    with saver:
        saver.save(state, history)
        with torch.no_grad():
            for value in tensors(state):
                value.zero_()
        history["looks"].append(2)
        disk.go.set()
    other = begin(toy.Ring(), toy.RingCodec(), TRAIN)
    restored = checkpoint.restore(tmp_path, other)
    assert restored is not None
    assert restored.history == {"looks": [1]}
    assert all(torch.equal(a, b) for a, b in zip(tensors(other), wanted, strict=True)) == copies


def test_a_saver_writes_what_save_writes_again_and_again(tmp_path: Path) -> None:
    train = TRAIN.model_copy(update={"steps": 3})
    state = begin(toy.Ring(), toy.RingCodec(), train)
    with Saver(tmp_path / "behind") as saver:
        for step in steps(toy.Ring(), state, toy.columns(64), train):
            saver.save(state, {"step": step.number}, best=1)
            checkpoint.save(tmp_path / "before", state, {"step": step.number}, best=1)
    for name in ("00000001", "00000002", "00000003"):
        one, other = (checkpoint.verify(tmp_path / root / name) for root in ("behind", "before"))
        assert one == other


@pytest.mark.parametrize("at_the_next_save", [True, False])
def test_what_fails_behind_training_is_raised(tmp_path: Path, at_the_next_save: bool) -> None:
    state, saver = trained(), Saver(tmp_path, Full())
    saver.save(state, {})
    with pytest.raises(StorageError) as caught:
        saver.save(state, {}) if at_the_next_save else saver.close()
    assert caught.value.where == f"{tmp_path}/00000006"
    saver.close()


def test_the_first_trouble_is_the_one_that_is_told(tmp_path: Path) -> None:
    saver, trouble = Saver(tmp_path, Full()), ZeroDivisionError()
    saver.save(trained(), {})
    saver.__exit__(ZeroDivisionError, trouble, None)
    (note,) = trouble.__notes__
    assert note.startswith(f"The last checkpoint was not written: {tmp_path}/00000006: expected a writable place, found no space left.")


def test_weights_that_are_no_numbers_are_not_written(tmp_path: Path) -> None:
    state, _ = two(tmp_path)
    state.step = 8
    with torch.no_grad():
        state.model[0].weight[0, 0] = float("nan")
    saver = Saver(tmp_path)
    saver.save(state, {})
    with pytest.raises(NotFinite) as caught:
        saver.close()
    assert (caught.value.step, caught.value.name) == (8, "0.weight")
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith(".")) == ["00000006", "00000007"]
