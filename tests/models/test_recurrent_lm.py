"""Recurrent language models."""

import pytest
import torch

from thuja.models.recurrent_lm import RecurrentLM
from thuja.testing import check_model


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_steps_say_what_a_whole_row_says(cell: str) -> None:
    torch.manual_seed(0)
    net = RecurrentLM(cell=cell, dim=6, hidden=10, depth=2).build(12, 99)
    ids = torch.randint(1, 12, (3, 7))
    check_model(net, [ids])
    with torch.no_grad():
        expected = net(ids)
        place, memory = net.begin(ids, torch.tensor([7, 7, 7]))
        for at in range(7):
            assert place.tolist() == [0, 0, 0]
            logits, memory = net.step(ids[:, at], place, memory)
            torch.testing.assert_close(logits, expected[:, at])
    assert len(memory) == len(net.memory)
