"""The table network."""

import numpy as np
import pytest
import torch

from thuja.models.tabular import Tabular, TabularNet

QUANTILES = [np.linspace(0, 1, 9), np.linspace(-5, 5, 9)]


def net(quantiles=QUANTILES, sizes=(4, 3), outputs=3, **settings):
    torch.manual_seed(0)
    return TabularNet(Tabular(members=5, width=16, embedding=4, bins=8, **settings), list(quantiles), list(sizes), outputs)


def batch(rows=6):
    rng = np.random.default_rng(0)
    return torch.tensor(rng.normal(size=(rows, 2)), dtype=torch.float32), torch.tensor(rng.integers(0, 3, (rows, 2)))


def test_shapes_with_numbers_categories_or_both():
    numbers, categories = batch()
    assert net()(numbers, categories).shape == (6, 5, 3)
    assert net(sizes=())(numbers, None).shape == (6, 5, 3)
    assert net(quantiles=[])(None, categories).shape == (6, 5, 3)


def test_members_are_what_an_mlp_each_would_be():
    model, (numbers, categories) = net(dropout=0.0), batch()
    embedded = torch.cat([model.numbers(numbers).flatten(1), model.categories(categories + model.first_id).flatten(1)], dim=1)
    for k in range(5):
        x = embedded * model.adapter[k]
        for layer, bias in zip(model.layers, model.biases, strict=True):
            x = torch.relu(x @ layer.weight.T + bias[k])
        torch.testing.assert_close(model(numbers, categories)[:, k], x @ model.head[k] + model.head_bias[k])


def test_members_differ_and_rows_do_not_mix():
    model, (numbers, categories) = net().eval(), batch()
    out = model(numbers, categories)
    assert out.std(dim=1).min() > 1e-3
    torch.testing.assert_close(model(numbers[2:3], categories[2:3]), out[2:3])


def test_each_column_has_its_own_categories():
    model = net(quantiles=[], sizes=(4, 3)).eval()
    a = model(None, torch.tensor([[1, 0]]))
    with torch.no_grad():
        model.categories.weight[4 + 1] += 1  # name 1 of the second column
    torch.testing.assert_close(model(None, torch.tensor([[1, 0]])), a)
    assert not torch.allclose(model(None, torch.tensor([[1, 1]])), a)


def test_dropout_is_off_in_eval_and_on_in_training():
    model, (numbers, categories) = net(dropout=0.5), batch()
    torch.manual_seed(1)
    one, two = model(numbers, categories), model(numbers, categories)
    assert not torch.equal(one, two)
    torch.manual_seed(1)
    assert torch.equal(model(numbers, categories), one), "drawn from the global generator alone"
    model.eval()
    assert torch.equal(model(numbers, categories), model(numbers, categories))


def test_every_parameter_gets_a_gradient():
    model, (numbers, categories) = net(), batch()
    numbers[0, 0] = float("nan")
    model(numbers, categories).square().mean().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum()] == []


def test_only_hidden_matrices_are_for_muon():
    model = net()
    assert {name for name, p in model.named_parameters() if getattr(p, "hidden", p.dim() >= 2)} >= {"layers.0.weight", "layers.1.weight"}
    for name in ("head", "adapter"):
        assert getattr(getattr(model, name), "hidden", True) is False, name


@pytest.mark.parametrize("depth", [1, 3])
def test_depth(depth):
    assert len(net(depth=depth).layers) == depth
