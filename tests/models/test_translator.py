import pytest
import torch
from pydantic import ValidationError

from thuja.models.translator import Translator
from thuja.testing import check_model

SOURCE, BEFORE = torch.tensor([[4, 5, 6, 2], [7, 2, 0, 0]]), torch.tensor([[1, 5, 9], [1, 8, 0]])


def small() -> torch.nn.Module:
    torch.manual_seed(0)
    net = Translator(dim=16, depth=2, heads=2, hidden=16, dropout=0.0).build(10)
    for name, parameter in net.named_parameters():
        if "norm" not in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return net.eval()


def test_it_is_a_model() -> None:
    check_model(small(), [SOURCE, BEFORE])


@pytest.mark.parametrize("more", [1, 9])
def test_padding_never_changes_an_answer(more: int) -> None:
    net, pad = small(), torch.nn.functional.pad
    torch.testing.assert_close(net(pad(SOURCE, (0, more)), pad(BEFORE, (0, more)))[:, :3], net(SOURCE, BEFORE), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(net(SOURCE[1:, :2], BEFORE[1:, :2]), net(SOURCE, BEFORE)[1:, :2], atol=1e-5, rtol=1e-5)


def test_the_order_of_both_texts_matters() -> None:
    net = small()
    assert not torch.allclose(net(SOURCE[:1], BEFORE[:1]), net(SOURCE[:1].flip(1), BEFORE[:1]), atol=1e-3)
    assert not torch.allclose(net(SOURCE[:1], BEFORE[:1])[:, -1], net(SOURCE[:1], BEFORE[:1, [1, 0, 2]])[:, -1], atol=1e-3)


def test_a_step_gives_the_state_of_the_whole() -> None:
    net = small()
    memory, caches = net.read(SOURCE), net.decoder.empty(torch.zeros(2), 1)
    for place in range(3):
        there = torch.ones(2, 1, place + 1, dtype=torch.bool)
        state, caches = net.step(BEFORE[:, place : place + 1], torch.full((2, 1), place), memory, caches, there)
        torch.testing.assert_close(state[:, 0], net(SOURCE, BEFORE)[:, place], atol=1e-5, rtol=1e-5)


def test_one_table_serves_both_texts_and_the_output() -> None:
    net = small()
    assert sum(p.numel() for n, p in net.named_parameters() if 10 in p.shape) == net.table.weight.numel() == 160
    torch.testing.assert_close(net.logits(torch.eye(16)), net.table.weight.T)


def test_heads_must_share_the_vector_evenly() -> None:
    with pytest.raises(ValidationError, match=r"dim must be a multiple of 2 \* heads = 8, not 100"):
        Translator(dim=100, heads=4)
