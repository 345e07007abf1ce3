"""The plain features of a modality as samples, from which a small network learns if there are few rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator
from torch import Tensor, nn

from skclr.data.samples import SampleTensors
from skclr.files.plain import check_learned_array
from skclr.modalities.base import Modality
from skclr.modalities.principal import principal_components, project, sparse_components

# Number of rows from which the components are learned.
_ANALYSED_ROWS = 1_024
_ANALYSED_SPARSE_ROWS = 10_000
# Number of rows whose plain features are computed at once.
_ROWS_AT_ONCE = 32
_SMALLEST_DEVIATION = 1e-6


class PlainFeatures(Modality):
    """The principal components of another modality's plain features, then these: (n_components + n_features,).

    Views and networks use the components, halfway to unit variance; the features are appended to the embedding.

    Parameters
    ----------
    source : fitted modality that reads X.
    n_components : number of components; fewer if there are fewer rows or features.
    """

    encoder = "on_features"
    views = "neighbors"
    passthrough = True
    loss_params: ClassVar[Mapping[str, Mapping[str, Any]]] = {"nt_xent": {"temperature": 1.0}}
    batch_size = 128
    most_epochs = 250
    n_steps = 250
    embedding_weight = 0.25
    weighed_by_score = True
    mean_: Tensor
    axes_: Tensor

    def __init__(self, source: Modality, n_components: int = 64) -> None:
        if not isinstance(source, Modality) or isinstance(source, PlainFeatures):
            raise ValueError(f"source={source!r} is not a modality that reads X")
        self.source = source
        self.n_components = n_components

    @property
    def base_modality(self) -> Modality:
        """Return the modality that reads X."""
        return self.source

    @property
    def kind(self) -> type[Modality]:
        """See `Modality.kind`."""
        return self.source.kind

    @property
    def any_length(self) -> bool:  # type: ignore[override]
        """Return whether samples may be shorter than those of the fit."""
        return self.source.any_length

    @property
    def even_features(self) -> bool:  # type: ignore[override]
        """Return whether all plain features have the same variance."""
        return self.source.even_features

    @property
    def views_params(self) -> Mapping[str, Any]:
        """Return the arguments of the default views: near neighbours, without further changes."""
        return {"n_neighbors": self.source.neighbors_among_features, "on_top": None}

    def fit(self, rows: Any) -> Self:
        """Learn the principal components of the plain features.

        Parameters
        ----------
        rows : training rows that `source` has read.
        """
        self.mean_, axes, variances = self._components(rows)
        # Halfway to unit variance: full standardisation would amplify noise if there are few rows.
        deviations = variances.sqrt().clamp(min=_SMALLEST_DEVIATION)
        self.axes_ = axes / (deviations * deviations.mean()).sqrt()
        self.shape_ = (self._n_values(),)
        return self

    def read(self, X: Any, estimator: BaseEstimator, *, reset: bool) -> Any:
        """See `Modality.read`; the rows are those of `source`."""
        rows = self.source.read(X, estimator, reset=reset)
        if reset:
            self.fit(rows)
        return rows

    def shortened(self, rows: Any) -> Any:
        """See `Modality.shortened`."""
        return self.source.shortened(rows)

    def join(self, rows: Any, more: Any) -> Any:
        """See `Modality.join`."""
        return self.source.join(rows, more)

    def to_tensor(self, rows: Any) -> Tensor:
        """Return samples (B, ...) in the format of `source`."""
        return self.source.to_tensor(rows)

    def prepare(self, x: Tensor) -> Tensor:
        """Return components and plain features (B, n_components + n_features) of samples of `source`."""
        features = self.source.features(x)
        return torch.cat([project(features - self.mean_.to(x.device), self.axes_), features], 1)

    def features(self, x: Tensor) -> Tensor:
        """Return the plain features of samples."""
        return x[:, self.axes_.shape[1] :]

    def n_features(self) -> int:
        """Return the number of plain features."""
        return len(self.mean_)

    def feature_names(self) -> list[str] | None:
        """See `Modality.feature_names`."""
        return self.source.feature_names()

    def preprocessing(self) -> nn.Module:
        """Return the layer that selects the components."""
        return FirstColumns(self.axes_.shape[1])

    def reader(self) -> tuple[nn.Module, Tensor]:
        """See `Modality.reader`."""
        layer, example = self.source.reader()
        return nn.Sequential(layer, Prepare(self)), example

    def restore(self, x: Tensor, X: Any) -> Any:
        """Return the components (B, n_components)."""
        return self.preprocessing()(x).cpu().numpy()

    def facts(self) -> dict[str, Any]:
        """Return the facts of `Modality.facts`; neighbours are searched among the components."""
        return {**super().facts(), "features": self.preprocessing()}

    def check_state(self) -> None:
        """See `Plain.check_state`."""
        super().check_state()
        n_features = self.source.n_features()
        check_learned_array("mean_", self.mean_, (n_features,), torch.float32)
        check_learned_array("axes_", self.axes_, (n_features, *self.axes_.shape[1:2]), torch.float32)
        if self.shape_ != (self._n_values(),):
            raise ValueError(f"samples have shape {self.shape_}, but {self._n_values()} values")

    def _components(self, rows: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Return mean, axes and variances of the principal components of the plain features of rows."""
        step = -(-rows.shape[0] // _ANALYSED_ROWS)
        samples = SampleTensors(rows, self.source.to_tensor, torch.device("cpu"), prepare=self.source.features)
        samples = samples.subset(np.arange(0, len(samples), step))
        parts = np.array_split(np.arange(len(samples)), -(-len(samples) // _ROWS_AT_ONCE))
        features = torch.cat([samples[rows] for rows in parts])
        return principal_components(features, self.n_components)

    def _n_values(self) -> int:
        """Return the number of values of a sample."""
        return sum(self.axes_.shape)


class SparsePlainFeatures(PlainFeatures):
    """The principal components of plain features that are sparse rows: (n_components,).

    The features are appended to the embedding as they are, so samples need not hold them.
    """

    sparse_features = True

    def to_tensor(self, rows: csr_matrix) -> Tensor:
        """Return the components (B, n_components) of rows."""
        axes = self.axes_.numpy()
        return torch.from_numpy(rows @ axes - self.mean_.numpy() @ axes)

    def prepare(self, x: Tensor) -> Tensor:
        """Return components unchanged."""
        return x

    def features(self, x: Tensor) -> Tensor:
        """Raise an error: samples do not hold the plain features, which are the rows themselves."""
        raise NotImplementedError("samples do not hold the plain features, which are the rows themselves")

    def _components(self, rows: csr_matrix) -> tuple[Tensor, Tensor, Tensor]:
        return sparse_components(rows[:: -(-rows.shape[0] // _ANALYSED_SPARSE_ROWS)], self.n_components)

    def _n_values(self) -> int:
        return self.axes_.shape[1]


def on_features(modality: Modality) -> PlainFeatures:
    """Return an unfitted modality whose samples are the plain features of another, unfitted one."""
    source = modality.source_of_features
    make = SparsePlainFeatures if source.sparse_features else PlainFeatures
    return make(source, source.components_of_features)


class FirstColumns(nn.Module):
    """Select the first columns.

    Parameters
    ----------
    n_columns : number of columns.
    """

    def __init__(self, n_columns: int) -> None:
        super().__init__()
        self.n_columns = n_columns

    def forward(self, x: Tensor) -> Tensor:
        """Return the first (B, n_columns) of (B, d)."""
        return x[:, : self.n_columns]


class Prepare(nn.Module):
    """Apply `PlainFeatures.prepare`, as a layer.

    Parameters
    ----------
    modality : fitted modality.
    """

    def __init__(self, modality: PlainFeatures) -> None:
        super().__init__()
        self.modality = modality

    def forward(self, x: Tensor) -> Tensor:
        """Return samples in the format of networks."""
        return self.modality.prepare(x)
