import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from thuja.apps.image_classification import baseline, statistics
from thuja.apps.image_classification.codec import ImageClassificationCodec
from thuja.apps.image_classification.task import Classifier, ImageClassification, Views
from thuja.codec import Rows, load
from thuja.core.errors import BadRows, DataError
from thuja.fields import Image
from thuja.fields.pixels import usual_shape
from thuja.losses import unsmoothed
from thuja.models.convnet import ConvNet
from thuja.models.resnet import ResNet
from thuja.settings import AdamW, Muon, Train
from thuja.task import Draw, Facts, Part
from thuja.training.loop import begin, steps

NAMES = ("left", "right")


class Pictures:
    """A bright bar on noise; which half it is in is the class."""

    names = ("image", "label")

    def __init__(self, rows: int = 200, size: int = 16, channels: int = 1, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.labels = rng.integers(0, 2, rows)
        self.pictures = rng.integers(0, 120, (rows, size, size, channels), dtype=np.uint8)
        for picture, label in zip(self.pictures, self.labels, strict=True):
            place = int(rng.integers(1, size // 2 - 2)) + label * size // 2
            picture[:, place : place + 2] = 230

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: np.ndarray) -> Rows:
        return {"image": list(self.pictures[index]), "label": [NAMES[i] for i in self.labels[index]]}

    def batches(self, size: int = 1024) -> Iterator[Rows]:
        for start in range(0, len(self), size):
            yield self.take(np.arange(start, min(start + size, len(self))))

    def ids(self, index: np.ndarray) -> list[str]:
        return [str(i) for i in index]

    def all(self) -> Rows:
        return self.take(np.arange(len(self)))


def png(picture: np.ndarray) -> bytes:
    out = io.BytesIO()
    Pillow.fromarray(picture.squeeze()).save(out, "PNG")
    return out.getvalue()


def codec(channels: int = 3, height: int = 4, width: int = 6) -> ImageClassificationCodec:
    return ImageClassificationCodec(image="image", target="label", names=("cat", "dog"), field=Image(channels=channels), height=height, width=width)


def test_arrays_of_the_right_size_pass_untouched() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (3, 4, 6, 3), dtype=np.uint8)
    encoded = codec().encode({"image": list(pictures), "label": ["dog", "cat", "dog"]})
    assert np.array_equal(encoded["image"], pictures)
    assert encoded["label"].tolist() == [1, 0, 1]
    assert encoded["label"].dtype == np.int64


def test_bytes_paths_and_arrays_are_one_picture(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    (tmp_path / "a.png").write_bytes(png(picture))
    encoded = codec().encode({"image": [picture, png(picture), tmp_path / "a.png"]})["image"]
    assert encoded.shape == (3, 4, 6, 3)
    assert np.array_equal(encoded[0], encoded[1])
    assert np.array_equal(encoded[0], encoded[2])
    assert set(codec().encode({"image": [picture]})) == {"image"}, "no target where the rows have none"


def test_the_whole_picture_is_scaled_and_nothing_cut_off() -> None:
    picture = np.zeros((8, 40, 3), np.uint8)
    picture[:, 30:] = 200
    scaled = codec(height=8, width=8).encode({"image": [picture]})["image"][0]
    assert scaled[:, :5].max() == 0
    assert scaled[:, 7].min() == 200


def test_grey_fast_path_takes_pictures_without_a_channel_axis() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (4, 6), dtype=np.uint8)
    assert np.array_equal(codec(channels=1).encode({"image": [picture]})["image"][0, :, :, 0], picture)


def test_bad_rows_are_all_named() -> None:
    picture = np.zeros((4, 6, 3), np.uint8)
    with pytest.raises(BadRows) as caught:
        codec().encode({"image": [picture, b"hello", picture, picture], "label": ["cat", "cat", "dgo", None]})
    assert {place: str(error) for place, error in caught.value.rows.items()} == {
        1: "rows[1].image: expected a picture, found text 'hello'. Send a whole JPEG, PNG, WebP, BMP, GIF, TIFF or PPM file.",
        2: "rows[2].label: expected a known class, found 'dgo'. Did you mean 'dog'?",
        3: "rows[3].label: expected a known class, found nothing. Choose from: cat, dog."}


def test_absent_column() -> None:
    with pytest.raises(DataError) as caught:
        codec().encode({"imgae": []})
    assert str(caught.value) == "image: expected a column of this name, found 1 others. Did you mean 'imgae'?"


def test_decode() -> None:
    out = codec().decode({"probability": np.array([[0.25, 0.75], [1.0, 0.0]], np.float32)})
    assert out == {"label": ["dog", "cat"], "probability": [0.75, 1.0], "probabilities": [{"cat": 0.25, "dog": 0.75}, {"cat": 1.0, "dog": 0.0}]}
    for name, field in codec().schema().outputs.items():
        for value in out[name]:
            field.check(value, name)


def test_codec_survives_json() -> None:
    kinds = {"image-classification": "thuja.apps.image_classification.codec:ImageClassificationCodec"}
    _, made = ImageClassification().prepare(Pictures(30))
    assert load(made.model_dump(mode="json"), kinds) == made


def test_prepare_settles_everything() -> None:
    task, made = ImageClassification().prepare(Pictures(60))
    assert "auto" not in task.model_dump().values()
    assert (task.size, task.channels, task.flip, task.translate) == ((16, 16), 1, False, 1)
    assert made.names == NAMES
    assert (len(made.mean), len(made.std), len(made.moments)) == (1, 1, 16)


def test_what_is_typed_stays() -> None:
    typed = ImageClassification(size=(8, 10), channels=3, flip=True, translate=0, label_smoothing=0.0, model=ResNet(width=4), test_time_augmentation=False,
                                labels="one")
    task, made = typed.prepare(Pictures(20))
    assert task == typed
    assert (made.height, made.width, made.field.channels, len(made.moments)) == (8, 10, 3, 48)


def test_colour_pictures_are_seen_and_may_be_mirrored() -> None:
    task, made = ImageClassification().prepare(Pictures(40, channels=3))
    assert (task.channels, task.flip, made.field.channels) == (3, True, 3)


def test_classes_that_are_numbers_are_in_order_of_value() -> None:
    class Numbers(Pictures):
        def take(self, index: np.ndarray) -> Rows:
            return {"image": list(self.pictures[index]), "label": [int(i) % 12 for i in index]}

    assert ImageClassification().prepare(Numbers(30))[1].names == tuple(str(i) for i in range(12))


def test_one_class_cannot_be_learned() -> None:
    pictures = Pictures(20)
    pictures.labels[:] = 1
    with pytest.raises(DataError) as caught:
        ImageClassification().prepare(pictures)
    assert str(caught.value) == "label: expected at least two classes, found only 'right'. Add pictures of another class; one class cannot be learned."


def test_absent_target() -> None:
    with pytest.raises(DataError) as caught:
        ImageClassification(target="labels").prepare(Pictures(20))
    assert str(caught.value) == "labels: expected a column of this name, found 2 others. Did you mean 'label'?"


def test_large_pictures_are_scaled_down_together() -> None:
    field = Image()
    assert usual_shape([np.zeros((480, 640, 3), np.uint8)] * 3, field) == (48, 64)
    with pytest.raises(DataError, match="expected a picture, found text 'no'"):
        usual_shape([b"no"], field)


def test_moments_are_those_of_the_patches_that_the_stem_sees() -> None:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (50, 12, 10, 3), dtype=np.uint8)
    measured = statistics.measure(pictures, 4)
    x = (torch.from_numpy(pictures).double() - torch.tensor(measured.mean)) / torch.tensor(measured.std)
    patches = torch.nn.functional.unfold(x.permute(0, 3, 1, 2), 4, stride=2, padding=1).transpose(1, 2).reshape(-1, 48)
    torch.testing.assert_close(torch.tensor(measured.moments, dtype=torch.float64), patches.t() @ patches / len(patches), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("model", [ConvNet(widths=(16, 32)), ResNet(width=8)])
def test_it_learns_and_answers_alike_at_any_batch_size(model: ConvNet | ResNet) -> None:
    source, unseen = Pictures(200), Pictures(100, seed=1)
    task, made = ImageClassification(model=model, translate=1, mixup=0.0).prepare(source)
    columns, asked = made.encode(source.all()), made.encode(unseen.all())
    chosen = {name.removeprefix("train."): choice.value for name, choice in task.choices(made, Facts(200, 2, "cpu", None)).items()}
    train = Train(**chosen).model_copy(update={"steps": 40, "batch": 50, "ema": 0.0})
    state = begin(task, made, train)
    losses = [float(step.losses["loss"]) for step in steps(task, state, columns, train)]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
    program = task.programs(state.best_model, made)["predict"]
    with torch.inference_mode():
        whole, features = program.module(torch.from_numpy(asked["image"]))
        single, _ = program.module(torch.from_numpy(asked["image"][7:8]))
    torch.testing.assert_close(whole.sum(dim=1), torch.ones(100))
    torch.testing.assert_close(whole[7:8], single, atol=1e-5, rtol=1e-4)
    assert (whole.argmax(dim=1).numpy() == asked["label"]).mean() > 0.9
    assert program.outputs == ("probability", "_features")
    with torch.inference_mode():
        model = state.best_model
        torch.testing.assert_close(model.network.head(features), model(torch.from_numpy(asked["image"])), msg="the head sees them, of the picture as it is")


def test_augmentation_is_a_function_of_the_generator() -> None:
    task, made = ImageClassification(flip=True, translate=2, cutout=4, mixup=0.3).prepare(Pictures(32))
    columns = made.encode(Pictures(32).all())
    batch = next(task.batches(task.build(made), columns, Draw(32, seed=0)))
    before = batch["image"].clone()
    once, again, other = (task.augment(batch, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(once[name], again[name]) for name in once)
    assert all(not torch.equal(once[name], other[name]) for name in ("image", "mixup.share"))
    assert torch.equal(batch["image"], before), "the batch itself is not changed"
    model = task.build(made)
    whole = task.loss(model.eval(), once, torch.Generator()).total
    halves = [task.loss(model, {k: v[part] for k, v in once.items()}, torch.Generator()).total for part in (slice(16), slice(16, 32))]
    torch.testing.assert_close(torch.stack(halves).mean(), whole)


def test_a_picture_is_mirrored_every_other_time_also_after_a_restart() -> None:
    task, made = ImageClassification(flip=True).prepare(Pictures(30))
    columns = made.encode(Pictures(30).all()) | {"label": np.arange(30)}
    drawn = task.batches(task.build(made), columns, Draw(12, seed=0))
    batches = [next(drawn) for _ in range(5)]
    seen: dict[int, list[bool]] = {row: [] for row in range(30)}
    for batch in batches:
        for row, mirrored in zip(batch["label"].tolist(), batch["flip.mirrored"].tolist(), strict=True):
            seen[row].append(mirrored)
    assert all(len(times) == 2 and times[0] != times[1] for times in seen.values())
    again = next(task.batches(task.build(made), columns, Draw(12, seed=0, start=4)))
    assert all(torch.equal(again[name], batches[4][name]) for name in again)


def test_views_are_the_picture_moved_by_a_pixel_and_mirrored() -> None:
    x = torch.arange(12.0).view(1, 1, 3, 4)
    plain = Views(mirror=False)(x)
    assert [weight for weight, _ in plain] == [0.5, 0.25, 0.25]
    assert torch.equal(plain[1][1][0, 0, 1:, 1:], x[0, 0, :-1, :-1])
    assert torch.equal(plain[2][1][0, 0, :-1, :-1], x[0, 0, 1:, 1:])
    both = Views(mirror=True)(x)
    assert sum(weight for weight, _ in both) == 1
    assert torch.equal(both[3][1], both[2][1].flip(3))


def test_smoothing_is_taken_out_of_the_answers() -> None:
    task, made = ImageClassification(test_time_augmentation=False, label_smoothing=0.2).prepare(Pictures(30))
    torch.manual_seed(0)
    model = task.build(made).eval()
    torch.nn.init.normal_(model.network.get_parameter("head.weight"), std=0.01)  # it starts near zero, where nothing is believed
    x = torch.from_numpy(made.encode(Pictures(30).all())["image"])
    with torch.inference_mode():
        answers, raw = task.programs(model, made)["predict"].module(x)[0], model(x).softmax(dim=1)
    torch.testing.assert_close(answers, unsmoothed(raw, 0.2))
    assert not torch.allclose(answers, raw, atol=0.01)


def test_choices() -> None:
    task, made = ImageClassification().prepare(Pictures(30))
    convnet, resnet = task, task.model_copy(update={"model": ResNet()})
    assert isinstance(convnet.choices(made, Facts(50_000, 2, "cpu", 60.0))["train.optimizer"].value, Muon)
    assert isinstance(resnet.choices(made, Facts(50_000, 2, "cpu", 60.0))["train.optimizer"].value, AdamW)
    assert "train.steps" not in convnet.choices(made, Facts(50_000, 2, "cpu", 60.0)), "a budget sets the steps by timing"
    assert convnet.choices(made, Facts(100, 2, "cpu", None))["train.steps"].value == 400
    assert all(choice.reason for choice in convnet.choices(made, Facts(100, 2, "cpu", None)).values())


def test_baseline_answers_every_test_row_with_every_class() -> None:
    source, unseen = Pictures(150), Pictures(60, seed=1)
    task, made = ImageClassification().prepare(source)
    answered = task.baseline(made, Part(source, made.encode(source.all())), Part(unseen, made.encode(unseen.all())), seed=0)
    probability = answered.outputs["probability"]
    assert probability.shape == (60, 2)
    assert probability.dtype == np.float32
    np.testing.assert_allclose(probability.sum(axis=1), 1, atol=1e-5)
    assert (probability.argmax(axis=1) == unseen.labels).mean() > 0.9
    assert answered.name == "logistic regression on histograms of gradients"


@pytest.mark.parametrize("shape", [(16, 16, 1), (5, 3, 3)])
def test_baseline_features_are_finite_for_any_picture(shape: tuple[int, ...]) -> None:
    flat = np.full((2, *shape), 7, np.uint8)
    assert np.isfinite(baseline.describe(flat)).all()


def test_onnx_agrees_at_other_batch_sizes() -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    task, made = ImageClassification().prepare(Pictures(20, channels=3))
    model = task.build(made)
    assert isinstance(model, Classifier)
    program = task.programs(model, made)["predict"]
    x = torch.from_numpy(made.encode(Pictures(20, channels=3).all())["image"])
    exported = torch.onnx.export(program.module, (x[:3],), dynamo=True, verbose=False, dynamic_shapes=({0: torch.export.Dim("rows")},))
    session = onnxruntime.InferenceSession(exported.model_proto.SerializeToString())
    for rows in (1, 7):
        with torch.inference_mode():
            expected = program.module(x[:rows])
        for found, wanted in zip(session.run(None, {session.get_inputs()[0].name: x[:rows].numpy()}), expected, strict=True):
            np.testing.assert_allclose(found, wanted.numpy(), atol=1e-5)
