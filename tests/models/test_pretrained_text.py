"""The encoder as a network; that it is the published one is tested in tests/apps/test_text_checkpoint.py."""

import torch

from thuja.models.pretrained_text import PretrainedText
from thuja.testing import check_model

SMALL = PretrainedText(tokens=11, dim=8, depth=2, heads=2, hidden=12, places=7)


def test_the_contract() -> None:
    torch.manual_seed(0)
    ids = torch.tensor([[3, 4, 5, 6, 7], [8, 9, 0, 0, 0], [11, 1, 2, 0, 0]])
    check_model(SMALL.build(3), (ids,))


def test_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    net = SMALL.build(3).eval()
    torch.nn.init.normal_(net.head.weight)
    ids = torch.tensor([[3, 4, 5], [8, 9, 0]])
    with torch.no_grad():
        torch.testing.assert_close(net(ids), net(torch.nn.functional.pad(ids, (0, 3))))
        torch.testing.assert_close(net(ids)[1:], net(ids[1:, :2]))
