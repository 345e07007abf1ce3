"""ContrastiveEmbedder: the estimator."""

from __future__ import annotations

import os
from collections.abc import Collection
from functools import partial
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch.export import ExportedProgram

from skclr import blockwise, exporting, saving
from skclr.callbacks import SUPPORT, announced, with_callbacks
from skclr.diagram import diagram
from skclr.encoders import Encoder
from skclr.files.dumps import with_version, without_version
from skclr.fitting import train
from skclr.measures import info_nce_bound
from skclr.model import Model
from skclr.parameters import deep_params, shallow_params, with_hints
from skclr.planning import device_or_cpu
from skclr.training import ContrastiveNet, data_parallel, embed_views, undisturbed


class ContrastiveEmbedder(*SUPPORT, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Learn features without labels by contrasting views of the same sample.

    Each sample is shown to a network in several views (a crop of an image, a row with some entries
    replaced), and the network learns to give views of one sample embeddings that are alike. `transform`
    gives the embeddings, which any estimator can take from there.

    Parameters
    ----------
    framework : str or class, default="simclr"
        How the network learns from the views, a name in `skclr.frameworks.FRAMEWORKS`.
    loss : str, class or callable, default="auto"
        What the framework minimises, a name in `skclr.losses.LOSSES`; "auto" is the paper's own.
    encoder : str, class or torch.nn.Module, default="auto"
        The network that `transform` runs, a name in `skclr.encoders.ENCODERS`. A module is copied, and
        takes (B, *shape) to (B, d). A fitted ContrastiveEmbedder, or its `encoder_`, goes on from what it
        has learned; in a search, whose clones forget, give `encoder_`.
    views : str, class or callable, default="auto"
        How views are made, a name in `skclr.views.VIEWS`. A callable takes a batch (B, *shape) to one
        random view of it.
    modality : {"auto", "tabular", "image", "series", "audio", "text"} or class, default="auto"
        How X is read; chooses the default encoder and views. DataFrames and 2-D arrays are tables; 4-D
        arrays, 3-D uint8 arrays, and lists of uint8 or PIL images or of paths, images; 3-D floats and lists of 2-D
        floats series; sequences of str text; a `sampling_rate` in `modality_params` makes audio of X.
    positives : {"views", "labels"}, default="views"
        Whether rows of the same y are positives too; -1 in y is unlabelled. With "views" y is ignored.
    modality_params, framework_params, loss_params, encoder_params, views_params, optimizer_params : dict, \
default=None
        Parameters of the part of that name; `loss__temperature=0.2` sets one entry in `set_params` and in
        the grids of a search.
    freeze : {"none", "all"} or int, default="none"
        What of the encoder is not trained: nothing, all, or so many of its first layers.
    projection_dim : int, default="auto"
        Width of the space in which the loss compares; "auto" is the framework's own.
    max_epochs : int, default="auto"
        Passes over the data; "auto" spends about 1,500 steps, 3,000 of tables, 500 of audio, in at most 100
        epochs. 0 leaves the encoder untrained, a baseline that every result should be held against.
    batch_size : int, default="auto"
        Samples a step; "auto" is 256, or all samples if there are fewer.
    chunk_size : int, default=None
        Samples that the encoder takes at once, for batches that do not fit into memory: the loss still compares all
        of a batch, and each step takes a third longer. BatchNorm in the encoder normalises by the chunk. None is the
        whole batch.
    optimizer : {"adamw", "sgd", "lars"} or class, default="auto"
        "auto" is the framework's own. `torch.optim.SGD` is "sgd", with a momentum of 0.9.
    learning_rate, weight_decay : float, default="auto"
        "auto" is the framework's recipe for the optimiser and the batch size.
    lr_schedule : {"cosine", "linear", "constant"} or callable, default="cosine"
        Decay of the learning rate after the warm-up; a callable takes progress in [0, 1) to a factor.
    warmup_epochs : float, default="auto"
        Epochs in which the learning rate grows from zero; "auto" is a twentieth of the run.
    device : str or torch.device, default="auto"
        "auto" takes CUDA, then MPS, then the CPU.
    precision : {"auto", "float32", "bfloat16", "float16"}, default="auto"
        Of the forward pass in training; "auto" is bfloat16 on hardware with units for it (NVIDIA's since Ampere,
        CPUs with AMX, AMD's with AVX-512), else float32.
    compile : bool, default=False
        Whether torch compiles the framework: minutes at the start, faster steps after.
    validation_fraction : float, default="auto"
        Share of the samples kept back to measure `valid_loss`; "auto" is 0.1 with early stopping, else 0. They are
        drawn one by one: rows of one group may end up on both sides.
    early_stopping : bool or int, default=False
        Whether to stop when `valid_loss` has not improved for so many epochs (True is 10), and to go back
        to the best one.
    callbacks : list, default=None
        skorch callbacks; they are copied. One that could not act is refused.
    net_params : dict, default=None
        Further parameters of the skorch net: `compile__*`, and `torch_load_kwargs` for callbacks that load weights.
    passthrough : bool, default="auto"
        Whether `transform` gives the plain features beside the embedding (of a table its standardised
        columns); "auto" does for tables, where they carry what the embedding loses.
    checkpoint_dir : str or path, default=None
        Folder for checkpoints, from which the same call of `fit` goes on after a crash; one run a folder, or in
        a search "runs/{run}", whose `{run}` becomes each run's own name. Needs a `random_state`.
    checkpoint_minutes : float, default=5
        Time between two checkpoints; 0 writes one after every step.
    on_interrupt : {"raise", "keep"}, default="raise"
        After the step in which Ctrl-C comes, whether to raise KeyboardInterrupt or to end `fit` with what has been
        learned (with early stopping the best epoch).
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the last fit, with schedules started anew.
    random_state : int, RandomState or None, default=None
        Seed of weights, views and shuffles. The same seed gives the same bits at the same number of threads.
    verbose : int, default=0
        1 shows a line with epoch, loss, samples per second and time left; 2 shows before it what was chosen for each
        parameter, and why.

    Attributes
    ----------
    model_ : skclr.model.Model
        What was learned, as one frozen value, which saving, export and reports use.
    net_ : ContrastiveNet
        The trained skorch net.
    encoder_ : torch.nn.Module
        The trained encoder.
    history_ : skorch.history.History
        What each epoch recorded.
    loss_curve_ : list of float
        Training loss by epoch.
    n_iter_ : int
        Epochs run.
    n_features_in_ : int
        Number of columns of a 2-D X.
    feature_names_in_ : ndarray of str
        Names of the columns, where X was a DataFrame with such.
    device_ : torch.device
        Where the net was trained.
    modality_ : str
        How X was read.

    See Also
    --------
    sklearn.decomposition.PCA : the linear baseline.

    References
    ----------
    The framework's and the loss's papers stand in their docstrings.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skclr import ContrastiveEmbedder
    >>> X, _ = load_digits(return_X_y=True)
    >>> embedder = ContrastiveEmbedder(modality_params={"image_shape": (8, 8)}, max_epochs=2, random_state=0)
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

    # -- what a user calls ------------------------------------------------------------------------

    @with_callbacks
    @undisturbed()
    def fit(self, X: Any, y: Any = None, *, groups: Any = None, unlabeled: Any = None) -> Self:
        """Learn the encoder from X.

        Parameters
        ----------
        X : array or DataFrame of n samples
            (n, d) table, (n, H, W), (n, H, W, C) or (n, C, H, W) images, (n, channels, time) series, a list
            of arrays of unequal lengths, n texts. A tuple of such holds several views of each sample, which
            are positives of each other; so does an array (n, n_views, *shape) with views="paired". A tuple of n
            single samples is a list of them, and one that could be either is an error. What is larger
            than memory is read in blocks: memory maps, zarr, HDF5 and dask arrays, Parquet files and folders of
            images by their pathlib.Path, and objects whose `__len__` and `__getitem__` give rows for index arrays.
        y : array of shape (n,), default=None
            Classes; used with positives="labels" only. Rows with -1 or a missing value are unlabelled.
        groups : array of shape (n,), default=None
            Rows of one id are positives of each other, as of one patient or one recording. A row with a missing id is
            in no group.
        unlabeled : array like X, default=None
            More samples for the encoder alone.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For data or parameters that cannot be used; the estimator stays as it was before.
        FloatingPointError
            Where the loss stops being finite, or explodes, and no epoch ended well before. Where one did, a
            ConvergenceWarning says so, and the weights are those of its end.
        MemoryError
            Where training does not fit; says what to lower.
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
                watched=partial(announced, self, y),
            )
        return self

    @undisturbed()
    def partial_fit(self, X: Any, y: Any = None, *, groups: Any = None) -> Self:
        """Train for one epoch on one piece of a stream, at the base learning rate.

        Statistics of the columns or channels are those of the first piece. `max_epochs`, `lr_schedule` and
        `warmup_epochs` have no part in it; no samples are kept back and no checkpoints are written.

        Parameters
        ----------
        X, y, groups
            As for `fit`.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            As for `fit`, with early stopping, and for another modality or encoder than before.
        """
        if self.early_stopping:
            raise ValueError(f"early_stopping={self.early_stopping!r}: partial_fit cannot stop early, set it to False")
        before = self.model_ if self.__sklearn_is_fitted__() else None
        with data_parallel():
            self.model_ = train(self.get_params(deep=False), X, y, groups, before=before, endless=True)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Embed samples.

        Parameters
        ----------
        X : array or DataFrame of n samples
            As for `fit`.

        Returns
        -------
        (n, n_features_out) float32 array, with the plain features after the embedding where `passthrough`
        says so. Of a dask array or DataFrame it is one of the same kind, which computes block by block when asked.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            For X of another shape than in `fit`.
        """
        check_is_fitted(self)
        if blockwise.is_lazy(X):
            return blockwise.lazily_transformed(self.model_, X, self.get_feature_names_out())
        return self.model_.transform(X)

    def transform_to(self, path: str | os.PathLike[str], X: Any) -> np.ndarray:
        """Embed samples into a file, which may be larger than memory.

        The same call continues where an earlier one was interrupted, at whatever point that was. Until all rows are
        embedded the file has the ending ".part"; the notes beside it, ".part.json", say what it belongs to. The space
        is reserved at the beginning.

        A call that continues reads the finished rows again, and compares a hash of them with that of the earlier call:
        no row of another X is kept, however few rows have changed. Of image files it compares path, size and time
        of the last change, and of the model its weights, its structure as printed, and all that `fit` learned of X;
        code of your own that has changed is not noticed.

        Parameters
        ----------
        path : str or path
            Of the file, in numpy's format, which `numpy.load(path, mmap_mode="r")` maps; its folder has to exist.
        X : array or DataFrame of n samples
            As for `transform`; what is kept on disk is read block by block.

        Returns
        -------
        (n, n_features_out) float32, a read-only map of the file.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            As `transform`, and if the unfinished file is of another model or another X.
        OSError
            If the file cannot be written, or if the disk is too small for it; BlockingIOError if another process is
            writing it.

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
        """Say how well one view of a sample tells which other view is its own, without labels.

        It is the InfoNCE bound (`skclr.evaluation.info_nce_bound`) between two views of X, at one temperature for all
        losses and frameworks; of more than 5,000 samples, 5,000 at equal steps are read and compared. It ranks models
        on samples of one number.

        Parameters
        ----------
        X : array or DataFrame of n samples
            As for `fit`; better not those that it was fitted on.
        y : None
            Not used.

        Returns
        -------
        In nats, at most log n; greater is better.
        """
        check_is_fitted(self)
        views = self.make_views(self.model_.rows(X).spread().as_given())[:2]
        z1, z2 = embed_views(self.encoder_, views, self.device_)
        return info_nce_bound(z1, z2)

    def make_views(self, X: Any, random_state: Any = 0) -> list[np.ndarray]:
        """Make views of samples as training does: what the network is shown.

        A copy of the view maker is fitted on X, so that neighbours and replaced entries come from its rows.

        Parameters
        ----------
        X : array or DataFrame of n samples
            As for `fit`.
        random_state : int, RandomState or None, default=0
            Seed of the views.

        Returns
        -------
        One (n, *shape_v) array per view, as the encoder gets it, before the modality's preprocessing; global
        views first. Row i of each is sample i.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            For X of another shape than in `fit`, or of one sample.
        """
        check_is_fitted(self)
        return self.model_.views(X, random_state)

    def save(self, path: str | os.PathLike[str], *, optimizer: bool = True) -> None:
        """Write the fit to a file that holds no code, for `skclr.load`.

        A file that was there is replaced at once, when the new one is whole. Objects and functions of your own
        that were given as parameters are not in the file: `skclr.load` asks for them.

        Parameters
        ----------
        path : str or path
            Of the file; its folder has to be there.
        optimizer : bool, default=True
            Whether the optimiser's state is in it, up to two thirds of the file, so that `partial_fit` goes on as
            if nothing had been. `transform` and `warm_start` need none.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError
            For a modality of your own.
        OSError
            If the file cannot be written, or if `path` is a folder, a device, a pipe or a read-only file.
        """
        check_is_fitted(self)
        saving.save(self.model_, self.get_params(deep=False), path, optimizer=optimizer)

    def to_exported_program(self) -> ExportedProgram:
        """Write down what `transform` does, preprocessing included, as a graph of torch.export.

        `to_exported_program().module()` is called with samples as a tensor, any number of them: of a table (B, d)
        float64, categories as numbers; of images as in X, uint8 where those of `fit` were, else float32; of series
        (B, channels, time) and of audio (B, samples) float32, as long as the longest of `fit`, NaN after an end. They
        are not checked.

        Returns
        -------
        The graph, on the CPU; `torch.export.save` writes it to a file, from which C++ can run it.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            For texts, for tables with columns of text, and for an encoder of which torch can make no graph.

        Examples
        --------
        >>> import torch
        >>> from sklearn.datasets import load_iris
        >>> from skclr import ContrastiveEmbedder
        >>> X, _ = load_iris(return_X_y=True)
        >>> embedder = ContrastiveEmbedder(max_epochs=2, random_state=0).fit(X)
        >>> transform = embedder.to_exported_program().module()
        >>> transform(torch.from_numpy(X)).shape
        torch.Size([150, 132])
        """
        check_is_fitted(self)
        return exporting.to_exported_program(self.model_)

    def to_onnx(self, path: str | os.PathLike[str]) -> None:
        """Write what `transform` does, preprocessing included, as an ONNX file.

        Its input is called "X", and is what `to_exported_program` says; its output is called "features",
        (B, n_features_out) float32. A file that was there is replaced at once, when the new one is whole.

        Parameters
        ----------
        path : str or path
            Of the file; its folder has to be there.

        Raises
        ------
        ImportError
            Where onnx or onnxscript is missing.
        NotFittedError, ValueError
            As `to_exported_program`.
        OSError
            Where the file cannot be written.

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
        >>> bool(np.abs(features - embedder.transform(X)).max() < 1e-5)
        True
        """
        check_is_fitted(self)
        exporting.to_onnx(self.model_, path)

    # -- what was learned ---------------------------------------------------------------------------

    @property
    def net_(self) -> ContrastiveNet:
        """The trained skorch net."""
        return self.model_.net

    @property
    def encoder_(self) -> Encoder:
        """The trained encoder, from samples to embeddings."""
        return self.model_.encoder

    @property
    def device_(self) -> torch.device:
        """Where the encoder is."""
        return self.model_.device

    @property
    def modality_(self) -> str:
        """How X was read."""
        return type(self.model_.modality).__name__.lower()

    @property
    def history_(self) -> Any:
        """What each epoch recorded."""
        return self.net_.history

    @property
    def loss_curve_(self) -> list[float]:
        """Training loss by epoch."""
        return [epoch["train_loss"] for epoch in self.history_]

    @property
    def n_iter_(self) -> int:
        """Epochs run."""
        return len(self.history_)

    @property
    def n_features_in_(self) -> int:
        """Number of columns of a 2-D X."""
        return self.model_.reading.features_in.n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the columns, where X was a DataFrame with such."""
        return self.model_.reading.features_in.feature_names_in_

    @property
    def _n_features_out(self) -> int:
        return self.model_.n_features_out

    # -- what scikit-learn asks -------------------------------------------------------------------

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters, with `deep` also the entries `part__name` of the parts' dictionaries."""
        params = super().get_params(deep=False)
        return deep_params(params) if deep else params

    def set_params(self, **params: Any) -> Self:
        """Set parameters; `part__name` writes a new dictionary and leaves the old one as it was."""
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


def load(path: str | os.PathLike[str], *, trust: Collection[str] = (), **parameters: Any) -> ContrastiveEmbedder:
    """Read a fitted embedder that `ContrastiveEmbedder.save` wrote; nothing in the file is run.

    Parameters
    ----------
    path : str or path
        Of the file.
    trust : tuple of {"timm", "tokenizers", "sentence_transformers"}, default=()
        Packages whose code the file may choose. "timm" lets it name one of timm's own models, with numbers and short
        names as arguments; "tokenizers" lets it describe a tokenizer without regular expressions, character maps and
        padding. It trusts the code of that package with a stranger's choice, and nothing else: no path, no hub and
        no pretrained weights are ever taken from a file. A model of sentence-transformers is made of files of its own
        and has to be passed, `encoder_params={"model": ...}`.
    **parameters
        Parameters of `ContrastiveEmbedder` that take the place of those in the file. What no file holds, an
        encoder or a function of your own, has to be passed here. `callbacks`, `checkpoint_dir`, `net_params` and
        whatever names a path are left out of the file, with a warning that says which.

    Returns
    -------
    The embedder, on the device that it asks for, or on the CPU, with a warning, where there is none such.

    Raises
    ------
    ModelFileError
        A ValueError: for a file that is no model, was altered or cut short, is of a later version, or whose parts
        do not fit together.
    ValueError
        If a parameter or `trust` has to be passed, and for a parameter that does not exist.
    OSError, ImportError
        Where the file cannot be read, and where a part needs a package that is not installed.

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
        raise ValueError(f"load takes parameters as a whole, but {entries[0]} is an entry: pass {part}_params={{...}}")
    model, changed = saving.load(path, given, trust, defaults=default.get_params(deep=False))
    embedder = ContrastiveEmbedder(**{**model.parameters, **changed})
    embedder.model_ = model
    return embedder
