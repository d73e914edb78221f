"""Low-rank changes."""

import torch
from torch import nn

from thuja.blocks.adapter import LowRank, adapt, merged


def test_a_fresh_adapter_changes_nothing_and_only_it_can_move() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Sequential(nn.Linear(4, 3, bias=False)))
    x, names = torch.randn(6, 5), list(net.state_dict())
    before = net(x)
    adapt(net, 2)
    assert torch.equal(net(x), before)
    assert [name for name, p in net.named_parameters() if p.requires_grad] == ["0.down", "0.up", "2.0.down", "2.0.up"]
    assert set(names) <= set(net.state_dict())


def test_merged_layers_are_plain_and_say_the_same() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3, bias=False))
    adapt(net, 2)
    for layer in (net[0], net[2]):
        nn.init.normal_(layer.up)
    whole, x = merged(net), torch.randn(6, 5)
    torch.testing.assert_close(whole(x), net(x))
    assert not any(isinstance(layer, LowRank) for layer in whole.modules())
    assert [list(p.shape) for p in whole.parameters()] == [[4, 5], [4], [3, 4]]
