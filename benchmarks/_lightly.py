"""lightly's losses, heads and transforms, combined as in its documentation, around any encoder."""

import copy
import random
import time
from collections.abc import Callable

import numpy as np
import torch
from lightly import loss, transforms
from lightly.models import modules
from lightly.models.utils import deactivate_requires_grad, update_momentum
from lightly.transforms.byol_transform import BYOLTransform, BYOLView1Transform, BYOLView2Transform
from lightly.transforms.utils import IMAGENET_NORMALIZE
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from skclr.frameworks import Recipe
from skclr.parts.schedules import cosine_decay
from skclr.training import WarmupThen, preset_arguments
from skclr.training.optimizers import parameter_groups

Views = list[Tensor]


class Method(nn.Module):
    """An encoder with the heads of a method; widths and temperatures are those of lightly's CIFAR-10 benchmark."""

    def __init__(self, encoder: nn.Module, width: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.width = width

    def before_step(self) -> None:
        """Update the state that is not trained by gradients."""


class SimCLR(Method):
    temperature = 0.2

    def __init__(self, encoder: nn.Module, width: int) -> None:
        super().__init__(encoder, width)
        self.projector = modules.SimCLRProjectionHead(width, width, 128)
        self.criterion = loss.NTXentLoss(self.temperature)

    def forward(self, views: Views) -> tuple[Tensor, ...]:
        return tuple(self.projector(self.encoder(view)) for view in views)

    def loss(self, z0: Tensor, z1: Tensor) -> Tensor:
        return self.criterion(z0, z1)


class WarmSimCLR(SimCLR):
    temperature = 0.5


class BarlowTwins(SimCLR):
    def __init__(self, encoder: nn.Module, width: int) -> None:
        super().__init__(encoder, width)
        self.projector = modules.BarlowTwinsProjectionHead(width, 2048, 2048)
        self.criterion = loss.BarlowTwinsLoss()


class Momentum(Method):
    """Student and teacher; the teacher is updated before each step."""

    projector: nn.Module

    def follow_from_here(self) -> None:
        self.teacher = nn.ModuleList([copy.deepcopy(self.encoder), copy.deepcopy(self.projector)])
        deactivate_requires_grad(self.teacher)

    def before_step(self) -> None:
        update_momentum(self.encoder, self.teacher[0], m=0.99)
        update_momentum(self.projector, self.teacher[1], m=0.99)

    @torch.no_grad()
    def teach(self, view: Tensor) -> Tensor:
        return self.teacher[1](self.teacher[0](view))


class MoCo(Momentum):
    def __init__(self, encoder: nn.Module, width: int) -> None:
        super().__init__(encoder, width)
        self.projector = modules.MoCoProjectionHead(width, width, 128)
        self.criterion = loss.NTXentLoss(temperature=0.1, memory_bank_size=(4096, 128))
        self.follow_from_here()

    def forward(self, views: Views) -> tuple[Tensor, ...]:
        queries = [self.projector(self.encoder(view)) for view in views]
        return *queries, *(self.teach(view) for view in views)

    def loss(self, q0: Tensor, q1: Tensor, k0: Tensor, k1: Tensor) -> Tensor:
        return (self.criterion(q0, k1) + self.criterion(q1, k0)) / 2


class BYOL(Momentum):
    def __init__(self, encoder: nn.Module, width: int) -> None:
        super().__init__(encoder, width)
        self.projector = modules.BYOLProjectionHead(width, 1024, 256)
        self.predictor = modules.BYOLPredictionHead(256, 1024, 256)
        self.criterion = loss.NegativeCosineSimilarity()
        self.follow_from_here()

    def forward(self, views: Views) -> tuple[Tensor, ...]:
        predictions = [self.predictor(self.projector(self.encoder(view))) for view in views]
        return *predictions, *(self.teach(view) for view in views)

    def loss(self, p0: Tensor, p1: Tensor, z0: Tensor, z1: Tensor) -> Tensor:
        return (self.criterion(p0, z1) + self.criterion(p1, z0)) / 2


class SwAV(Method):
    def __init__(self, encoder: nn.Module, width: int) -> None:
        super().__init__(encoder, width)
        self.projector = modules.SwaVProjectionHead(width, width, 128)
        self.prototypes = modules.SwaVPrototypes(128, n_prototypes=512)
        self.criterion = loss.SwaVLoss()

    def before_step(self) -> None:
        self.prototypes.normalize()

    def forward(self, views: Views) -> tuple[Tensor, ...]:
        projections = [nn.functional.normalize(self.projector(self.encoder(view))) for view in views]
        return tuple(self.prototypes(z) for z in projections)

    def loss(self, scores0: Tensor, scores1: Tensor) -> Tensor:
        return self.criterion([scores0, scores1], [])


def simclr_views(size: int) -> transforms.SimCLRTransform:
    return transforms.SimCLRTransform(input_size=size, cj_strength=0.5, gaussian_blur=0.0)


def byol_views(size: int) -> BYOLTransform:
    return BYOLTransform(
        BYOLView1Transform(input_size=size, gaussian_blur=0.0), BYOLView2Transform(input_size=size, gaussian_blur=0.0)
    )


def swav_views(size: int) -> transforms.SwaVTransform:
    return transforms.SwaVTransform(
        crop_sizes=(size,),
        crop_counts=(2,),
        crop_min_scales=(0.14,),
        crop_max_scales=(1.0,),
        cj_strength=0.5,
        gaussian_blur=0.0,
    )


METHODS: dict[str, tuple[type[Method], Callable[[int], Callable[[Image.Image], Views]]]] = {
    "simclr": (SimCLR, simclr_views),
    "simclr, temperature 0.5": (WarmSimCLR, simclr_views),
    "moco": (MoCo, lambda size: transforms.MoCoV2Transform(input_size=size, cj_strength=0.5, gaussian_blur=0.0)),
    "byol": (BYOL, byol_views),
    "swav": (SwAV, swav_views),
    "barlow_twins": (BarlowTwins, byol_views),
}


class Pictures(Dataset[Views]):
    """Images (n, H, W, 3) uint8 after a transform."""

    def __init__(self, images: np.ndarray, transform: Callable[[Image.Image], Views]) -> None:
        self.images = images
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Views:
        return self.transform(Image.fromarray(self.images[index]))


def train(
    name: str,
    encoder: nn.Module,
    width: int,
    images: np.ndarray,
    recipe: Recipe,
    *,
    epochs: int,
    batch_size: int,
    autocast: torch.dtype | None,
    seed: int,
) -> float:
    """Train an encoder in place with lightly's parts and AdamW, and return the seconds."""
    # lightly's transforms use all three generators.
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    random.seed(seed)
    method, views = METHODS[name]
    model = method(encoder, width).train()
    loader = DataLoader(Pictures(images, views(images.shape[1])), batch_size, shuffle=True, drop_last=True)
    groups = parameter_groups(model.parameters(), recipe.weight_decay)
    optimizer = torch.optim.AdamW(
        [{key: group[key] for key in ("params", "weight_decay")} for group in groups],
        lr=recipe.at(batch_size),
        **preset_arguments(torch.optim.AdamW, torch.device("cpu")),
    )
    total = epochs * len(loader)
    schedule = WarmupThen(cosine_decay, 0.05 * epochs, epochs)
    start = time.perf_counter()
    for step, batch in enumerate(view for _ in range(epochs) for view in loader):
        for group in optimizer.param_groups:
            group["lr"] = recipe.at(batch_size) * schedule(step, total)
        model.before_step()
        with torch.autocast("cpu", autocast, enabled=autocast is not None):
            outputs = model([view.contiguous(memory_format=torch.channels_last) for view in batch])
        optimizer.zero_grad()
        model.loss(*(output.float() for output in outputs)).backward()
        optimizer.step()
    return time.perf_counter() - start


def simclr(
    encoder: nn.Module,
    width: int,
    images: np.ndarray,
    *,
    epochs: int,
    batch_size: int,
    workers: int,
    tuned: torch.dtype | None = None,
) -> None:
    """Train SimCLR as in lightly's documentation; `tuned`: channels last, one forward pass, this autocast dtype.

    The transforms process one sample at a time, since on a batch they would draw once for all images.
    """
    model = SimCLR(encoder, width).train()
    layout = torch.channels_last if tuned else torch.contiguous_format
    model.to(memory_format=layout)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.06)
    loader = DataLoader(
        Pictures(images, simclr_views(images.shape[1])),
        batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    for views in (views for _ in range(epochs) for views in loader):
        with torch.autocast("cpu", torch.bfloat16, enabled=tuned is torch.bfloat16):
            if tuned:
                projections = model([torch.cat(views).contiguous(memory_format=layout)])[0].float().chunk(2)
            else:
                projections = model(views)
        optimizer.zero_grad()
        model.loss(*projections).backward()
        optimizer.step()


def as_it_sees(images: np.ndarray) -> Tensor:
    """Return images (n, H, W, 3) uint8 normalised as lightly's transforms do, (n, 3, H, W)."""
    mean, std = (torch.tensor(IMAGENET_NORMALIZE[key]) for key in ("mean", "std"))
    return ((torch.from_numpy(images) / 255 - mean) / std).permute(0, 3, 1, 2)
