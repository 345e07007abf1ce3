"""An encoder with the fixed preprocessing of its modality in front."""

import torch
from torch import Tensor, nn

from skclr.parts.encoder import Encoder


class Preprocessed(Encoder):
    """Preprocessing and network as one encoder, so that they are saved, moved and exported together.

    Parameters
    ----------
    preprocessing : takes samples (B, *shape) to what the network takes.
    network : gives (B, d); its width is measured, so that any module will do.
    example : (2, *shape), samples to measure it with.

    Raises
    ------
    ValueError : where the network does not give (B, d).
    """

    def __init__(self, preprocessing: nn.Module, network: nn.Module, example: Tensor) -> None:
        super().__init__()
        self.preprocessing = preprocessing
        self.network = network
        self.out_features = self._measure(example)

    def forward(self, x: Tensor) -> Tensor:
        """Take (B, *shape) to (B, out_features)."""
        return self.network(self.preprocessing(x))

    @torch.no_grad()
    def _measure(self, example: Tensor) -> int:
        # In eval mode the two samples leave no trace in the statistics of a BatchNorm.
        embedding = self.eval()(example)
        self.train()
        if embedding.ndim != 2 or len(embedding) != 2:
            raise ValueError(
                f"encoder takes {tuple(example.shape)} to {tuple(embedding.shape)}: "
                "it must give (2, d), one row a sample; end it with pooling and nn.Flatten()"
            )
        return embedding.shape[1]
