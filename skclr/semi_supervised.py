"""SemiSupervisedClassifier: the embedder on every row, the classifier on the labelled ones."""

from __future__ import annotations

import math
import warnings
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import DataConversionWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Tags, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skclr.data import encode_labels
from skclr.embedder import ContrastiveEmbedder, all_or_nothing
from skclr.frameworks import Supervised
from skclr.ranks.collectives import world
from skclr.training import undisturbed

# The budget of fine-tuning. Few rows make few steps an epoch, but are seen so often that they are soon known by heart.
FINE_TUNING_STEPS = 300
FINE_TUNING_EPOCHS = 50
FINE_TUNING_BATCH = 64


def _classifier_has(method: str) -> Any:
    def check(self: SemiSupervisedClassifier) -> bool:
        return self.fine_tune or hasattr(self._unfitted_classifier(), method)

    return check


class SemiSupervisedClassifier(ClassifierMixin, BaseEstimator):
    """Learn features from all rows and a classifier from the labelled ones.

    Rows whose y is -1 have no label, as everywhere in scikit-learn's semi-supervised module; so have rows whose label
    is missing.

    Parameters
    ----------
    embedder : ContrastiveEmbedder, default=None
        Learns the features; None is `ContrastiveEmbedder()`. With positives="labels" it uses the labels too.
    classifier : estimator, default=None
        Learns the classes from the features; None is a logistic regression on standardised features.
    fine_tune : bool, default=False
        Whether the encoder is trained further, under a linear head, on the labelled rows. The head then
        classifies, and `classifier` is not used. It takes about 300 steps, of at most 50 epochs, whatever the
        embedder's `max_epochs`.

    Attributes
    ----------
    embedder_ : ContrastiveEmbedder
        Fitted on every row, and fine-tuned where that was asked for.
    classifier_ : estimator
        Fitted on the labelled rows.
    classes_ : ndarray of shape (n_classes,)
        The classes, without -1.
    n_features_in_ : int
        Number of columns of a 2-D X.

    See Also
    --------
    sklearn.semi_supervised.SelfTrainingClassifier : labels the unlabelled rows one by one.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from skclr import ContrastiveEmbedder, SemiSupervisedClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> partly = np.where(np.arange(150) % 10 == 0, y, -1)
    >>> model = SemiSupervisedClassifier(ContrastiveEmbedder(max_epochs=20, random_state=0)).fit(X, partly)
    >>> bool(model.score(X, y) > 0.8)
    True
    """

    embedder_: ContrastiveEmbedder

    def __init__(self, embedder: Any = None, classifier: Any = None, *, fine_tune: bool = False) -> None:
        self.embedder = embedder
        self.classifier = classifier
        self.fine_tune = fine_tune

    @undisturbed()
    def fit(self, X: Any, y: Any) -> Self:
        """Fit the embedder on every row of X and the classifier on the labelled ones.

        Parameters
        ----------
        X : array or DataFrame of n samples
            As for `ContrastiveEmbedder.fit`.
        y : array of shape (n,)
            Classes, in any container; rows with -1 (also beside strings) or a missing value are unlabelled.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Where y labels fewer than two classes, is continuous, or has another length than X.
        TypeError
            Where y is no array-like, or mixes labels of several types.
        """
        with all_or_nothing(self):
            return self._fit(X, y)

    def _fit(self, X: Any, y: Any) -> Self:
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None: pass classes, -1 for unlabelled rows")
        labels = encode_labels(y)
        if len(getattr(y, "shape", ())) > 1:
            # In scikit-learn's words, by which its checks know the warning.
            warnings.warn(
                "A column-vector y was passed when a 1d array was expected: pass y.ravel()",
                DataConversionWarning,
                stacklevel=4,
            )
        self.classes_ = labels.classes
        if len(self.classes_) < 2:
            raise ValueError(f"y labels {len(self.classes_)} class(es) besides -1: pass rows of two classes or more")
        embedder = ContrastiveEmbedder() if self.embedder is None else self.embedder
        rows = embedder._open(X)
        if rows.n_views > 1:
            raise ValueError(
                "X holds several views of each sample, but a classifier takes one: fit a ContrastiveEmbedder on them "
                "and any classifier on transform(X[0])"
            )
        self.embedder_ = clone(embedder).fit(rows, labels.codes)
        known, codes = rows[labels.labelled], labels.codes[labels.labelled]
        if self.fine_tune:
            self.embedder_, self.classifier_ = fine_tune(self.embedder_, known, codes)
        else:
            self.classifier_ = self._unfitted_classifier().fit(self.embedder_.transform(known), codes)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Give the class of each sample.

        Parameters
        ----------
        X : array or DataFrame of n samples
            As for `fit`.

        Returns
        -------
        (n,) array of classes.
        """
        check_is_fitted(self)
        return self.classes_[self.classifier_.predict(self.embedder_.transform(X))]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy on the labelled rows.

        Parameters
        ----------
        X : array or DataFrame of n samples
            As for `fit`.
        y : array of shape (n,)
            Classes; unlabelled rows (-1 or a missing value) are left out.
        sample_weight : array of shape (n,), default=None
            Weights of the rows.

        Returns
        -------
        Share of labelled rows whose class is predicted.

        Raises
        ------
        ValueError
            If no row of y is labelled.
        """
        predicted = self.predict(X)
        labels = encode_labels(y, len(predicted))
        rows = labels.labelled
        if not len(rows):
            raise ValueError("y has no labelled row to score. Pass the classes of some rows.")
        correct = labels.classes[labels.codes[rows]] == predicted[rows]
        return float(np.average(correct, weights=None if sample_weight is None else np.asarray(sample_weight)[rows]))

    @available_if(_classifier_has("predict_proba"))
    def predict_proba(self, X: Any) -> np.ndarray:
        """Give the probabilities of each sample's classes.

        Parameters
        ----------
        X : array or DataFrame of n samples
            As for `fit`.

        Returns
        -------
        (n, n_classes) array, columns in the order of `classes_`.
        """
        check_is_fitted(self)
        return self.classifier_.predict_proba(self.embedder_.transform(X))

    @available_if(_classifier_has("decision_function"))
    def decision_function(self, X: Any) -> np.ndarray:
        """Give the classifier's confidence in each sample's classes.

        Parameters
        ----------
        X : array or DataFrame of n samples
            As for `fit`.

        Returns
        -------
        (n,) array for two classes, else (n, n_classes).
        """
        check_is_fitted(self)
        return self.classifier_.decision_function(self.embedder_.transform(X))

    @property
    def n_features_in_(self) -> int:
        """Number of columns of a 2-D X."""
        return self.embedder_.n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the columns, where X was a DataFrame with such."""
        return self.embedder_.feature_names_in_

    def _unfitted_classifier(self) -> Any:
        if self.classifier is not None:
            return clone(self.classifier)
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "classifier_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        embedder = ContrastiveEmbedder() if self.embedder is None else self.embedder
        tags.input_tags = get_tags(embedder).input_tags
        return tags


def fine_tune(embedder: ContrastiveEmbedder, X: Any, codes: np.ndarray) -> tuple[ContrastiveEmbedder, Any]:
    """Train the encoder of an embedder further, under a linear head, on labelled rows.

    The head starts as a logistic regression on the frozen embedding. Epochs and batch size are chosen for the labelled
    rows: those of the pretraining were chosen for many more.

    Parameters
    ----------
    embedder : fitted; left as it is.
    X : n labelled samples.
    codes : (n,) classes from 0 on.

    Returns
    -------
    The tuned embedder, whose `transform` returns the embedding alone, and the head as a fitted logistic
    regression, which it is.

    References
    ----------
    Kumar et al. 2022 (LP-FT): a random head distorts the features before it has learned. Differs: the logistic
    regression is on standardised features.
    """
    n_classes = int(codes.max()) + 1
    batch_size, max_epochs = fine_tuning_budget(len(codes), embedder.batch_size)
    tuned = clone(embedder).set_params(
        framework=Supervised,
        framework_params={"n_classes": n_classes},
        loss="auto",
        loss_params=None,
        projection_dim="auto",
        positives="labels",
        encoder=embedder.encoder_,
        encoder_params=None,
        passthrough=False,
        max_epochs=0,
        batch_size=batch_size,
        warmup_epochs="auto",
        # There are no labels to spare for validation.
        early_stopping=False,
        validation_fraction="auto",
        # Done in seconds; the folder is the embedder's.
        checkpoint_dir=None,
    )
    # Few rows say little of the columns: they are standardised as all rows were.
    columns = {"n_features_in_", "feature_names_in_"}
    vars(tuned).update({name: value for name, value in vars(embedder).items() if name in columns})
    rows = tuned._open(X)
    tuned._fit(rows, codes, modality=embedder._modality)
    _probe_into(tuned.net_.framework_.classifier, tuned.transform(rows.first), codes)
    tuned.set_params(max_epochs=max_epochs)._fit(rows, codes, modality=embedder._modality, before=tuned.net_)
    return tuned, _logistic_regression(tuned.net_.framework_.classifier)


def fine_tuning_budget(n_samples: int, batch_size: Any = "auto") -> tuple[int, int]:
    """Return batch size and epochs of fine-tuning.

    Parameters
    ----------
    n_samples : labelled rows.
    batch_size : the embedder's, which is not exceeded.
    """
    most = FINE_TUNING_BATCH if batch_size == "auto" else min(FINE_TUNING_BATCH, int(batch_size))
    size = n_samples // math.ceil(n_samples / most)
    size = max(size - size % world.size, world.size)
    return size, min(FINE_TUNING_EPOCHS, math.ceil(FINE_TUNING_STEPS / max(1, n_samples // size)))


def _probe_into(head: nn.Linear, features: np.ndarray, codes: np.ndarray) -> None:
    """Set a linear layer to the logistic regression of the codes on standardised features."""
    scaler = StandardScaler().fit(features)
    probe = LogisticRegression(max_iter=1000).fit(scaler.transform(features), codes)
    weight, bias = probe.coef_, probe.intercept_
    if len(weight) == 1:
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    weight = weight / scaler.scale_
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weight))
        head.bias.copy_(torch.from_numpy(bias - weight @ scaler.mean_))


def _logistic_regression(head: nn.Linear) -> LogisticRegression:
    """Return a linear layer as a fitted classifier of codes."""
    weight, bias = head.weight.detach().cpu().double().numpy(), head.bias.detach().cpu().double().numpy()
    classifier = LogisticRegression()
    classifier.classes_ = np.arange(len(weight))
    if len(weight) == 2:
        weight, bias = weight[1:] - weight[:1], bias[1:] - bias[:1]
    classifier.coef_, classifier.intercept_ = weight, bias
    return classifier
