"""Random views of pictures with boxes: every pixel and every corner against plain loops."""

import torch

from thuja.blocks.augment_boxes import FILL, Change, Views, coloured, moved, shown, views

CPU = torch.device("cpu")


def pictures(rows: int = 5, height: int = 24, width: int = 32) -> torch.Tensor:
    return torch.randint(0, 256, (rows, height, width, 3), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


def pixel(batch: torch.Tensor, view: Views, row: int, y: int, x: int) -> torch.Tensor:
    """What one pixel of the output shows, by the words of the description."""
    field = next(f for f in range(4) if (view.low[row, f] <= torch.tensor([x, y])).all() and (torch.tensor([x, y]) < view.high[row, f]).all())
    place = [int(((v - view.low[row, field, axis] + view.offset[row, field, axis] + 0.5) / view.scale[row, field]).floor()) for axis, v in enumerate((x, y))]
    sides = (batch.shape[2], batch.shape[1])
    if not all(0 <= p < side for p, side in zip(place, sides, strict=True)):
        return torch.full((3,), FILL, dtype=torch.uint8)
    px, py = (side - 1 - p if flipped else p for p, side, flipped in zip(place, sides, view.mirrored[row, field], strict=True))
    return batch[view.source[row, field], py, px]


def test_every_pixel_is_where_the_views_say() -> None:
    batch = pictures()
    for change in (Change(0.0, 0.0, False), Change(0.0, 0.5), Change(1.0, 0.3, True, True)):
        view = views(5, (24, 32), torch.Generator().manual_seed(2), change, CPU)
        out = shown(batch, view)
        for row in range(5):
            for y in range(0, 24, 5):
                for x in range(0, 32, 3):
                    assert torch.equal(out[row, y, x], pixel(batch, view, row, y, x)), (change, row, y, x)


def test_no_change_is_no_change() -> None:
    batch = pictures()
    view = views(5, (24, 32), torch.Generator().manual_seed(0), Change(0.0, 0.0, False), CPU)
    assert torch.equal(shown(batch, view), batch)
    boxes = torch.tensor([[[1.0, 2, 9, 8]]]).expand(5, 1, 4)
    corners, kept, came = moved(boxes, torch.ones(5, 1, dtype=torch.bool), view, (24, 32))
    assert torch.equal(corners[:, 0], boxes[:, 0]) and kept[:, 0].all() and not kept[:, 1:].any()
    assert came[:, 0].tolist() == [0, 1, 2, 3, 4]


def test_boxes_go_where_their_pixels_go() -> None:
    """A white block on black in every picture: what is white in the output lies in the boxes, up to a pixel."""
    batch = torch.zeros(8, 48, 64, 3, dtype=torch.uint8)
    boxes = torch.zeros(8, 1, 4)
    for row in range(8):
        left, top = 3 + 5 * row, 2 + 3 * row
        batch[row, top : top + 14, left : left + 18] = 255
        boxes[row, 0] = torch.tensor([left, top, left + 18, top + 14])
    for seed in range(5):
        view = views(8, (48, 64), torch.Generator().manual_seed(seed), Change(0.6, 0.3, True, True), CPU)
        white = shown(batch, view)[..., 0] == 255
        corners, kept, came = moved(boxes, torch.ones(8, 1, dtype=torch.bool), view, (48, 64))
        assert torch.equal(came, view.source)
        for row in range(8):
            for box in corners[row][kept[row]]:
                left, top, right, bottom = (int(v) for v in box.round())
                assert white[row, top + 1 : bottom - 1, left + 1 : right - 1].all()


def test_little_that_is_left_of_a_box_is_not_there() -> None:
    one = torch.zeros(1, 4, 2)
    view = Views(torch.zeros(1, 4, dtype=torch.long), torch.ones(1, 4), torch.zeros(1, 4, 2, dtype=torch.bool), one,
                 torch.tensor([[[20.0, 20], [0, 0], [0, 0], [0, 0]]]), one)
    boxes = torch.tensor([[[0.0, 0, 10, 10], [18, 0, 28, 10], [16, 0, 26, 10], [19, 19, 20.5, 20.5]]])
    _, kept, _ = moved(boxes, torch.tensor([[True, True, True, True]]), view, (24, 32))
    assert kept[0, :4].tolist() == [True, False, True, False]


def test_colour_changes_keep_bytes_and_follow_the_generator() -> None:
    batch = pictures()
    first, second = (coloured(batch, torch.Generator().manual_seed(3), 0.2) for _ in range(2))
    assert first.dtype == torch.uint8 and torch.equal(first, second)
    assert torch.equal(coloured(batch, torch.Generator().manual_seed(3), 0.0), batch)
    assert (first.float() - batch.float()).abs().mean() > 3
    order = batch[0, :, :, 0].flatten().argsort()
    assert (first[0, :, :, 0].flatten()[order].int().diff() >= 0).all()  # lighter stays lighter
