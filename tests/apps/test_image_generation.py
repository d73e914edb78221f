"""Generated images: the codec, the judge, flow and GAN as tasks, what bad input is told, and the whole way to the artefact."""

import base64
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from thuja.apps import CODECS
from thuja.apps.image_classification.codec import ImageClassificationCodec
from thuja.apps.image_generation import baseline, charts
from thuja.apps.image_generation.codec import ImageGenerationCodec
from thuja.apps.image_generation.judge import Classifier, Thumbnails, open_judge
from thuja.apps.image_generation.judged import recognition
from thuja.apps.image_generation.programs import Generator
from thuja.apps.image_generation.requests import known_to
from thuja.apps.image_generation.task import ImageGeneration
from thuja.artifact import folder
from thuja.codec import last, load, repeated
from thuja.core.digest import canonical
from thuja.core.errors import ArtifactError, BadRows, DataError, SpecError
from thuja.data.objects import from_object
from thuja.data.rows import Subset
from thuja.fields import Image
from thuja.graph.onnxwrite import to_onnx
from thuja.models.gan import Gan
from thuja.models.unet_velocity import UNetVelocity
from thuja.settings import Data, Evaluate, Train
from thuja.spec import Spec, parse
from thuja.task import Facts, Part, Program
from thuja.testing import check_codec, check_task
from thuja.training.look import answers, run

FLOW, GAN = UNetVelocity(width=16, blocks=1, steps=3), Gan(width=8, noise=8)


def bars(rows: int, seed: int = 0, size: tuple[int, int] = (10, 9)) -> dict[str, list[Any]]:
    """A bright bar on the left, in the middle or on the right, on noise; which is the class."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, rows)
    pictures = rng.integers(0, 60, (rows, *size), dtype=np.uint8)
    for picture, label in zip(pictures, labels, strict=True):
        picture[:, label * 3 : label * 3 + 3] += 150
    return {"image": list(pictures), "label": [str(label) for label in labels]}


def asked(rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """With what requests say besides."""
    count = len(rows["label"])
    return {**rows, "seed": list(range(count)), "guidance": [None if i % 3 == 0 else float(i % 3) for i in range(count)]}


def codec(**changes: Any) -> ImageGenerationCodec:
    plain = {"image": "image", "label": "label", "names": ("0", "1", "2"), "field": Image(channels=1), "height": 10, "width": 9, "mean": (80.0,),
             "std": (70.0,), "guidance": 1.5}
    return ImageGenerationCodec(**{**plain, **changes})


def judge_at(path: Path, *, features: bool = True) -> Path:
    """An artefact that classifies such pictures by their three means, which are its features as well."""

    class Columns(torch.nn.Module):
        def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, ...]:
            means = (pictures.float() / 255).mean(dim=(1, 3)).unflatten(1, (3, 3)).mean(dim=2)
            return (10 * means.flip(1)).softmax(dim=1), means

    own = ImageClassificationCodec(image="photo", target="label", names=("2", "1", "0"), field=Image(channels=1), height=10, width=9)
    program = Program(Columns().eval(), ("photo",), ("probability", "_features"))
    if not features:
        program = program._replace(module=torch.nn.Sequential(Columns(), First()).eval(), outputs=("probability",))
    files = {"codec.json": own.dumps(), "schema.json": canonical(own.schema().model_dump(mode="json")), "spec.yaml": b"", "weights.safetensors": b"",
             "predict.onnx": to_onnx(program, {"photo": np.zeros((2, 10, 9, 1), np.uint8)}), "reference.json": b"{}", "scores.json": b"{}", "card.md": b"",
             "certificate.json": b"{}", "requirements.txt": b""}
    folder.write(path, files, kind=own.kind)
    return path


class First(torch.nn.Module):
    def forward(self, both: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return both[0] * 1.0


@pytest.fixture(scope="module")
def judge_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return judge_at(tmp_path_factory.mktemp("judge") / "judge")


def png(picture: Any, mode: str) -> bytes:
    out = io.BytesIO()
    picture.save(out, mode)
    return out.getvalue()


@pytest.mark.parametrize("model", [FLOW, GAN], ids=["flow", "gan"])
def test_the_task_keeps_the_contract(model: Any) -> None:
    check_task(ImageGeneration(model=model), asked(bars(24)))


def test_the_codec_keeps_the_contract_with_and_without_guidance() -> None:
    check_codec(codec(), asked(bars(9)))
    check_codec(codec(guidance=None), {name: values for name, values in asked(bars(9)).items() if name != "guidance"})
    assert load(json.loads(codec().dumps()), CODECS) == codec()


def test_what_is_left_out_has_a_default_and_numbers_name_classes() -> None:
    columns = codec().encode({"label": ["1", 1, 1.0, np.int64(2)], "seed": [None, float("nan"), 7.0, 2**53 - 1], "guidance": [None, float("nan"), 0, 8]})
    assert columns["label"].tolist() == [1, 1, 1, 2]
    assert columns["seed"].tolist() == [0, 0, 7, 2**53 - 1]
    assert columns["guidance"].tolist() == [1.5, 1.5, 0.0, 8.0]
    assert set(columns) == {"label", "seed", "guidance"}


@pytest.mark.parametrize(("row", "message"), [
    ({"label": "cat"}, "rows[0].label: expected a known class, found 'cat'."),
    ({"label": None}, "rows[0].label: expected a known class, found nothing."),
    ({"label": ["0"]}, "rows[0].label: expected a known class, found ['0']."),
    ({"seed": -1}, "rows[0].seed: expected at least 0, found -1. Check the unit and the sign."),
    ({"seed": 1.5}, "rows[0].seed: expected a whole number, found 1.5. Send a number without a fraction."),
    ({"seed": 1e300}, "rows[0].seed: expected at most 9.0072e+15, found 1e+300. Check the unit."),
    ({"seed": "1"}, "rows[0].seed: expected a number, found '1'. Send a plain number such as 3.5."),
    ({"guidance": -0.1}, "rows[0].guidance: expected at least 0, found -0.1. Check the unit and the sign."),
    ({"guidance": 8.5}, "rows[0].guidance: expected at most 8, found 8.5. Check the unit."),
    ({"guidance": float("inf")}, "rows[0].guidance: expected a finite number, found inf. Send a finite number, or null where missing values are allowed."),
    ({"guidance": True}, "rows[0].guidance: expected a number, found True. Send a plain number such as 3.5."),
])
def test_bad_requests_are_named(row: dict[str, Any], message: str) -> None:
    rows = {name: [value, good] for (name, value), good in zip(({"label": "0", "seed": 0, "guidance": 1} | row).items(), ("1", 1, 1), strict=True)}
    with pytest.raises(BadRows) as caught:
        codec().encode(rows)
    assert list(caught.value.rows) == [0]
    assert str(caught.value.rows[0]).startswith(message)


def test_pictures_of_any_size_and_kind_become_one_shape_and_broken_ones_are_named() -> None:
    grey = Pillow.fromarray(np.full((20, 18), 200, np.uint8))
    turned = Pillow.Exif()
    turned[0x0112] = 6
    out = io.BytesIO()
    grey.resize((20, 18)).save(out, "JPEG", exif=turned, quality=95)
    files = [png(grey, "PNG"), png(grey.convert("RGB"), "JPEG"), png(grey.convert("RGBA"), "PNG"), png(grey.convert("CMYK"), "JPEG"), out.getvalue(),
             png(Pillow.fromarray(np.full((5, 90), 200 * 257, np.uint16)), "PNG"), np.full((3, 3, 3), 200, np.uint8)]
    rows = {"image": files, "label": ["0"] * 7, "seed": [0] * 7, "guidance": [None] * 7}
    for channels in (1, 3):
        pictures = codec(field=Image(channels=channels)).encode(rows)["image"]
        assert pictures.shape == (7, 10, 9, channels)
        assert np.abs(pictures.astype(int) - 200).max() <= 3
    with pytest.raises(BadRows) as caught:
        codec().encode({"image": [files[0], files[1][:200], b"", "a.png"], "label": ["0"] * 4, "seed": [0] * 4, "guidance": [None] * 4})
    assert [str(error) for error in caught.value.rows.values()] == [
        "rows[1].image: expected a whole picture, found a truncated or damaged file. Save the file again, or leave it out.",
        "rows[2].image: expected a picture, found an empty file. Send a whole JPEG, PNG, WebP, BMP, GIF, TIFF or PPM file.",
        "rows[3].image: expected a picture, found text 'a.png'. Give the bytes of a JPEG or PNG file."]


def settled(model: Any = FLOW, **changes: Any) -> tuple[ImageGeneration, ImageGenerationCodec, Generator]:
    task = ImageGeneration(model=model, **changes)
    parts = task.arrange({"train": from_object(bars(40), (), "train")})
    task, made = task.prepare(parts["train"])
    torch.manual_seed(0)
    model = task.build(made)
    with torch.no_grad():
        for parameter in model.parameters():  # what begins at zero would hide what it does
            parameter.add_(0.05 * torch.randn_like(parameter))
    return task, made, model.eval()


def learned(rows: dict[str, list[Any]]) -> tuple[ImageGeneration, ImageGenerationCodec]:
    return ImageGeneration().prepare(ImageGeneration().arrange({"train": from_object(rows)})["train"])


def test_prepare_settles_what_is_open() -> None:
    task, made, _ = settled()
    assert (task.size, task.channels, task.flip, task.judge_digest) == ((10, 9), 1, False, "")
    assert (made.names, made.height, made.width, made.guidance) == (("0", "1", "2"), 10, 9, 1.5)
    assert settled(GAN)[1].guidance is None
    colour = {"image": [np.random.default_rng(i).integers(0, 256, (200, 100, 3), dtype=np.uint8) for i in range(3)], "label": ["a", "b", "a"]}
    task, made = learned(colour)
    assert (task.size, task.channels, task.flip) == ((64, 32), 3, True)
    assert task.choices(made, Facts(rows=50_000, cores=1, device="cpu", budget_s=None))["train.batch"].value == 128


@pytest.mark.parametrize(("rows", "message"), [
    ({"picture": [b"x"], "label": ["a"]}, "image: expected a column of this name, found 2 others."),
    ({"image": [b"x", b"y"], "label": ["a", "b"]}, "image: expected pictures, found none that can be read (expected a picture, found text 'y')."),
    ({"image": [np.zeros((4, 4), np.uint8)] * 2, "label": [None, None]}, "label: expected a class for each picture, found none. Name another column with "),
])
def test_data_that_cannot_be_learned_from_are_refused(rows: dict[str, list[Any]], message: str) -> None:
    with pytest.raises(DataError) as caught:
        learned(rows)
    assert str(caught.value).startswith(message)


def test_a_seed_gives_the_same_picture_in_any_company_and_another_seed_another() -> None:
    task, made, model = settled()
    programs = task.programs(model, made)
    alone = answers(programs, made.encode({"label": ["1"], "seed": [5], "guidance": [2.0]}))["image"]
    many = answers(programs, made.encode({"label": ["0", "1", "1", "2"], "seed": [5, 5, 6, 5], "guidance": [1.0, 2.0, 2.0, None]}))["image"]
    assert alone.shape == (1, 10, 9, 1)
    assert np.abs(many[1].astype(int) - alone[0]).max() <= 1
    assert all(np.abs(many[i].astype(int) - alone[0]).max() > 8 for i in (0, 2, 3))


def test_guidance_of_one_is_the_class_alone_and_of_none_is_no_class() -> None:
    task, made, model = settled()
    step = task.programs(model, made)["step"].module
    x, time, label = torch.randn(2, 1, 10, 9), torch.tensor([0.3, 0.6]), torch.tensor([0, 2])
    network = model.network
    with torch.no_grad():
        told, untold = network(x, time, label), network(x, time, torch.tensor([3, 3]))
        for strength, wanted in ((1.0, told), (0.0, untold), (3.0, untold + 3 * (told - untold))):
            torch.testing.assert_close(step.velocity(x, time, label, torch.full((2,), strength)), wanted, rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_a_finished_row_stays_as_it_is_and_the_last_step_ends() -> None:
    task, made, model = settled()
    programs = task.programs(model, made)
    state = run(programs["predict"], {"label": np.array([0, 1]), "seed": np.array([0, 1]), "guidance": np.ones(2, np.float32)})
    states = list(repeated(state, lambda now: run(programs["step"], now)))
    assert [bool(s["done"].any()) for s in states] == [False, False, False, True]
    held = states[1] | {"done": np.array([True, False])}
    after = held | run(programs["step"], held)
    assert np.array_equal(after["image"][0], held["image"][0])
    assert np.array_equal(after["_x"][0], held["_x"][0])
    assert not np.array_equal(after["_x"][1], held["_x"][1])
    assert after["_place"].tolist() == [1, 2]


@pytest.mark.parametrize("solver", ["heun", "euler"])
@torch.inference_mode()
def test_more_steps_come_nearer_to_the_true_way_and_heun_sooner(solver: str) -> None:
    """Against 64 steps of the same network from the same noise."""
    _, made, model = settled()
    asked_for = {"label": np.arange(3), "seed": np.arange(3), "guidance": np.ones(3, np.float32)}

    def ends(steps: int, method: str) -> np.ndarray:
        programs = ImageGeneration(model=FLOW.model_copy(update={"steps": steps, "solver": method})).programs(model, made)
        return last(repeated(run(programs["predict"], asked_for), lambda now: run(programs["step"], now)))["_x"]

    truth = ends(64, "heun")
    few, more = (float(np.abs(ends(steps, solver) - truth).mean()) for steps in (4, 16))
    assert more < few / 2
    assert solver == "heun" or few > float(np.abs(ends(4, "heun") - truth).mean())


def test_a_gans_sides_move_their_own_parameters() -> None:
    task, made, model = settled(GAN)
    critic, forger = task.objectives(model)
    assert (critic.name, forger.name) == ("critic", "forger")
    names = {id(p): name for name, p in model.named_parameters()}
    assert {names[id(p)].split(".")[1] for p in critic.parameters} == {"critic"}
    assert {names[id(p)].split(".")[1] for p in forger.parameters} == {"forger"}
    assert len(critic.parameters) + len(forger.parameters) == len(names)
    columns = made.encode(asked(bars(6)))
    batch = {name: torch.from_numpy(np.asarray(columns[name])) for name in ("image", "label")}
    loss = critic.loss(batch, torch.Generator().manual_seed(0))
    assert float(loss.parts["slope"].detach()) > 0


def test_requests_have_seeds_of_their_own_and_know_the_training_rows() -> None:
    train, test = from_object(bars(6), (), "train"), from_object(bars(4, seed=1), (), "test")
    parts = ImageGeneration().arrange({"train": train, "test": test})
    rows = parts["test"].take(np.array([2, 0]))
    assert rows["seed"] == [2 * 0x9E3779B1 % 2**32, 0]
    assert rows["guidance"] == [None, None]
    assert known_to(Subset(parts["test"], np.array([1]))) is train
    assert parts["test"].fingerprint() != test.fingerprint()
    served = ImageGeneration().served(torch.nn.Identity(), codec(), Part(parts["test"], {}))
    assert set(served.names) == {"label", "seed", "guidance"}
    assert served.take(np.arange(4))["guidance"] == [None, 1.0, 3.0, None]


def test_an_artefact_judges_and_thumbnails_do_without(judge_path: Path) -> None:
    judge = open_judge(str(judge_path))
    assert isinstance(judge, Classifier)
    pictures = np.stack(bars(5)["image"])[..., None]
    seen = judge.see(pictures)
    np.testing.assert_allclose(seen.features, pictures.reshape(5, 10, 3, 3).mean(axis=(1, 3)) / 255, atol=1e-5)
    found = recognition(judge, codec(names=("0", "other", "2")), np.array([0, 1, 2, 2, 0]), seen)
    np.testing.assert_allclose(found[[0, 2]], [seen.probability[0, 2], seen.probability[2, 0]])
    assert np.isnan(found[1])
    thumbnails = Thumbnails().see(pictures)
    assert thumbnails.features.shape == (5, 64)
    np.testing.assert_allclose(thumbnails.features.mean(axis=0)[-1], pictures[:, 8:, 7:].mean() / 255, atol=0.1)
    assert np.isnan(recognition(Thumbnails(), codec(), np.zeros(5, int), thumbnails)).all()


def test_a_judge_that_is_none_is_refused(tmp_path: Path, judge_path: Path) -> None:
    with pytest.raises(ArtifactError) as caught:
        settled(judge=str(tmp_path / "nowhere"))
    assert "nowhere" in str(caught.value)
    with pytest.raises(ArtifactError) as caught:
        settled(judge=str(judge_at(tmp_path / "blind", features=False)))
    assert str(caught.value) == (f"task.judge: {tmp_path / 'blind'}: expected a classifier with the hidden output _features, found one without. "
                                 "Export its run again with this version of Thuja.")
    task, _, _ = settled(judge=str(judge_path))
    assert len(task.judge_digest) == 64
    with pytest.raises(ArtifactError) as caught:
        open_judge(str(judge_path), "0" * 64)
    assert str(caught.value) == (f"task.judge: {judge_path}: expected the classifier 000000000000, by which this run is judged, "
                                 f"found {task.judge_digest[:12]}. Put it back, or start a new run: distances by two judges cannot be compared.")


@pytest.mark.parametrize(("section", "message"), [
    ({"kind": "flow", "guidance": 9}, "task.model.flow.guidance"), ({"kind": "flow", "steps": 0}, "task.model.flow.steps"),
    ({"kind": "flow", "guidance": float("nan")}, "task.model.flow.guidance"), ({"kind": "flow", "width": 20}, "task.model.flow.width")])
def test_settings_out_of_range_are_named(section: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse({"task": {"kind": "image-generation", "model": section}}, "thuja.yaml")
    assert message.split(".")[-1] in str(caught.value)


def test_the_baseline_draws_each_class_from_its_own() -> None:
    rows = codec().encode(asked(bars(90)))
    made = baseline.draw(rows["image"], rows["label"], np.array([0, 1, 2, 2]), seed=0)
    lights = made.reshape(4, 10, 3, 3).mean(axis=(1, 3))
    assert lights.argmax(axis=1).tolist() == [0, 1, 2, 2]
    assert np.array_equal(made, baseline.draw(rows["image"], rows["label"], np.array([0, 1, 2, 2]), seed=0))
    assert not np.array_equal(made[2], made[3])


def test_a_repeated_training_picture_is_found() -> None:
    known = np.random.default_rng(0).integers(0, 256, (50, 6, 6, 1), dtype=np.uint8)
    found = charts.nearest(known[[7, 3]], known)
    assert found.place.tolist() == [7, 3]
    assert found.distance.max() < 1e-1
    apart = charts.nearest(255 - known[:1], known).distance[0]
    assert apart == pytest.approx(np.sqrt(((255.0 - known[:1] - known) ** 2).sum(axis=(1, 2, 3)).min()), rel=1e-3)


@pytest.mark.parametrize("model", [pytest.param(FLOW, id="flow"), pytest.param(GAN, id="gan", marks=pytest.mark.slow)])
def test_the_whole_way_from_pictures_to_an_artefact_without_torch(model: Any, tmp_path: Path, judge_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import thuja

    monkeypatch.setenv("THUJA_CACHE", str(tmp_path / "cache"))
    spec = Spec(task=ImageGeneration(model=model, judge=str(judge_path)), data=Data(), train=Train(steps=30, batch=32, save_every=15, device="cpu"),
                evaluate=Evaluate(resamples=20))
    data = {"train": bars(200), "test": bars(60, seed=1)}
    run_ = thuja.train(spec, data=data, root=tmp_path / "runs")
    scores = thuja.evaluate(run_, data=data)
    assert list(scores.metrics) == ["frechet", "precision_pictures", "recall_pictures", "recognised"]
    assert scores.metrics["frechet"].value > 0
    assert scores.baseline is not None and scores.baseline.metrics["recognised"].value > 0.5
    report = (run_.path / "report.html").read_text("utf-8")
    assert all(words in report for words in ("Samples", "Are training pictures repeated?", "Distance and its floor", "the last layer of the classifier"))
    artifact = thuja.export(run_, data=data)
    probe = ("import sys, json, base64; from thuja.artifact.runtime import Predictor; from thuja.artifact.folder import Artifact; from pathlib import Path\n"
             "p = Predictor(Artifact.open(Path(sys.argv[1])))\n"
             "a = p.predict({'label': ['1', '1', '2'], 'seed': [3, 4, None], 'guidance': [None] * 3})['image']\n"
             "print(json.dumps([p.schema.outputs['image'].to_json(x) for x in a])); assert 'torch' not in sys.modules")
    out = subprocess.run([sys.executable, "-c", probe, str(artifact.path)], capture_output=True, text=True, check=True)
    pictures = [np.asarray(Pillow.open(io.BytesIO(base64.b64decode(text)))) for text in json.loads(out.stdout)]
    assert [p.shape for p in pictures] == [(10, 9)] * 3
    assert not np.array_equal(pictures[0], pictures[1])
