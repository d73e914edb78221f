"""The ring of keys and values."""

import torch

from thuja.blocks.cache import begun, readable, window, written


def test_a_ring_holds_the_last_places_whatever_was_padding() -> None:
    row = torch.arange(1.0, 8.0).view(1, 1, 7, 1)
    ring = begun(row[:, :, :3], 4)
    assert ring.shape == (1, 1, 4, 1)
    for place in range(2, 7):  # the prompt had two places: the third of the ring was padding
        ring = written(ring, row[:, :, place : place + 1], torch.tensor([place]))
    assert ring.flatten().tolist() == [5, 6, 7, 4]
    assert begun(row, 4).flatten().tolist() == [1, 2, 3, 4]


def test_only_what_was_written_can_be_read() -> None:
    assert readable(3, torch.tensor([0, 1, 5])).tolist() == [[True, False, False], [True, True, False], [True, True, True]]


def test_a_window_sees_itself_and_what_is_just_before() -> None:
    assert window(4, 2).int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]
    assert torch.equal(window(5, 9), torch.ones(5, 5, dtype=torch.bool).tril())
