"""The network over molecules: the promises of a model, padding, the order of atoms, members."""

import torch

from thuja.models.message_passing import MessagePassing
from thuja.testing import check_model

ATOMS, BONDS = (5, 3), (4, 2)


def molecules() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A chain of three, a ring of four, and a lonely atom."""
    atoms, bonds = torch.zeros(3, 4, 2, dtype=torch.int64), torch.zeros(3, 4, 4, dtype=torch.int64)
    for row, (kinds, joined) in enumerate((([1, 2, 3], [(0, 1), (1, 2)]), ([1, 1, 2, 4], [(0, 1), (1, 2), (2, 3), (3, 0)]), ([2], []))):
        atoms[row, : len(kinds), 0] = torch.tensor(kinds)
        atoms[row, : len(kinds), 1] = torch.tensor(kinds) % 3
        for i, (a, b) in enumerate(joined):
            bonds[row, i] = torch.tensor([a, b, 1 + i % 3, i % 2])
    return atoms, bonds, torch.randn(3, 2, generator=torch.Generator().manual_seed(0))


def test_the_promises_of_a_model() -> None:
    torch.manual_seed(0)
    check_model(MessagePassing(width=8, depth=3, members=2).build(ATOMS, BONDS, 2, 3), molecules())


def test_padding_and_the_order_of_atoms_and_bonds_change_nothing() -> None:
    torch.manual_seed(0)
    net = MessagePassing(width=8).build(ATOMS, BONDS, 2, 1).eval()
    atoms, bonds, whole = molecules()
    wanted = net(atoms, bonds, whole)
    torch.testing.assert_close(net(torch.nn.functional.pad(atoms, (0, 0, 0, 3)), torch.nn.functional.pad(bonds, (0, 0, 0, 5)), whole), wanted)
    order = torch.tensor([2, 0, 3, 1])
    place = torch.argsort(order)
    turned = bonds[1:2, [3, 1, 0, 2]].clone()
    turned[..., :2] = place[turned[..., :2]].flip(-1)
    torch.testing.assert_close(net(atoms[1:2, order], turned, whole[1:2]), wanted[1:2])


def test_depth_is_how_far_an_atom_is_heard() -> None:
    torch.manual_seed(0)
    atoms, bonds = torch.ones(1, 6, 2, dtype=torch.int64), torch.zeros(1, 5, 4, dtype=torch.int64)
    bonds[0] = torch.tensor([(i, i + 1, 1, 0) for i in range(5)])
    net = MessagePassing(width=16, depth=3).build(ATOMS, BONDS, 0, 1).eval().members[0]
    told: list[torch.Tensor] = []
    net.activation.register_forward_hook(lambda _m, _i, output: told.append(output))
    parent = MessagePassing(width=16, depth=3).build(ATOMS, BONDS, 0, 1).eval()
    parent.members[0] = net
    parent(atoms, bonds, torch.zeros(1, 0))
    other = atoms.clone()
    other[0, 5, 0] = 2
    parent(other, bonds, torch.zeros(1, 0))
    first, second = told[1], told[3]  # of each call: directions at the beginning, atoms at the end
    changed = (first - second).abs().sum(-1)[0] > 1e-7
    assert changed.tolist() == [False, False, True, True, True, True]


def test_members_learn_apart() -> None:
    torch.manual_seed(0)
    net = MessagePassing(width=8, members=3).build(ATOMS, BONDS, 2, 1).eval()
    found = net(*molecules()).detach()
    assert found.shape == (3, 3, 1)
    assert float(found.std(dim=1).min()) > 0
