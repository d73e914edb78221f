"""What is trained and what is served."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from thuja.blocks.normalisation import Standardise
from thuja.losses import unsmoothed
from thuja.models.convnet import ConvNetwork
from thuja.models.resnet import ResNetNetwork


class Classifier(nn.Module):
    """What is trained: uint8 [B, H, W, C] to logits [B, classes]."""

    def __init__(self, standardise: Standardise, network: ConvNetwork | ResNetNetwork) -> None:
        super().__init__()
        self.standardise, self.network = standardise, network

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.network(self.standardise(pictures))
        return logits


class Views(nn.Module):
    """The views of test-time augmentation, float [B, C, H, W] to a list of the same with their weights: as it is, and moved a pixel to either corner; each
    also mirrored."""

    def __init__(self, *, mirror: bool) -> None:
        super().__init__()
        self.mirror = mirror

    def forward(self, x: Tensor) -> list[tuple[float, Tensor]]:
        """Weights sum to one: half for the picture in place, a quarter for each shift."""
        padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
        views = [(0.5, x), (0.25, padded[:, :, :-2, :-2]), (0.25, padded[:, :, 2:, 2:])]
        return views if not self.mirror else [(weight / 2, v) for weight, view in views for v in (view, view.flip(3))]


class Predict(nn.Module):
    """What is served: uint8 [B, H, W, C] to a probability for each class [B, classes]; and `_features` [B, width], what the head sees of the picture as it
    is."""

    def __init__(self, classifier: Classifier, views: Views | None, label_smoothing: float, *, several: bool = False) -> None:
        """`several`: each class is decided by itself, so that their probabilities have no sum to keep."""
        super().__init__()
        self.classifier, self.views, self.label_smoothing, self.several = classifier, views, label_smoothing, several

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """The softmax (of several labels, the sigmoid) of the mean logits over the views, with the smoothing of the labels taken out; the features of the
        first view."""
        x = self.classifier.standardise(pictures)
        views = self.views(x) if self.views is not None else [(1.0, x)]
        seen = [self.classifier.network.features(view) for _, view in views]
        logits = torch.stack([weight * self.classifier.network.head(features) for (weight, _), features in zip(views, seen, strict=True)]).sum(0)
        if self.several:
            return logits.sigmoid(), seen[0]
        probability = logits.softmax(dim=1)
        return (unsmoothed(probability, self.label_smoothing) if self.label_smoothing else probability), seen[0]
