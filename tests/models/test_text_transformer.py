import pytest
import torch
from pydantic import ValidationError

from thuja.models.text_ngrams import TextNgrams
from thuja.models.text_transformer import TextTransformer

WORDS = torch.tensor([[4, 5, 6, 7], [8, 0, 0, 0]])
CHARACTERS = torch.tensor([[1, 50, 60, 2], [1, 2, 0, 0]])


def small() -> torch.nn.Module:
    torch.manual_seed(0)
    net = TextTransformer(dim=16, heads=2, hidden=16, ngrams=TextNgrams(buckets=512)).build([0, 1, 2, 3, 2, 2, 3, 3, 2], 3)
    for name, parameter in net.named_parameters():
        if "norm" not in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return net.eval()


@pytest.mark.parametrize("more", [1, 17])
def test_padding_never_changes_an_answer(more: int) -> None:
    net = small()
    padded = net(torch.nn.functional.pad(WORDS, (0, more)), torch.nn.functional.pad(CHARACTERS, (0, more)))
    torch.testing.assert_close(padded, net(WORDS, CHARACTERS), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(net(WORDS[1:, :1], CHARACTERS[1:, :2]), net(WORDS, CHARACTERS)[1:], atol=1e-5, rtol=1e-5)


def test_the_order_of_words_matters() -> None:
    net = small()
    torch.nn.init.zeros_(net.ngrams.words.table.weight)
    assert not torch.allclose(net(WORDS[:1], CHARACTERS[:1]), net(WORDS[:1].flip(1), CHARACTERS[:1]), atol=1e-3)


def test_heads_must_share_the_vector_evenly() -> None:
    with pytest.raises(ValidationError, match=r"dim must be a multiple of 2 \* heads = 8, not 100"):
        TextTransformer(dim=100, heads=4)
