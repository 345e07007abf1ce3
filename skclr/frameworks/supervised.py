"""The supervised network, used as a baseline for contrastive learning and for fine-tuning."""

from torch import Tensor, nn
from torch.nn import functional as F

from skclr.encoders.base import Encoder
from skclr.frameworks.base import Framework, Recipe
from skclr.ranks.collectives import world


class Supervised(Framework):
    """A linear classifier on top of the encoder, trained together with it; the groups are the classes.

    Parameters
    ----------
    encoder : maps (B, *shape) to (B, encoder.out_features).
    n_classes : number of classes. Their group ids are 0 to n_classes - 1, as `positives="labels"` assigns them; samples
        with a negative id are unlabelled and do not contribute to the loss.

    Notes
    -----
    It cannot be selected by name, because unlike every other framework it needs labels. Pass the class:
    `framework=Supervised` with `framework_params={"n_classes": k}` and `positives="labels"`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclr import ContrastiveEmbedder
    >>> from skclr.frameworks import Supervised
    >>> X, y = load_iris(return_X_y=True)
    >>> params = {"positives": "labels", "framework_params": {"n_classes": 3}, "max_epochs": 2, "random_state": 0}
    >>> ContrastiveEmbedder(Supervised, **params).fit(X, y).n_iter_
    2
    """

    uses_groups = True
    recipes = {
        "adamw": Recipe(learning_rate=1e-3, weight_decay=1e-4, scaling=0.5),
        # He et al. 2016, sec. 3.4 and 4.2.
        "sgd": Recipe(learning_rate=0.1, weight_decay=1e-4),
        # The same as SimCLR's.
        "lars": Recipe(learning_rate=0.3, weight_decay=1e-6),
    }

    def __init__(self, encoder: Encoder, n_classes: int) -> None:
        super().__init__(encoder)
        self.classifier = nn.Linear(encoder.out_features, n_classes)

    def forward(self, views: list[Tensor], groups: Tensor) -> Tensor:
        """Return the mean cross-entropy of the labelled samples.

        Raises
        ------
        ValueError : if a group is not a class. On an accelerator, where this check would stall the step, torch raises.
        """
        n_classes = self.classifier.out_features
        if groups.device.type == "cpu" and len(groups) and (largest := int(groups.max())) >= n_classes:
            raise ValueError(
                f"n_classes={n_classes}, but a sample has the group {largest}, counted from 0. Set positives='labels', "
                "and n_classes to the number of classes of y."
            )
        classes = groups.clamp_min(-1)
        losses = [F.cross_entropy(self.logits(view), classes, ignore_index=-1, reduction="sum") for view in views]
        labelled = world.average((classes >= 0).float().mean(0))
        # The loss of a batch without labels is 0.
        return sum(losses) / (len(views) * len(classes) * labelled.masked_fill(labelled == 0, 1))

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits (B, n_classes) of samples (B, *shape)."""
        return self.classifier(self.encoder(x))
