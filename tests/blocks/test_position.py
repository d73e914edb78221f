import math

import torch

from thuja.blocks.position import Learned, Rotary, Sinusoidal, frequencies


def test_frequencies_fall_from_one_in_equal_ratios() -> None:
    torch.testing.assert_close(frequencies(4, base=100.0), torch.tensor([1.0, 0.1]))


def test_sinusoidal_is_the_formula_of_the_paper() -> None:
    added = Sinusoidal(6)(torch.zeros(1, 9, 6))[0]
    for place, pair in ((0, 0), (3, 1), (8, 2)):
        angle = place / 10_000 ** (2 * pair / 6)
        assert math.isclose(added[place, pair].item(), math.sin(angle), abs_tol=1e-5)
        assert math.isclose(added[place, pair + 3].item(), math.cos(angle), abs_tol=1e-5)


def test_learned_places_past_the_last_share_it() -> None:
    layer = Learned(3, 4)
    added = layer(torch.zeros(2, 5, 4))
    torch.testing.assert_close(added[0, :3], layer.table.weight)
    torch.testing.assert_close(added[0, 3:], layer.table.weight[2:].expand(2, 4))


def test_rotary_keeps_lengths_and_products_depend_on_distance_only() -> None:
    torch.manual_seed(0)
    rotary, query, key = Rotary(8), torch.randn(8), torch.randn(8)
    turned_query, turned_key = (rotary(v.expand(1, 1, 12, 8))[0, 0] for v in (query, key))
    torch.testing.assert_close(turned_query.norm(dim=1), query.norm().expand(12))
    products = turned_query @ turned_key.T
    torch.testing.assert_close(products[5, 2], products[9, 6])
    assert not torch.isclose(products[5, 2], products[5, 3], atol=1e-3)
