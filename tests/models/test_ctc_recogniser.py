"""The recogniser: probabilities of every frame, whatever the padding and the company."""

import pytest
import torch
from pydantic import ValidationError

from thuja.models.ctc_recogniser import CtcRecogniser
from thuja.testing import check_model

SMALL = CtcRecogniser(bands=16, dim=16, depth=2, heads=2, hidden=32, kernel=5)


@pytest.mark.parametrize("subsampling", [2, 4])
def test_rows_do_not_see_each_other_nor_their_padding(subsampling: int) -> None:
    torch.manual_seed(0)
    net = SMALL.model_copy(update={"subsampling": subsampling}).build(8000, 5, [0.0] * 16, [1.0] * 16)
    samples, lengths = torch.randint(-9000, 9000, (3, 2400), dtype=torch.int16), torch.tensor([2400, 801, 1])
    for row in (1, 2):
        samples[row, lengths[row] :] = 0
    check_model(net, [samples, lengths])
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    net.eval()
    with torch.no_grad():
        whole, places = net(samples, lengths)
        assert places.tolist() == [-(-n // (80 * subsampling)) for n in (2400, 801, 1)]
        torch.testing.assert_close(whole.exp().sum(-1), torch.ones(whole.shape[:2]))
        for row, (n, m) in enumerate(zip(lengths.tolist(), places.tolist(), strict=True)):
            alone, _ = net(samples[row : row + 1, :n], lengths[row : row + 1])
            torch.testing.assert_close(alone[0, :m], whole[row, :m], atol=1e-4, rtol=1e-4)


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ValidationError, match="dim must be a multiple of 2"):
        CtcRecogniser(dim=18, heads=4)
    with pytest.raises(ValidationError, match="kernel must be odd"):
        CtcRecogniser(kernel=4)
