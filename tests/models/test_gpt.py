"""The transformer: what a place sees, and that steps say what a whole row says."""

import pytest
import torch
from pydantic import ValidationError

from thuja.blocks.cache import window
from thuja.models.gpt import GPT
from thuja.testing import check_model

SMALL = {"dim": 16, "depth": 2, "heads": 2, "hidden": 24, "buckets": 32}


def network(context: int = 8, **changes: object):
    torch.manual_seed(0)
    net = GPT(**{**SMALL, **changes}).build(20, context)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return net.eval()


@pytest.mark.parametrize("changes", [{}, {"tied": True, "activation": "swiglu", "ngrams": 1}])
def test_the_contract_of_a_model(changes: dict[str, object]) -> None:
    check_model(network(**changes), [torch.randint(1, 20, (3, 7))])


def test_a_place_does_not_see_what_comes_after() -> None:
    net, ids = network(), torch.randint(1, 20, (2, 8))
    other = ids.clone()
    other[:, 5:] = torch.randint(1, 20, (2, 3))
    with torch.no_grad():
        torch.testing.assert_close(net(ids)[:, :5], net(other)[:, :5])
        assert not torch.allclose(net(ids)[:, 5:], net(other)[:, 5:])


@pytest.mark.parametrize("changes", [{}, {"ngrams": 1}, {"ngrams": 4, "tied": True}])
def test_steps_say_what_a_whole_row_says_beyond_the_context_too(changes: dict[str, object]) -> None:
    context = 8
    net, ids = network(context, **changes), torch.randint(1, 20, (2, 19))
    prompt = torch.cat([ids[:, :4], torch.zeros(2, 3, dtype=torch.int64)], dim=1)
    with torch.no_grad():
        expected = net(ids, window(19, context))
        place, memory = net.begin(prompt, torch.tensor([4, 2]))
        assert place.tolist() == [3, 1]
        for _ in range(15):
            logits, memory = net.step(ids.gather(1, place.unsqueeze(1)).squeeze(1), place, memory)
            torch.testing.assert_close(logits, expected[torch.arange(2), place], atol=1e-4, rtol=1e-4)
            place = place + 1
    assert len(memory) == len(net.memory)


def test_a_fresh_network_believes_nothing() -> None:
    torch.manual_seed(0)
    assert not GPT(**SMALL).build(20, 8)(torch.randint(1, 20, (2, 5))).any()


def test_sizes_that_do_not_fit() -> None:
    with pytest.raises(ValidationError, match="dim must be a multiple of 2 \\* heads = 8, not 12"):
        GPT(dim=12, heads=4)
