"""The values that a model file may set for the arguments of parts, by the name of the argument.

An argument that is declared as a number needs no entry: it has the role of its type in `OF_NUMBERS`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, get_type_hints

from skclr.encoders import ENCODERS, Encoder
from skclr.frameworks import FRAMEWORKS
from skclr.losses import LOSSES
from skclr.modalities import MODALITIES, NGrams
from skclr.modalities.categories import Categories
from skclr.modalities.kernels import RandomKernels
from skclr.modalities.radial import RadialFeatures
from skclr.modalities.tfidf import TfIdf
from skclr.roles import (
    AUTO,
    DEPTH,
    FLAG,
    NONE,
    PAIR,
    RATE,
    SHARE,
    SIZE,
    Role,
    chosen_columns,
    either,
    never,
    number,
    object_of,
    one_of,
    several,
    tensor,
    tokenizer,
    whole,
)
from skclr.views import VIEWS, Views

# Within bounds for any argument; an argument that needs other bounds has its own entry.
OF_NUMBERS: dict[Any, Role] = {bool: FLAG, int: DEPTH, float: number()}


def _declared_numbers() -> Iterator[tuple[str, Role]]:
    """Yield the arguments of all parts that are declared as numbers, except facts about the data, and their roles."""
    registries: list[Mapping[str, Any]] = [ENCODERS, FRAMEWORKS, LOSSES, MODALITIES, VIEWS]
    for part in [part for registry in registries for part in registry.values()]:
        facts = part.facts if issubclass(part, Encoder | Views) else ()
        for name, hint in get_type_hints(part.__init__).items():
            if hint in OF_NUMBERS and name not in facts:
                yield name, OF_NUMBERS[hint]


ARGUMENTS: dict[str, Role] = {
    **dict(_declared_numbers()),
    # Sizes of networks.
    "cardinalities": several(SIZE, 2**24),
    "expansion": number(0, 2**10),
    "gaps": several(FLAG, 2**24),
    "hidden_dim": either(NONE, SIZE),
    "kernel_size": whole(1, 2**12),
    "n_blocks": DEPTH,
    "n_classes": SIZE,
    "n_heads": whole(1, 2**10),
    "n_layers": DEPTH,
    "n_prototypes": SIZE,
    "out_features": SIZE,
    "patch_size": either(NONE, SIZE),
    "projection_dim": SIZE,
    "queue_size": whole(0, 2**24),
    "stem": one_of("auto", "cifar", "imagenet"),
    "width": SIZE,
    # Initial tensors.
    "patch_components": either(NONE, tensor),
    "table": either(NONE, tensor),
    "token_weights": either(NONE, tensor),
    # Other settings of encoders, frameworks and losses.
    "bias": number(),
    "center_decay": SHARE,
    "covariance_weight": number(),
    "decay": SHARE,
    "distance": one_of("cosine", "euclidean"),
    "dropout": SHARE,
    "epsilon": number(),
    "final_teacher_temperature": number(),
    "freeze_until": number(),
    "invariance_weight": number(),
    "loss": object_of(LOSSES),
    "margin": number(),
    "mining": one_of("all", "semi_hard", "hard"),
    "norm_weight": number(),
    "queue_start": number(),
    "redundancy_weight": number(),
    "symmetric": FLAG,
    "teacher_temperature": number(),
    "temperature": number(),
    "trainable": either(one_of("none", "all"), DEPTH),
    "variance_weight": number(),
    # Views.
    "algorithm": one_of("subset", "pynndescent"),
    "blur": RATE,
    "blur_sigma": PAIR,
    "brightness": number(),
    "channel_mask": SHARE,
    "contrast": number(),
    "crop": PAIR,
    "crop_ratio": PAIR,
    "crop_scale": either(AUTO, PAIR),
    "deletion": SHARE,
    "flip": either(AUTO, SHARE),
    "frequency_mask": SHARE,
    "gain": number(),
    "grey": SHARE,
    "hue": number(),
    "jitter": number(),
    "jitter_probability": SHARE,
    "local_scale": PAIR,
    "local_size": either(NONE, whole(1, 2**9)),
    "magnitude_warp": number(0, 100),
    "n_local_views": whole(0, 32),
    "n_neighbors": whole(1, 2**12),
    "n_views": whole(1, 32),
    "noise": SHARE,
    "on_top": either(AUTO, object_of(VIEWS)),
    "rate": RATE,
    "reverb": SHARE,
    "reverb_seconds": several(number(0, 60), 2),
    "rotation": either(AUTO, number()),
    "saturation": number(),
    "scaling": number(),
    "segments": whole(1, 2**12),
    "shift": SHARE,
    "shuffle": whole(0, 2**20),
    "snr": PAIR,
    "solarize": RATE,
    "span": SHARE,
    "speed": number(),
    "time_mask": SHARE,
    "time_warp": number(0, 100),
    "translation": number(),
    "vertical_flip": SHARE,
    "view_seconds": either(AUTO, number(0)),
    # Modalities and tokenizers; their sizes are compared with what was learned.
    "categorical_features": either(NONE, one_of("from_dtype"), chosen_columns),
    "channel_axis": one_of(None, 1, -1),
    "channels": either(NONE, SIZE),
    "dynamic_range": number(1, 1e3),
    "hop": number(1e-6, 1e6),
    "ids_per_word": whole(1, 2**8),
    "image_shape": either(NONE, several(SIZE, 3)),
    "max_categories": whole(2, 2**31),
    "max_frequency": either(NONE, number(0)),
    "max_pieces": whole(1, 2**31),
    "max_seconds": either(NONE, number(0)),
    "max_tokens": whole(1, 2**20),
    "min_frequency": number(0),
    "n_biases": whole(1, 2**12),
    "n_components": whole(1, 2**12),
    "n_features": whole(1, 2**12),
    "n_mels": whole(1, 2**14),
    "ngram_range": several(whole(1, 2**10), 2),
    "normalize_level": FLAG,
    "rgb": either(AUTO, FLAG),
    "sampling_rate": either(NONE, number(1, 1e6)),
    "size": either(NONE, several(SIZE, 2)),
    "source": object_of({**MODALITIES, "NGrams": NGrams}),
    "window": number(1e-6, 1e6),
    # Parts that modalities learn.
    "categories_": object_of({"Categories": Categories}),
    "kernels_": object_of({"RandomKernels": RandomKernels}),
    "radial_": object_of({"RadialFeatures": RadialFeatures}),
    "tfidf_": object_of({"TfIdf": TfIdf}),
    # Arguments that read from elsewhere, and functions.
    "features": never,
    "model": never,
    "pretrained": never,
    "tokenizer": tokenizer,
}
