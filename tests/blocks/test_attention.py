import torch
from torch.nn import functional

from thuja.blocks.attention import SelfAttention, attention


def test_attention_equals_torchs() -> None:
    torch.manual_seed(0)
    query, key, value = torch.randn(2, 3, 4, 8), torch.randn(2, 3, 6, 8), torch.randn(2, 3, 6, 5)
    mask = torch.rand(2, 1, 4, 6) < 0.6
    mask[..., 0] = True
    for m in (None, mask):
        torch.testing.assert_close(attention(query, key, value, m), functional.scaled_dot_product_attention(query, key, value, m))


def test_a_query_that_matches_one_key_reads_its_value() -> None:
    key = torch.eye(4) * 100
    value = torch.arange(4.0)[:, None]
    torch.testing.assert_close(attention(key[2:3], key, value), torch.tensor([[2.0]]))


def test_self_attention_equals_its_parts_one_head_at_a_time() -> None:
    torch.manual_seed(0)
    layer = SelfAttention(dim=8, heads=2, rotary=False).eval()
    x = torch.randn(1, 5, 8)
    query, key, value = layer.inputs(x).chunk(3, dim=-1)
    heads = [attention(query[..., part], key[..., part], value[..., part]) for part in (slice(0, 4), slice(4, 8))]
    torch.testing.assert_close(layer(x), layer.output(torch.cat(heads, dim=-1)))


def test_masked_places_are_never_read() -> None:
    torch.manual_seed(0)
    layer = SelfAttention(dim=8, heads=2).eval()
    x = torch.randn(1, 5, 8)
    mask = torch.tensor([[True, True, True, False, False]])
    other = x.clone()
    other[:, 3:] = 99.0
    torch.testing.assert_close(layer(x, mask)[:, :3], layer(other, mask)[:, :3])
    torch.testing.assert_close(layer(x, mask)[:, :3], layer(x[:, :3]))


def test_rotary_places_make_order_matter() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 5, 8)
    turned = x.flip(1)
    for rotary in (True, False):
        layer = SelfAttention(dim=8, heads=2, rotary=rotary).eval()
        assert torch.allclose(layer(turned).flip(1), layer(x), atol=1e-5) is not rotary
