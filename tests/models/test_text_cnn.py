import pytest
import torch

from thuja.models.text_cnn import TextCNN
from thuja.models.text_ngrams import TextNgrams

ENDINGS = [0, 1, 2, 3, 2, 2, 3, 3, 2, 2]
WORDS = torch.tensor([[4, 5, 6, 7], [8, 0, 0, 0], [5, 5, 0, 0]])
CHARACTERS = torch.tensor([[1, 50, 60, 70, 2], [1, 2, 0, 0, 0], [1, 50, 2, 0, 0]])


def small(seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    net = TextCNN(embedding=8, filters=6, ngrams=TextNgrams(buckets=512)).build(ENDINGS, 3)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter)
    return net.eval()


@pytest.mark.parametrize("more", [1, 5, 30])
def test_padding_never_changes_an_answer(more: int) -> None:
    net = small()
    alone = net(WORDS, CHARACTERS)
    padded = net(torch.nn.functional.pad(WORDS, (0, more)), torch.nn.functional.pad(CHARACTERS, (0, 2 * more)))
    torch.testing.assert_close(padded, alone, atol=1e-4, rtol=1e-5)


def test_a_row_is_answered_alike_alone_and_among_others() -> None:
    net = small()
    torch.testing.assert_close(net(WORDS[1:2, :1], CHARACTERS[1:2, :2]), net(WORDS, CHARACTERS)[1:2], atol=1e-4, rtol=1e-5)


def test_a_filter_finds_its_words_wherever_they_are() -> None:
    net = small()
    torch.nn.init.zeros_(net.words.table.weight[1])
    early, late = net.features(torch.tensor([[4, 5, 1, 1, 1, 1]])), net.features(torch.tensor([[1, 1, 1, 4, 5, 1]]))
    torch.testing.assert_close(early, late)


def test_word_dropout_reads_words_as_their_endings() -> None:
    """With nearly all words dropped, words of one ending are alike; in service they are not."""
    net = TextCNN(embedding=8, filters=6, dropout=0, spatial_dropout=0, word_dropout=1 - 1e-9, ngrams=TextNgrams(buckets=512)).build(ENDINGS, 3)
    torch.nn.init.normal_(net.head.weight)
    one, two = torch.tensor([[4, 5, 8]]), torch.tensor([[9, 8, 4]])
    marks = torch.tensor([[1, 2]])
    torch.testing.assert_close(net.train()(one, marks), net(two, marks))
    assert not torch.allclose(net.eval()(one, marks), net(two, marks))


def test_fresh_weights_follow_the_seed_and_answer_nearly_evenly() -> None:
    made = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        made.append(TextCNN().build(ENDINGS, 3).eval()(WORDS, CHARACTERS))
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])
    assert made[0].softmax(1).sub(1 / 3).abs().max() < 0.05
