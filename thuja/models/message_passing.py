"""A network over molecules of any size: messages along directed bonds, the mean over the atoms, and a small network on that and on descriptors of the whole.

Source: D-MPNN (chemprop), Yang et al. 2019, arXiv 1904.01561. Differs: dropout inside the messages and the head alone, descriptors standardised and clipped
instead of passed through fitted distributions, and several members, each with its own weights, whose answers are averaged by the program that is served.
Measured against it and behind: GIN with bonds (Hu et al. 2020, arXiv 1905.12265), RMSE 0.93 against 0.87 kcal/mol on FreeSolv (validation and
test rows of three splits, 400 steps, descriptors beside both; this network without descriptors: 1.14).
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from thuja.blocks.message import BondMessages, Ends, one_hot
from thuja.settings import Section, Share


class MessagePassing(Section):
    """Messages along directed bonds."""

    kind: Literal["message-passing"] = "message-passing"
    width: PositiveInt = 200
    """Numbers that each direction of a bond says, and that each atom and the molecule have in the end."""
    depth: Annotated[int, Field(ge=2)] = 4
    """How many bonds away an atom is heard."""
    dropout: Share = 0.1
    members: PositiveInt = 1
    """Networks of this form whose answers are averaged; each costs its own time and memory."""

    def build(self, atom_sizes: Sequence[int], bond_sizes: Sequence[int], descriptors: int, outputs: int) -> "MessagePassingNet":
        """Fresh weights. `atom_sizes`, `bond_sizes`: how many values each property may have."""
        return MessagePassingNet(self, atom_sizes, bond_sizes, descriptors, outputs)


class MessagePassingNet(nn.Module):
    """Atoms int64 [B, A, properties] (all zero is padding), bonds int64 [B, M, 2 + properties] and descriptors float32 [B, n] to [B, members, outputs]."""

    def __init__(self, settings: MessagePassing, atom_sizes: Sequence[int], bond_sizes: Sequence[int], descriptors: int, outputs: int) -> None:
        super().__init__()
        self.atom_sizes, self.bond_sizes = tuple(atom_sizes), tuple(bond_sizes)
        self.members = nn.ModuleList(Member(settings, sum(atom_sizes), sum(bond_sizes), descriptors, outputs) for _ in range(settings.members))

    def forward(self, atoms: Tensor, bonds: Tensor, descriptors: Tensor) -> Tensor:
        return self.judged(one_hot(atoms, self.atom_sizes), atoms, bonds, descriptors)

    def judged(self, features: Tensor, atoms: Tensor, bonds: Tensor, descriptors: Tensor) -> Tensor:
        """As `forward`, with the atoms' features [B, A, sum of sizes] apart, so that they can be asked for their share in the answer."""
        there, joined = (atoms[..., :1] > 0).float(), bonds[..., 2] > 0
        ends = Ends(bonds[..., :2], joined, atoms.shape[1])
        kinds = one_hot(bonds[..., 2:], self.bond_sizes)
        return torch.stack([member(features, there, kinds, ends, descriptors) for member in self.members], dim=1)


class Member(nn.Module):
    """One network."""

    def __init__(self, settings: MessagePassing, atom: int, bond: int, descriptors: int, outputs: int) -> None:
        super().__init__()
        width = settings.width
        self.atom, self.bond = nn.Linear(atom, width), nn.Linear(bond, width, bias=False)
        self.rounds = nn.ModuleList([BondMessages(width, settings.dropout)] * (settings.depth - 1))  # one set of weights, as in the source
        self.out_atom, self.out_heard, self.activation = nn.Linear(atom, width), nn.Linear(width, width, bias=False), nn.ReLU()
        self.head = nn.Sequential(nn.Dropout(settings.dropout), nn.Linear(width + descriptors, width), nn.ReLU(), nn.Dropout(settings.dropout),
                                  nn.Linear(width, outputs))

    def forward(self, atoms: Tensor, there: Tensor, bonds: Tensor, ends: Ends, descriptors: Tensor) -> Tensor:
        """`atoms` [B, A, a], `there` [B, A, 1], `bonds` [B, M, b], to [B, outputs]."""
        kinds = self.bond(bonds)
        first = ends.begin @ self.atom(atoms) + torch.cat([kinds, kinds], dim=1)
        state: Tensor = self.activation(first)
        for message in self.rounds:
            state = message(first, state, ends)
        told = self.activation(self.out_atom(atoms) + self.out_heard(ends.end @ state)) * there
        whole = told.sum(dim=1) / there.sum(dim=1)
        answer: Tensor = self.head(torch.cat([whole, descriptors], dim=1) if descriptors.shape[1] else whole)
        return answer
