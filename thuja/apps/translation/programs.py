"""What is served: `predict` reads a sentence and makes the first tokens, `step` makes one more (`thuja.codec.repeated`).

The state, B rows, K beams, L layers: `_memory_keys`, `_memory_values` [B, L, heads, S, d] and `_mask` [B, S] of the source; `_keys`, `_values`
[B, K, L, heads, T, d] of the tokens but the last; `_tokens` [B, K, T], `_scores` [B, K], `_last` [B, K], `_finished` [B], `_limit` [B]; `tokens` [B, T] and
`log_probability` [B], the best that is finished; `done`.
"""

import torch
from torch import Tensor, nn

from thuja.blocks.decoder import Cache, Memory
from thuja.blocks.search import NOTHING, Beams, Rule, advance, begin, follow
from thuja.models.translator import TranslatorNet
from thuja.vocabulary import BEGIN, PADDING, UNKNOWN

KEPT = ("_memory_keys", "_memory_values", "_mask", "_limit")
CHANGED = ("_keys", "_values", "_tokens", "_scores", "_last", "_finished", "tokens", "log_probability", "done")
DYNAMIC = {"_memory_keys": {3: "source"}, "_memory_values": {3: "source"}, "_mask": {1: "source"}, "_keys": {4: "past"}, "_values": {4: "past"},
           "_tokens": {2: "past"}, "tokens": {1: "past"}}
LONGER, LEAST = 2, 10
"""A translation has at most twice as many tokens as its source, and ten."""


class Predict(nn.Module):
    """int64 [B, S], 0 where there is nothing, to the first state. A source of nothing but its end is done at once, with no tokens."""

    def __init__(self, net: TranslatorNet, rule: Rule) -> None:
        super().__init__()
        self.net, self.rule, self.choice = net, rule, Choice(net)

    def forward(self, source: Tensor) -> tuple[Tensor, ...]:
        """`CHANGED`, then `KEPT`."""
        memory = self.net.read(source)
        length = (source != PADDING).sum(1)
        limit = torch.where(length > 1, LONGER * length + LEAST, 0)
        last = torch.full_like(source[:, :1], BEGIN)
        there = (last != PADDING)[:, :, None]
        decoded, caches = self.net.step(last, torch.zeros_like(last), memory, self.net.decoder.empty(memory[0].keys, 1), there)
        beams, parent = begin(self.choice(decoded)[:, 0], limit, self.rule)
        score = torch.where(limit == 0, 0.0, beams.best_score)
        kept = (torch.stack([m.keys for m in memory], dim=1), torch.stack([m.values for m in memory], dim=1), memory[0].mask, limit)
        return *_changed(beams._replace(best_score=score), caches, parent), *kept


class Step(nn.Module):
    """The state to its changes. Rows may be at different places: what the caches of some lack is padding at the end."""

    def __init__(self, net: TranslatorNet, rule: Rule) -> None:
        super().__init__()
        self.net, self.rule, self.choice = net, rule, Choice(net)

    def forward(self, *state: Tensor) -> tuple[Tensor, ...]:
        """`CHANGED` and `KEPT`, in this order, to `CHANGED`."""
        keys, values, tokens, scores, last, finished, best, best_score, done, memory_keys, memory_values, mask, limit = state
        memory = [Memory(k, v, mask) for k, v in zip(memory_keys.unbind(1), memory_values.unbind(1), strict=True)]
        caches = [Cache(k, v) for k, v in zip(keys.unbind(2), values.unbind(2), strict=True)]
        before = tokens != PADDING
        there = torch.cat([before, torch.ones_like(before[:, :, :1])], dim=2)
        decoded, caches = self.net.step(last, before[:, :1].sum(2), memory, caches, there)
        beams, parent = advance(Beams(tokens, scores, best, best_score, finished, done), self.choice(decoded), limit, self.rule)
        return _changed(beams, caches, parent)


class Choice(nn.Module):
    """States [..., dim] to logarithms of probabilities [..., ids]; what is no token of a text is never chosen."""

    barred: Tensor

    def __init__(self, net: TranslatorNet) -> None:
        super().__init__()
        self.net = net
        barred = torch.zeros(net.table.num_embeddings)
        barred[[PADDING, BEGIN, UNKNOWN]] = NOTHING
        self.register_buffer("barred", barred, persistent=False)

    def forward(self, states: Tensor) -> Tensor:
        """float32."""
        return self.net.logits(states).float().log_softmax(-1) + self.barred


def _changed(beams: Beams, caches: list[Cache], parent: Tensor) -> tuple[Tensor, ...]:
    """The part of the state that a step changes, caches in the order of the beams that go on."""
    keys = follow(torch.stack([c.keys for c in caches], dim=2), parent)
    values = follow(torch.stack([c.values for c in caches], dim=2), parent)
    return keys, values, beams.tokens, beams.scores, beams.tokens[:, :, -1], beams.finished, beams.best, beams.best_score, beams.done
