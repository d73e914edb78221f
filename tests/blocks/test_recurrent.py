"""The cells written out against torch's layers."""

import pytest
import torch

from thuja.blocks.recurrent import CELLS, gru, lstm, rnn, weights


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_is_torchs_layer_place_by_place(name: str) -> None:
    torch.manual_seed(0)
    layer = CELLS[name](5, 7, batch_first=True)
    x = torch.randn(3, 6, 5)
    with torch.no_grad():
        expected, _ = layer(x)
        h, c, states = torch.zeros(3, 7), torch.zeros(3, 7), []
        for place in x.unbind(1):
            if name == "lstm":
                h, c = lstm(place, h, c, weights(layer))
            else:
                h = {"rnn": rnn, "gru": gru}[name](place, h, weights(layer))
            states.append(h)
    torch.testing.assert_close(torch.stack(states, 1), expected)
