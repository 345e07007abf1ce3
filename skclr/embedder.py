"""ContrastiveEmbedder: the estimator."""

from __future__ import annotations

import copy
import itertools
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted

from skclr import build, planning
from skclr.blockwise import BlockwiseTransform, is_lazy
from skclr.callbacks import CallbackSupportMixin, announced, with_callbacks
from skclr.data import Rows
from skclr.diagram import diagram
from skclr.encoders import Encoder, Reading
from skclr.exporting import ExportedModel
from skclr.measures import info_nce_bound
from skclr.modalities import Modality, check_two_samples
from skclr.parameters import check_parameters
from skclr.part_choices import network_parameters
from skclr.plan import Plan
from skclr.randomness import DrawsFrom
from skclr.saving import SavedModel
from skclr.training import (
    Checkpoints,
    ContrastiveNet,
    Samples,
    agree,
    check_chunk_size,
    check_length,
    data_parallel,
    embed,
    embed_views,
    free,
    handle_ctrl_c,
    is_out_of_memory,
    make_views,
    row_groups,
    undisturbed,
)
from skclr.views import shows_given


class ContrastiveEmbedder(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BlockwiseTransform,
    ExportedModel,
    SavedModel,
):
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

    net_: ContrastiveNet
    _modality: Modality
    _embedding_width: int
    _n_features_out: int

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
        self._init_callback_context()
        with all_or_nothing(self), data_parallel():
            if self.warm_start and self.__sklearn_is_fitted__():
                return self._fit(X, y, groups, unlabeled, modality=self._modality, before=self.net_)
            return self._fit(X, y, groups, unlabeled)

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
        with all_or_nothing(self), data_parallel():
            if self.__sklearn_is_fitted__():
                return self._fit(X, y, groups, modality=self._modality, before=self.net_, endless=True)
            return self._fit(X, y, groups, endless=True)

    @undisturbed()
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
        if is_lazy(X):
            return self._lazily(X)
        samples = self._samples(X)
        features = np.empty((len(samples), self._n_features_out), dtype=np.float32)
        plain = self._modality.features if self._embedding_width < self._n_features_out else None
        any_length = self.encoder_.any_length and (plain is None or self._modality.any_length)
        embed(self.encoder_, samples, out=features, beside=plain, any_length=any_length)
        return features

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
        views = self.make_views(self._open(X).spread())[:2]
        z1, z2 = embed_views(self.encoder_, views, self.device_)
        return info_nce_bound(z1, z2)

    @undisturbed()
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
        maker = copy.deepcopy(self.net_.view_maker)
        rows = Rows.of(X, paired=maker.shows_given)
        if maker.shows_given != (rows.n_views > 1):
            raise ValueError(f"X gives {rows.n_views} view(s) of each sample: give as many as in fit")
        sides = [self._modality.read(side, self, reset=False) for side in rows.sides]
        check_two_samples(sides[0], "score and make_views need", "; use KFold in place of LeaveOneOut")
        if self.encoder_.any_length:
            sides = [self._modality.shortened(side) for side in sides]
        samples = build.build_samples(sides, self._modality, self.device_)
        return make_views(maker.fit(samples), samples, self.net_.batch_size, draw_seed(random_state))

    @property
    def encoder_(self) -> Encoder:
        """The trained encoder, from samples to embeddings."""
        return self.net_.module_.encoder

    @property
    def device_(self) -> torch.device:
        """Where the encoder is."""
        tensors = itertools.chain(self.encoder_.parameters(), self.encoder_.buffers())
        return next((tensor.device for tensor in tensors), torch.device(self.net_.device))

    @property
    def modality_(self) -> str:
        """How X was read."""
        return type(self._modality).__name__.lower()

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

    def _structure(self) -> dict[str, Any]:
        """Return the parameters that build the fitted network anew, whatever was set after the fit."""
        return {
            **network_parameters(self.net_.plan),
            "modality": type(self._modality),
            "modality_params": self._modality.settings(),
            # A copy: the user's own generator does not move.
            "random_state": copy.deepcopy(self._fitted_with["random_state"]),
            "device": self.device,
        }

    # -- how it is put together -------------------------------------------------------------------

    def _fit(
        self,
        X: Any,
        y: Any,
        groups: Any = None,
        unlabeled: Any = None,
        *,
        modality: Modality | None = None,
        before: ContrastiveNet | None = None,
        endless: bool = False,
    ) -> Self:
        """Fit, reading X by a modality that has learned from other data, and going on from a net, if given."""
        check_parameters(self.get_params(deep=False))
        reset = modality is None
        rows = self._open(X)
        modality = modality or build.build_modality(rows.sides[0], self.modality, self.modality_params)
        samples = self._read(modality, rows, y, groups, unlabeled, reset=reset)
        check_two_samples(samples)
        handle_ctrl_c()
        net = self._assemble(modality, samples, before, given=rows.n_views > 1, endless=endless)
        if (groups is not None or self.positives == "labels") and not net.module_.uses_groups:
            raise ValueError(
                f"framework={self.framework!r} makes no use of labels or groups: set positives='views' and give no "
                "groups, or choose simclr, moco or nnclr"
            )
        if before is None:
            planning.check_freeze(net.plan)
        else:
            net.continue_from(before, optimizer=endless)
        # Dictionaries are copied: one that is changed in place is another.
        then = {name: dict(v) if isinstance(v, dict) else v for name, v in self.get_params(deep=False).items()}
        self._fitted_with, self._n_samples = then, len(samples)
        with announced(self, net, rows.as_given(), y, lambda now: self._fitted(now, modality)):
            if net.max_epochs:
                samples.settle()
                net.partial_fit(samples)
        return self._keep(net, modality)

    def _keep(self, net: ContrastiveNet, modality: Modality) -> Self:
        self.__dict__.update(self._fitted(net, modality))
        return self

    def _fitted(self, net: ContrastiveNet, modality: Modality) -> dict[str, Any]:
        """Give the attributes that make of a trained net a fitted estimator."""
        encoder: Any = net.module_.eval().encoder
        encoder.reading = Reading(modality, getattr(self, "feature_names_in_", None))
        width = encoder.out_features
        n_features = width + (modality.n_features() if net.plan.passthrough else 0)
        return {"net_": net, "_modality": modality, "_embedding_width": width, "_n_features_out": n_features}

    def _open(self, X: Any) -> Rows:
        """Open X, with as many views as `views` shows."""
        return Rows.of(X, paired=shows_given(self.views))

    def _samples(self, X: Any) -> Samples:
        """Read the samples that `transform` embeds."""
        rows = self._modality.read(Rows.of(X).single(), self, reset=False)
        return Samples(rows, self._modality.to_tensor, self.device_)

    def _read(self, modality: Modality, given: Rows, y: Any, groups: Any, unlabeled: Any, *, reset: bool) -> Samples:
        first, *others = given.sides
        learned = build.read_anew(modality, first, self) if reset else modality.read(first, self, reset=False)
        sides = [learned, *(modality.read(X, self, reset=False) for X in others)]
        n_samples = sides[0].shape[0]
        if y is not None:
            check_length("y", y, n_samples)
        elif self.positives == "labels":
            raise ValueError("positives='labels' needs y: give fit(X, y), or use positives='views'")
        if unlabeled is not None:
            more = self._open(unlabeled)
            if more.n_views != len(sides):
                raise ValueError(f"unlabeled gives {more.n_views} view(s), but X gives {len(sides)}: give as many")
            with named("unlabeled"):
                joined = [modality.read(X, self, reset=False) for X in more.sides]
            sides = [modality.join(*parts) for parts in zip(sides, joined, strict=True)]
        labels = y if self.positives == "labels" else None
        ids = row_groups(n_samples, labels, groups, n_extra=sides[0].shape[0] - n_samples)
        return build.build_samples(sides, modality, planning.choose_device(self.device), ids)

    def _assemble(
        self, modality: Modality, samples: Samples, before: ContrastiveNet | None, *, given: bool, endless: bool
    ) -> ContrastiveNet:
        """Plan the fit and make its net, ready to train."""
        plan = planning.plan_fit(
            self.get_params(deep=False),
            modality,
            len(samples),
            samples.device,
            seed=agree(draw_seed(self.random_state)),
            given=given,
            endless=endless,
        )
        planning.check_ranks_alike(plan)
        if before is not None:
            planning.check_settled(plan, before.plan)
        with DrawsFrom(plan.random_state):
            framework = build.build_framework(plan.framework, plan.encoder, plan.loss, plan.freeze, modality)
            check_chunk_size(framework.encoder, plan.chunk_size, modality.example())
        checkpoints = None if endless else self._checkpoints(plan)
        return build.build_net(plan, framework, modality, verbose=self.verbose, checkpoints=checkpoints)

    def _checkpoints(self, plan: Plan) -> Checkpoints | None:
        if self.checkpoint_dir is None:
            return None
        if self.random_state is None:
            raise ValueError(
                f"checkpoint_dir={self.checkpoint_dir!r} with random_state=None: the same call would draw another seed "
                "and could not go on from a checkpoint, give random_state a number"
            )
        return Checkpoints(self.checkpoint_dir, self.checkpoint_minutes, planning.telling(plan))

    # -- what scikit-learn asks -------------------------------------------------------------------

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "net_")

    def _sk_visual_block_(self) -> Any:
        return diagram(self, fitted=self.__sklearn_is_fitted__())

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
    return ContrastiveEmbedder._load(path, parameters, trust)


def draw_seed(random_state: Any) -> int:
    """Give the seed that a `random_state` stands for."""
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


@contextmanager
def named(argument: str) -> Iterator[None]:
    """Name the argument in what a modality says of samples that do not fit those it has learned from."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{argument} does not fit X: {error}") from error


@contextmanager
def all_or_nothing(estimator: Any) -> Iterator[None]:
    """Put an estimator's attributes back where the block raises; where memory ran out, say what helps."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException as error:
        # At once: another thread may read them.
        estimator.__dict__ = before
        if isinstance(error, RuntimeError) and is_out_of_memory(error):
            free(error)
            raise MemoryError(
                "training does not fit into memory: lower batch_size ('auto' is up to 256) or chunk_size (with it the "
                "encoder takes a batch in pieces), set precision='bfloat16', "
                f"make fewer views, or choose a smaller encoder ({error})"
            ) from error
        raise
