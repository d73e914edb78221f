"""Convolution: one neuron that visits every place of a picture, so that what is learned in one corner is known in all.

An output place is the weighted sum of the k x k neighbourhood over all input channels: out[o, y, x] = b[o] + sum_{i, u, v} w[o, i, u, v] in[i, y + u, x +
v]. It costs H W C_out C_in k^2 multiply-adds. torch computes it; tensors [B, C, H, W] lie in memory as B H W C (channels last), which is a third faster on
CPUs.

Source: LeCun et al. 1989; the block order convolution, normalisation, activation from Ioffe and Szegedy 2015, arXiv 1502.03167. Whitening filters from
Page's ResNet-9 (DAWNBench 2018) and cifar10-airbench (Jordan 2024, arXiv 2404.00498). Differs from both: the covariance arrives as a statistic of the
training rows, not as rows.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from thuja.blocks.activation import activation
from thuja.blocks.normalisation import batch_norm


def convolution(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1, bias: bool = False) -> nn.Conv2d:
    """A convolution that keeps the size at stride 1 and halves it, rounded up, at stride 2; without bias, since a normalisation follows."""
    return nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=bias)


def convolution_block(inputs: int, outputs: int, *, stride: int = 1, function: str = "relu") -> nn.Sequential:
    """3x3 convolution, batch normalisation, activation: [B, inputs, H, W] to [B, outputs, ceil(H / stride), ceil(W / stride)]."""
    return nn.Sequential(convolution(inputs, outputs, stride=stride), batch_norm(outputs), activation(function))


def whitening_filters(covariance: Sequence[Sequence[float]], channels: int, kernel: int, count: int) -> Tensor:
    """Filters [2 count, channels, kernel, kernel] whose answers are uncorrelated and of variance 1, each with its negative.

    They are the eigenvectors of the patches with the largest variance, divided by its root. Neighbouring pixels are nearly equal, so that raw pixels point all
    gradients one way; whitened ones do not, and the layer needs no learning. A negative twin keeps what a ReLU would cut off.

    Args:
        covariance: second moments of the standardised patches, `channels * kernel**2` square, in the order channel, row, column.
        count: how many; at most `channels * kernel**2`.
    """
    moments = torch.tensor(covariance, dtype=torch.float64)
    size = channels * kernel * kernel
    assert moments.shape == (size, size), (moments.shape, size)
    assert count <= size, (count, size)
    variances, vectors = torch.linalg.eigh(moments)
    largest = vectors[:, -count:].flip(1) / (variances[-count:].flip(0).clamp(min=0) + 5e-4).sqrt()
    # The sign of an eigenvector is arbitrary: fix it, so that equal data give equal filters on every machine.
    strongest = largest.abs().argmax(dim=0)
    largest = largest * largest[strongest, torch.arange(count)].sign()
    filters = largest.t().float().reshape(count, channels, kernel, kernel)
    return torch.cat([filters, -filters])
