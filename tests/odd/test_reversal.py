"""An encoder-decoder fits the contract: teacher forcing in the loss, greedy search in the program, ragged text in and out.

The task: write a word backwards. The decoder attends to the encoder's states (Luong et al. 2015, arXiv 1508.04025, dot product).
"""

from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from thuja.codec import Arrays, Codec, Columns, Rows, ragged
from thuja.fields import Schema, Text
from thuja.settings import AdamW, Train
from thuja.task import Batch, Goal, Loss, Program, Source, Task
from thuja.training.look import answers
from thuja.training.loop import begin, steps

LETTERS, END, LONGEST = "abcdefgh", 9, 7
"""0 is padding and the decoder's first input, 1 to 8 are letters."""


class WordCodec(Codec):
    kind: Literal["word"] = "word"

    def schema(self) -> Schema:
        return Schema(inputs={"word": Text()}, outputs={"backwards": Text()})

    def encode(self, rows: Rows) -> Columns:
        """`word`, and where given `backwards`: ragged int64 ids, each ended by END."""
        return {n: ragged([np.array([LETTERS.index(c) + 1 for c in w] + [END]) for w in rows[n]]) for n in ("word", "backwards") if n in rows}

    def decode(self, outputs: Arrays) -> dict[str, list[Any]]:
        return {"backwards": ["".join(LETTERS[i - 1] for i in ids[: np.argmax(ids == END)] if 0 < i <= 8) for ids in outputs["ids"]]}


class Translator(nn.Module):
    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.source = nn.Embedding(10, width, padding_idx=0)
        self.place = nn.Embedding(LONGEST + 1, width)
        self.target = nn.Embedding(10, width)
        self.decoder = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(2 * width, 10)

    def encode(self, word: Tensor) -> Tensor:
        return self.source(word) + self.place(torch.arange(word.shape[1]))

    def decode(self, memory: Tensor, word: Tensor, before: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Logits after each of the ids `before`; padding is never attended to."""
        out, hidden = self.decoder(self.target(before), hidden)
        weight = (out @ memory.mT).masked_fill((word == 0)[:, None], -torch.inf).softmax(-1)
        return self.head(torch.cat([out, weight @ memory], dim=-1)), hidden

    def start(self, memory: Tensor, word: Tensor) -> Tensor:
        known = (word != 0)[..., None]
        return ((memory * known).sum(1) / known.sum(1))[None]


class Greedy(nn.Module):
    def __init__(self, body: Translator) -> None:
        super().__init__()
        self.body = body

    def forward(self, word: Tensor) -> Tensor:
        memory = self.body.encode(word)
        hidden, last, found = self.body.start(memory, word), torch.zeros_like(word[:, :1]), []
        for _ in range(LONGEST + 1):
            logits, hidden = self.body.decode(memory, word, last, hidden)
            last = logits.argmax(-1)
            found.append(last)
        return torch.cat(found, dim=1)


class Reversal(Task):
    kind: Literal["reversal"] = "reversal"

    def prepare(self, source: Source) -> tuple[Self, WordCodec]:
        return self, WordCodec()

    def build(self, codec: Codec) -> nn.Module:
        return Translator()

    def loss(self, model: nn.Module, batch: Batch, rng: torch.Generator) -> Loss:
        word, wanted = batch["word"], batch["backwards"]
        memory = model.encode(word)
        before = torch.cat([torch.zeros_like(wanted[:, :1]), wanted[:, :-1]], dim=1)
        logits, _ = model.decode(memory, word, before, model.start(memory, word))
        letter = cross_entropy(logits.mT, wanted, ignore_index=0, reduction="none")
        return Loss((letter.sum(1) / (wanted != 0).sum(1)).mean())  # a mean over rows, so that accumulation equals the whole batch

    def programs(self, model: nn.Module, codec: Codec) -> dict[str, Program]:
        return {"predict": Program(Greedy(model).eval(), ("word",), ("ids",), {"word": (1,)})}

    @property
    def goal(self) -> Goal:
        return Goal("loss", "min")

    @property
    def targets(self) -> tuple[str, ...]:
        return ("backwards",)


def words(count: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list(LETTERS), rng.integers(1, LONGEST + 1))) for _ in range(count)]


def test_it_learns_to_write_backwards() -> None:
    task, codec, known = Reversal(), WordCodec(), words(3000, seed=0)
    train = Train(steps=500, batch=64, optimizer=AdamW(learning_rate=1e-2), schedule="linear", warmup=0.1, clip=1.0, device="cpu")
    state = begin(task, codec, train)
    for _ in steps(task, state, codec.encode({"word": known, "backwards": [w[::-1] for w in known]}), train):
        pass
    new = [w for w in words(300, seed=1) if w not in known]
    programs = task.programs(state.best_model, codec)
    found = codec.decode(answers(programs, codec.encode({"word": new})))["backwards"]
    assert np.mean([a == b[::-1] for a, b in zip(found, new, strict=True)]) > 0.9
    alone = codec.decode(answers(programs, codec.encode({"word": new}), rows=1))["backwards"]
    assert alone == found  # padding does not change an answer
