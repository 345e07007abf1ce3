"""ContrastiveEmbedder: the estimator."""

from __future__ import annotations

import os
from collections.abc import Collection
from functools import partial
from typing import Any, Self

import numpy as np
import torch
from scipy.sparse import csr_matrix, issparse
from sklearn import config_context, get_config
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch.export import ExportedProgram

from skclr import blockwise, exporting, saving
from skclr.callbacks import SUPPORT, notifying_callbacks, with_callbacks
from skclr.data.sources import is_lazy
from skclr.diagram import diagram
from skclr.encoders import Encoder
from skclr.files.dumps import with_version, without_version
from skclr.fitting import train
from skclr.measures import info_nce_bound
from skclr.model import Model
from skclr.parameters import deep_params, shallow_params, with_hints
from skclr.part_choices import name_of
from skclr.planning import device_or_cpu
from skclr.training import ContrastiveNet, data_parallel, embed_views, undisturbed


class ContrastiveEmbedder(*SUPPORT, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Learn features without labels by contrasting views of the same sample.

    The network sees several views of each sample (a crop of an image, a row with some entries replaced) and learns
    similar embeddings for views of the same sample. `transform` returns the embeddings, as input for any estimator.

    Parameters
    ----------
    framework : str or class, default="simclr"
        The method of learning from views, by its name in `skclr.frameworks.FRAMEWORKS`.
    loss : str, class or callable, default="auto"
        The loss of the framework, by its name in `skclr.losses.LOSSES`; "auto" is that of the paper, for tables and
        plain features at temperature 1.
    encoder : str, class or torch.nn.Module, default="auto"
        The network that `transform` runs, by its name in `skclr.encoders.ENCODERS`. A module maps (B, *shape) to (B,
        d), and is copied; a model of sentence-transformers is used with its tokenizer. With a fitted
        ContrastiveEmbedder, or its `encoder_`, training starts from its weights; in a search, which clones estimators,
        pass `encoder_`.
    views : str, class or callable, default="auto"
        The view maker, by its name in `skclr.views.VIEWS`. A callable maps a batch (B, *shape) to one random view of
        it.
    modality : {"auto", "tabular", "image", "series", "audio", "text"} or class, default="auto"
        The kind of data, which determines the default encoder and views. With "auto", DataFrames and 2-D arrays are
        tables; 4-D arrays, 3-D uint8 arrays, and lists of uint8 images, PIL images or paths are images; 3-D float
        arrays and lists of 2-D float arrays are series; sequences of str are text; and with a `sampling_rate` in
        `modality_params`, X is audio.
    positives : {"views", "labels"}, default="views"
        Whether rows with the same y are positives too; -1 in y is unlabelled. With "views", y is ignored.
    modality_params, framework_params, loss_params, encoder_params, views_params, optimizer_params : dict, \
default=None
        Parameters of the part of that name. In `set_params` and in search grids, `loss__temperature=0.2` sets a single
        entry.
    freeze : {"none", "all"} or int, default="none"
        Which layers of the encoder are frozen: none, all, or the first n.
    projection_dim : int, default="auto"
        Width of the projections, on which the loss is computed; "auto" is the framework's default.
    max_epochs : int, default="auto"
        Passes over the data; "auto" takes about 1,500 steps in at most 100 epochs (500 steps for audio; for tables and
        plain features 250, in at most 250 epochs), and up to twice as many if batches are smaller;
        none if no layer of the encoder is trained.
        With 0 the encoder is untrained, a baseline for every result.
    batch_size : int, default="auto"
        Samples per step; "auto" is 256 (128 for plain features; for images 64 up to 4,096 of them, and 128 up to
        16,384), or all samples if there are fewer.
    chunk_size : int, default=None
        Samples that the encoder processes at once, for batches that do not fit into memory. The loss still uses the
        whole batch, and each step takes a third longer. BatchNorm in the encoder normalises over a chunk. None is the
        whole batch.
    optimizer : {"adamw", "sgd", "lars"} or class, default="auto"
        "auto" is the framework's default. `torch.optim.SGD` is the same as "sgd", with a momentum of 0.9.
    learning_rate, weight_decay : float, default="auto"
        "auto" follows the framework's recipe for the optimiser and the batch size; the rate of pretrained text models
        is smaller.
    lr_schedule : {"cosine", "linear", "constant"} or callable, default="cosine"
        Decay of the learning rate after the warm-up; a callable maps progress in [0, 1) to a factor.
    warmup_epochs : float, default="auto"
        Epochs in which the learning rate increases from zero; "auto" is 5 % of the run.
    device : str or torch.device, default="auto"
        "auto" is CUDA if available, else MPS, else the CPU.
    precision : {"auto", "float32", "bfloat16", "float16"}, default="auto"
        Precision of the forward pass in training; "auto" is bfloat16 on hardware that supports it (NVIDIA GPUs since
        Ampere, CPUs with AMX, AMD CPUs with AVX-512), else float32.
    compile : bool, default=False
        Whether torch compiles the framework, which takes minutes at the start and makes steps faster.
    validation_fraction : float, default="auto"
        Share of the samples held out to measure `valid_loss`; "auto" is 0.1 with early stopping, else 0. Samples are
        drawn independently, so rows of a group may end up on both sides.
    early_stopping : bool or int, default=False
        Number of epochs without improvement of `valid_loss` after which training stops (True is 10) and the weights of
        the best epoch are restored.
    callbacks : list, default=None
        skorch callbacks, which are copied. A callback that would have no effect raises an error.
    net_params : dict, default=None
        Further parameters of the skorch net: `compile__*`, and `torch_load_kwargs` for callbacks that load weights.
    passthrough : bool, default="auto"
        Whether `transform` appends plain features to the embedding: a map of the columns of a table, outputs of random
        kernels for series, or TF-IDF for texts. "auto" does so for tables, up to 10,000 series and up to 50,000 texts.
    checkpoint_dir : str or path, default=None
        Folder for checkpoints, from which the same call of `fit` resumes after a crash. Use one folder per run or, in a
        search, "runs/{run}", where `{run}` is replaced by a name for each run. Needs a `random_state`.
    checkpoint_minutes : float, default=5
        Time between two checkpoints; 0 writes one after every step.
    on_interrupt : {"raise", "keep"}, default="raise"
        Whether Ctrl-C raises KeyboardInterrupt after the current step, or ends `fit` and keeps what was learned (with
        early stopping, the best epoch).
    warm_start : bool, default=False
        Whether `fit` starts from the weights of the last fit; schedules start again.
    random_state : int, RandomState or None, default=None
        Seed of weights, views and shuffles. Results with the same seed and the same number of threads are bitwise
        identical.
    verbose : int, default=0
        With 1, show epoch, loss, samples per second and time left in one line; with 2, first show what was chosen for
        each parameter, and why.

    Attributes
    ----------
    model_ : skclr.model.Model
        What was learned, as an immutable object, which saving, export and reports use.
    net_ : ContrastiveNet
        The trained skorch net.
    encoder_ : torch.nn.Module
        The trained encoder.
    history_ : skorch.history.History
        What was recorded in each epoch.
    loss_curve_ : list of float
        Training loss of each epoch.
    n_iter_ : int
        Number of epochs run.
    n_features_in_ : int
        Number of columns of a 2-D X.
    feature_names_in_ : ndarray of str
        Names of the columns, if X was a DataFrame with string names.
    device_ : torch.device
        Device of the trained net.
    modality_ : str
        The modality of X.

    See Also
    --------
    sklearn.decomposition.PCA : the linear baseline.

    References
    ----------
    See the docstrings of the framework and of the loss.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skclr import ContrastiveEmbedder
    >>> X, _ = load_digits(return_X_y=True)
    >>> digits = {"modality_params": {"image_shape": (8, 8)}}
    >>> embedder = ContrastiveEmbedder(**digits, max_epochs=2, random_state=0)
    >>> embedder.fit_transform(X).shape
    (1797, 256)
    """

    model_: Model

    @with_hints
    def __init__(
        self,
        framework: Any = "simclr",
        *,
        loss: Any = "auto",
        encoder: Any = "auto",
        views: Any = "auto",
        modality: Any = "auto",
        positives: str = "views",
        modality_params: dict[str, Any] | None = None,
        framework_params: dict[str, Any] | None = None,
        loss_params: dict[str, Any] | None = None,
        encoder_params: dict[str, Any] | None = None,
        views_params: dict[str, Any] | None = None,
        optimizer_params: dict[str, Any] | None = None,
        freeze: Any = "none",
        projection_dim: Any = "auto",
        max_epochs: Any = "auto",
        batch_size: Any = "auto",
        chunk_size: int | None = None,
        optimizer: Any = "auto",
        learning_rate: Any = "auto",
        weight_decay: Any = "auto",
        lr_schedule: Any = "cosine",
        warmup_epochs: Any = "auto",
        device: Any = "auto",
        precision: str = "auto",
        compile: bool = False,
        validation_fraction: Any = "auto",
        early_stopping: bool | int = False,
        callbacks: list[Any] | None = None,
        net_params: dict[str, Any] | None = None,
        passthrough: Any = "auto",
        checkpoint_dir: Any = None,
        checkpoint_minutes: float = 5.0,
        on_interrupt: str = "raise",
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.framework = framework
        self.loss = loss
        self.encoder = encoder
        self.views = views
        self.modality = modality
        self.positives = positives
        self.modality_params = modality_params
        self.framework_params = framework_params
        self.loss_params = loss_params
        self.encoder_params = encoder_params
        self.views_params = views_params
        self.optimizer_params = optimizer_params
        self.freeze = freeze
        self.projection_dim = projection_dim
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.chunk_size = chunk_size
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.lr_schedule = lr_schedule
        self.warmup_epochs = warmup_epochs
        self.device = device
        self.precision = precision
        self.compile = compile
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.callbacks = callbacks
        self.net_params = net_params
        self.passthrough = passthrough
        self.checkpoint_dir = checkpoint_dir
        self.checkpoint_minutes = checkpoint_minutes
        self.on_interrupt = on_interrupt
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    # -- public methods -------------------------------------------------------------------------

    @with_callbacks
    @undisturbed()
    def fit(self, X: Any, y: Any = None, *, groups: Any = None, unlabeled: Any = None) -> Self:
        """Train the encoder on X.

        Parameters
        ----------
        X : array or DataFrame of n samples
            (n, d) table, (n, H, W), (n, H, W, C) or (n, C, H, W) images, (n, channels, time) series, a list of arrays
            of unequal lengths, or n texts. A tuple of these holds several views of each sample, which are positives of
            each other, as does an array (n, n_views, *shape) with views="paired". A tuple of n single samples is
            treated as a list; an ambiguous tuple is an error. Data larger than memory are read in blocks: memory maps,
            zarr, HDF5 and dask arrays, the pathlib.Path of Parquet files or of a folder of images, and objects whose
            `__len__` and `__getitem__` return rows for index arrays.
        y : array of shape (n,), default=None
            Classes, used only with positives="labels". Rows with -1 or a missing value are unlabelled.
        groups : array of shape (n,), default=None
            Rows with the same id, such as a patient or a recording, are positives of each other. A row with a missing
            id is in no group.
        unlabeled : array like X, default=None
            Further samples, without labels or groups, on which the encoder is trained too.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If data or parameters are invalid; the estimator is left unchanged.
        FloatingPointError
            If the loss diverges or is not finite before an epoch has ended well. Otherwise the weights of the last
            good epoch are restored, with a ConvergenceWarning.
        MemoryError
            If training does not fit into memory; the message says what to lower.
        """
        before = self.model_ if self.warm_start and self.__sklearn_is_fitted__() else None
        with data_parallel():
            self.model_ = train(
                self.get_params(deep=False),
                X,
                y,
                groups,
                unlabeled,
                before=before,
                watched=partial(notifying_callbacks, self, y),
            )
        return self

    @undisturbed()
    def partial_fit(self, X: Any, y: Any = None, *, groups: Any = None) -> Self:
        """Train for one epoch on a part of a stream, at the base learning rate.

        The first call determines the statistics of columns or channels and, next to plain features, the number of
        columns of the embedding: if it left the embedding out, later calls do too. `max_epochs`, `lr_schedule` and
        `warmup_epochs` are ignored, no samples are held out, and no checkpoints are written.

        Parameters
        ----------
        X, y, groups
            As in `fit`.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            As in `fit`; with early stopping; and if the modality or encoder has changed.
        """
        if self.early_stopping:
            raise ValueError(f"early_stopping={self.early_stopping!r}: partial_fit cannot stop early. Set it to False.")
        before = self.model_ if self.__sklearn_is_fitted__() else None
        with data_parallel():
            self.model_ = train(self.get_params(deep=False), X, y, groups, before=before, endless=True)
        return self

    def transform(self, X: Any) -> np.ndarray | csr_matrix:
        """Return the embeddings of samples.

        Parameters
        ----------
        X : array or DataFrame of n samples
            As in `fit`.

        Returns
        -------
        (n, n_features_out) float32 array, with the plain features after the embedding if `passthrough` is on; a sparse
        matrix for texts, whose plain features are n-grams. For a dask array or DataFrame, a lazy one of the same type,
        computed block by block.

        Raises
        ------
        NotFittedError
            If the embedder is not fitted.
        ValueError
            If samples have another shape than in `fit`.
        """
        check_is_fitted(self)
        if is_lazy(X):
            return blockwise.transform_lazily(self.model_, X, self.get_feature_names_out().tolist())
        self._check_container()
        return self.model_.transform(X)

    def transform_to(self, path: str | os.PathLike[str], X: Any) -> np.ndarray:
        """Write the embeddings of samples to a file, which may be larger than memory.

        The same call resumes an interrupted one, wherever it stopped. Until all rows are embedded, the file name ends
        in ".part", with notes on its origin in ".part.json". Disk space is reserved at the beginning.

        A resumed call reads the finished rows again and compares a hash of them with that of the earlier call, so that
        no row of another X is kept, however few rows have changed. For image files it compares path, size and
        modification time; for the model, its weights, its printed structure, and everything that `fit` learned about X.
        Changes in your own code are not detected.

        Parameters
        ----------
        path : str or path
            Path of the file, in numpy's format, to be read by `numpy.load(path, mmap_mode="r")`; its folder must exist.
        X : array or DataFrame of n samples
            As in `transform`; data on disk are read block by block.

        Returns
        -------
        (n, n_features_out) float32, a read-only memory map of the file.

        Raises
        ------
        NotFittedError
            If the embedder is not fitted.
        ValueError
            As in `transform`, and if the unfinished file belongs to another model or another X.
        OSError
            If the file cannot be written, or does not fit on the disk; BlockingIOError if another process is writing
            it.

        Examples
        --------
        >>> import tempfile
        >>> from sklearn.datasets import load_iris
        >>> from skclr import ContrastiveEmbedder
        >>> X, _ = load_iris(return_X_y=True)
        >>> embedder = ContrastiveEmbedder(max_epochs=2, random_state=0).fit(X)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     embedder.transform_to(f"{folder}/iris.npy", X).shape[0]
        150
        """
        check_is_fitted(self)
        return blockwise.transform_to(self.model_, path, X)

    @undisturbed()
    def score(self, X: Any, y: Any = None) -> float:
        """Return a label-free score for model selection: the InfoNCE bound on the information that views share.

        See `skclr.evaluation.info_nce_bound`. It is computed on two views of X, at one temperature for all losses and
        frameworks; of more than 5,000 samples, 5,000 evenly spaced ones are used. Compare models only on the same
        number of samples.

        Parameters
        ----------
        X : array or DataFrame of n samples
            As in `fit`; preferably samples that were not used in `fit`.
        y : None
            Not used.

        Returns
        -------
        In nats, at most log n; higher is better.
        """
        check_is_fitted(self)
        views = self.make_views(self.model_.rows(X).spread().as_given())[:2]
        z1, z2 = embed_views(self.encoder_, views, self.device_)
        return info_nce_bound(z1, z2)

    def make_views(self, X: Any, random_state: Any = 0) -> list[np.ndarray]:
        """Return views of samples, made as in training.

        A copy of the view maker is fitted on X, so that neighbours and replaced entries come from X.

        Parameters
        ----------
        X : array or DataFrame of n samples
            As in `fit`.
        random_state : int, RandomState or None, default=0
            Seed of the views.

        Returns
        -------
        One (n, *shape_v) array per view, as passed to the encoder, before the modality's preprocessing; global views
        first. Row i of each is sample i.

        Raises
        ------
        NotFittedError
            If the embedder is not fitted.
        ValueError
            If samples have another shape than in `fit`, or there is only one.
        """
        check_is_fitted(self)
        return self.model_.views(X, random_state)

    def save(self, path: str | os.PathLike[str], *, optimizer: bool = True) -> None:
        """Save the fitted embedder to a file without code, for `skclr.load`.

        An existing file is replaced atomically. Your own objects and functions that were passed as parameters are not
        in the file; pass them to `skclr.load`.

        Parameters
        ----------
        path : str or path
            Path of the file; its folder must exist.
        optimizer : bool, default=True
            Whether to include the state of the optimiser, up to two thirds of the file, so that `partial_fit` continues
            exactly. `transform` and `warm_start` do not need it.

        Raises
        ------
        NotFittedError
            If the embedder is not fitted.
        TypeError
            If the modality is user-defined.
        OSError
            If the file cannot be written, or if `path` is a folder, a device, a pipe or a read-only file.
        """
        check_is_fitted(self)
        saving.save(self.model_, self.get_params(deep=False), path, optimizer=optimizer)

    def to_exported_program(self) -> ExportedProgram:
        """Return `transform`, including preprocessing, as a graph of torch.export.

        `to_exported_program().module()` takes a tensor with any number of samples: tables (B, d) float64, with
        categories as numbers; images as in X, uint8 if those of `fit` were, else float32; series (B, channels, time)
        and audio (B, samples) float32, as long as the longest of `fit`, padded with NaN. The input is not checked.

        Returns
        -------
        The graph, on the CPU. `torch.export.save` writes it to a file that can be run from C++.

        Raises
        ------
        NotFittedError
            If the embedder is not fitted.
        ValueError
            For texts, for tables with columns of text, and if torch cannot export the encoder.

        Examples
        --------
        >>> import torch
        >>> from sklearn.datasets import load_iris
        >>> from skclr import ContrastiveEmbedder
        >>> X, _ = load_iris(return_X_y=True)
        >>> embedder = ContrastiveEmbedder(max_epochs=2, random_state=0).fit(X)
        >>> transform = embedder.to_exported_program().module()
        >>> transform(torch.from_numpy(X)).shape
        torch.Size([150, 160])
        """
        check_is_fitted(self)
        return exporting.to_exported_program(self.model_)

    def to_onnx(self, path: str | os.PathLike[str]) -> None:
        """Write `transform`, including preprocessing, to an ONNX file.

        The input is named "X" and described in `to_exported_program`; the output is named "features", (B,
        n_features_out) float32. An existing file is replaced atomically.

        Parameters
        ----------
        path : str or path
            Path of the file; its folder must exist.

        Raises
        ------
        ImportError
            If onnx or onnxscript is not installed.
        NotFittedError, ValueError
            As in `to_exported_program`.
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> import numpy as np
        >>> import onnxruntime
        >>> from sklearn.datasets import load_iris
        >>> from skclr import ContrastiveEmbedder
        >>> X, _ = load_iris(return_X_y=True)
        >>> embedder = ContrastiveEmbedder(max_epochs=2, random_state=0).fit(X)
        >>> embedder.to_onnx("iris.onnx")
        >>> (features,) = onnxruntime.InferenceSession("iris.onnx").run(None, {"X": X})
        >>> bool(np.abs(features - embedder.transform(X)).max() < 1e-3)
        True
        """
        check_is_fitted(self)
        exporting.to_onnx(self.model_, path)

    # -- fitted attributes -------------------------------------------------------------------------

    @property
    def net_(self) -> ContrastiveNet:
        """The trained skorch net."""
        return self.model_.net

    @property
    def encoder_(self) -> Encoder:
        """The trained encoder, which maps samples to embeddings."""
        return self.model_.encoder

    @property
    def device_(self) -> torch.device:
        """The device of the encoder."""
        return self.model_.device

    @property
    def modality_(self) -> str:
        """The modality of X."""
        return name_of(self.model_.modality)

    @property
    def history_(self) -> Any:
        """What was recorded in each epoch."""
        return self.net_.history

    @property
    def loss_curve_(self) -> list[float]:
        """Training loss of each epoch."""
        return [epoch["train_loss"] for epoch in self.history_]

    @property
    def n_iter_(self) -> int:
        """Number of epochs run."""
        return len(self.history_)

    @property
    def n_features_in_(self) -> int:
        """Number of columns of a 2-D X."""
        return self.model_.reading.features_in.n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the columns, if X was a DataFrame with string names."""
        return self.model_.reading.features_in.feature_names_in_

    @property
    def _n_features_out(self) -> int:
        return self.model_.n_features_out

    def _check_container(self) -> None:
        """Raise a ValueError if `transform` should return a DataFrame of sparse features."""
        config = {"transform": get_config()["transform_output"], **getattr(self, "_sklearn_output_config", {})}
        if self.model_.has_sparse_output and config["transform"] != "default":
            raise ValueError(
                f"set_output(transform={config['transform']!r}) needs dense features, but n-grams of texts are sparse. "
                "Set passthrough=False, which leaves them out, or transform='default'."
            )

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns of `transform`.

        Parameters
        ----------
        input_features : None
            Not used.

        Returns
        -------
        "contrastiveembedder0" and so on; for texts, plain features are named `words__` or `characters__` and their
        n-gram.
        """
        names = super().get_feature_names_out(input_features)
        known = self.model_.modality.feature_names() if self.model_.n_plain else None
        if known is not None:
            names[len(names) - len(known) :] = known
        return names

    # -- scikit-learn's protocol ------------------------------------------------------------------

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters; with `deep`, also the entries `part__name` of the parts' dictionaries."""
        params = super().get_params(deep=False)
        return deep_params(params) if deep else params

    def set_params(self, **params: Any) -> Self:
        """Set parameters; `part__name` creates a new dictionary and leaves the old one unchanged."""
        return super().set_params(**shallow_params(self, params))

    def __getstate__(self) -> dict[str, Any]:
        return with_version(super().__getstate__())

    @undisturbed()
    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(without_version(state))
        if self.__sklearn_is_fitted__():
            self.model_ = self.model_.to(device_or_cpu(self.device))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def _sk_visual_block_(self) -> Any:
        return diagram(self.get_params(deep=False), getattr(self, "model_", None))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.input_tags.three_d_array = True
        tags.input_tags.sparse = True
        tags.input_tags.categorical = True
        tags.input_tags.allow_nan = True
        return tags


def features_of(transformer: Any, X: Any) -> np.ndarray | csr_matrix:
    """Return what `transform` returns, as an array or a sparse matrix, whatever container `set_output` chose."""
    with config_context(transform_output="default"):
        features = transformer.transform(X)
    return features if issparse(features) else np.ascontiguousarray(features)


def load(path: str | os.PathLike[str], *, trust: Collection[str] = (), **parameters: Any) -> ContrastiveEmbedder:
    """Return a fitted embedder from a file of `ContrastiveEmbedder.save`; no code in the file is run.

    Parameters
    ----------
    path : str or path
        Path of the file.
    trust : tuple of {"timm", "tokenizers", "sentence_transformers"}, default=()
        Packages whose code the file may use. "timm" allows it to name one of timm's built-in models, with numbers and
        short names as arguments; "tokenizers" allows it to describe a tokenizer without regular expressions, character
        maps and padding. The code of that package then runs with settings from the file, and nothing else: paths, hubs
        and pretrained weights are never taken from a file. A sentence-transformers model is built from its own files
        and must be passed, `encoder_params={"model": ...}`.
    **parameters
        Parameters of `ContrastiveEmbedder` that replace those in the file. Your own encoder or functions, which a file
        cannot contain, must be passed here. `callbacks`, `checkpoint_dir`, `net_params` and anything that names a path
        are not loaded from the file; a warning lists them.

    Returns
    -------
    The embedder, on its device or, if that is not available, on the CPU, with a warning.

    Raises
    ------
    ModelFileError
        A ValueError, if the file is not a model, was altered or truncated, comes from a later version, or has
        inconsistent parts.
    ValueError
        If a parameter or `trust` must be passed, or a parameter does not exist.
    OSError, ImportError
        If the file cannot be read, or a part needs a package that is not installed.

    Examples
    --------
    >>> import skclr
    >>> from sklearn.datasets import load_iris
    >>> X, _ = load_iris(return_X_y=True)
    >>> embedder = skclr.ContrastiveEmbedder(max_epochs=2, random_state=0).fit(X)
    >>> embedder.save("iris.skclr")
    >>> bool((skclr.load("iris.skclr").transform(X) == embedder.transform(X)).all())
    True
    """
    default = ContrastiveEmbedder()
    given = shallow_params(default, parameters)
    if entries := [name for name in parameters if "__" in name]:
        part = entries[0].partition("__")[0]
        raise ValueError(
            f"load takes no single entry such as {entries[0]}. Pass the whole parameter, {part}_params={{...}}."
        )
    model, changed = saving.load(path, given, trust, defaults=default.get_params(deep=False))
    embedder = ContrastiveEmbedder(**{**model.parameters, **changed})
    embedder.model_ = model
    return embedder
