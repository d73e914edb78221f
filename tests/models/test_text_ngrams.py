import torch

from thuja.models.text_ngrams import TextNgrams


def test_it_starts_even_and_padding_never_changes_an_answer() -> None:
    net = TextNgrams(buckets=512).build([0, 1, 2], 4).eval()
    words, characters = torch.tensor([[5, 6, 0]]), torch.tensor([[1, 9, 8, 2]])
    assert net(words, characters).tolist() == [[0.0] * 4]
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter)
    longer = net(torch.nn.functional.pad(words, (0, 9)), torch.nn.functional.pad(characters, (0, 9)))
    torch.testing.assert_close(longer, net(words, characters))


def test_it_tells_the_order_of_two_words() -> None:
    torch.manual_seed(0)
    net = TextNgrams(buckets=512, dropout=0.0).build([0], 2)
    words, characters, target = torch.tensor([[5, 6], [6, 5]]), torch.tensor([[1, 2], [1, 2]]), torch.tensor([0, 1])
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.1)
    for _ in range(20):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(words, characters), target).backward()
        optimizer.step()
    assert net(words, characters).argmax(1).tolist() == [0, 1]
