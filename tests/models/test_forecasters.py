"""Forecasters: shapes, what they can learn at once, and what they must not depend on."""

import pytest
import torch

from thuja.models.forecaster import Shape, Width
from thuja.models.linear_forecaster import LinearForecaster
from thuja.models.patch_forecaster import PatchForecaster
from thuja.models.recurrent_forecaster import RecurrentForecaster
from thuja.testing import check_model

MODELS = [LinearForecaster(), LinearForecaster(period=1, smooth=1, level="last"), LinearForecaster(period=5, smooth=4),
          PatchForecaster(dim=16, heads=2, depth=1), RecurrentForecaster(dim=16, segment=8)]
SHAPE = Shape(context=30, horizon=11, past=2, known=3, season=6)


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_the_contract(model):
    torch.manual_seed(0)
    net = model.build(SHAPE)
    history = torch.randn(6, 30).cumsum(1)
    history[2, 3:9] = float("nan")
    check_model(net, (history, torch.randn(6, 2, 30), torch.randn(6, 3, 41)))
    value, low, high = net(history, torch.randn(6, 2, 30), torch.randn(6, 3, 41))
    assert value.shape == low.shape == high.shape == (6, 11)
    assert (low < value).all()
    assert (value < high).all()


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_forecasts_follow_level_and_unit_of_the_window(model):
    torch.manual_seed(0)
    net = model.build(Shape(30, 11, season=6)).eval()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    history = torch.randn(4, 30).cumsum(1)
    for ours, moved in zip(net(history), net(history * 50 - 7), strict=True):
        torch.testing.assert_close(moved, ours * 50 - 7, atol=1e-2, rtol=1e-3)


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_a_constant_window_is_forecast_as_constant(model):
    net = model.build(Shape(30, 11, season=6)).eval()
    for answer in net(torch.full((2, 30), 4.0)):
        torch.testing.assert_close(answer, torch.full((2, 11), 4.0), atol=1e-2, rtol=0)


def test_one_set_of_weights_serves_all_places_of_a_season():
    assert LinearForecaster(smooth=1).build(Shape(336, 96, season=24)).core.map.weight.shape == (4, 14)
    assert LinearForecaster(period=1, smooth=1).build(Shape(336, 96, season=24)).core.map.weight.shape == (96, 336)
    net = LinearForecaster(smooth=1).build(Shape(12, 7, season=4))
    with torch.no_grad():
        net.core.map.weight[:, -1] = 1.0
    x = torch.randn(2, 1, 12)
    torch.testing.assert_close(net.core(x), torch.cat([x[:, 0, 8:], x[:, 0, 8:11]], dim=1))


def test_the_latest_season_counts_by_itself_where_the_horizon_is_near():
    near, far = (LinearForecaster().build(Shape(96, horizon, past=1, season=24)).core for horizon in (48, 49))
    assert near.nudge.weight.shape == (48, 48)
    assert far.nudge is None
    assert LinearForecaster(recent=0).build(Shape(96, 24, season=24)).core.nudge is None
    with torch.no_grad():
        near.nudge.weight[0, 23] = 1.0
    x = torch.randn(3, 2, 96)
    torch.testing.assert_close(near(x)[:, 0], x[:, 0, -1])
    assert near(x)[:, 1:].abs().max() == 0


def test_what_is_known_in_advance_is_taken_out_and_put_back():
    net = LinearForecaster(smooth=1).build(Shape(8, 3, known=1, season=1))
    known = torch.zeros(1, 1, 11)
    calm = net(torch.ones(1, 8), None, known)[0]
    known[0, 0, 9] = 1.0
    torch.nn.init.ones_(net.effect.head.weight)
    moved = net(torch.arange(8.0)[None], None, known)[0] - net(torch.arange(8.0)[None], None, known * 0)[0]
    assert calm.std() == 0
    assert moved[0, 1] != moved[0, 0] == moved[0, 2]


def test_widths_are_positive_and_finite_whatever_the_window():
    width = Width(Shape(30, 5, season=6))
    torch.nn.init.normal_(width.head.weight, std=50.0)
    for window in (torch.zeros(1, 30), torch.randn(1, 30) * 1e4, torch.eye(30)[:1]):
        for side in width(window):
            assert torch.isfinite(side).all()
            assert (side > 0).all()
