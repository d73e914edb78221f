"""Places, distances, and what each place should learn."""

import torch

from thuja.blocks.anchor_free import Drawn, assigned, boxes_at, detection_loss, inside, places


def drawn(boxes: list[list[list[float]]], labels: list[list[int]], ignore: list[list[bool]] | None = None) -> Drawn:
    box, label = torch.tensor(boxes), torch.tensor(labels)
    skip = torch.tensor(ignore) if ignore else torch.zeros_like(label, dtype=torch.bool)
    real = box[..., 2] > box[..., 0]
    return Drawn(box, label, real & ~skip, real & skip)


def test_places_are_the_middles_of_cells() -> None:
    found = places(64, 96, (8, 32))
    assert found.centre.shape == (8 * 12 + 2 * 3, 2)
    assert found.centre[0].tolist() == [4, 4]
    assert found.centre[1].tolist() == [12, 4]
    assert found.centre[-1].tolist() == [80, 48]
    assert found.stride[[0, -1]].flatten().tolist() == [8, 32]
    box = boxes_at(found, torch.ones(1, 102, 4))
    assert box[0, 0].tolist() == [-4, -4, 12, 12]


def test_a_tiny_box_has_places_too() -> None:
    known = places(64, 64, (8,))
    there = inside(known, torch.tensor([[[31.0, 31, 33, 33], [0, 0, 64, 64]]]))
    assert there.sum(2).tolist() == [[4, 64]]


def test_the_place_that_fits_best_learns_the_most_and_background_nothing() -> None:
    known = places(64, 64, (8,))
    truth = drawn([[[8, 8, 40, 40], [0, 0, 0, 0]]], [[1, 0]])
    score = torch.full((1, 64, 3), 0.1)
    box = boxes_at(known, torch.full((1, 64, 4), 1.0))
    box[0, 18] = torch.tensor([8.0, 8, 40, 40])  # the place at 20, 20 already answers rightly
    wanted = assigned(known, score, box, truth)
    assert wanted.score.shape == (1, 64, 3)
    assert wanted.score[..., [0, 2]].sum() == 0
    assert wanted.score[0, :, 1].argmax() == 18 and torch.isclose(wanted.score[0, 18, 1], torch.tensor(1.0), atol=1e-4)
    assert (wanted.score[0, :, 1] > 0).sum() <= 10
    assert (wanted.score[0, ~inside(known, truth.box)[0, 0], 1] == 0).all()
    assert wanted.box[0, 18].tolist() == [8, 8, 40, 40]


def test_a_place_inside_two_boxes_learns_the_one_it_fits() -> None:
    known = places(64, 64, (8,))
    truth = drawn([[[0, 0, 64, 64], [16, 16, 32, 32]]], [[0, 1]])
    box = torch.tensor([16.0, 16, 32, 32]).expand(1, 64, 4)
    wanted = assigned(known, torch.full((1, 64, 2), 0.5), box, truth)
    within = inside(known, truth.box)[0, 1]
    assert (wanted.score[0, within].argmax(1) == 1).all()


def test_the_loss_is_a_mean_over_rows_and_falls_to_nothing_for_right_answers() -> None:
    torch.manual_seed(0)
    known = places(64, 64, (8, 16))
    count = len(known.centre)
    logits, distance = torch.randn(3, count, 2), torch.rand(3, count, 4) * 3
    truth = drawn([[[8, 8, 40, 40], [30, 30, 60, 60]], [[0, 0, 0, 0]] * 2, [[5, 5, 20, 50], [0, 0, 0, 0]]], [[0, 1], [0, 0], [1, 0]])
    whole = detection_loss(known, logits, distance, truth)
    rows = [detection_loss(known, logits[i : i + 1], distance[i : i + 1], Drawn(*(t[i : i + 1] for t in truth))) for i in range(3)]
    for place in range(2):
        torch.testing.assert_close(whole[place], torch.stack([row[place] for row in rows]).mean())
    assert rows[1][1] == 0  # nothing drawn: no box to be right about
    box = truth.box[:1, :1].expand(-1, count, -1)
    right = torch.cat([known.centre - box[..., :2], box[..., 2:] - known.centre], -1) / known.stride
    one = Drawn(*(t[:1, :1] for t in truth))
    wanted = assigned(known, torch.full((1, count, 2), 0.5), box, one).score
    classes, boxes = detection_loss(known, torch.where(wanted > 0, 20.0, -20.0), right, one)
    assert float(boxes) < 1e-3 and float(classes) < 0.05


def test_what_is_to_be_ignored_is_neither_learned_nor_held_against_an_answer() -> None:
    known = places(64, 64, (8,))
    logits, distance = torch.full((1, 64, 1), -20.0), torch.ones(1, 64, 4)
    logits[0, 27] = 5.0  # a sure answer in the middle of the picture
    nothing = drawn([[[0, 0, 0, 0]]], [[0]])
    crowd = drawn([[[16, 16, 48, 48]]], [[0]], [[True]])
    assert float(detection_loss(known, logits, distance, nothing)[0]) > 4
    assert float(detection_loss(known, logits, distance, crowd)[0]) < 1e-3
