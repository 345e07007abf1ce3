"""The supervised network: what contrastive learning is held against, and how an encoder is fine-tuned."""

from torch import Tensor, nn
from torch.nn import functional as F

from skclr.encoders.base import Encoder
from skclr.frameworks.base import Framework, Recipe
from skclr.ranks.collectives import world


class Supervised(Framework):
    """A linear classifier on the encoder, trained with it; the groups are the classes.

    Parameters
    ----------
    encoder : takes (B, *shape) to (B, encoder.out_features).
    n_classes : groups 0 to n_classes - 1 are classes; samples of negative groups have no label and no share in
        the loss.

    Notes
    -----
    It is in no registry: it needs the labels that every other framework does without. Give it as
    `framework=Supervised` with `framework_params={"n_classes": k}` and `positives="labels"`.
    """

    uses_groups = True
    recipes = {
        "adamw": Recipe(learning_rate=1e-3, weight_decay=1e-4, scaling=0.5),
        # He et al. 2016, sec. 3.4 and 4.2.
        "sgd": Recipe(learning_rate=0.1, weight_decay=1e-4),
        # As SimCLR's.
        "lars": Recipe(learning_rate=0.3, weight_decay=1e-6),
    }

    def __init__(self, encoder: Encoder, n_classes: int) -> None:
        super().__init__(encoder)
        self.classifier = nn.Linear(encoder.out_features, n_classes)

    def forward(self, views: list[Tensor], groups: Tensor) -> Tensor:
        classes = groups.clamp_min(-1)
        losses = [F.cross_entropy(self.logits(view), classes, ignore_index=-1, reduction="sum") for view in views]
        labelled = world.average((classes >= 0).float().mean(0))
        # A batch may hold no label at all, and then no loss.
        return sum(losses) / (len(views) * len(classes) * labelled.masked_fill(labelled == 0, 1))

    def logits(self, x: Tensor) -> Tensor:
        """Take (B, *shape) to the logits (B, n_classes) of the classes."""
        return self.classifier(self.encoder(x))
