"""Going on from another run: its vocabulary, its weights where they fit, and the same bits when the run that goes on is itself taken up again."""

import shutil
from pathlib import Path
from typing import Any, Self

import pytest
import torch
import toy

from thuja.apps import CODECS, TASKS
from thuja.codec import Codec
from thuja.core.errors import ArtifactError, SpecError
from thuja.run import Run
from thuja.settings import AdamW, Check, Train
from thuja.spec import Spec
from thuja.task import Source
from thuja.training.checkpoint import read_tensors
from thuja.training.parent import KEPT, begun
from thuja.training.transfer import take_over
from thuja.verbs.train import train

SHORT = Train(steps=4, batch=16, optimizer=AdamW(), precision="float32", device="cpu", threads=1, save_every=2, evaluate_every=2, watch=False)


class Heir(toy.Ring):
    def inherit(self, source: Source, parent: Codec) -> tuple[Self, toy.RingCodec]:
        assert isinstance(parent, toy.RingCodec)
        return self, parent


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, "ring", "test_parent_kinds:Heir")
    monkeypatch.setitem(CODECS, "ring", "toy:RingCodec")
    monkeypatch.setitem(__import__("sys").modules, "test_parent_kinds", __import__("types").SimpleNamespace(Heir=Heir))


def spec(task: toy.Ring | None = None, **changes: Any) -> Spec[Any]:
    return Spec(task=task or Heir(), train=SHORT, check=Check(enabled=False), **changes)


def weights(run: Run) -> dict[str, torch.Tensor]:
    return read_tensors((run.best_checkpoint() / "model.safetensors").read_bytes())


def test_a_run_begins_with_its_parents_weights(tmp_path: Path) -> None:
    first = train(spec(), data=toy.rows(64), root=tmp_path)
    still = SHORT.model_copy(update={"steps": 1, "optimizer": AdamW(learning_rate=1e-12, weight_decay=0.0)})
    frozen = spec(parent=str(first.path)).model_copy(update={"train": still})
    second = train(frozen, data=toy.rows(64), root=tmp_path)
    before, after = weights(first), weights(second)
    assert all(torch.allclose(before[n], after[n], atol=1e-6) for n in before if "running" not in n and "tracked" not in n)
    assert (second.path / KEPT).read_bytes() == (first.best_checkpoint() / "model.safetensors").read_bytes()


def test_it_is_taken_up_again_without_its_parent(tmp_path: Path) -> None:
    first = train(spec(), data=toy.rows(64), root=tmp_path / "a")
    whole = train(spec(parent=str(first.path)), data=toy.rows(64), root=tmp_path / "b")
    again = Run(Path(shutil.copytree(whole.path, tmp_path / "c" / "0001")))
    shutil.rmtree(first.path)
    for folder in again.checkpoints.iterdir():
        shutil.rmtree(folder)
    resumed = train(None, data=toy.rows(64), resume=again.path)
    ended = weights(resumed)
    assert all(torch.equal(value, ended[name]) for name, value in weights(whole).items())
    (again.path / KEPT).write_bytes(b"other")
    with pytest.raises(ArtifactError, match="expected the weights that this run went on from, found others"):
        train(None, data=toy.rows(64), resume=again.path)


def test_what_does_not_fit_stays_fresh(tmp_path: Path) -> None:
    first = train(spec(), data=toy.rows(64), root=tmp_path)
    wider = Heir(width=48).build(toy.RingCodec())
    fresh = {name: value.clone() for name, value in wider.state_dict().items()}
    taken = take_over(wider, weights(first))
    assert "0.weight" in taken.fresh and "6.bias" not in taken.fresh
    assert torch.equal(wider.state_dict()["0.weight"], fresh["0.weight"])
    assert torch.equal(wider.state_dict()["6.bias"], weights(first)["6.bias"])


def test_nothing_that_fits_is_said() -> None:
    with pytest.raises(SpecError) as found:
        take_over(torch.nn.Linear(2, 3), {"weight": torch.zeros(4, 4)})
    assert str(found.value) == "parent: expected weights of a network like this one, found none of the same name and shape. Use the same task.model."


def test_a_kind_that_cannot_go_on_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = train(spec(), data=toy.rows(64), root=tmp_path)
    monkeypatch.delattr(Heir, "inherit")
    with pytest.raises(SpecError, match="parent: expected a kind of task that can go on from another run, found 'ring'"):
        train(spec(parent=str(first.path)), data=toy.rows(64), root=tmp_path)


def test_no_such_parent(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="parent: expected the folder of a run or an artefact, found nothing at"):
        begun(Heir(), tmp_path / "nowhere", None)  # type: ignore[arg-type]  # nobody gets as far as the rows
