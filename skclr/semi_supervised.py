"""SemiSupervisedClassifier: the embedder learns from all rows, the classifier from the labelled ones."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import Tags, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skclr.data import Rows, encode_labels
from skclr.embedder import ContrastiveEmbedder, features_of
from skclr.fine_tuning import tune
from skclr.logistic import fit_recommended
from skclr.part_choices import shows_given
from skclr.training import undisturbed


class _Fitted(NamedTuple):
    """The result of `fit`, in one object, so that other threads see all of it or nothing."""

    embedder: ContrastiveEmbedder
    classifier: Any
    classes: np.ndarray


def _classifier_has(method: str) -> Any:
    def check(self: SemiSupervisedClassifier) -> bool:
        return self.fine_tune or self.classifier is None or hasattr(self.classifier, method)

    return check


class SemiSupervisedClassifier(ClassifierMixin, BaseEstimator):
    """Classifier that learns features from all rows and classes from the labelled ones.

    Rows with y = -1 are unlabelled, as in scikit-learn's semi-supervised module, and so are rows whose label is
    missing.

    Parameters
    ----------
    embedder : ContrastiveEmbedder, default=None
        Learns the features; None is `ContrastiveEmbedder()`. With positives="labels" it uses the labels too.
    classifier : estimator, default=None
        Learns the classes from the features. None is the recommended one, a logistic regression on the features as they
        are: C is chosen by cross-validation if there are at least 5 labels per class on average, otherwise it is 1.
    fine_tune : bool, default=False
        Whether the encoder is fine-tuned on the labelled rows, together with the logistic regression, which then
        classifies; `classifier` is not used. It takes at most 100 steps for each of three folds, and again for all
        labelled rows. The encoder stays as it is if these steps do not improve the cross-validated loss, if there are
        fewer than 5 labels per class on average, or if the features are sparse.

    Attributes
    ----------
    embedder_ : ContrastiveEmbedder
        Fitted on all rows; with `fine_tune`, its encoder may be fine-tuned.
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

    _fitted: _Fitted

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
            Classes, in any container; rows with -1 (also among strings) or a missing value are unlabelled.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If y has labels of fewer than two classes, is continuous, or has another length than X; and with
            `fine_tune`, if the embedder is a subclass that overrides `transform`.
        TypeError
            If y is not array-like, or mixes labels of several types.
        """
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None. Pass classes, -1 for unlabelled rows.")
        labels = encode_labels(y)
        if len(getattr(y, "shape", ())) > 1:
            # scikit-learn's checks recognise the warning by these words.
            warnings.warn(
                "A column-vector y was passed when a 1d array was expected. Pass y.ravel().",
                DataConversionWarning,
                stacklevel=3,
            )
        if len(labels.classes) < 2:
            raise ValueError(
                f"y has labels of {len(labels.classes)} class(es) besides -1. Pass labels of two classes or more."
            )
        embedder = ContrastiveEmbedder() if self.embedder is None else self.embedder
        rows = Rows.of(X, paired=shows_given(embedder.views))
        if rows.n_views > 1:
            raise ValueError(
                "X holds several views of each sample, but a classifier takes one. Fit a ContrastiveEmbedder on them "
                "and any classifier on transform(X[0])."
            )
        if self.fine_tune and type(embedder).transform is not ContrastiveEmbedder.transform:
            # Tuning reads samples by the model, without what the subclass does to them.
            raise ValueError(
                f"fine_tune=True cannot tune a {type(embedder).__name__}, which has a transform of its own. Set "
                "fine_tune=False, or change X before the classifier."
            )
        embedder = clone(embedder).fit(rows.as_given(), labels.codes)
        known, codes = rows[labels.labelled], labels.codes[labels.labelled]
        if self.fine_tune:
            embedder.model_, classifier = tune(embedder.model_, known, codes)
        else:
            features = features_of(embedder, known.as_given())
            fit = fit_recommended if self.classifier is None else clone(self.classifier).fit
            classifier = fit(features, codes)
        self._fitted = _Fitted(embedder, classifier, labels.classes)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predict the class of each sample.

        Parameters
        ----------
        X : array or DataFrame of n samples
            As for `fit`.

        Returns
        -------
        (n,) array of classes.
        """
        check_is_fitted(self)
        fitted = self._fitted
        return fitted.classes[fitted.classifier.predict(features_of(fitted.embedder, X))]

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
        """Return the class probabilities of each sample.

        Parameters
        ----------
        X : array or DataFrame of n samples
            As for `fit`.

        Returns
        -------
        (n, n_classes) array, columns in the order of `classes_`.
        """
        check_is_fitted(self)
        fitted = self._fitted
        return fitted.classifier.predict_proba(features_of(fitted.embedder, X))

    @available_if(_classifier_has("decision_function"))
    def decision_function(self, X: Any) -> np.ndarray:
        """Return the classifier's confidence scores of each sample.

        Parameters
        ----------
        X : array or DataFrame of n samples
            As for `fit`.

        Returns
        -------
        (n,) array for two classes, else (n, n_classes).
        """
        check_is_fitted(self)
        fitted = self._fitted
        return fitted.classifier.decision_function(features_of(fitted.embedder, X))

    @property
    def embedder_(self) -> ContrastiveEmbedder:
        """The embedder, fitted on all rows; with `fine_tune`, its encoder may be fine-tuned."""
        return self._fitted.embedder

    @property
    def classifier_(self) -> Any:
        """The classifier, fitted on the labelled rows."""
        return self._fitted.classifier

    @property
    def classes_(self) -> np.ndarray:
        """The classes, without -1."""
        return self._fitted.classes

    @property
    def n_features_in_(self) -> int:
        """Number of columns of a 2-D X."""
        return self.embedder_.n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the columns, if X was a DataFrame with string names."""
        return self.embedder_.feature_names_in_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_fitted")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        embedder = ContrastiveEmbedder() if self.embedder is None else self.embedder
        tags.input_tags = get_tags(embedder).input_tags
        return tags
