"""Networks that make a query at every place of a history."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from thuja.models.matrix_factorisation import MatrixFactorisation
from thuja.models.sasrec import SASRec, fading_mean
from thuja.models.two_tower import TwoTower
from thuja.testing import check_model

HISTORY = torch.tensor([[1, 2, 3, 4], [5, 6, 0, 0], [7, 0, 0, 0]])


class Scored(nn.Module):
    """All that a recommender learns, in one output."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, history, user):
        vectors, bias = self.net.catalogue()
        scores = self.net(history, user)[:, 0] @ vectors.T + bias
        return scores + self.net.level(user)[:, None] if hasattr(self.net, "level") else scores


@pytest.mark.parametrize("settings", [SASRec(dim=8, hidden=8), TwoTower(dim=8, hidden=8), MatrixFactorisation(dim=8)], ids=lambda s: s.kind)
def test_the_contract(settings):
    check_model(Scored(settings.build(9, 3)), (HISTORY, torch.tensor([0, 1, 2])))


@pytest.mark.parametrize("settings", [SASRec(dim=8, hidden=8, depth=2), TwoTower(dim=8, hidden=8)], ids=lambda s: s.kind)
def test_no_place_reads_what_comes_later(settings):
    torch.manual_seed(0)
    net = settings.build(9).eval()
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.3)
    with torch.no_grad():
        whole = net(HISTORY)
        torch.testing.assert_close(net(HISTORY[:, :2]), whole[:, :2])
        changed = HISTORY.clone()
        changed[0, 1] = 9
        other = net(changed)
    torch.testing.assert_close(other[0, 0], whole[0, 0])
    assert not torch.allclose(other[0, 1:], whole[0, 1:], atol=1e-3)


def test_a_fading_mean_by_hand():
    x = torch.tensor([[[4.0], [8.0], [2.0]]])
    torch.testing.assert_close(fading_mean(x, 0.5), torch.tensor([[[4.0], [(8 + 2) / 1.5], [(2 + 4 + 1) / 1.75]]]))
    torch.testing.assert_close(fading_mean(x, 0.0), x)


def test_factors_take_the_vector_of_a_known_user_and_the_mean_of_what_others_took():
    net = MatrixFactorisation(dim=4).build(9, 3).eval()
    known, unknown = (net(HISTORY, torch.tensor([user] * 3)) for user in (2, 0))
    torch.testing.assert_close(known[0, 3], net.users.weight[2])
    torch.testing.assert_close(unknown[0, 1], net.read.weight[[1, 2]].mean(0))


def test_heads_must_fit():
    with pytest.raises(ValidationError, match="dim must be a multiple of 2 \\* heads = 4, not 6"):
        SASRec(dim=6)
