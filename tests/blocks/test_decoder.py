import pytest
import torch

from thuja.blocks.attention import attention
from thuja.blocks.decoder import Cache, CausalAttention, CrossAttention, Decoder, causal_mask


def lively(module: torch.nn.Module) -> torch.nn.Module:
    torch.manual_seed(0)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return module.eval()


def test_a_causal_attention_is_attention_under_a_causal_mask() -> None:
    layer, x = lively(CausalAttention(8, heads=2)), torch.randn(3, 5, 8)
    query, key, value = layer.inputs(x).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)
    expected = layer.output(attention(query, key, value, causal_mask(5)).transpose(1, 2).flatten(2))
    torch.testing.assert_close(layer(x), expected)


def test_cross_attention_reads_what_is_there_in_the_shares_it_says() -> None:
    layer, x, source = lively(CrossAttention(8, heads=2)), torch.randn(2, 4, 8), torch.randn(2, 6, 8)
    mask = torch.tensor([[True] * 6, [True] * 2 + [False] * 4])
    memory = layer.remember(source, mask)
    shares = layer.weights(x, memory)
    assert shares.shape == (2, 2, 4, 6)
    assert (shares[1, :, :, 2:] == 0).all()
    torch.testing.assert_close(shares.sum(-1), torch.ones(2, 2, 4))
    torch.testing.assert_close(layer(x, memory), layer.output((shares @ memory.values).transpose(1, 2).flatten(2)))
    torch.testing.assert_close(layer(x[1:], layer.remember(source[1:, :2], mask[1:, :2])), layer(x, memory)[1:])


def test_later_places_change_nothing_before_them() -> None:
    decoder, x, source = lively(Decoder(8, depth=2, heads=2, hidden=16)), torch.randn(2, 6, 8), torch.randn(2, 3, 8)
    memory = decoder.remember(source, torch.ones(2, 3, dtype=torch.bool))
    torch.testing.assert_close(decoder(x, memory)[:, :4], decoder(x[:, :4], memory))


@pytest.mark.parametrize("padding", [0, 2])
def test_step_by_step_is_all_at_once_whatever_the_padding(padding: int) -> None:
    """Two beams a row; between old places and the new one there may be padding, as where rows at different places are laid together."""
    decoder, source = lively(Decoder(8, depth=2, heads=2, hidden=16)), torch.randn(3, 4, 8)
    x = torch.randn(3, 2, 5, 8)
    memory = decoder.remember(source, torch.ones(3, 4, dtype=torch.bool))
    caches, there = decoder.empty(source, 2), torch.ones(3, 2, 0, dtype=torch.bool)
    for place in range(5):
        if place == 3:
            caches = [Cache(*(torch.cat([t, torch.full_like(t[:, :, :, :padding], 7.0)], dim=3) for t in cache)) for cache in caches]
            there = torch.cat([there, torch.zeros(3, 2, padding, dtype=torch.bool)], dim=2)
        there = torch.cat([there, torch.ones(3, 2, 1, dtype=torch.bool)], dim=2)
        found, caches = decoder.step(x[:, :, place], memory, caches, there)
        for beam in range(2):
            torch.testing.assert_close(found[:, beam], decoder(x[:, beam, : place + 1], memory)[:, -1], atol=1e-5, rtol=1e-5)


def test_a_fresh_decoder_only_norms() -> None:
    x, source = torch.randn(2, 4, 8), torch.randn(2, 3, 8)
    decoder = Decoder(8, depth=2, heads=2, hidden=16).eval()
    torch.testing.assert_close(decoder(x, decoder.remember(source, torch.ones(2, 3, dtype=torch.bool))), torch.nn.functional.layer_norm(x, (8,)))
