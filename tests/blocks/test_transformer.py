import torch

from thuja.blocks.transformer import Encoder, EncoderLayer


def test_a_fresh_layer_is_the_identity() -> None:
    x = torch.randn(2, 4, 8)
    torch.testing.assert_close(EncoderLayer(8, heads=2, hidden=16).eval()(x), x)


def test_padding_never_changes_the_other_places() -> None:
    torch.manual_seed(0)
    encoder = Encoder(8, depth=2, heads=2, hidden=16).eval()
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    x = torch.randn(1, 3, 8)
    longer = torch.cat([x, torch.full((1, 4, 8), 7.0)], dim=1)
    mask = torch.arange(7)[None] < 3
    torch.testing.assert_close(encoder(longer, mask)[:, :3], encoder(x, mask[:, :3]), atol=1e-5, rtol=1e-5)


def test_it_learns_whether_the_first_place_equals_the_last() -> None:
    """Nothing local can tell: places must read from each other."""
    torch.manual_seed(0)
    encoder, table, head = Encoder(32, depth=1, heads=2, hidden=32, dropout=0.0), torch.nn.Embedding(4, 32), torch.nn.Linear(32, 1)
    optimizer = torch.optim.AdamW([*encoder.parameters(), *table.parameters(), *head.parameters()], lr=5e-3)
    for _ in range(150):
        ids = torch.randint(4, (64, 5))
        ids[::2, 4] = ids[::2, 0]
        same = (ids[:, 0] == ids[:, 4]).float()
        logits = head(encoder(table(ids))[:, 4])[:, 0]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, same)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert ((logits > 0) == same.bool()).float().mean() > 0.9
