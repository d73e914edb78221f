"""How far layers may move from a parent's weights: frozen by share or name, slower towards the input; and image classification that goes on from a run."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import thuja
from thuja.apps.image_classification.codec import ImageClassificationCodec
from thuja.apps.image_classification.task import ImageClassification
from thuja.apps.text_classification.task import TextClassification
from thuja.core.errors import SpecError
from thuja.models.convnet import ConvNet
from thuja.models.resnet import ResNet
from thuja.run import Run
from thuja.settings import AdamW, Check, Train
from thuja.spec import Spec
from thuja.training.checkpoint import read_tensors
from thuja.training.prepare import gather
from thuja.training.transfer import layers, tune


def network() -> nn.Module:
    torch.manual_seed(0)
    net = nn.Module()
    net.embedding = nn.ModuleDict({"words": nn.Embedding(5, 4), "places": nn.Embedding(3, 4)})
    net.layers = nn.ModuleList(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU()) for _ in range(3))
    net.norm = nn.LayerNorm(4)
    net.head = nn.Linear(4, 2)
    return net


def frozen(net: nn.Module) -> set[str]:
    return {name.split(".")[0] + (f".{name.split('.')[1]}" if name.startswith("layers") else "") for name, p in net.named_parameters() if not p.requires_grad}


def test_layers_are_members_of_lists_and_the_parts_beside_them() -> None:
    assert [name for name, _ in layers(network())] == ["embedding", "layers.0", "layers.1", "layers.2", "norm", "head"]
    net = ConvNet(widths=(8, 8)).build(3, 2, np.eye(48).tolist())
    assert [name for name, _ in layers(net)] == ["stem", "stages.0", "stages.1", "head"]


@pytest.mark.parametrize(("freeze", "expected"), [
    (0.0, set()), (0.4, {"embedding", "layers.0"}), (1.0, {"embedding", "layers.0", "layers.1", "layers.2", "norm"}), (("layers.1",), {"layers.1"}),
    (("embedding", "layers.2"), {"embedding", "layers.2"}), (("layers",), {"layers.0", "layers.1", "layers.2"})])
def test_what_freezes(freeze: float | tuple[str, ...], expected: set[str]) -> None:
    net = network()
    tune(net, freeze, 1.0)
    assert frozen(net) == expected


def test_rates_fall_towards_the_input() -> None:
    net = network()
    net.get_parameter("embedding.words.weight").lr_scale = 10.0
    tune(net, 0.0, 0.5)
    scale = {name: getattr(p, "lr_scale", 1.0) for name, p in net.named_parameters()}
    assert (scale["head.weight"], scale["norm.weight"], scale["layers.2.0.weight"], scale["layers.0.0.bias"]) == (1.0, 0.5, 0.25, 0.0625)
    assert (scale["embedding.places.weight"], scale["embedding.words.weight"]) == (0.03125, 0.3125)


def test_a_frozen_batch_norm_keeps_its_statistics() -> None:
    net = network()
    tune(net, ("layers.0",), 1.0)
    net.train()
    still, moved = (net.get_submodule(f"layers.{i}.1") for i in (0, 1))
    x = torch.randn(16, 4) + 3
    with torch.no_grad():
        assert torch.equal(still(x), still.eval()(x))
        net.train()
        moved(x)
    assert torch.equal(still.running_mean, torch.zeros(4)) and not torch.equal(moved.running_mean, torch.zeros(4))


def test_what_cannot_freeze_is_said() -> None:
    with pytest.raises(SpecError) as caught:
        tune(network(), ("layer.0",), 1.0)
    assert str(caught.value) == "train.freeze: expected names of layers of this network, found 'layer.0'. Did you mean 'layers.0'?"
    with pytest.raises(SpecError) as caught:
        tune(network(), ("embedding", "layers", "norm", "head"), 1.0)
    assert str(caught.value) == "train.freeze: expected something left to learn, found every weight frozen. Freeze fewer layers."


@pytest.mark.parametrize(("settings", "name"), [({"freeze": 0.5}, "freeze"), ({"layer_decay": 0.8}, "layer_decay"), ({"freeze": ("stem",)}, "freeze")])
def test_without_a_parent_there_is_nothing_to_keep(settings: dict[str, object], name: str) -> None:
    with pytest.raises(SpecError) as caught:
        gather(Spec(task=ImageClassification(), train=Train(**settings)), bars(40), check=False)
    assert str(caught.value) == (f"train.{name}: expected a `parent` to go on from, found none. "
                                 f"Name a run, an artefact or a checkpoint in `parent`, or leave {name} out.")


def bars(count: int, names: tuple[str, str] = ("left", "right"), channels: int = 3) -> dict[str, list[object]]:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 120, (count, 16, 16, channels), dtype=np.uint8)
    for i, picture in enumerate(pictures):
        place = int(rng.integers(0, 6)) + 8 * (i % 2)
        picture[:, place : place + 2] = 230
    return {"image": list(pictures), "label": [names[i % 2] for i in range(count)]}


QUICK = Train(steps=20, batch=32, threads=1, device="cpu", watch=False)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Run:
    place = tmp_path_factory.mktemp("first")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THUJA_CACHE", str(place / "cache"))
        return thuja.train(Spec(task=ImageClassification(model=ConvNet(widths=(8, 16))), check=Check(enabled=False), train=QUICK), data=bars(160), root=place)


def weights(run: Run) -> dict[str, torch.Tensor]:
    return read_tensors((run.best_checkpoint() / "model.safetensors").read_bytes())


def test_pictures_go_on_from_a_run(first: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THUJA_CACHE", str(tmp_path / "cache"))
    spec = Spec(task=ImageClassification(), parent=str(first.path), check=Check(enabled=False),
                train=QUICK.model_copy(update={"freeze": 1.0, "optimizer": AdamW(learning_rate=0.01)}))
    second = thuja.train(spec, data=bars(40, ("east", "west")), root=tmp_path / "runs")
    ours, theirs = second.codec(), first.codec()
    assert isinstance(ours, ImageClassificationCodec) and isinstance(theirs, ImageClassificationCodec)
    assert ours.names == ("east", "west") and (ours.mean, ours.moments, ours.height) == (theirs.mean, theirs.moments, theirs.height)
    assert second.spec_data()["task"]["model"] == first.spec_data()["task"]["model"]
    before, after = weights(first), weights(second)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"network.head.weight", "network.head.bias"}, "the statistics of frozen norms stay too"
    resumed = Run.open(second.path)
    for folder in resumed.checkpoints.iterdir():
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    thuja.train(None, data=bars(40, ("east", "west")), resume=second.path)
    assert all(torch.equal(value, weights(second)[name]) for name, value in after.items()), "the same bits when it is taken up again"


def test_parents_that_do_not_fit_are_refused(first: Run, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        gather(Spec(task=ImageClassification(channels=1), parent=str(first.path)), bars(40), check=False)
    assert str(caught.value) == "task.channels: expected 3, as the parent has, found 1. Leave it out."
    with pytest.raises(SpecError) as caught:
        thuja.train(Spec(task=ImageClassification(model=ResNet(width=4)), parent=str(first.path), check=Check(enabled=False), train=QUICK), data=bars(40),
                    root=tmp_path)
    assert str(caught.value) == "parent: expected weights of a network like this one, found none of the same name and shape. Use the same task.model."
    with pytest.raises(SpecError) as caught:
        gather(Spec(task=TextClassification(), parent=str(first.path)), {"text": [f"a {i}" for i in range(40)], "label": ["x", "y"] * 20}, check=False)
    assert str(caught.value) == "parent: expected a model that classifies texts, found image-classification. Leave `parent` out, or name another run."
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "config.json").write_text("{}")
    (tmp_path / "c" / "model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    with pytest.raises(SpecError) as caught:
        gather(Spec(task=ImageClassification(), parent=str(tmp_path / "c")), bars(40), check=False)
    assert str(caught.value) == ("parent: expected a run or an artefact of the kind image-classification, found a checkpoint of another house. "
                                 "Leave `parent` out.")
