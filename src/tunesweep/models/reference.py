"""Small models on the pixels themselves: what the detour through text is measured against."""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise

from torch import Tensor, nn

from tunesweep.config import ModelConfig
from tunesweep.errors import BadConfig, suggest


class Reference(nn.Module):
    """A feature extractor and a linear `classifier` on pixels [batch, 1, height, width] in 0..1."""

    def __init__(self, features: nn.Module, width: int, classes: int) -> None:
        super().__init__()
        self.features = features
        self.classifier = nn.Linear(width, classes)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return logits [batch, classes]."""
        logits: Tensor = self.classifier(self.features(pixels))
        return logits


def reference(model: ModelConfig, size: int, classes: int) -> Reference:
    """Build logistic regression, a perceptron or a convolutional network for size x size pictures."""
    name = model.source.removeprefix("builtin:")
    if name not in _BUILDERS:
        raise BadConfig(f"model.source={model.source} is not built in: choose {suggest(name, _BUILDERS)}")
    return _BUILDERS[name](model, size, classes)


def _linear(_: ModelConfig, size: int, classes: int) -> Reference:
    return Reference(nn.Flatten(), size * size, classes)


def _mlp(model: ModelConfig, size: int, classes: int) -> Reference:
    widths = [size * size, *model.hidden]
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    for index, (inputs, outputs) in enumerate(pairwise(widths)):
        # All are called `linear`, so that one target names them, however many there are.
        layers[f"layer{index}"] = nn.Sequential(
            OrderedDict(linear=nn.Linear(inputs, outputs), relu=nn.ReLU())
        )
    return Reference(nn.Sequential(layers), widths[-1], classes)


def _cnn(_: ModelConfig, size: int, classes: int) -> Reference:
    features = nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 32, kernel_size=3, padding=1),
            relu1=nn.ReLU(),
            conv2=nn.Conv2d(32, 64, kernel_size=3, padding=1),
            relu2=nn.ReLU(),
            pool=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
        )
    )
    return Reference(features, 64 * (size // 2) ** 2, classes)


_BUILDERS = {"linear": _linear, "mlp": _mlp, "cnn": _cnn}
