"""Messages along bonds, against sums written out by hand."""

import torch

from thuja.blocks.message import BondMessages, Ends, one_hot


def test_one_hot_marks_each_property_and_nothing_beyond() -> None:
    codes = torch.tensor([[1, 0], [2, 5]])
    assert one_hot(codes, (3, 2)).tolist() == [[0, 1, 0, 1, 0], [0, 0, 1, 0, 0]]


def test_a_direction_hears_what_comes_in_but_for_its_own_turn() -> None:
    torch.manual_seed(0)
    pairs = [(0, 1), (1, 2), (1, 3), (3, 0)]
    ends = torch.tensor([[*pairs, (0, 0)]])
    there = torch.tensor([[True] * 4 + [False]])
    state, first = torch.randn(1, 10, 6), torch.randn(1, 10, 6)
    block = BondMessages(6, 0.0).eval()
    found = block(first, state, Ends(ends, there, 5))
    ways = {(a, b): i for i, (a, b) in enumerate(pairs)} | {(b, a): i + 5 for i, (a, b) in enumerate(pairs)}
    for (a, b), place in ways.items():
        heard = sum((state[0, other] for (c, d), other in ways.items() if d == a and c != b), torch.zeros(6))
        torch.testing.assert_close(found[0, place], torch.relu(first[0, place] + block.linear(heard)))


def test_an_atom_is_the_end_of_its_bonds() -> None:
    joined = Ends(torch.tensor([[(0, 1), (0, 0)]]), torch.tensor([[True, False]]), 3)
    assert joined.end[0].tolist() == [[0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert joined.begin[0].tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 0]]
