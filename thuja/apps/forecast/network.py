"""What is exported: a forecaster with everything numeric before it: covariates in standard units, phases of the calendar."""

import math

import torch
from torch import Tensor, nn

from thuja.apps.forecast.codec import UNKNOWN, ForecastCodec, Known
from thuja.apps.forecast.statistics import CYCLES
from thuja.models.forecaster import Forecaster


class ForecastNet(nn.Module):
    """history float32 [B, context], start int64 [B], known float32 [B, n, context + horizon], past float32 [B, m, context] (raw units, NaN is missing) to
    value, low and high [B, horizon] in raw units."""

    def __init__(self, forecaster: Forecaster, codec: ForecastCodec) -> None:
        super().__init__()
        self.forecaster = forecaster
        self.calendar = Calendar(codec) if codec.calendar else None
        self.known = Standard(codec.known) if codec.known else None
        self.past = Standard(codec.past) if codec.past else None

    def forward(self, history: Tensor, start: Tensor | None, known: Tensor | None, past: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Inputs that this network does not read are None."""
        ahead = []
        if self.calendar is not None and start is not None:
            ahead.append(self.calendar(start))
        if self.known is not None and known is not None:
            ahead.append(self.known(known))
        behind = self.past(past) if self.past is not None and past is not None else None
        answers: tuple[Tensor, Tensor, Tensor] = self.forecaster(history, behind, torch.cat(ahead, dim=1) if ahead else None)
        return answers


class Predict(nn.Module):
    """`ForecastNet` with its inputs by position, only those that it reads, in the order of `inputs`."""

    def __init__(self, net: ForecastNet, inputs: tuple[str, ...]) -> None:
        super().__init__()
        self.net, self.inputs = net, inputs

    def forward(self, history: Tensor, second: Tensor | None = None, third: Tensor | None = None,
                fourth: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        named = dict(zip(self.inputs[1:], (second, third, fourth), strict=False))  # the exporter knows no *args
        answers: tuple[Tensor, Tensor, Tensor] = self.net(history, named.get("start"), named.get("known"), named.get("past"))
        return answers


class Standard(nn.Module):
    """Covariates [B, n, T] in standard deviations from the mean of the training rows; what is missing is the mean."""

    mean: Tensor
    std: Tensor

    def __init__(self, covariates: tuple[Known, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([c.mean for c in covariates])[:, None])
        self.register_buffer("std", torch.tensor([c.std for c in covariates])[:, None])

    def forward(self, x: Tensor) -> Tensor:
        return torch.nan_to_num((x - self.mean) / self.std, nan=0.0)


class Calendar(nn.Module):
    """The time of the first step to come, int64 seconds [B], to the phases of all steps: sine and cosine of each cycle, [B, 2 * cycles, context + horizon];
    zeros where the time is not known."""

    offsets: Tensor
    periods: Tensor

    def __init__(self, codec: ForecastCodec) -> None:
        super().__init__()
        places = torch.arange(codec.context + codec.horizon) - codec.context
        self.register_buffer("offsets", (places * codec.every).round().long(), persistent=False)
        self.register_buffer("periods", torch.tensor([int(CYCLES[cycle]) for cycle in codec.calendar]), persistent=False)

    def forward(self, start: Tensor) -> Tensor:
        known = start > UNKNOWN
        seconds = torch.where(known, start, 0)[:, None] + self.offsets
        phase = torch.remainder(seconds[:, None, :], self.periods[:, None]).float() / self.periods[:, None].float() * (2 * math.pi)
        return torch.cat([phase.sin(), phase.cos()], dim=1) * known[:, None, None].float()
