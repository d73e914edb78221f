"""Optimisers and schedules. (First version; the engine's owner replaces it.)"""

from torch import nn
from torch.optim import AdamW as TorchAdamW
from torch.optim import Optimizer

from thuja import settings


def build(parameters: list[nn.Parameter], optimizer: settings.AdamW | settings.SGD | settings.Muon) -> list[Optimizer]:
    assert isinstance(optimizer, settings.AdamW)
    matrices = [p for p in parameters if p.dim() >= 2]
    rest = [p for p in parameters if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": optimizer.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    return [TorchAdamW(groups, lr=optimizer.learning_rate, betas=optimizer.betas)]
