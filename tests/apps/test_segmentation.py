"""Segmentation: tiles that leave no seam, the codec and its refusals, the task, and the whole way to the artefact, on bright squares in noise."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from thuja.apps import CODECS
from thuja.apps.segmentation import baseline, judge
from thuja.apps.segmentation.answer import Segmenter
from thuja.apps.segmentation.augment import lit, turned
from thuja.apps.segmentation.codec import SegmentationCodec
from thuja.apps.segmentation.task import Segmentation
from thuja.apps.segmentation.tiles import VOID, Grid, cut, fitting, joined, owners
from thuja.codec import last, load, rectangular, repeated, take
from thuja.core.errors import BadRows, DataError, SpecError
from thuja.data.objects import from_object
from thuja.fields import Image
from thuja.metrics import METRICS
from thuja.models.unet import UNet
from thuja.settings import Check, Data, Evaluate, Train
from thuja.spec import Spec
from thuja.task import Draw, Facts, Part
from thuja.testing import check_codec, check_task
from thuja.training import look

SMALL = UNet(widths=(6, 12), depth=1)


def scene(rng: np.random.Generator, height: int, width: int, channels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Noise with two bright squares, which may touch: a picture, and a mask that numbers them."""
    picture, mask = rng.integers(0, 100, (height, width, channels)).astype(np.uint8), np.zeros((height, width), np.uint8)
    for number in (1, 2):
        y, x = rng.integers(0, height - 9), rng.integers(0, width - 9)
        mask[y : y + 8, x : x + 8] = number
    picture[mask > 0] += 120
    return picture, mask


def scenes(rows: int, seed: int = 0, channels: int = 1) -> dict:
    rng = np.random.default_rng(seed)
    found = [scene(rng, int(height), int(width), channels) for height, width in rng.integers(20, 50, (rows, 2))]
    return {"image": [picture for picture, _ in found], "mask": [(mask > 0).astype(np.uint8) for _, mask in found]}


def codec(**changes: object) -> SegmentationCodec:
    plain = {"image": "image", "target": "mask", "names": ("background", "object"), "values": (0, 7), "void": (9,), "field": Image(channels=1), "height": 16,
             "width": 20, "halo": 4, "align": 2, "mean": (80.0,), "std": (50.0,), "frequency": (0.9, 0.1)}
    return SegmentationCodec(**{**plain, **changes})


def file(picture: Pillow.Image, format: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, format, **options)
    return out.getvalue()


@pytest.mark.parametrize("shape", [(1, 1), (15, 21), (16, 20), (17, 20), (40, 61), (200, 33)])
def test_every_pixel_has_one_owner_far_from_inner_borders(shape: tuple[int, int]) -> None:
    grid = Grid(16, 20, halo=4, align=2)
    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    tiles, owned = cut(picture, grid), owners(shape, grid)
    assert tiles.shape[1:] == (16, 20, 3)
    assert len(tiles) == len(owned)
    assert ((owned[:, 1] - owned[:, 0]) * (owned[:, 3] - owned[:, 2])).sum() == shape[0] * shape[1]
    assert np.array_equal(joined(tiles, shape, grid), picture)
    down = grid.starts(shape[0], 16)
    for start, (first, last_) in zip(down, grid.owned(shape[0], 16), strict=True):
        assert start % 2 == 0
        assert first == 0 or first - start >= 4
        assert last_ == shape[0] or start + 16 - last_ >= 4


def test_tiles_are_no_larger_than_asked_and_waste_little() -> None:
    for length in (200, 513, 960, 5000):
        tile = fitting(length, 56, 8, 512)
        assert tile <= 512
        assert tile % 8 == 0
        assert tile * len(Grid(tile, tile, 56, 8).starts(length, tile)) < 1.75 * length


@pytest.mark.parametrize("model", [UNet(widths=(4, 6, 8), depth=2), UNet(widths=(4, 8), depth=1, patch=2), UNet(widths=(3, 3, 3, 3), depth=1)], ids=repr)
def test_nothing_beyond_the_reach_changes_an_answer_and_something_near_it_does(model: UNet) -> None:
    torch.manual_seed(0)
    network = model.build(1, 2).double().eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, mean=0.1, std=0.2)
    size = -(-(4 * model.reach + 2) // model.align) * model.align
    x = torch.randn(1, 1, size, size, dtype=torch.float64, requires_grad=True)
    furthest = 0
    for place in range(size // 2, size // 2 + model.align):
        gradient, = torch.autograd.grad(network(x)[0, :, place, place].sum(), x)
        seen = gradient[0, 0].nonzero()
        furthest = max(furthest, int((seen - place).abs().max()))
    assert model.reach - model.align <= furthest <= model.reach


@pytest.mark.parametrize("model", [UNet(widths=(4, 6, 8), depth=2), UNet(widths=(4, 8), depth=1, patch=2)], ids=repr)
@pytest.mark.parametrize("shape", [(97, 131), (40, 200), (20, 20)])
def test_seams_are_exact(model: UNet, shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = model.build(1, 3).double().eval()
    torch.nn.init.normal_(network.head.weight)
    halo, least = -(-model.reach // model.align) * model.align, 2 * model.reach + 2 * model.align
    tile = -(-least // model.align) * model.align
    grid, whole = Grid(tile, tile + model.align, halo, model.align), np.random.default_rng(0).normal(size=shape)
    tiles = cut(whole, grid)
    with torch.inference_mode():
        answered = network(torch.from_numpy(tiles)[:, None]).permute(0, 2, 3, 1).numpy()
        lengths = [max(t, -(-length // model.align) * model.align) for length, t in zip(shape, (grid.height, grid.width), strict=True)]
        padded = np.pad(whole, [(0, more - length) for more, length in zip(lengths, shape, strict=True)], "symmetric")
        expected = network(torch.from_numpy(padded)[None, None])[0].permute(1, 2, 0).numpy()[: shape[0], : shape[1]]
    np.testing.assert_allclose(joined(answered, shape, grid), expected, rtol=0, atol=1e-11)
    assert (joined(answered.argmax(3), shape, grid) == expected.argmax(2)).all()


def test_the_program_answers_tile_by_tile_what_all_tiles_at_once_give() -> None:
    torch.manual_seed(0)
    task, made = Segmentation(model=SMALL, tile=(22, 24), crop=(22, 22)).prepare(from_object(scenes(8)))
    model = task.build(made).eval()
    torch.nn.init.normal_(model.network.head.weight)
    columns = made.encode(scenes(5, seed=3))
    arrays = look.answers(task.programs(model, made), columns)
    pictures, sizes = columns["image"], np.asarray(columns["image_size"])
    for row, size in enumerate(sizes):
        tiles = torch.from_numpy(pictures.values[pictures.offsets[row] : pictures.offsets[row + 1]].copy())
        with torch.inference_mode():
            probability = model(tiles).softmax(1).permute(0, 2, 3, 1).numpy()
        whole = made.whole(probability, size)
        assert np.array_equal(made.whole(arrays["mask"][row], size), whole.argmax(2))
        np.testing.assert_allclose(arrays["share"][row], whole.mean(axis=(0, 1)), atol=1e-5)


def test_the_codec_keeps_its_promises() -> None:
    rows = scenes(6)
    rows["mask"] = [mask * 7 for mask in rows["mask"]]
    check_codec(codec(), rows)
    assert load(codec().model_dump(mode="json"), CODECS) == codec()


def test_masks_are_class_numbers_and_void_beyond_the_picture() -> None:
    mask = np.zeros((10, 18), np.uint8)
    mask[2, 3], mask[4, 5] = 7, 9
    encoded = codec().encode({"image": [np.zeros((10, 18), np.uint8)], "mask": [mask]})["mask"].values
    assert encoded.shape == (1, 16, 20)
    assert (encoded[0, 2, 3], encoded[0, 4, 5], encoded[0, 0, 0]) == (1, VOID, 0)
    assert (encoded[0, 10:] == VOID).all() and (encoded[0, :, 18:] == VOID).all()
    numbered = codec(instances=True, values=(0, 1), void=()).encode({"image": [np.zeros((10, 18), np.uint8)], "mask": [mask.astype(np.uint16) * 100]})["mask"]
    assert (numbered.values[0, 2, 3], numbered.values[0, 4, 5]) == (1, 1)


def test_bad_masks_are_all_named() -> None:
    picture, mask = np.zeros((10, 18), np.uint8), np.zeros((10, 18), np.uint8)
    unknown, colours = mask.copy(), np.zeros((10, 18, 3), np.uint8)
    unknown[0, :2], colours[0, 0] = (3, 4), (1, 2, 3)
    bad = [mask[:9], unknown, file(Pillow.fromarray(colours)), file(Pillow.fromarray(mask), "JPEG"), b"", None,
           file(Pillow.effect_noise((99, 99), 50))[:900]]
    with pytest.raises(BadRows) as caught:
        codec().encode({"image": [picture] * (len(bad) + 1), "mask": [mask, *bad]})
    assert {place: str(error) for place, error in caught.value.rows.items()} == {
        1: "rows[1].mask: expected a mask of 18 x 10 pixels, like its picture, found 18 x 9. Save both at the same size; a picture is turned upright by its "
           "EXIF tag first.",
        2: "rows[2].mask: expected the numbers 0, 7, 9, found 3, 4. Correct the mask, or add the number to task.values or task.void.",
        3: "rows[3].mask: expected one number a pixel, found a mask in colours. Save the mask as a grey or palette PNG of class numbers.",
        4: "rows[4].mask: expected a mask as a PNG file, found a JPEG file, which changes the numbers. Save the mask as PNG.",
        5: "rows[5].mask: expected a mask, found an empty file. Give a whole PNG file.",
        6: "rows[6].mask: expected a mask, found NoneType. Give the bytes of a PNG file, or whole numbers, height x width.",
        7: "rows[7].mask: expected a whole mask, found a truncated or damaged file. Save the file again, or leave it out."}


def test_bad_pictures_are_all_named() -> None:
    with pytest.raises(BadRows) as caught:
        codec(field=Image(channels=1, max_pixels=20_000_000)).encode({"image": [b"hello", file(Pillow.new("1", (5001, 4000)))]})
    assert {place: str(error) for place, error in caught.value.rows.items()} == {
        0: "rows[0].image: expected a picture, found text 'hello'. Send a whole JPEG, PNG, WebP, BMP, GIF, TIFF or PPM file.",
        1: "rows[1].image: expected at most 20000000 pixels, found 5001 x 4000. Scale the picture down, or raise max_pixels."}
    with pytest.raises(DataError) as absent:
        codec().encode({"picture": []})
    assert str(absent.value) == "image: expected a column of this name, found 1 others. Choose from: picture."


def test_a_picture_of_twenty_megapixels_is_cut_and_comes_back_whole() -> None:
    large = codec(height=512, width=512, halo=56, align=8)
    columns = large.encode({"image": [np.zeros((4000, 5000), np.uint8)]})
    tiles = columns["image"].values
    assert len(tiles) == 130
    answered = np.repeat(np.arange(len(tiles), dtype=np.uint8), 512 * 512).reshape(1, *tiles.shape[:3])
    found = large.decode({"mask": answered, "size": np.array([[4000, 5000]]), "share": np.array([[1.0, 0.0]])})["mask"][0]
    assert found.shape == (4000, 5000)
    assert (found[0, 0], found[-1, -1]) == (0, 129)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "CMYK", "I;16", "1", "P"])
def test_a_picture_of_any_kind_is_answered_in_its_own_pixels(mode: str) -> None:
    grey = Pillow.fromarray(np.random.default_rng(0).integers(0, 256, (13, 29), dtype=np.uint8))
    picture = Pillow.fromarray(np.asarray(grey).astype(np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
    columns = codec().encode({"image": [file(picture, "TIFF" if mode == "CMYK" else "PNG")]})
    assert columns["image_size"].tolist() == [[13, 29]]
    if mode in ("L", "I;16", "RGB"):
        assert np.array_equal(codec().whole(columns["image"].values, np.array([13, 29]))[:, :, 0], np.asarray(grey))


def test_a_turned_photograph_is_answered_upright() -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6
    data = file(Pillow.new("L", (29, 13)), "JPEG", exif=exif)
    assert codec().encode({"image": [data]})["image_size"].tolist() == [[29, 13]]
    with pytest.raises(BadRows) as caught:
        codec().encode({"image": [data], "mask": [np.zeros((13, 29), np.uint8)]})
    assert "expected a mask of 13 x 29 pixels, like its picture, found 29 x 13" in str(caught.value)


def test_prepare_settles_everything_and_what_is_typed_stays() -> None:
    task, made = Segmentation().prepare(from_object(scenes(10)))
    assert "auto" not in task.model_dump().values()
    assert (task.values, task.classes, task.void, task.instances, task.channels, task.orientation) == ((0, 1), ("background", "object"), (), False, 1, "any")
    assert sum(made.frequency) == pytest.approx(1)
    typed = Segmentation(values=(0, 1), classes=("a", "b"), void=(), instances=False, channels=3, model=SMALL, tile=(24, 24), crop=(12, 12), orientation="any",
                         balance=0.5)
    assert typed.prepare(from_object(scenes(5)))[0] == typed


def test_up_is_up_where_halves_differ_and_255_is_void() -> None:
    rows = scenes(6)
    for mask in rows["mask"]:
        mask[: len(mask) // 2] = 0
        mask[len(mask) // 2 :] = 3
        mask[0, 0], mask[-1, -1] = 255, 1
    task, made = Segmentation().prepare(from_object(rows))
    assert (task.orientation, task.values, task.void, task.classes, task.balance) == ("upright", (0, 1, 3), (255,), ("0", "1", "3"), 0.5)
    assert made.judged == range(3)


def test_numbers_of_objects_are_seen() -> None:
    rng = np.random.default_rng(0)
    rows = {"image": [np.zeros((30, 30), np.uint8)] * 3, "mask": [(rng.permutation(900).reshape(30, 30) * (rng.random((30, 30)) > 0.3)).astype(np.uint16)] * 3}
    task, made = Segmentation().prepare(from_object(rows, ()))
    assert (task.instances, task.classes, made.void) == (True, ("background", "object"), ())
    assert "object_f1" in task.metrics(made)
    assert set(made.schema().outputs) == {"mask", "shares", "objects"}


@pytest.mark.parametrize(("settings", "message"), [
    ({"target": "masks"}, "masks: expected a column of this name, found 2 others. Did you mean 'mask'?"),
    ({"void": (1,)}, "mask: expected at least two classes in the masks, found the number 0 alone. Add masks of something, or correct task.void."),
    ({"classes": ("a",)}, "task.classes: expected 2 different names, one for each of the numbers 0, 1, found 1. Name each once, in the order of the numbers."),
    ({"tile": (32, 33)}, "task.tile: expected multiples of 2, at least 14 for this model, found 32 x 33. Choose larger tiles, or a model with fewer levels."),
    ({"tile": (32, 32), "crop": (34, 34)}, "task.crop: expected multiples of 2, at most 32 x 32 (the tile), found 34 x 34. Choose another size."),
    ({"tile": (32, 32), "crop": (16, 32), "orientation": "any"},
     "task.crop: expected equal sides, as pictures are turned, found 16 x 32. Choose equal sides, or orientation: upright."),
    ({"mirror": False, "orientation": "any"},
     "task.orientation: expected upright, as pictures are not mirrored, found 'any'. Choose upright, or mirror: true."),
    ({"values": (0, 1), "void": (1,)}, "task.values: expected different numbers, none of them in task.void, found [0, 1]. Correct one of them."),
])
def test_settings_that_cannot_be(settings: dict, message: str) -> None:
    with pytest.raises((DataError, SpecError)) as caught:
        Segmentation(model=SMALL, **settings).prepare(from_object(scenes(4)))
    assert str(caught.value) == message


def test_nothing_to_read() -> None:
    rows = scenes(2)
    with pytest.raises(DataError) as caught:
        Segmentation().prepare(from_object(rows | {"image": [b"no", b"no"]}))
    assert str(caught.value) == ("image: expected pictures, found none that can be read (expected a picture, found text 'no'). Send a whole JPEG, PNG, WebP, "
                                 "BMP, GIF, TIFF or PPM file.")


def test_the_task_keeps_the_contract() -> None:
    check_task(Segmentation(model=SMALL, tile=(22, 24), crop=(20, 20), light=0.0), scenes(12))


def test_crops_are_a_function_of_the_step_and_hold_what_they_should() -> None:
    task, made = Segmentation(model=SMALL, tile=(22, 24), crop=(16, 16)).prepare(from_object(scenes(8)))
    rows = scenes(8)
    columns = made.encode(rows)
    drawn, again = (task.batches(task.build(made), columns, Draw(5, 3, start)) for start in (0, 2))
    batches = [next(drawn) for _ in range(4)]
    assert all(torch.equal(batches[2][name], value) for name, value in next(again).items())
    for batch in batches:
        assert batch["image"].shape == (5, 16, 16, 1)
        inside = batch["mask"] != VOID
        assert inside.any(dim=(1, 2)).all()
        assert ((batch["image"][..., 0] >= 120)[inside & (batch["mask"] == 1)]).all()
        assert ((batch["image"][..., 0] < 100)[inside & (batch["mask"] == 0)]).all()


def test_picture_and_mask_are_turned_together_and_light_moves_no_mask() -> None:
    picture = torch.randint(0, 256, (64, 6, 6, 1), dtype=torch.uint8)
    image, mask = turned(picture, picture[..., 0], torch.Generator().manual_seed(0), upright=False)
    assert torch.equal(image[..., 0], mask)
    assert len({tuple(m.flatten().tolist()) for m in turned(*(x[:1].expand(64, *x.shape[1:]) for x in (picture, picture[..., 0])),
                                                            torch.Generator().manual_seed(0), upright=False)[1]}) == 8
    upright = turned(picture, picture[..., 0], torch.Generator().manual_seed(0), upright=True)[1]
    assert all(torch.equal(new, old) or torch.equal(new, old.flip(1)) for new, old in zip(upright, picture[..., 0], strict=True))
    changed = lit(picture, torch.Generator().manual_seed(0), 0.2)
    assert changed.dtype == torch.float32 and float(changed.min()) >= 0 and float(changed.max()) <= 255
    assert torch.equal(lit(picture, torch.Generator(), 0.0), picture)


def test_borders_and_objects_by_hand() -> None:
    one, other = np.zeros((20, 30), bool), np.zeros((20, 30), bool)
    one[5:10, 5:10], other[5:10, 8:13] = True, True
    mean, far = judge.surface(one, other)
    assert 0 < mean < 3 <= far
    assert judge.surface(one, one) == (0.0, 0.0)
    assert all(np.isnan(judge.surface(one & False, other & False)))
    assert judge.surface(one, other & False) == (pytest.approx(np.hypot(20, 30)),) * 2
    rng = np.random.default_rng(0)
    for _ in range(5):
        first, second = (rng.random((40, 50)) > 0.97 for _ in range(2))
        first[:20], second[:, :9] = False, False
        places = [np.argwhere(region) for region in (first, second)]
        away = np.hypot(*(places[0][:, None] - places[1][None]).transpose(2, 0, 1))
        found = np.concatenate([away.min(1), away.min(0)])
        assert judge.surface(first, second) == (pytest.approx(found.mean()), pytest.approx(np.percentile(found, 95)))  # so sparse that all of it is border
    line, moved = np.zeros((9, 9), bool), np.zeros((9, 9), bool)
    line[2], moved[5] = True, True
    assert judge.surface(line, moved) == (3.0, 3.0)
    truth, answer = np.zeros((8, 8), int), np.zeros((8, 8), int)
    truth[:2], truth[4:6], answer[:2], answer[7:] = 5, 9, 1, 2
    assert judge.matched(truth, answer) == (1.0, 1.0, 1.0)
    assert judge.confusion(np.array([[0, 1, VOID]]), np.array([[0, 0, 1]]), 2).tolist() == [[1, 0], [1, 0]]


def test_metrics_of_a_right_and_of_an_empty_answer() -> None:
    task, made = Segmentation(model=SMALL).prepare(from_object(scenes(6)))
    rows, source = scenes(4, seed=2), from_object(scenes(4, seed=2))
    columns = made.encode(rows)
    right = judge.outputs(made, columns, rows["mask"], source)
    assert {name: METRICS[name].value(right) for name in task.metrics(made)} == {
        "miou": 1.0, "dice": 1.0, "f1_pixels": 1.0, "pixel_accuracy": 1.0, "surface_distance": 0.0, "hausdorff_95": 0.0}
    nothing = judge.outputs(made, columns, [mask * 0 for mask in rows["mask"]], source)
    assert METRICS["f1_pixels"].value(nothing) == METRICS["dice"].value(nothing) == 0
    assert METRICS["surface_distance"].value(nothing) == pytest.approx(np.mean([np.hypot(*mask.shape) for mask in rows["mask"]]))


def test_baselines_find_bright_squares() -> None:
    for changes in ({}, {"instances": True}):
        task, made = Segmentation(model=SMALL, **changes).prepare(from_object(scenes(10)))
        train, test = (Part(from_object(rows), made.encode(rows)) for rows in (scenes(10), scenes(4, seed=1)))
        found = task.baseline(made, train, test, 0)
        truth = task.outputs(made, test.columns, {"mask": np.zeros((4, 9, made.height, made.width), np.uint8), "size": test.columns["image_size"]}, test.source)
        assert set(found.outputs) == set(truth.arrays)
        assert METRICS["dice"].value(truth._replace(arrays=found.outputs)) > (0.6 if changes else 0.9)


def test_otsu_parts_what_is_bright_or_dark_from_the_rest() -> None:
    picture, mask = np.full((20, 30, 3), 60, np.uint8), np.zeros((20, 30), bool)
    mask[3:12, 4:9] = True
    for light in (200, 10):
        picture[mask] = light
        assert np.array_equal(baseline.otsu(picture), mask)
    assert not baseline.otsu(np.full((4, 5, 3), 9, np.uint8)).any()


def test_choices_have_reasons_and_leave_the_horizon_to_a_budget() -> None:
    task, made = Segmentation(model=SMALL).prepare(from_object(scenes(4)))
    free, timed = (task.choices(made, Facts(100, 2, "cpu", budget)) for budget in (None, 60.0))
    assert free["train.steps"].value >= 400
    assert "train.steps" not in timed
    assert all(choice.reason for choice in free.values())
    assert set(task.metrics(made)) <= set(METRICS)
    assert task.goal.metric == "f1_pixels"


def test_the_network_for_the_retina_is_small() -> None:
    task, made = Segmentation().prepare(from_object(scenes(3, channels=3)))
    model = task.build(made)
    assert isinstance(model, Segmenter)
    assert sum(p.numel() for p in model.parameters()) < 600_000


@pytest.mark.slow
def test_the_exported_programs_agree_whatever_the_company() -> None:
    import onnxruntime

    from thuja.graph.onnxwrite import to_onnx

    torch.manual_seed(0)
    task, made = Segmentation(model=SMALL, tile=(22, 24), crop=(22, 22)).prepare(from_object(scenes(6)))
    model = task.build(made).eval()
    torch.nn.init.normal_(model.network.head.weight)
    programs, columns = task.programs(model, made), made.encode({"image": [np.zeros((7, 9), np.uint8), *scenes(4, seed=5)["image"]]})
    with torch.inference_mode():
        first = look.run(programs["predict"], rectangular(take(columns, np.array([2, 3]))))
        files = {"predict": to_onnx(programs["predict"], rectangular(take(columns, np.array([2, 3])))),
                 "step": to_onnx(programs["step"], first | look.run(programs["step"], first))}
    sessions = {name: onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"]) for name, data in files.items()}

    def run(name: str, arrays: dict) -> dict:
        session = sessions[name]
        found = session.run(None, {node.name: arrays[node.name] for node in session.get_inputs()})
        return dict(zip(programs[name].outputs, found, strict=True))

    for index in ([0], [0, 2], [4, 1, 3, 0]):
        asked = take(columns, np.array(index))
        state = last(repeated(run("predict", rectangular({n: asked[n] for n in programs["predict"].inputs})), lambda state: run("step", state)))
        expected = look.answers(programs, asked)
        assert np.array_equal(state["mask"], expected["mask"])
        np.testing.assert_allclose(state["share"], expected["share"], atol=1e-6)


def test_the_whole_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import thuja
    from thuja.artifact.folder import Artifact
    from thuja.artifact.runtime import Predictor

    monkeypatch.setenv("THUJA_CACHE", str(tmp_path / "cache"))
    for name in ("images", "masks"):
        (tmp_path / "seen" / name).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(60):
        picture, mask = scene(rng, 30, 34, 3)
        (tmp_path / "seen" / "images" / f"{i}.png").write_bytes(file(Pillow.fromarray(picture)))
        (tmp_path / "seen" / "masks" / f"{i}.png").write_bytes(file(Pillow.fromarray((mask > 0).astype(np.uint8) * 255)))
    spec = Spec(task=Segmentation(model=SMALL, channels=3, classes=("background", "square"), tile=(22, 24), crop=(16, 16)), check=Check(),
                data=Data(path=str(tmp_path / "seen")), train=Train(steps=80, watch=False, seed=1), evaluate=Evaluate(resamples=50))
    run = thuja.train(spec, root=tmp_path / "runs")
    scores = thuja.evaluate(run)
    found = scores.metrics["f1_pixels"]
    assert found.value > 0.85
    assert found.low <= found.value <= found.high
    assert scores.baseline_name.startswith("logistic regression")
    report = (run.path / "report.html").read_text("utf-8")
    assert "Masks from the worst to the best" in report and "How well each class is found" in report
    predictor = Predictor(Artifact.open(thuja.export(run).path))
    picture, mask = scene(rng, 50, 70, 3)
    answer = predictor.predict({"image": [file(Pillow.fromarray(picture))]})
    assert answer["mask"][0].shape == (50, 70)
    assert (answer["mask"][0] == (mask > 0)).mean() > 0.97
    assert answer["shares"][0]["square"] == pytest.approx((mask > 0).mean(), abs=0.03)
