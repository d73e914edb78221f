"""The programs of a language model: how surprised it is by a text, and what it says, token by token."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from thuja.blocks.cache import window
from thuja.blocks.sampling import Sampling, choose
from thuja.models.gpt import GPTNet
from thuja.models.recurrent_lm import RecurrentLMNet
from thuja.task import Program
from thuja.vocabulary import END

Net = GPTNet | RecurrentLMNet
LOGITS = 1 << 24
"""Held at once while nothing is learned (64 MB): looks come with hundreds of rows, and a vocabulary is large."""
SETTINGS = ("temperature", "top_k", "top_p", "max_tokens", "seed")
ANSWER = ("text", "tokens", "log_probability", "done")
PLACE = ("_last", "_place")
ASKED = ("_length", "_prompt", *(f"_{name}" for name in SETTINGS))


def logits_of(net: Net, ids: Tensor, context: int) -> Tensor:
    """What follows each place of [B, T], each seeing at most `context` places: [B, T, tokens]."""
    known = not torch.compiler.is_exporting() and ids.shape[1] <= context
    found: Tensor = net(ids, None if known else window(ids.shape[1], context, ids.device))
    return found


def surprise(net: Net, ids: Tensor, scored: Tensor, context: int) -> tuple[Tensor, Tensor]:
    """Nats of each token given those before it, and whether it was the likeliest: float and bool [B, T - 1], 0 and true where `scored` [B, T] is 0."""
    logits = logits_of(net, ids[:, :-1], context).float()
    target, counts = ids[:, 1:], scored[:, 1:] != 0
    nats = logits.logsumexp(dim=2) - logits.gather(2, target.unsqueeze(2)).squeeze(2)
    return nats * counts, (logits.argmax(dim=2) == target) | ~counts


def mean_surprise(net: Net, ids: Tensor, scored: Tensor, context: int) -> Tensor:
    """Nats a token of each row [B]; in pieces where no gradient is wanted."""
    if torch.is_grad_enabled():
        target, counts = ids[:, 1:], scored[:, 1:].float()
        logits = logits_of(net, ids[:, :-1], context)
        nats = functional.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none").view_as(target)
        return (nats * counts).sum(1) / counts.sum(1).clamp_min(1)
    size = max(1, LOGITS // (ids.shape[1] * net.tokens))
    parts = [surprise(net, a, b, context)[0].sum(1) for a, b in zip(torch.split(ids, size), torch.split(scored, size), strict=True)]
    return torch.cat(parts) / scored[:, 1:].float().sum(1).clamp_min(1)


class Score(nn.Module):
    """`text` int64 and `scored` uint8, both [B, T], to sums over what is scored in each row: `nll` (nats, float32 [B]), and int64 [B] `tokens`, `right` (were
    the likeliest), `responses` (runs of scored tokens) and `whole` (of them, those of which every token was right)."""

    def __init__(self, net: Net, context: int) -> None:
        super().__init__()
        self.net, self.context = net, context

    def forward(self, ids: Tensor, scored: Tensor) -> tuple[Tensor, ...]:
        """See the class."""
        if torch.compiler.is_exporting():
            return self._sums(ids, scored)
        size = max(1, LOGITS // (ids.shape[1] * self.net.tokens))
        parts = [self._sums(a, b) for a, b in zip(torch.split(ids, size), torch.split(scored, size), strict=True)]
        return tuple(torch.cat(pieces) for pieces in zip(*parts, strict=True))

    def _sums(self, ids: Tensor, scored: Tensor) -> tuple[Tensor, ...]:
        nats, right = surprise(self.net, ids, scored, self.context)
        counts = scored[:, 1:] != 0
        starts = (counts & (scored[:, :-1] == 0)).to(torch.int64)
        run = starts.cumsum(1) * ~right  # which run each wrong token is in, counted from 1; 0 for right ones
        broken = torch.zeros(ids.shape, dtype=torch.int64, device=ids.device).scatter(1, run, torch.ones_like(run))
        tokens, responses = counts.sum(1), starts.sum(1)
        return nats.sum(1), tokens, (right & counts).sum(1), responses, responses - broken[:, 1:].sum(1)


class Begin(nn.Module):
    """Prompt and settings to the first state: nothing said yet, the prompt but for its last token read."""

    def __init__(self, net: Net, context: int, most: int) -> None:
        super().__init__()
        self.net, self.context, self.most = net, context, most

    def forward(self, prompt: Tensor, *settings: Tensor) -> tuple[Tensor, ...]:
        """int64 [B, T], 0 at the end where there is none, and the five settings [B], in order."""
        prompt = functional.pad(prompt, (0, self.context))[:, : self.context]
        lengths = (prompt != 0).sum(1)
        place, memory = self.net.begin(prompt, lengths)
        last = prompt.gather(1, place.unsqueeze(1)).squeeze(1)
        zeros = torch.zeros_like(lengths)
        text = zeros.unsqueeze(1) + torch.zeros(self.most, dtype=torch.int64, device=prompt.device)
        return text, zeros, zeros.float(), zeros > 0, last, place, lengths, prompt, *(setting.clone() for setting in settings), *memory


class Step(nn.Module):
    """One token more for every row that is not done."""

    barred: Tensor

    def __init__(self, net: Net, barred: Sequence[int]) -> None:
        super().__init__()
        self.net = net
        mask = torch.zeros(net.tokens, dtype=torch.bool)
        mask[list(barred)] = True
        self.register_buffer("barred", mask, persistent=False)

    def forward(self, text: Tensor, tokens: Tensor, log_probability: Tensor, done: Tensor, last: Tensor, place: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        """The state as `ANSWER`, `PLACE`, `ASKED` and the memory name it, to what of it changes: `ANSWER`, `PLACE` and the memory."""
        length, prompt, temperature, top_k, top_p, most, seed = rest[: len(ASKED)]
        logits, memory = self.net.step(last, place, rest[len(ASKED) :])
        chosen = choose(logits.masked_fill(self.barred, -1e9), Sampling(temperature, top_k, top_p, seed), tokens)
        ahead = place + 1
        reading = ahead < length  # still in the prompt, where a model reads it step by step
        speaks = ~done & ~reading
        given = prompt.gather(1, ahead.clamp_max(prompt.shape[1] - 1).unsqueeze(1)).squeeze(1)
        following = torch.where(reading, given, chosen)
        here = torch.arange(text.shape[1], device=text.device) == tokens.unsqueeze(1)
        text = torch.where(here & speaks.unsqueeze(1), chosen.unsqueeze(1), text)
        likely = logits.float().log_softmax(dim=1).gather(1, chosen.unsqueeze(1)).squeeze(1)
        tokens = tokens + speaks
        over = speaks & ((chosen == END) | (tokens >= most))
        return (text, tokens, log_probability + likely * speaks, done | over, torch.where(done, last, following), torch.where(done, place, ahead), *memory)


def programs(net: Net, context: int, most: int, barred: Sequence[int]) -> dict[str, Program]:
    """`predict` and `step` make an answer, `score` judges."""
    memory = net.memory
    state = (*ANSWER, *PLACE, *ASKED, *memory)
    places: dict[str, tuple[int, ...] | dict[int, str]] = {"text": {1: "places"}, "scored": {1: "places"}}
    return {
        "predict": Program(Begin(net, context, most).eval(), ("prompt", *SETTINGS), state, {"prompt": (1,)}),
        "step": Program(Step(net, barred).eval(), state, (*ANSWER, *PLACE, *memory)),
        "score": Program(Score(net, context).eval(), ("text", "scored"), ("nll", "tokens", "right", "responses", "whole"), places,
                         exported=isinstance(net, GPTNet)),
    }
