"""The network with the units of what goes in and comes out."""

import torch
from torch import Tensor, nn

from thuja.apps.molecules import graph
from thuja.apps.molecules.codec import MoleculesCodec
from thuja.models.message_passing import MessagePassing, MessagePassingNet

FARTHEST = 6.0
"""Standard deviations beyond which a descriptor counts as that."""


class Properties(nn.Module):
    """Encoded molecules to what is learned of each target: float32 [B, members, targets], in standard deviations or as log-odds."""

    mean: Tensor
    std: Tensor
    centre: Tensor
    spread: Tensor

    def __init__(self, codec: MoleculesCodec, model: MessagePassing) -> None:
        super().__init__()
        self.columns = codec.columns
        for name, values in (("mean", codec.means), ("std", codec.stds), ("centre", codec.centre), ("spread", codec.spread)):
            self.register_buffer(name, torch.tensor(values))
        self.net: MessagePassingNet = model.build(codec.atom_sizes, graph.BOND_SIZES, len(codec.centre), len(codec.targets))

    def forward(self, atoms: Tensor, bonds: Tensor, descriptors: Tensor | None = None) -> Tensor:
        answer: Tensor = self.net(atoms, bonds, self.standardised(atoms, descriptors))
        return answer

    def standardised(self, atoms: Tensor, descriptors: Tensor | None) -> Tensor:
        """Descriptors in standard deviations, at most `FARTHEST`; what is not defined is as the mean. None become no columns."""
        if descriptors is None:
            return torch.zeros(atoms.shape[0], 0, device=atoms.device)  # len() would fix the number in the exported graph
        return torch.nan_to_num((descriptors - self.centre) / self.spread, nan=0.0).clamp(-FARTHEST, FARTHEST)


class Predict(nn.Module):
    """What is served: the mean over members in raw units, `value` [B] or `values` [B, targets]; `probability` [B, 2] or `chances` [B, targets]."""

    def __init__(self, net: Properties, codec: MoleculesCodec) -> None:
        super().__init__()
        self.net, self.regression, self.single = net, codec.problem == "regression", len(codec.targets) == 1

    def forward(self, *inputs: Tensor) -> Tensor:
        scores: Tensor = self.net(*inputs)
        if self.regression:
            values = scores.mean(dim=1) * self.net.std + self.net.mean
            return values[:, 0] if self.single else values
        chances = scores.sigmoid().mean(dim=1)
        return torch.cat([1 - chances, chances], dim=1) if self.single else chances
