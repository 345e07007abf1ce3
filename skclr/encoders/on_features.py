"""A small network on plain features."""

from typing import ClassVar

from skclr.encoders.residual_mlp import ResidualMLP


class OnFeatures(ResidualMLP):
    """A `ResidualMLP` that learns from the plain features of samples instead of the samples themselves.

    Plain features need no training: for series, the shares of random convolution kernels; for texts, TF-IDF. The
    network receives their principal components, and views are rows that are neighbours among them. It trains in
    seconds, and from a few hundred rows on it learns information that the features alone do not show.

    Parameters
    ----------
    input_shape : (n_components,).
    width, n_blocks, expansion, out_features, cardinalities, gaps : see `ResidualMLP`.

    Examples
    --------
    >>> import numpy as np
    >>> from skclr import ContrastiveEmbedder
    >>> X = np.random.default_rng(0).normal(size=(100, 1, 50)).cumsum(2)
    >>> ContrastiveEmbedder(encoder="on_features", max_epochs=1).fit(X).encoder_.out_features
    128
    """

    sees_features: ClassVar[bool] = True
