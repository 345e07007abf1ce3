"""The logistic loss: each pair is a separate binary classification."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import logsigmoid

from skclr.arguments import check_choice, check_temperature
from skclr.losses.mining import semi_hard
from skclr.losses.pairwise import EncodedGroups, Pairs, PairwiseLoss, cosine_rows, mean_over_pairs


@dataclass(frozen=True)
class Logistic(PairwiseLoss):
    """Logistic: mean over i of −Σ_p log σ(s_ip + b) − Σ_n log σ(−s_in - b).

    Parameters
    ----------
    temperature : divides the cosines.
    bias : b; offsets the imbalance between the many negatives and the few positives.
    mining : "all" uses every negative; "semi_hard" uses, for each p, the nearest n that is no nearer than p.

    Notes
    -----
    Dense reference::

        s = F.cosine_similarity(x[:, None], y, dim=2) / temperature
        if mining == "semi_hard":  # (R, p, n); a negative counts once for each positive it is chosen for
            allowed = positive[:, :, None] & negative[:, None, :] & (s[:, None, :] <= s[:, :, None])
            nearest = s[:, None, :].where(allowed, -torch.inf).amax(2, keepdim=True)
            negative = (allowed & (s[:, None, :] == nearest)).sum(1)
        cost = -F.logsigmoid(s + bias) * positive - F.logsigmoid(-s - bias) * negative
        loss = cost.sum(1)[positive.any(1)].mean()

    References
    ----------
    Zhai et al. 2023 (SigLIP), algorithm 1; the defaults are its initial values. Differs: temperature and bias are not
    learned. With bias 0 this is the NT-Logistic of Chen et al. 2020, table 2, over all or over semi-hard negatives.

    Examples
    --------
    >>> import torch
    >>> from skclr.losses import Logistic
    >>> embeddings, groups = torch.eye(4).repeat(2, 1), torch.arange(4).repeat(2)  # two views of four samples
    >>> Logistic()(embeddings, groups)
    tensor(0.6934)
    """

    temperature: float = 0.1
    bias: float = -10.0
    mining: str = "all"

    def __post_init__(self) -> None:
        check_temperature(self.temperature)
        check_choice("mining", self.mining, ("all", "semi_hard"))

    def mean(self, anchors: Tensor, candidates: Tensor, groups: EncodedGroups) -> Tensor:
        """See `PairwiseLoss.mean`."""
        cost = self._cost_of_all if self.mining == "all" else self._cost_of_semi_hard
        return mean_over_pairs(cost, *cosine_rows(anchors, candidates, self.temperature), groups)

    def _cost_of_all(self, similarities: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor]:
        anchored = pairs.positives.amax(1)
        logits = similarities + self.bias
        return -logsigmoid(logits * (2 * pairs.positives - 1)).sum(1) * anchored, anchored

    def _cost_of_semi_hard(self, similarities: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor]:
        distances, among, nearest = semi_hard(-similarities, pairs.positives > 0, pairs.negatives > 0)
        costs = -logsigmoid(self.bias - distances) - logsigmoid(nearest - self.bias)
        return costs.where(among, 0).sum(1), pairs.positives.amax(1)
