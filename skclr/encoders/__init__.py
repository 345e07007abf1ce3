"""Encoders, the networks that `transform` runs. To add one, write its file and add a line to `ENCODERS`."""

from skclr.encoders.base import Encoder
from skclr.encoders.conv import Conv
from skclr.encoders.feature_transformer import FeatureTransformer
from skclr.encoders.mlp import MLP
from skclr.encoders.on_features import OnFeatures
from skclr.encoders.preprocessed import Preprocessed
from skclr.encoders.recurrent import GRU, LSTM
from skclr.encoders.residual_mlp import ResidualMLP
from skclr.encoders.resnet import ResNet18, ResNet34, ResNet50
from skclr.encoders.sentence_transformer import SentenceTransformer
from skclr.encoders.series_transformer import SeriesTransformer
from skclr.encoders.spectrogram import SpectrogramConv
from skclr.encoders.tcn import TCN
from skclr.encoders.text import TokenBag
from skclr.encoders.text_transformer import TextTransformer
from skclr.encoders.timm import Timm

ENCODERS: dict[str, type[Encoder]] = {
    "mlp": MLP,
    "residual_mlp": ResidualMLP,
    "feature_transformer": FeatureTransformer,
    "on_features": OnFeatures,
    "conv": Conv,
    "resnet18": ResNet18,
    "resnet34": ResNet34,
    "resnet50": ResNet50,
    "timm": Timm,
    "tcn": TCN,
    "gru": GRU,
    "lstm": LSTM,
    "series_transformer": SeriesTransformer,
    "spectrogram": SpectrogramConv,
    "text": TokenBag,
    "text_transformer": TextTransformer,
    "sentence_transformer": SentenceTransformer,
}

__all__ = [
    "ENCODERS",
    "GRU",
    "LSTM",
    "MLP",
    "TCN",
    "Conv",
    "Encoder",
    "FeatureTransformer",
    "OnFeatures",
    "Preprocessed",
    "ResNet18",
    "ResNet34",
    "ResNet50",
    "ResidualMLP",
    "SentenceTransformer",
    "SeriesTransformer",
    "SpectrogramConv",
    "TextTransformer",
    "Timm",
    "TokenBag",
]
