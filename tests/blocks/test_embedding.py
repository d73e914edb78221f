import torch

from thuja.blocks.embedding import MODULUS, PRIME, Embedding, NgramBag, ngram_hashes


def test_embedding_is_the_product_of_one_hot_rows_and_the_table() -> None:
    torch.manual_seed(0)
    layer = Embedding(7, 5)
    ids = torch.tensor([[3, 6, 0]])
    hot = torch.nn.functional.one_hot(ids, 7).float()
    expected = hot @ layer.table.weight
    torch.testing.assert_close(layer(ids)[:, :2], expected[:, :2])


def test_padding_gives_zeros_and_no_gradient() -> None:
    layer = Embedding(4, 3)
    ids = torch.tensor([[1, 0]])
    assert layer.table.weight[0].abs().sum() > 0
    assert layer(ids)[0, 1].tolist() == [0.0, 0.0, 0.0]
    layer(ids).sum().backward()
    assert layer.table.weight.grad is not None
    assert layer.table.weight.grad[0].tolist() == [0.0, 0.0, 0.0]


def test_hashes_are_the_polynomial_of_the_ids() -> None:
    ids = [5, 1_114_114, 7]
    hashed = ngram_hashes(torch.tensor([ids]), 3)
    expected = 0
    for n, number in enumerate(ids):
        expected = (expected * PRIME + number * 8191 + n + 1) % MODULUS
    assert hashed[2][0, 0].item() == expected
    assert all(0 <= value < MODULUS for h in hashed for value in h.flatten().tolist())


def test_bag_is_the_sum_over_ngrams_divided_by_the_root_of_their_number() -> None:
    bag = NgramBag(longest=2, buckets=101, dim=3).eval()
    torch.nn.init.normal_(bag.table.weight)
    ids = torch.tensor([[4, 9, 4, 0]])
    one, two = ngram_hashes(ids, 2)
    places = [one[0, 0], one[0, 1], one[0, 2], two[0, 0], two[0, 1]]
    expected = torch.stack([bag.table.weight[int(p) % 101] for p in places]).sum(0) / 5**0.5
    torch.testing.assert_close(bag(ids)[0], expected)


def test_bag_knows_order_only_within_its_ngrams() -> None:
    ids, turned = torch.tensor([[1, 2, 3]]), torch.tensor([[3, 2, 1]])
    for longest, same in ((1, True), (2, False)):
        bag = NgramBag(longest, 1009, 4).eval()
        torch.nn.init.normal_(bag.table.weight)
        assert torch.allclose(bag(ids), bag(turned), atol=1e-6) is same


def test_padding_never_changes_a_bag_and_short_rows_are_allowed() -> None:
    bag = NgramBag(longest=4, buckets=997, dim=2).eval()
    torch.nn.init.normal_(bag.table.weight)
    alone = bag(torch.tensor([[8]]))
    padded = bag(torch.tensor([[8, 0, 0, 0, 0, 0], [1, 2, 3, 4, 5, 6]]))
    torch.testing.assert_close(padded[:1], alone)


def test_dropped_ngrams_keep_the_mean() -> None:
    bag = NgramBag(longest=1, buckets=1009, dim=1, drop=0.5).train()
    torch.nn.init.ones_(bag.table.weight)
    ids = torch.arange(1, 401)[None]
    torch.manual_seed(0)
    drawn = torch.stack([bag(ids) for _ in range(50)])
    assert drawn.std() > 0
    assert abs(drawn.mean().item() - 20) < 0.5  # 400 / sqrt(400)
