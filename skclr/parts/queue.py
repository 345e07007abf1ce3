"""The queue of rows from earlier batches, newest first."""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from skclr.ranks.collectives import world

# The group id of random rows, which no sample has.
NO_SAMPLE = torch.iinfo(torch.int64).min


class Queue(nn.Module):
    """Keep the last `size` rows and their group ids.

    Parameters
    ----------
    size : number of rows kept; 0 keeps none.
    dim : width of a row.

    Attributes
    ----------
    rows : (size, dim), newest batch first; random unit rows until samples have replaced them.
    groups : (size,) int64, the rows' group ids; `NO_SAMPLE` for random rows. Rows and groups are the same on all ranks.

    References
    ----------
    He et al. 2020 (MoCo), sec. 3.2. Differs: keeps group ids, and accepts batches of any size.
    """

    rows: Tensor
    groups: Tensor

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("rows", normalize(torch.randn(size, dim), dim=1))
        self.register_buffer("groups", torch.full((size,), NO_SAMPLE))

    def forget_groups(self) -> None:
        """Forget the group ids of the rows, before a fit on samples whose ids start again."""
        self.groups.fill_(NO_SAMPLE)

    def with_batch(self, rows: Tensor, groups: Tensor) -> tuple[Tensor, Tensor]:
        """Return a batch (B, dim) of all ranks followed by the queue, and the group ids of both."""
        return torch.cat([world.gather(rows), self.rows]), torch.cat([world.gather(groups), self.groups])

    def push(self, rows: Tensor, groups: Tensor) -> None:
        """Prepend a batch and drop the oldest rows; do nothing in eval mode.

        Parameters
        ----------
        rows : (B, dim); kept without gradient.
        groups : (B,) int64.
        """
        if not (self.training and self.size):
            return
        new, groups = world.gather(rows.detach().to(self.rows.dtype))[: self.size], world.gather(groups)
        n_kept = self.size - len(new)
        # New tensors: the graph may still hold the old ones.
        self.rows = torch.cat([new, self.rows[:n_kept]])
        self.groups = torch.cat([groups[: self.size], self.groups[:n_kept]])
