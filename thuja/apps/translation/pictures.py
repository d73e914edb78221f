"""What a translation looked at: for each of its tokens, how much it read from each token of the source."""

import numpy as np
import torch

from thuja.apps.translation.codec import TranslationCodec
from thuja.chart import Chart
from thuja.metrics import Outputs
from thuja.models.translator import TranslatorNet
from thuja.task import Part
from thuja.vocabulary import BEGIN, END

PICTURES = 3
LENGTHS = (5, 20)
"""Tokens of a source that can be read in a picture."""


def attention(net: TranslatorNet, codec: TranslationCodec, part: Part, outputs: Outputs) -> tuple[Chart, ...]:
    """The first test rows of a length that can be read. What is drawn is the layer whose attention is sharpest, its heads averaged."""
    found: list[Chart] = []
    rows = part.source.take(np.arange(min(len(part.source), 100)))
    for source, answer in zip(rows[codec.source], outputs.arrays["text"], strict=False):
        ids = codec.encode({codec.source: [source], codec.target: [str(answer) or "."]})
        read, written = (np.asarray(getattr(ids[name], "values")) for name in (codec.source, codec.target))  # noqa: B009
        if not LENGTHS[0] <= len(read) <= LENGTHS[1]:
            continue
        shades = sharpest(weights(net, read, written))
        found.append(Chart(f"What each token looked at: “{answer}”",
                           f"Each row is a token of the translation, each column one of the source; the darker, the more was read there. {_spoken(source)}",
                           f"source ({codec.source})", f"translation ({codec.target})", kind="shades", shades=shades,
                           rows=pieces(codec, written), columns=pieces(codec, read)))
        if len(found) == PICTURES:
            break
    return tuple(found)


@torch.no_grad()
def weights(net: TranslatorNet, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Cross-attention of every layer and head while `target` is written: [layers, heads, T, S]; both int64, ended."""
    device = net.table.weight.device
    read, before = torch.from_numpy(source)[None].to(device), torch.from_numpy(np.append(BEGIN, target[:-1]))[None].to(device)
    memory = net.read(read)
    x = net.embed(before, torch.arange(before.shape[1], device=device))
    found = []
    for layer, kept in zip(net.decoder.layers, memory, strict=True):
        inside = x + layer.attention(layer.norms[0](x))  # type: ignore[operator,index]
        found.append(layer.cross.weights(layer.norms[1](inside), kept)[0])  # type: ignore[operator,index,union-attr]
        x = layer(x, kept)
    return torch.stack(found).cpu().numpy()


def sharpest(weights: np.ndarray) -> np.ndarray:
    """[T, S]: the mean over heads of the layer [layers, heads, T, S] whose places look at least far around (lowest entropy)."""
    mean = weights.mean(axis=1)
    entropy = -(mean * np.log(mean.clip(1e-9))).sum(axis=2).mean(axis=1)
    found: np.ndarray = mean[int(entropy.argmin())]
    return found


def pieces(codec: TranslationCodec, ids: np.ndarray) -> list[str]:
    """Tokens one by one, as they can be read."""
    return ["(end)" if i == END else text or "·" for i, text in zip(ids, codec.vocabulary.decode(ids[:, None].tolist()), strict=True)]


def _spoken(source: str) -> str:
    return f"The source: “{source}”."
