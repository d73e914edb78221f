"""A recurrent language model: the state after each token says what comes next; memory and time per token are the same however long the text.

Source: Mikolov et al. 2010, "Recurrent neural network based language model"; with LSTM: Zaremba et al. 2014, arXiv 1409.2329 (dropout between layers only); the
cells are explained in `thuja.blocks.recurrent`. Differs: the state is zero at the beginning of every row, in training too.
"""

from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from torch import Tensor, nn

from thuja.blocks.embedding import Embedding
from thuja.blocks.recurrent import CELLS


class RecurrentLM(BaseModel):
    """Sizes of the recurrent network."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kind: Literal["recurrent-lm"] = "recurrent-lm"
    cell: Literal["rnn", "gru", "lstm"] = "lstm"
    dim: PositiveInt = 128
    """Numbers that stand for a token."""
    hidden: PositiveInt = 512
    """Numbers of the state."""
    depth: PositiveInt = 1
    """Layers."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0

    def build(self, tokens: int, context: int) -> "RecurrentLMNet":
        """`tokens`: how many ids there are, 0 being padding. Whatever `context` is, the whole row is read."""
        return RecurrentLMNet(self, tokens)


class RecurrentLMNet(nn.Module):
    """int64 ids [B, T], 0 at the end where there are none, to logits [B, T, tokens] of what follows each place."""

    def __init__(self, settings: RecurrentLM, tokens: int) -> None:
        super().__init__()
        s = self.settings = settings
        self.tokens = tokens
        self.embedding = Embedding(tokens, s.dim)
        self.layers = CELLS[s.cell](s.dim, s.hidden, s.depth, batch_first=True, dropout=s.dropout if s.depth > 1 else 0.0)
        self.dropout = nn.Dropout(s.dropout)
        self.head = nn.Linear(s.hidden, tokens)

    @property
    def memory(self) -> tuple[str, ...]:
        """Names of what is kept from step to step."""
        return ("_hidden", "_cell") if self.settings.cell == "lstm" else ("_hidden",)

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        """Logits [B, T, tokens]. `mask` is for attention; what a state remembers is not bounded."""
        states, _ = self.layers(self.dropout(self.embedding(ids)))
        logits: Tensor = self.head(self.dropout(states))
        return logits

    def begin(self, ids: Tensor, lengths: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The place from which steps go on, int64 [B], and the memory before it: nothing is read yet, since prompts in a batch end at different places."""
        zeros = torch.zeros(ids.shape[0], self.settings.depth, self.settings.hidden, device=ids.device)
        return torch.zeros_like(lengths), tuple(zeros.clone() for _ in self.memory)

    def step(self, ids: Tensor, place: Tensor, memory: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """One token [B]: logits [B, tokens] of the next one, and the memory with it."""
        state = tuple(part.transpose(0, 1).contiguous() for part in memory)
        out, after = self.layers(self.embedding(ids.unsqueeze(1)), state if len(state) > 1 else state[0])
        left = after if isinstance(after, tuple) else (after,)
        return self.head(out.squeeze(1)), tuple(part.transpose(0, 1) for part in left)
