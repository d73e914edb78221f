import pytest
import torch

from thuja.models.convnet import PATCH, ConvNet, ConvNetwork


def built(channels: int = 3, **settings: object) -> ConvNetwork:
    torch.manual_seed(0)
    return ConvNet(widths=(8, 16), patches=6, **settings).build(channels, 5, torch.eye(channels * PATCH**2).tolist())


@pytest.mark.parametrize("size", [(32, 32), (28, 28), (9, 17), (3, 5)])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_size(size: tuple[int, int], channels: int) -> None:
    assert built(channels)(torch.randn(4, channels, *size)).shape == (4, 5)


def test_grey_pictures_have_fewer_patches_than_filters_asked_for() -> None:
    network = ConvNet(patches=24).build(1, 10, torch.eye(16).tolist())
    assert network.stem.weight.shape == (32, 1, 4, 4)


def test_the_stem_is_frozen_and_all_else_learns() -> None:
    network = built()
    network(torch.randn(8, 3, 16, 16)).sum().backward()
    frozen = {name for name, p in network.named_parameters() if p.grad is None}
    assert frozen == {"stem.weight", "stem.bias", *(f"stages.{s}.{i}.weight" for s in (0, 1) for i in ("2", "4.body.1"))}, "the stem and the gains"


def test_rows_do_not_see_each_other_at_rest() -> None:
    network = built().eval()
    x = torch.randn(5, 3, 16, 16)
    torch.testing.assert_close(network(x)[2:3], network(x[2:3]), atol=1e-5, rtol=1e-5)


def test_weights_are_a_function_of_torchs_seed() -> None:
    assert all(torch.equal(a, b) for a, b in zip(built().state_dict().values(), built().state_dict().values(), strict=True))


def test_ten_steps_fit_a_batch() -> None:
    network, x, y = built(), torch.randn(20, 3, 16, 16), torch.arange(20) % 5
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=0.01)
    losses = []
    for _ in range(10):
        loss = torch.nn.functional.cross_entropy(network(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
