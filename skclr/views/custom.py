"""Views made by a user-defined function."""

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor

from skclr.randomness import VIEW_FUNCTIONS, LocalGenerators, rank_seed
from skclr.views.base import Samples, Views, check_n_views


class CallableViews(Views):
    """Call a function once per view, such as a transform of torchvision or kornia.

    Parameters
    ----------
    function : maps (B, *shape) to (B, *shape_v). Random numbers that it draws from torch's global generator are seeded
        for each call.
    n_views : number of calls.

    Examples
    --------
    >>> import torch
    >>> from skclr.views import CallableViews
    >>> x = torch.randn(100, 4)
    >>> maker = CallableViews(lambda x: x + 0.1 * torch.randn_like(x)).fit(x)
    >>> views = maker(x, torch.arange(len(x)), torch.Generator().manual_seed(0))
    >>> [tuple(view.shape) for view in views]
    [(100, 4), (100, 4)]
    """

    def __init__(self, function: Callable[[Tensor], Tensor], n_views: int = 2) -> None:
        check_n_views(n_views, least=1)
        self.function = function
        self.n_views = n_views

    def fit(self, samples: Samples) -> Self:
        """Return the maker unchanged: there is nothing to learn."""
        return self

    def held_out(self, samples: Samples) -> Views:
        """Return the maker itself, since nothing was learned."""
        return self

    def __call__(self, x: Tensor, rows: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Return n_views views of a batch."""
        with LocalGenerators(rank_seed(generator, VIEW_FUNCTIONS)):
            return [self._view(x.clone()) for _ in range(self.n_views)]

    def _view(self, x: Tensor) -> Tensor:
        view = self.function(x)
        if not isinstance(view, Tensor):
            raise TypeError(f"views= returned a {type(view).__name__}. Return a tensor with one view per sample.")
        if view.shape[:1] != x.shape[:1]:
            raise ValueError(
                f"views= returned a tensor of shape {tuple(view.shape)} for {len(x)} samples. "
                "Return one view per sample."
            )
        return view
