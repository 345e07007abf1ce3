"""Are the image views equal to those of torchvision, and do the differences matter?

CIFAR-10, the transforms of torchvision and skclr with the same parameters. A classifier on statistics of single images
tries to tell the views apart (an AUC of 0.5 means that it cannot); each library has its own images. A linear probe and
a vote of neighbours evaluate what SimCLR learns from the views of either.
"""

import sys
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from _common import load, parser, saved, write
from _speed_parts import torchvision
from joblib import Parallel, delayed
from quality import ours, summarize
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from torch import Tensor

from skclr.randomness import LocalGenerators
from skclr.views import ImageViews

# The defaults of skclr are the parameters of `torchvision`.
PARAMS: dict[str, dict[str, Any]] = {"skclr": {}, "skclr, crops from 0.08": {"crop_scale": (0.08, 1.0)}}
# Then one library and itself, and crops that differ, to check that the classifier works.
PAIRS = (
    ("skclr", "torchvision"),
    ("torchvision", "torchvision"),
    ("skclr, crops from 0.08", "torchvision"),
)

transforms = cache(torchvision)


def theirs(x: Tensor) -> Tensor:
    """Return a view of (B, 3, H, W) by torchvision, image by image."""
    from torchvision.transforms.functional import to_pil_image

    return torch.stack([transforms()(to_pil_image(image)) for image in x])


def views_of(library: str, x: Tensor, seed: int) -> Tensor:
    """Return one view of each image, rounded to torchvision's 256 levels."""
    if library == "torchvision":
        with LocalGenerators(seed):
            return theirs(x)
    generator = torch.Generator().manual_seed(seed)
    view: Tensor = ImageViews(**PARAMS[library]).fit(x)(x, torch.arange(len(x)), generator)[0]
    return (255 * view).round() / 255


# -- told apart? --------------------------------------------------------------------------------------


def statistics(x: Tensor) -> np.ndarray:
    """Return statistics of each image: channels, colours, clamped pixels, edges in all directions, halves."""
    flat, grey = x.flatten(2), x.mean(1)
    colorful = x.amax(1) - x.amin(1)
    correlations = torch.stack([torch.corrcoef(channels + 1e-4 * torch.rand_like(channels)) for channels in flat])
    edges = [grey.diff(dim=1), grey.diff(dim=2), grey.diff(n=2, dim=1), grey.diff(n=2, dim=2)]
    borders = [grey[:, 0].std(1), grey[:, -1].std(1), grey[:, :, 0].std(1), grey[:, :, -1].std(1)]
    columns = [
        *(flat.quantile(q, dim=2) for q in (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)),
        flat.mean(2),
        flat.std(2),
        correlations[:, [0, 0, 1], [1, 2, 2]],
        *((flat == end).float().mean(2) for end in (0, 1)),
        torch.stack([colorful.mean((1, 2)), colorful.std((1, 2)), colorful.amax((1, 2))], 1),
        torch.stack([edge.abs().mean((1, 2)) for edge in edges] + [edge.square().mean((1, 2)) for edge in edges], 1),
        torch.stack(borders, 1),
    ]
    return torch.cat(columns, 1).numpy()


def told_apart(libraries: tuple[str, str], seed: int, X: np.ndarray) -> float:
    """Return the AUC of a classifier of views by statistics; each library has one half of the images."""
    order = np.random.default_rng(seed).permutation(len(X))
    halves = (torch.from_numpy(X[order]).permute(0, 3, 1, 2).float() / 255).chunk(2)
    views = [views_of(library, half, seed + k) for k, (library, half) in enumerate(zip(libraries, halves, strict=True))]
    labels = np.repeat([0, 1], [len(half) for half in halves])
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    model = HistGradientBoostingClassifier(random_state=seed)
    described = np.concatenate([statistics(view) for view in views])
    scores = cross_val_predict(model, described, labels, cv=folds, method="predict_proba")
    return float(roc_auc_score(labels, scores[:, 1]))


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--epochs", type=int, default=15)
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--jobs", type=int, default=2, help="measurements at a time, which share the cores")
    options.add_argument(
        "--libraries", nargs="+", default=["skclr", "torchvision"], help="libraries whose views are used"
    )
    options.add_argument("--only", nargs="+", choices=("told_apart", "probes"), default=["told_apart", "probes"])
    arguments = options.parse_args()
    if not find_spec("torchvision"):
        sys.exit("torchvision is not installed. Run: pip install torchvision")
    data, seeds = load(arguments.data, "cifar10_12k"), range(arguments.seeds)
    arrays = [data[key] for key in ("X_train", "y_train", "X_test", "y_test")]
    parallel = Parallel(arguments.jobs)

    measured: dict[str, dict[str, Any]] = {table: {} for table in arguments.only}
    if "told_apart" in arguments.only:
        for pair in PAIRS:
            found = parallel(delayed(told_apart)(pair, seed, arrays[0]) for seed in seeds)
            measured["told_apart"][" and ".join(pair)] = summarize([{"auc": auc} for auc in found])
    if "probes" in arguments.only:
        for library in arguments.libraries:
            training = ({"views": theirs} if library == "torchvision" else {}, arguments.epochs, "float32")
            found = parallel(delayed(ours)(*training, seed, *arrays) for seed in seeds)
            measured["probes"][library] = summarize(found)
    tables = saved("views").get("tables", {})
    for table, rows in measured.items():
        tables[table] = tables.get(table, {}) | rows
    for rows in tables.values():
        for name, summary in rows.items():
            print(f"{name:40}" + "".join(f"  {key} {s['mean']:.3f} ± {s['std']:.3f}" for key, s in summary.items()))
    write("views", {"epochs": arguments.epochs, "seeds": arguments.seeds, "tables": tables}, ("torchvision",))


if __name__ == "__main__":
    main()
