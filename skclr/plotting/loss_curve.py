"""Plots of the loss during training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from sklearn.utils.validation import check_is_fitted

from skclr.plotting.base import one_axes


class LossCurveDisplay:
    """The loss of each epoch.

    Parameters
    ----------
    train_loss : sequence of float
        One per epoch.
    valid_loss : sequence of float, default=None
        One per epoch, if samples were held out.
    name : str, default=None
        Name of the curve.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.
    ax_ : matplotlib Axes
        The axes.
    lines_ : list of matplotlib Line2D
        Training loss, then validation loss.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclr import ContrastiveEmbedder
    >>> from skclr.plotting import LossCurveDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> embedder = ContrastiveEmbedder(max_epochs=2, random_state=0).fit(X)
    >>> LossCurveDisplay.from_estimator(embedder).ax_.get_xlabel()
    'epoch'
    """

    def __init__(
        self, train_loss: Sequence[float], valid_loss: Sequence[float] | None = None, name: str | None = None
    ) -> None:
        self.train_loss = train_loss
        self.valid_loss = valid_loss
        self.name = name

    @classmethod
    def from_estimator(cls, embedder: Any, *, name: str | None = None, ax: Any = None, **line: Any) -> Self:
        """Draw the loss of a fitted embedder.

        Parameters
        ----------
        embedder : ContrastiveEmbedder
            Fitted.
        name : str, default=None
            Name of the curve; None is that of the framework.
        ax : matplotlib Axes, default=None
            None creates a figure; curves are added to existing ones.
        **line
            Keyword arguments for `matplotlib.axes.Axes.plot`.

        Returns
        -------
        The display.

        Raises
        ------
        ValueError
            If the embedder was not trained.
        """
        check_is_fitted(embedder)
        if not embedder.n_iter_:
            raise ValueError("max_epochs=0: the embedder was not trained, so there is no loss to draw")
        history = embedder.history_
        valid = [epoch["valid_loss"] for epoch in history] if "valid_loss" in history[-1] else None
        name = name or str(getattr(embedder.framework, "__name__", embedder.framework))
        return cls(embedder.loss_curve_, valid, name).plot(ax, **line)

    def plot(self, ax: Any = None, **line: Any) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None creates a figure.
        **line
            Keyword arguments for `matplotlib.axes.Axes.plot`.

        Returns
        -------
        The display.
        """
        self.ax_ = one_axes(ax)
        self.figure_ = self.ax_.figure
        epochs = range(1, len(self.train_loss) + 1)
        # A curve with one epoch is a point.
        style = {"marker": "o" if len(epochs) == 1 else None, **line}
        name = "" if self.name is None else f"{self.name}, "
        self.lines_ = self.ax_.plot(epochs, self.train_loss, label=name + "training", **style)
        if self.valid_loss is not None:
            style = {**style, "color": self.lines_[0].get_color(), "linestyle": "--"}
            self.lines_ += self.ax_.plot(epochs, self.valid_loss, label=name + "validation", **style)
        self.ax_.set(xlabel="epoch", ylabel="loss")
        self.ax_.xaxis.get_major_locator().set_params(integer=True)
        self.ax_.spines[["top", "right"]].set_visible(False)
        self.ax_.legend(frameon=False)
        return self
