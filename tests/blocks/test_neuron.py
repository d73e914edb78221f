import torch

from thuja.blocks.neuron import Dense, Neuron


def test_neuron_is_the_bent_weighted_sum() -> None:
    neuron = Neuron(3)
    neuron.weight.data = torch.tensor([1.0, -2.0, 0.5])
    neuron.bias.data = torch.tensor(0.25)
    torch.testing.assert_close(neuron(torch.tensor([[1.0, 1.0, 2.0]])), torch.tanh(torch.tensor([0.25])))


def test_dense_is_many_neurons_at_once() -> None:
    torch.manual_seed(0)
    layer, x = Dense(4, 3, "tanh"), torch.randn(5, 4)
    for i in range(3):
        neuron = Neuron(4)
        neuron.weight.data, neuron.bias.data = layer[0].weight[i].detach(), layer[0].bias[i].detach()
        torch.testing.assert_close(layer(x)[:, i], neuron(x))


def test_a_neuron_learns_or() -> None:
    torch.manual_seed(0)
    neuron = Neuron(2, torch.sigmoid)
    x, y = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), torch.tensor([0.0, 1.0, 1.0, 1.0])
    optimizer = torch.optim.SGD(neuron.parameters(), lr=1.0)
    for _ in range(300):
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy(neuron(x), y).backward()
        optimizer.step()
    assert ((neuron(x) > 0.5).float() == y).all()
