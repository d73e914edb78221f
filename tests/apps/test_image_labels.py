"""Image classification with several labels a picture, class weights, and pictures of what the answers hang on."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from torch.nn import functional as F

import thuja
from thuja import testing
from thuja.apps.image_classification import learning, pictures
from thuja.apps.image_classification.codec import ImageClassificationCodec
from thuja.apps.image_classification.labels import how_many
from thuja.apps.image_classification.task import ImageClassification
from thuja.artifact.runtime import Predictor
from thuja.codec import Rows
from thuja.core.errors import BadRows, DataError, SpecError
from thuja.data.infer import infer
from thuja.data.source import open_source
from thuja.fields import Image
from thuja.proof.certificate import Judge
from thuja.report import outputs as outputs_file
from thuja.run import Run
from thuja.settings import Check, Data, Train
from thuja.spec import Spec
from thuja.training import checkpoint

BANDS = {"top": (0, slice(0, 4)), "middle": (1, slice(4, 8)), "bottom": (2, slice(8, 12))}


def rows(count: int = 150, seed: int = 0) -> Rows:
    """Bright bands on noise, each in a colour and place of its own; which are there are the labels."""
    rng = np.random.default_rng(seed)
    images, labels = [], []
    for _ in range(count):
        picture = rng.integers(0, 90, (12, 12, 3), dtype=np.uint8)
        there = [name for name in BANDS if rng.random() < 0.4]
        for name in there:
            channel, place = BANDS[name]
            picture[place, :, channel] = 220
        images.append(picture)
        labels.append(there)
    return {"image": images, "label": labels}


def codec(threshold: float | None = 0.5) -> ImageClassificationCodec:
    return ImageClassificationCodec(image="image", target="label", names=("cat", "dog"), field=Image(channels=3), height=4, width=6, threshold=threshold)


PICTURE = np.zeros((4, 6, 3), np.uint8)


def test_lists_texts_and_nothing_are_labels() -> None:
    values = [["cat", "dog"], "dog; cat", "cat|dog|cat", '["dog"]', None, "", []]
    encoded = codec().encode({"image": [PICTURE] * 7, "label": values})["label"]
    assert encoded.tolist() == [[1, 1], [1, 1], [1, 1], [0, 1], [0, 0], [0, 0], [0, 0]]
    assert encoded.dtype == np.float32


def test_an_unknown_label_is_named() -> None:
    with pytest.raises(BadRows) as caught:
        codec().encode({"image": [PICTURE] * 3, "label": [["cat"], ["cat", "dgo"], "bird; cat"]})
    assert {place: str(error) for place, error in caught.value.rows.items()} == {
        1: "rows[1].label: expected known labels, found 'dgo'. Did you mean 'dog'?",
        2: "rows[2].label: expected known labels, found 'bird'. Choose from: cat, dog."}


def test_decode_gives_all_likely_names() -> None:
    out = codec(0.4).decode({"label_probability": np.array([[0.25, 0.75], [0.5, 0.4], [0.1, 0.2]], np.float32)})
    assert out["labels"] == [["dog"], ["cat", "dog"], []]
    assert list(out["probabilities"][0]) == ["cat", "dog"]
    for name, field in codec(0.4).schema().outputs.items():
        for value in out[name]:
            field.check(value, name)


@pytest.mark.parametrize(("values", "expected"), [
    ([["a"], ["a", "b"]], "several"), (["a", "b", "a;b"], "several"), (["a | b", "b|c", "a | c", "c"], "several"), (['["a"]', "[]"], "several"),
    (["a", "b"], "one"), (["salt; pepper", "oil"], "one"), (["[x", "y"], "one"), ([1.0, 2.0], "one")])
def test_whether_there_are_several_is_seen(values: list[object], expected: str) -> None:
    assert how_many(values) == expected


def test_the_contract() -> None:
    made = rows(60)
    task = ImageClassification(translate=0, test_time_augmentation=False)
    testing.check_task(task, made)
    testing.check_codec(task.prepare(testing._RowsSource(made))[1], made)
    assert task.prepare(testing._RowsSource(made))[0].labels == "several"


def test_class_weights_are_settled_and_only_when_asked() -> None:
    source = testing._RowsSource({"image": [PICTURE] * 40, "label": ["cat"] * 30 + ["dog"] * 10})
    assert ImageClassification().prepare(source)[0].class_weights is None
    assert ImageClassification(class_weights="auto").prepare(source)[0].class_weights == {"cat": 0.6667, "dog": 2.0}
    assert ImageClassification(class_weights={"dog": 3}).prepare(source)[0].class_weights == {"cat": 1.0, "dog": 3.0}
    with pytest.raises(DataError) as caught:
        ImageClassification(class_weights={"dgo": 3}).prepare(source)
    assert str(caught.value) == "task.class_weights: expected names of classes, found 'dgo'. Did you mean 'dog'?"


def test_smoothing_is_refused_with_several_labels() -> None:
    with pytest.raises(SpecError) as caught:
        ImageClassification(label_smoothing=0.1).prepare(testing._RowsSource(rows(20)))
    assert str(caught.value) == "task.label_smoothing: expected 0 where pictures have several labels, found 0.1. Leave it out."


def test_weighted_losses_are_means_over_rows() -> None:
    torch.manual_seed(0)
    logits, target, many = torch.randn(8, 3), torch.randint(0, 3, (8,)), torch.randint(0, 2, (8, 3)).float()
    weights = (0.5, 1.0, 4.0)
    batch = {learning.PARTNER: target.flip(0), learning.SHARE: torch.rand(8)}
    for found in (lambda rows: learning.one_name(logits[rows], target[rows], {n: t[rows] for n, t in batch.items()}, 0.1, weights),
                  lambda rows: learning.one_name(logits[rows], target[rows], {}, 0.1, weights),
                  lambda rows: learning.several_names(logits[rows], many[rows], {}, weights)):
        torch.testing.assert_close((found(slice(0, 4)) + found(slice(4, 8))) / 2, found(slice(0, 8)))
    cost = F.cross_entropy(logits, target, reduction="none")
    torch.testing.assert_close(learning.one_name(logits, target, {}, 0.0, weights), (cost * torch.tensor(weights)[target]).mean())
    blend = batch | {learning.PARTNER: many.flip(0)}
    between = torch.lerp(many.flip(0), many, batch[learning.SHARE].unsqueeze(1))
    torch.testing.assert_close(learning.several_names(logits, many, blend, None), F.binary_cross_entropy_with_logits(logits, between))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run from a table of picture files and lists of labels."""
    folder = tmp_path_factory.mktemp("bands")
    made = rows(150)
    lines = []
    for i, (picture, names) in enumerate(zip(made["image"], made["label"], strict=True)):
        Pillow.fromarray(picture).save(folder / f"{i}.png")
        lines.append(json.dumps({"image": f"{i}.png", "label": names}))
    (folder / "rows.jsonl").write_text("\n".join(lines))
    guess = infer(open_source(Data(path=str(folder / "rows.jsonl"))))
    assert guess.task == {"kind": "image-classification", "image": "image", "target": "label"}
    data = Data(path=str(folder / "rows.jsonl"), **guess.data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THUJA_CACHE", str(folder / "cache"))
        run = thuja.train(Spec(task=ImageClassification(class_weights="auto"), data=data, check=Check(enabled=True),
                               train=Train(steps=60, batch=32, threads=1, device="cpu")), root=folder / "runs")
        thuja.evaluate(run)
        thuja.export(run)
    return run


def test_it_learns_and_its_answers_stay_in_one_file(finished: Run) -> None:
    scores = finished.read("scores.json")
    assert scores["goal"] == "mean_average_precision" and scores["test"]["mean_average_precision"]["value"] > 0.95
    assert scores["baseline"]["label_f1_micro"]["value"] > 0.5
    answered = outputs_file.read(finished.path / "outputs-test.parquet")
    assert answered.ours.target.shape == answered.ours.arrays["label_probability"].shape == answered.ours.arrays["decided"].shape
    assert "_features" not in answered.ours.arrays
    reasons = finished.read("reasons.json")
    assert set(reasons["task.class_weights"][0]) == set(BANDS) and "Auto: rare classes" in reasons["task.class_weights"][1]


def test_the_report_shows_labels_and_what_the_answers_hang_on(finished: Run) -> None:
    page = (finished.path / "report.html").read_text()
    assert "Average precision of each label" in page and pictures.TITLE in page
    assert "the picture, Grad-CAM, integrated gradients." in page and page.count('alt="Answered ') >= 4


def test_it_is_served_without_what_is_hidden(finished: Run) -> None:
    predictor = Predictor(thuja.Artifact.open(finished.path / "artifact"))
    assert [spec.name for spec in predictor.outputs["predict"]] == ["label_probability", "_features"]
    asked = rows(20, seed=5)
    answers = predictor.predict({"image": asked["image"]})
    assert set(answers) == {"labels", "probabilities"}
    right = [set(found) == set(names) for found, names in zip(answers["labels"], asked["label"], strict=True)]
    assert np.mean(right) > 0.8


def test_saliency_points_at_the_band(finished: Run) -> None:
    spec = Spec[ImageClassification].model_validate(finished.spec_data())
    made = finished.codec()
    assert isinstance(made, ImageClassificationCodec)
    model = spec.task.build(made)
    checkpoint.load_model(finished.best_checkpoint(), model)
    asked = rows(40, seed=7)
    columns = made.encode(asked)
    arrays = {"label_probability": spec.task.programs(model.eval(), made)["predict"].module(torch.from_numpy(columns["image"]))[0].detach().numpy()}
    outputs = spec.task.outputs(made, columns, arrays)
    chart = pictures.saliency(model, made, pictures.Part(testing._RowsSource(asked), columns), outputs)
    assert all("the likeliest being " in still.caption and still.caption.startswith("Answered rightly ") for still in chart.stills[:1])
    assert 1 <= len(chart.stills) <= 8 and all(len(still.data) < 20_000 for still in chart.stills)
    places, _ = pictures._chosen(outputs)
    inside = []
    for still, place in zip(chart.stills, places, strict=True):
        wide = np.asarray(Pillow.open(io.BytesIO(still.data)).convert("RGB")).astype(float)
        fine = wide[:, -96:]
        red = (fine[:, :, 0] - fine[:, :, 1:].mean(axis=2)).clip(min=0).reshape(12, 8, 12, 8).mean(axis=(1, 3)).sum(axis=1)
        best = list(made.names)[int(outputs.arrays["label_probability"][place].argmax())]
        inside.append(red[BANDS[best][1]].sum() / red.sum())
    assert np.mean(inside) > 1.3 / 3, "more red on the band that was named than chance would have"


def test_without_captum_the_report_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    chart = pictures.saliency(None, codec(), None, None)  # type: ignore[arg-type]  # nothing is looked at before captum is
    assert (chart.kind, list(chart.stills)) == ("stills", [])
    assert chart.alt == "Not drawn, because the package captum is not installed. Type: pip install 'thuja[explain]', and evaluate again."


@pytest.mark.slow
def test_the_price_of_8_bits_is_told_for_labels_too(finished: Run, tmp_path: Path) -> None:
    packed = thuja.export(finished, out=tmp_path / "small", int8=True)
    change = packed.certificate["int8"]["metrics"]
    assert set(change) >= {"mean_average_precision", "label_f1_micro"}


def test_labels_at_the_threshold_are_a_near_tie() -> None:
    outputs = codec().schema().outputs
    judge = Judge(outputs, {"probabilities": 1.0}, 1e-4)
    near, far = ({"labels": names, "probabilities": {"cat": cat, "dog": 0.9}} for names, cat in ((["cat", "dog"], 0.50005), (["dog"], 0.49997)))
    assert judge.differences(near, far)["labels"] == -1.0
    surely = {"labels": ["cat", "dog"], "probabilities": {"cat": 0.6, "dog": 0.9}}
    assert judge.differences(surely, far)["labels"] == np.inf
    assert judge.differences(near, near)["labels"] == 0.0
