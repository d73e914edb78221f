import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from thuja.apps.face_recognition import baseline
from thuja.apps.face_recognition.codec import FaceRecognitionCodec, hashed
from thuja.apps.face_recognition.task import FaceRecognition, Recogniser
from thuja.artifact.runtime import Predictor
from thuja.codec import Embedder, Rows, load
from thuja.core.errors import BadRows, DataError
from thuja.fields import Image
from thuja.fields.pixels import all_grey
from thuja.metrics import METRICS
from thuja.metrics.verification import ranks
from thuja.models.face_embedder import FaceEmbedder
from thuja.settings import Data, GivenSplit, GroupSplit, Train
from thuja.spec import Spec
from thuja.task import Facts, Part
from thuja.testing import check_codec, check_task
from thuja.verbs.evaluate import evaluate
from thuja.verbs.export import export
from thuja.verbs.train import train

SMALL = FaceEmbedder(widths=(8, 12), dim=16, patches=8, dropout=0.0)
KINDS = {"face-recognition": "thuja.apps.face_recognition.codec:FaceRecognitionCodec"}


def face(person: int, take: int, height: int = 28, width: int = 23) -> np.ndarray:
    """A made-up face, uint8 [H, W, 1]: soft patches that belong to the person, seen from a slightly other place each time, with noise."""
    own, each = np.random.default_rng(person), np.random.default_rng((person, take))
    patches = Pillow.fromarray(own.integers(40, 216, (6, 5), dtype=np.uint8)).resize((width + 4, height + 4), Pillow.Resampling.BICUBIC)
    down, right = each.integers(0, 5, 2)
    picture = np.asarray(patches, float)[down : down + height, right : right + width] + each.normal(0, 6, (height, width)) + each.normal(0, 10)
    return picture.clip(0, 255).astype(np.uint8)[:, :, None]


class People:
    """Some takes of some people."""

    names = ("image", "label")

    def __init__(self, people: range = range(8), takes: range = range(6)) -> None:
        self.rows = [(person, take) for person in people for take in takes]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, index: np.ndarray) -> Rows:
        return {"image": [face(*self.rows[i]) for i in index], "label": [f"s{self.rows[i][0]}" for i in index]}

    def batches(self, size: int = 1024) -> Iterator[Rows]:
        for start in range(0, len(self), size):
            yield self.take(np.arange(start, min(start + size, len(self))))

    def ids(self, index: np.ndarray) -> list[str]:
        return [str(self.rows[i]) for i in index]

    def all(self) -> Rows:
        return self.take(np.arange(len(self)))


def write(folder: Path, people: range, takes: range) -> Path:
    for person in people:
        (folder / f"s{person}").mkdir(parents=True)
        for take in takes:
            Pillow.fromarray(face(person, take)[:, :, 0]).save(folder / f"s{person}" / f"{take}.pgm")
    return folder


def part(task: FaceRecognition, codec: FaceRecognitionCodec, source: People) -> Part:
    return Part(source, codec.encode(source.all()))


def made() -> FaceRecognitionCodec:
    return FaceRecognition(model=SMALL).prepare(People())[1]


def refused(source: People, message: str, **keys: object) -> None:
    with pytest.raises(DataError) as caught:
        FaceRecognition(model=SMALL, **keys).prepare(source)
    assert str(caught.value) == message


@pytest.mark.parametrize("kind", ["arcface", "cosface"])
def test_the_contract(kind) -> None:
    check_task(FaceRecognition(model=SMALL, loss_kind=kind), People(range(5), range(4)).all())


def test_the_codec_holds_no_name_and_reads_back() -> None:
    codec = made()
    check_codec(codec, People(range(3), range(2)).all())
    assert load(json.loads(codec.dumps()), KINDS) == codec
    assert not any(f'"s{i}"' in codec.dumps().decode() for i in range(8))
    assert isinstance(codec, Embedder) and codec.enrolled() == ("image", "embedding")
    assert set(codec.thresholds().values()) <= set(METRICS)


def test_people_unseen_in_training_have_a_number_of_their_own() -> None:
    target = np.asarray(made().encode(People(range(6, 10), range(2)).all())["label"])
    assert target.shape == (8, 2) and target.dtype == np.int64
    assert target[:, 0].tolist() == [6, 6, 7, 7, -1, -1, -1, -1]
    assert target[:, 1].tolist() == [int(hashed(f"s{i}"), 16) for i in (6, 6, 7, 7, 8, 8, 9, 9)]
    assert np.array_equal(made().encode({"image": [face(0, 0)], "label": [3.0]})["label"], made().encode({"image": [face(0, 0)], "label": ["3"]})["label"])


def test_bad_rows_are_all_named() -> None:
    with pytest.raises(BadRows) as caught:
        made().encode({"image": [face(0, 0), b"hello", face(0, 1)], "label": ["s0", "s1", None]})
    assert {place: str(error) for place, error in caught.value.rows.items()} == {
        1: "rows[1].image: expected a picture, found text 'hello'. Send a whole JPEG, PNG, WebP, BMP, GIF, TIFF or PPM file.",
        2: "rows[2].label: expected the name of a person, found nothing. Give every picture a name."}


def test_a_face_in_any_kind_of_file_is_one_face(tmp_path: Path) -> None:
    codec, grey = made(), face(3, 1)[:, :, 0]
    wanted = np.asarray(codec.encode({"image": [grey]})["image"])[0].astype(int)
    rgba = np.dstack([grey, grey, grey, np.full_like(grey, 255)])
    turned = Pillow.Exif()
    turned[0x0112] = 6
    files = {"grey.png": Pillow.fromarray(grey), "rgba.png": Pillow.fromarray(rgba), "deep.png": Pillow.fromarray(grey.astype(np.uint16) * 257),
             "cmyk.tiff": Pillow.fromarray(np.dstack([grey] * 3)).convert("CMYK"),
             "large.png": Pillow.fromarray(grey).resize((230, 280), Pillow.Resampling.NEAREST)}
    for name, picture in files.items():
        picture.save(tmp_path / name)
    Pillow.fromarray(np.rot90(grey)).save(tmp_path / "turned.png", exif=turned)
    for name in (*files, "turned.png"):
        found = np.asarray(codec.encode({"image": [tmp_path / name]})["image"])[0].astype(int)
        assert np.abs(found - wanted).mean() < 3, name


def test_a_picture_of_twenty_megapixels_is_taken_and_one_beyond_the_limit_is_not() -> None:
    out = io.BytesIO()
    Pillow.fromarray(np.zeros((4000, 5000), np.uint8)).save(out, "JPEG", quality=30)
    assert np.asarray(made().encode({"image": [out.getvalue()]})["image"]).shape == (1, 28, 23, 1)
    small = made().model_copy(update={"field": Image(channels=1, max_pixels=10_000_000)})
    with pytest.raises(BadRows) as caught:
        small.encode({"image": [out.getvalue()]})
    assert str(caught.value) == "rows[0].image: expected at most 10000000 pixels, found 5000 x 4000. Scale the picture down, or raise max_pixels."


def test_too_few_people_or_pictures() -> None:
    refused(People(range(1)), "label: expected pictures of at least two people, found only 's0'. Add pictures of others: to recognise is to tell apart.")
    refused(People(range(5), range(1)), "label: expected at least two pictures of some people, found one of each of 5. "
            "Add pictures: from a single one nobody can learn what may change in a face.")
    refused(People(), "who: expected a column of this name, found 2 others. Choose from: image, label.", target="who")
    texts = People()
    texts.take = lambda index: {"image": ["a.pgm"] * len(index), "label": [f"s{i % 2}" for i in range(len(index))]}  # type: ignore[method-assign]
    with pytest.raises(DataError, match=r"^image: expected pictures, found none that can be read"):
        FaceRecognition(model=SMALL, size=28).prepare(texts)


def test_somebody_with_one_picture_trains_with_the_others_and_makes_no_pair() -> None:
    source = People(range(4), range(4))
    source.rows.append((9, 0))
    task, codec = FaceRecognition(model=SMALL).prepare(source)
    assert len(codec.people) == 5
    torch.manual_seed(0)
    programs, columns = task.programs(task.build(codec).eval(), codec), codec.encode(People(range(20, 23), range(1)).all())
    vectors, rank = (t.detach().numpy() for t in programs["identify"].module(torch.from_numpy(columns["image"]), torch.from_numpy(columns["label"])))
    outputs = task.outputs(codec, columns, {"embedding": vectors, "rank": rank})
    assert outputs.arrays["rank"].tolist() == [0, 0, 0]
    assert all(np.isnan(METRICS[name].value(outputs)) for name in task.metrics(codec))


def test_what_is_settled() -> None:
    task, codec = FaceRecognition(model=SMALL).prepare(People())
    assert (task.size, task.channels, codec.height, codec.width, codec.dim) == ((28, 23), 1, 28, 23, 16)
    choices = task.choices(codec, Facts(rows=300, cores=2, device="cpu", budget_s=None))
    assert (choices["train.batch"].value, choices["train.steps"].value) == (64, 800)
    assert "train.steps" not in task.choices(codec, Facts(rows=300, cores=2, device="cpu", budget_s=60.0))
    assert all_grey(np.repeat(face(0, 0)[None], 3, axis=3))
    assert not all_grey(np.dstack([face(0, 0), face(1, 0), face(2, 0)])[None])


def test_known_people_are_ranked_by_prototypes_and_others_among_the_part() -> None:
    task, codec = FaceRecognition(model=SMALL).prepare(People(range(4)))
    torch.manual_seed(1)
    model = task.build(codec).eval()
    assert isinstance(model, Recogniser)
    columns = codec.encode(People(range(2, 7), range(3)).all())
    vectors, rank = (t.detach().numpy() for t in task.programs(model, codec)["identify"].module(*map(torch.from_numpy, (columns["image"], columns["label"]))))
    cosine = model.head.cosines(torch.from_numpy(vectors)).detach().numpy()
    found = task.outputs(codec, columns, {"embedding": vectors, "rank": rank}).arrays["rank"]
    for row, place in enumerate(columns["label"][:, 0]):
        wanted = 1 + (cosine[row] > cosine[row, place]).sum() if place >= 0 else ranks(vectors, columns["label"][:, 1])[row]
        assert found[row] == wanted


def test_the_answer_to_a_mirror_image_is_the_same_and_a_row_stands_alone() -> None:
    task, codec = FaceRecognition(model=SMALL).prepare(People())
    torch.manual_seed(0)
    predict = task.programs(task.build(codec).eval(), codec)["predict"].module
    pixels = torch.from_numpy(np.asarray(codec.encode(People(range(3), range(2)).all())["image"]))
    assert torch.allclose(predict(pixels), predict(pixels.flip(2)), atol=1e-5)
    assert torch.allclose(predict(pixels)[2:3], predict(pixels[2:3]), atol=1e-5)


def test_eigenfaces_answer_in_the_same_form() -> None:
    task, codec = FaceRecognition(model=SMALL).prepare(People(range(6)))
    known, asked = part(task, codec, People(range(6), range(4))), part(task, codec, People(range(3, 9), range(4, 8)))
    answered = baseline.fit(known.columns, asked.columns, "image", "label", seed=0)
    assert answered.name == "eigenfaces (23 components)" and answered.outputs["embedding"].shape == (24, 23)
    outputs = task.outputs(codec, asked.columns, {"embedding": np.zeros((24, 16)), "rank": np.ones(24, int)}, asked.source)._replace(arrays=answered.outputs)
    assert METRICS["rank_1"].value(outputs) > 0.7
    assert baseline.among(np.eye(3)[:2], np.array([7, 9]), np.eye(3), np.array([5, 7, 9])).tolist() == [3, 3], "as alike as others comes last"


def test_from_a_folder_of_people_to_an_artefact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THUJA_CACHE", str(tmp_path / "cache"))
    data = Data(path=str(write(tmp_path / "people", range(16), range(6))), split=GroupSplit(column="label", validation=0.2, test=0.3))
    run = train(Spec(task=FaceRecognition(model=SMALL), data=data, train=Train(steps=60, batch=48)), root=tmp_path / "runs")
    scores = evaluate(run)
    assert scores.goal == "eer" and scores.baseline is not None and scores.metrics["eer"].value < 0.4
    assert scores.groups == scores.count / 6, "the pictures of a person are drawn together"
    card = (run.path / "card.md").read_text("utf-8")
    assert "## Cautions" in card and "No face detector" in card and "consent" in card
    report = (run.path / "report.html").read_text("utf-8")
    assert all(words in report for words in ("True accepts and false ones", "The pairs that are hardest to tell", "100% of the pictures"))
    artifact = export(run)
    predictor = Predictor(artifact)
    answered = predictor.predict({"image": [face(3, 9), face(3, 10)]})["embedding"]
    assert np.allclose(np.linalg.norm(answered, axis=1), 1, atol=1e-4)
    assert sorted(predictor.sessions) == ["predict"], "what judges stays at home"
    assert isinstance(artifact.scores["test"]["threshold_far_1e2"]["value"], float)


def test_half_of_the_takes_of_everyone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THUJA_CACHE", str(tmp_path / "cache"))
    split = GivenSplit(column="take", test=("4", "5", "6", "7"), validation=0.0)
    data = Data(path=str(write(tmp_path / "people", range(5), range(8))), pattern="{label}/{take}", split=split)
    run = train(Spec(task=FaceRecognition(model=SMALL), data=data, train=Train(steps=40, batch=20)), root=tmp_path / "runs")
    scores = evaluate(run)
    assert scores.count == 20 and scores.metrics["rank_1"].value > 0.5


@pytest.mark.skipif(not Path(os.environ.get("THUJA_DATA", "../shared/data"), "orl_faces").is_dir(), reason="no orl_faces here")
def test_the_real_people_are_recognised_as_people(tmp_path: Path) -> None:
    from thuja.verbs.init import init

    _, notes = init(Path(os.environ.get("THUJA_DATA", "../shared/data"), "orl_faces"), out=tmp_path / "thuja.yaml")
    assert notes[0].startswith("400 pictures of 40 people")
