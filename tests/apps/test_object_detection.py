"""Object detection: the codec, the task, and the whole way to the artefact, on made-up pictures of bright rectangles and discs."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from thuja.apps import CODECS
from thuja.apps.object_detection import baseline, judge
from thuja.apps.object_detection.codec import ObjectDetectionCodec
from thuja.apps.object_detection.predict import original
from thuja.apps.object_detection.task import ObjectDetection, _drawn
from thuja.artifact.runtime import Predictor
from thuja.codec import load, rectangular
from thuja.core.errors import BadRows, DataError, SpecError
from thuja.data.objects import from_object
from thuja.fields import Image
from thuja.graph.onnxwrite import to_onnx
from thuja.metrics import METRICS
from thuja.metrics.boxes import Found
from thuja.models.detector import Detector
from thuja.settings import Data, Evaluate, Train
from thuja.spec import Spec
from thuja.task import Facts, Part
from thuja.testing import check_codec, check_task

SMALL = Detector(widths=(8, 12, 16, 16), depth=(0, 1, 1, 0), dim=16)
KINDS = ("disc", "square")


def scene(rng: np.random.Generator, height: int = 72, width: int = 96) -> tuple[np.ndarray, list[dict]]:
    """A dark picture of up to three bright squares and discs that do not touch."""
    picture = rng.integers(20, 60, (height, width, 3)).astype(np.uint8)
    boxes = []
    for place in rng.permutation(6)[: rng.integers(0, 4)]:
        side = int(rng.integers(14, 30))
        x, y = (place % 3) * (width // 3) + rng.integers(0, 3), (place // 3) * (height // 2) + rng.integers(0, 6)
        kind = KINDS[int(rng.integers(2))]
        yy, xx = np.mgrid[:side, :side] - (side - 1) / 2
        mask = (yy**2 + xx**2 <= (side / 2) ** 2) if kind == "disc" else np.ones((side, side), bool)
        patch = picture[y : y + side, x : x + side]
        patch[mask] = [230, 80, 60] if kind == "disc" else [60, 120, 240]
        boxes.append({"label": kind, "box": [float(x), float(y), float(x + side), float(y + side)]})
    return picture, boxes


def scenes(rows: int, seed: int = 0, **shape: int) -> dict:
    rng = np.random.default_rng(seed)
    pictures, boxes = zip(*(scene(rng, **shape) for _ in range(rows)), strict=True)
    return {"image": list(pictures), "boxes": list(boxes)}


def codec(**changes: object) -> ObjectDetectionCodec:
    plain = {"image": "image", "target": "boxes", "names": KINDS, "height": 64, "width": 96, "mean": (50.0,) * 3, "std": (40.0,) * 3}
    return ObjectDetectionCodec(**{**plain, **changes})


def png(picture: np.ndarray | Pillow.Image, form: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    (picture if isinstance(picture, Pillow.Image) else Pillow.fromarray(picture)).save(out, form, **options)
    return out.getvalue()


def test_a_picture_keeps_its_shape_in_the_letter_box() -> None:
    columns = codec().encode({"image": [np.full((100, 50, 3), 200, np.uint8), np.full((10, 200, 3), 200, np.uint8)]})
    assert columns["image"].shape == (2, 64, 96, 3)
    np.testing.assert_allclose(columns["image_placed"], [[0.64, 0.64, 32, 0, 50, 100], [0.48, 0.5, 0, 29, 200, 10]], rtol=1e-6)
    seen = (columns["image"] == 200).all(3)
    assert [np.argwhere(mask).min(0).tolist() + np.argwhere(mask).max(0).tolist() for mask in seen] == [[0, 32, 63, 63], [29, 0, 33, 95]]
    assert (columns["image"][~seen] == 114).all()


@pytest.mark.parametrize("shape", [(480, 640), (640, 480), (31, 997), (997, 31), (64, 96), (1, 1), (3000, 17), (37, 53)])
def test_boxes_come_back_to_half_a_pixel_whatever_the_shape(shape: tuple[int, int]) -> None:
    height, width = shape
    rng = np.random.default_rng(height)
    ends = np.sort(rng.uniform(0, 1, (20, 2, 2)), axis=1) * [width, height]
    boxes = [{"label": "disc", "box": [*low, *high]} for low, high in ends.tolist()]
    columns = rectangular(codec().encode({"image": [np.zeros((height, width, 3), np.uint8)], "boxes": [boxes]}))
    placed = torch.from_numpy(columns["image_placed"])
    inside = _drawn(torch.from_numpy(columns["boxes"]), placed)
    assert (inside.box[..., 2:] <= torch.tensor([96.0, 64.0]) + 1e-3).all() and (inside.box >= -1e-3).all()
    back = original(inside.box, placed).numpy()[0]
    np.testing.assert_allclose(back, ends.reshape(20, 4), atol=0.5)
    np.testing.assert_allclose(back, ends.reshape(20, 4), rtol=1e-4, atol=1e-2)


def test_a_bright_spot_is_where_the_codec_says() -> None:
    """Against pixels, not against the inverse of the same formula: the middle of a block in the letter box is the middle of its drawn box."""
    for height, width in ((200, 300), (300, 120), (90, 700)):
        picture = np.zeros((height, width, 3), np.uint8)
        picture[40:60, 50:90] = 255
        made = codec(height=256, width=320)
        columns = made.encode({"image": [picture], "boxes": [[{"label": "disc", "box": [50, 40, 90, 60]}]]})
        bright = np.argwhere((columns["image"][0] > 128).all(2))
        seen = torch.tensor([[[*bright.min(0)[::-1], *(bright.max(0)[::-1] + 1)]]], dtype=torch.float32)
        back = original(seen, torch.from_numpy(columns["image_placed"]))[0, 0].numpy()
        scale = columns["image_placed"][0, 0]
        np.testing.assert_allclose(back, [50, 40, 90, 60], atol=0.5 + 0.5 / scale)  # a pixel of the letter box is lit or not


def test_odd_pictures_are_read_and_boxes_are_of_the_upright_one() -> None:
    base = np.zeros((40, 80, 3), np.uint8)
    base[10:20, 20:60] = 255
    exif = Pillow.Exif()
    exif[0x0112] = 6
    sideways = png(base, "JPEG", exif=exif, quality=95)
    files = [png(Pillow.fromarray(base).convert("L")), png(Pillow.fromarray(base).convert("RGBA")), png(Pillow.fromarray(base).convert("CMYK"), "JPEG"),
             png(Pillow.fromarray(base[..., 0].astype(np.uint16) * 257)), base, sideways]
    columns = codec().encode({"image": files})
    assert columns["image_placed"][:, 4:].tolist() == [[80, 40]] * 5 + [[40, 80]]
    turned = (columns["image"][5] > 128).all(2)
    where = np.argwhere(turned)
    box = torch.tensor([[[*where.min(0)[::-1], *(where.max(0)[::-1] + 1)]]], dtype=torch.float32)
    np.testing.assert_allclose(original(box, torch.from_numpy(columns["image_placed"][5:]))[0, 0].numpy(), [20, 20, 30, 60], atol=1.5)


def test_grey_pictures_have_one_channel() -> None:
    made = codec(field=Image(channels=1), mean=(50.0,), std=(40.0,))
    columns = made.encode({"image": [np.full((30, 90, 3), 7, np.uint8), png(np.full((64, 96), 9, np.uint8))]})
    assert columns["image"].shape == (2, 64, 96, 1)
    assert sorted(set(columns["image"].ravel().tolist())) == [7, 9, 114]
    task, learned = ObjectDetection(channels=1).prepare(from_object(scenes(4)))
    assert (len(learned.mean), task.build(learned).stem[0].in_channels) == (1, 1)


def test_twenty_megapixels_are_taken_and_a_bomb_is_not() -> None:
    large = png(np.zeros((4000, 5000, 3), np.uint8), "JPEG")
    assert codec().encode({"image": [large]})["image_placed"][0, 4:].tolist() == [5000, 4000]
    with pytest.raises(BadRows) as caught:
        codec().encode({"image": [png(Pillow.new("L", (9000, 6000)))]})
    assert str(caught.value) == "rows[0].image: expected at most 50000000 pixels, found 9000 x 6000. Scale the picture down, or raise max_pixels."


def test_boxes_are_cut_off_left_out_or_refused() -> None:
    picture = np.zeros((50, 80, 3), np.uint8)
    drawn = [("disc", [-10, 5, 20, 60]), ("disc", [30, 5, 30, 9]), ("square", [40, 9, 35, 20]), ("square", [90, 5, 99, 9]), ("square", [1, 2, 3, 4])]
    boxes = [{"label": label, "box": box} for label, box in drawn]
    column = codec().encode({"image": [picture, picture, picture], "boxes": [boxes, [], [{"label": "disc", "box": [0, 0, 9, 9], "ignore": True}]]})["boxes"]
    assert column.offsets.tolist() == [0, 2, 2, 3]
    assert column.values.tolist() == [[1, 0, 5, 20, 50, 0], [2, 1, 2, 3, 4, 0], [1, 0, 0, 9, 9, 1]]
    with pytest.raises(BadRows) as caught:
        codec().encode({"image": [picture, b"", picture, picture, picture],
                        "boxes": [[{"label": "dics", "box": [0, 0, 1, 1]}], [], None, [{"label": "disc", "box": [0, 0, float("nan"), 1]}],
                                  [{"box": [1, 2, 3, 4]}]]})
    form = 'Write {"label": name, "box": [left, top, right, bottom]}, in pixels of the upright picture.'
    assert {i: str(error) for i, error in caught.value.rows.items()} == {
        0: "rows[0].boxes[0].label: expected a known class, found 'dics'. Did you mean 'disc'?",
        1: "rows[1].image: expected a picture, found an empty file. Send a whole JPEG, PNG, WebP, BMP, GIF, TIFF or PPM file.",
        2: f"rows[2].boxes: expected a list of at most 1073741824 boxes, found nothing. {form}",
        3: f"rows[3].boxes[0].box: expected four numbers, found [0, 0, nan, 1]. {form}",
        4: "rows[4].boxes[0]: expected a label and a box, found {'box': [1, 2, 3, 4]}. " + form,
    }


def test_the_promises_of_a_codec() -> None:
    check_codec(codec(), scenes(12))
    assert load(json.loads(codec().dumps()), CODECS) == codec()


def test_decode_leaves_out_what_is_below_the_threshold() -> None:
    outputs = {"boxes": np.arange(24.0).reshape(2, 3, 4), "score": np.array([[0.9, 0.3, 0.0], [0.2, 0, 0]]), "label": np.array([[1, 0, 0], [0, 0, 0]])}
    found = codec().decode(outputs)["boxes"]
    assert found == [[{"label": "square", "box": [0, 1, 2, 3], "score": 0.9}, {"label": "disc", "box": [4, 5, 6, 7], "score": 0.3}], []]
    assert len(codec(threshold=0.0).decode(outputs)["boxes"][1]) == 1


def test_prepare_settles_size_and_classes() -> None:
    task, made = ObjectDetection().prepare(from_object(scenes(20)))
    assert (task.size, made.names, made.threshold, task.model) == ((96, 96), KINDS, 0.3, Detector())
    wide, _ = ObjectDetection().prepare(from_object(scenes(4, height=480, width=640)))
    assert wide.size == (256, 320)
    typed, _ = ObjectDetection(size=64).prepare(from_object(scenes(4)))
    assert typed.size == (64, 64)
    with pytest.raises(SpecError) as caught:
        ObjectDetection(size=(100, 320)).prepare(from_object(scenes(4)))
    assert str(caught.value) == "task.size: expected multiples of 32, found 100 x 320. Set it to [96, 320]."


@pytest.mark.parametrize(("columns", "message"), [
    ({"photo": [b"x"], "boxes": [[]]}, "image: expected a column of this name, found 2 others. Choose from: boxes, photo."),
    ({"image": [np.zeros((9, 9, 3), np.uint8)], "boxes": [[]]},
     "boxes: expected at least one box, found none in any picture. Check that the annotations belong to these pictures."),
    ({"image": [b"", b""], "boxes": [[{"label": "a", "box": [0, 0, 1, 1]}], []]},
     "image: expected pictures, found none that can be read (expected a picture, found an empty file). "
     "Send a whole JPEG, PNG, WebP, BMP, GIF, TIFF or PPM file."),
    ({"image": [b""], "boxes": ["cat"]}, "rows[0].boxes: expected a list of at most 1073741824 boxes, found str. "
     'Write {"label": name, "box": [left, top, right, bottom]}, in pixels of the upright picture.'),
])
def test_prepare_names_what_is_wrong(columns: dict, message: str) -> None:
    with pytest.raises(DataError) as caught:
        ObjectDetection().prepare(from_object(columns))
    assert str(caught.value) == message


def test_the_contract() -> None:
    check_task(ObjectDetection(size=(64, 96), model=SMALL), scenes(24))


def test_augmented_boxes_are_where_the_things_are() -> None:
    """Whatever mosaic, flip and scale do: in each box there is bright colour up to its edges, and outside of all there is none."""
    task, made = ObjectDetection(size=(96, 96), model=SMALL, mosaic=0.7, scale=0.3, flip="both", colour=0.0).prepare(from_object(scenes(32)))
    batch = {n: torch.from_numpy(a) for n, a in rectangular(made.encode(scenes(32))).items()}
    changed = task.augment(batch, torch.Generator().manual_seed(0))
    assert changed["image"].dtype == torch.uint8 and changed["image"].shape == batch["image"].shape
    bright = changed["image"].amax(3) > 190
    seen, boxes = torch.zeros_like(bright), 0
    for row in range(32):
        for label, *corners, _ in changed["boxes"][row][changed["boxes"][row][:, 0] > 0].tolist():
            left, top, right, bottom = (round(v) for v in corners)
            patch = bright[row, top:bottom, left:right]
            assert patch.float().mean() > (0.6 if label == 1 else 0.85), (row, corners)
            seen[row, max(0, top - 2) : bottom + 2, max(0, left - 2) : right + 2] = True
            boxes += 1
    assert boxes > 32
    assert (bright & ~seen).float().mean() < 0.02  # what a cut left too little of
    again = task.augment(batch, torch.Generator().manual_seed(0))
    assert all(torch.equal(changed[name], again[name]) for name in changed)


def test_the_exported_program_agrees_at_other_sizes() -> None:
    import onnxruntime

    task, made = ObjectDetection(size=(64, 96), model=SMALL).prepare(from_object(scenes(16)))
    torch.manual_seed(0)
    model = task.build(made)
    for name, parameter in model.named_parameters():
        if "head" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    program = task.programs(model, made)["predict"]
    session = onnxruntime.InferenceSession(to_onnx(program, rectangular(made.encode({"image": scenes(3)["image"]}))), providers=["CPUExecutionProvider"])
    for rows in (1, 5):
        asked = rectangular(made.encode({"image": scenes(rows, seed=rows, height=80, width=133)["image"]}))
        with torch.no_grad():
            expected = program.module(*(torch.from_numpy(asked[name]) for name in program.inputs))
        found = session.run(None, asked)
        assert found[0].shape == (rows, 100, 4) and (np.diff(found[1], axis=1) <= 0).all() and (found[1] > 0.3).any()
        for ours, theirs in zip(expected, found, strict=True):
            np.testing.assert_allclose(theirs, ours.numpy(), atol=2e-3)


def test_empty_places_have_score_zero() -> None:
    task, made = ObjectDetection(size=(64, 96), model=SMALL).prepare(from_object(scenes(16)))
    model = task.build(made)
    with torch.no_grad():
        for branch in model.classes:
            branch.head.bias.fill_(-20)
        asked = rectangular(made.encode({"image": scenes(2)["image"]}))
        boxes, score, label = task.programs(model, made)["predict"].module(*map(torch.from_numpy, asked.values()))
    assert not boxes.any() and not score.any() and not label.any()


def test_outputs_are_a_fixed_number_of_numbers_and_follow_the_threshold_not_at_all() -> None:
    task, made = ObjectDetection(size=(96, 96), model=SMALL).prepare(from_object(scenes(16)))
    data = scenes(10, seed=5)
    columns = made.encode(data)
    truth = judge.drawn(columns, made)
    k = truth.label.shape[1]
    perfect = Found(truth.box, np.where(truth.label >= 0, 0.5, 0.0), np.maximum(truth.label, 0))
    outputs = task.outputs(made, columns, {"boxes": perfect.box, "score": perfect.score, "label": perfect.label})
    assert {name: array.shape for name, array in outputs.arrays.items()} == {"boxes": (10, 4 * k), "score": (10, k), "label": (10, k), "judged": (10, 4 * k),
                                                                            "truth": (10, 8)}
    assert outputs.target.sum(1).tolist() == [len(boxes) for boxes in data["boxes"]]
    assert METRICS["map_50"].value(outputs) == pytest.approx(1.0)


def test_choices_and_goal() -> None:
    task = ObjectDetection()
    assert (task.goal.metric, task.targets) == ("map_50", ("boxes",))
    assert task.choices(codec(), Facts(rows=205, cores=2, device="cpu", budget_s=None))["train.batch"].value == 16
    assert "train.steps" not in task.choices(codec(), Facts(rows=205, cores=2, device="cpu", budget_s=180.0))


def test_the_baseline_finds_what_stands_out() -> None:
    task, made = ObjectDetection(size=(96, 96), model=SMALL).prepare(from_object(scenes(60)))
    known, asked = (Part(from_object(data), made.encode(data)) for data in (scenes(60), scenes(30, seed=1)))
    found = task.baseline(made, known, asked, 0)
    assert found is not None and found.name == "regions by thresholds and logistic regression"
    outputs = judge.outputs(made, asked.columns, Found(np.zeros((30, 1, 4)), np.zeros((30, 1)), np.zeros((30, 1), int)))._replace(arrays=found.outputs)
    assert METRICS["map_50"].value(outputs) > 0.8
    blank = np.full((40, 40, 3), 90, np.uint8)
    assert baseline.regions(blank).shape == (0, 4)


@pytest.mark.slow
def test_the_whole_way(tmp_path: Path) -> None:
    import thuja

    data = scenes(240)
    spec = Spec(task=ObjectDetection(size=(96, 96), model=SMALL, mosaic=0.3), data=Data(), evaluate=Evaluate(resamples=200),
                train=Train(steps=100, batch=8, device="cpu", threads=1))
    run = thuja.train(spec, root=tmp_path, data=data)
    scores = thuja.evaluate(run, data=data)
    assert scores.metrics["map_50"].value > 0.8 and scores.metrics["map_50_95"].low is not None
    assert scores.baseline is not None and scores.recommendation.verdict in ("network", "no difference", "baseline")
    page = (run.path / "report.html").read_text("utf-8")
    assert "Precision against recall" in page and "data:image/jpeg;base64" in page
    artifact = thuja.export(run, data=data)
    assert artifact.certificate["measured"]
    predictor = Predictor(artifact)
    picture, boxes = scene(np.random.default_rng(99))
    answers = predictor.predict({"image": [picture, png(picture)]})["boxes"]
    assert answers[0] == answers[1]
    found = {entry["label"] for entry in answers[0] if entry["score"] > 0.5}
    assert found >= {entry["label"] for entry in boxes}
    code = ("import sys; from thuja.artifact.folder import Artifact; from thuja.artifact.runtime import Predictor; import numpy as np; "
            "p = Predictor(Artifact.open(__import__('pathlib').Path(sys.argv[1]))); "
            "print(p.predict({'image': [np.zeros((30, 50, 3), np.uint8)]}), 'torch' in sys.modules)")
    out = subprocess.run([sys.executable, "-c", code, str(artifact.path)], capture_output=True, text=True, check=True).stdout
    assert out.endswith("False\n")
