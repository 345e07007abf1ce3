"""Encoders: what `transform` runs. To add one, write its file and its line here."""

from skclr.encoders.conv import Conv
from skclr.encoders.mlp import MLP
from skclr.encoders.preprocessed import Preprocessed
from skclr.encoders.resnet import ResNet18
from skclr.parts.encoder import Encoder

ENCODERS: dict[str, type[Encoder]] = {
    "mlp": MLP,
    "conv": Conv,
    "resnet18": ResNet18,
}

__all__ = ["ENCODERS", "MLP", "Conv", "Encoder", "Preprocessed", "ResNet18"]
