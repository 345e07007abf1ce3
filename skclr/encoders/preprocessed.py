"""An encoder with the fixed preprocessing of its modality in front."""

import torch
from torch import Tensor, nn

from skclr.parts.encoder import Encoder


class Preprocessed(Encoder):
    """Preprocessing and network as one encoder, so that they are saved, moved and exported together.

    Parameters
    ----------
    preprocessing : takes (B, *input_shape) to what the network takes.
    network : gives (B, d); its width is measured, so that any module will do.
    input_shape : shape of one sample.

    Raises
    ------
    ValueError : where the network does not give (B, d).
    """

    def __init__(self, preprocessing: nn.Module, network: nn.Module, input_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.preprocessing = preprocessing
        self.network = network
        self.out_features = self._measure(input_shape)

    def forward(self, x: Tensor) -> Tensor:
        """Take (B, *input_shape) to (B, out_features)."""
        return self.network(self.preprocessing(x))

    @torch.no_grad()
    def _measure(self, input_shape: tuple[int, ...]) -> int:
        # In eval mode the two empty samples leave no trace in the statistics of a BatchNorm.
        embedding = self.eval()(torch.zeros(2, *input_shape))
        self.train()
        if embedding.ndim != 2 or len(embedding) != 2:
            raise ValueError(
                f"encoder takes (2, {', '.join(map(str, input_shape))}) to {tuple(embedding.shape)}: "
                "it must give (2, d), one row a sample; end it with pooling and nn.Flatten()"
            )
        return embedding.shape[1]
