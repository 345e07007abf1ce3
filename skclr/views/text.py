"""Text views: some tokens are deleted, and some are moved."""

from typing import Self

import numpy as np
import torch
from torch import Tensor

from skclr.arguments import check_number
from skclr.randomness import rand
from skclr.views.base import Samples, Views, check_n_views


class TextViews(Views):
    """Delete random tokens and a span of tokens, and shuffle tokens locally.

    With all parameters at 0, the views are the text itself and differ only by the encoder's dropout, as in SimCSE.

    Parameters
    ----------
    n_views : number of views.
    deletion : probability with which each token is deleted.
    span : share of a text's tokens that is deleted in one piece, at a random position.
    shuffle : largest distance between tokens that may change their order; has no effect on bag-of-words encoders.

    Raises
    ------
    ValueError : if a parameter is out of its range.

    Notes
    -----
    A text with tokens keeps at least one. Deleted tokens leave padding in their place.

    References
    ----------
    Wu et al. 2020 (CLEAR), sec. 3.2, for deletion of words and spans; Lample et al. 2018, sec. 2.3, for the local
    shuffle; Gao et al. 2021 (SimCSE), sec. 3. Differs: deleted tokens are replaced by padding instead of a special
    token.

    Examples
    --------
    >>> import torch
    >>> from skclr.views import TextViews
    >>> x = torch.randint(1, 50, (8, 12))
    >>> maker = TextViews(deletion=0.5).fit(x)
    >>> views = maker(x, torch.arange(len(x)), torch.Generator().manual_seed(0))
    >>> [tuple(view.shape) for view in views]
    [(8, 12), (8, 12)]
    """

    def __init__(self, *, n_views: int = 2, deletion: float = 0.3, span: float = 0.0, shuffle: int = 0) -> None:
        check_n_views(n_views, least=2)
        check_number("deletion", deletion, 0, 1)
        check_number("span", span, 0, 1)
        check_number("shuffle", shuffle, 0, whole=True)
        self.n_views = n_views
        self.deletion = deletion
        self.span = span
        self.shuffle = shuffle

    def fit(self, samples: Samples) -> Self:
        """Check the samples; there is nothing to learn.

        Raises
        ------
        ValueError : if the samples are not token ids.
        """
        x = samples[np.arange(1)]
        if x.is_floating_point() or x.ndim not in (2, 3):
            raise ValueError(
                f"text views take token ids, got samples of shape {tuple(x.shape[1:])} and dtype {x.dtype}. "
                "Set modality='text' for strings, or choose other views."
            )
        return self

    def __call__(self, x: Tensor, rows: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Return `n_views` views of (B, L) or (B, L, G) token ids."""
        return [self._view(x, generator) for _ in range(self.n_views)]

    def _view(self, x: Tensor, generator: torch.Generator) -> Tensor:
        if self.deletion or self.span:
            kept = self._kept(_is_token(x), generator)
            x = x * kept.view(*kept.shape, *[1] * (x.ndim - 2))
        if self.shuffle:
            x = self._shuffled(x, generator)
        return x

    def _kept(self, is_token: Tensor, generator: torch.Generator) -> Tensor:
        draws = rand(is_token.shape, generator)
        start = rand((len(is_token), 1), generator)
        length = is_token.sum(1, keepdim=True)
        size = (self.span * length).floor()
        begin = (start * (length - size + 1)).floor()
        place = torch.arange(is_token.shape[1], device=is_token.device)
        kept = is_token & (draws >= self.deletion) & ((place < begin) | (place >= begin + size))
        # A text that would lose all its tokens keeps one.
        last = draws.masked_fill(~is_token, -1.0).argmax(1, keepdim=True) == place
        return torch.where(kept.any(1, keepdim=True), kept, last)

    def _shuffled(self, x: Tensor, generator: torch.Generator) -> Tensor:
        is_token = _is_token(x)
        shifts = rand(is_token.shape, generator) * (self.shuffle + 1)
        place = torch.arange(is_token.shape[1], device=x.device) + shifts
        order = place.masked_fill(~is_token, torch.inf).argsort(dim=1, stable=True)
        return x.take_along_dim(order.view(*order.shape, *[1] * (x.ndim - 2)), dim=1)


def _is_token(x: Tensor) -> Tensor:
    """Return (B, L) bool, True for tokens and False for padding."""
    return x.view(*x.shape[:2], -1).any(2)
