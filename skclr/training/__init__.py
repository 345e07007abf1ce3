"""Training: the loop on top of skorch, optimisers, checkpoints and inference."""

from skclr.data import check_length
from skclr.data.groups import row_groups
from skclr.data.samples import Batches, HoldOut, SampleTensors, validation_size
from skclr.parts.schedules import LR_SCHEDULES, WarmupThen
from skclr.ranks.process_group import broadcast, check_same_on_ranks, data_parallel
from skclr.training.checkpoint import Checkpoints, fingerprint
from skclr.training.inference import embed_samples, embed_views, make_views
from skclr.training.interruption import handle_ctrl_c, is_out_of_memory, release_tensors
from skclr.training.net import ContrastiveNet
from skclr.training.optimizers import LARS, OPTIMIZERS, MomentumSGD, preset_arguments
from skclr.training.progress import ProgressLine
from skclr.training.undisturbed import undisturbed
from skclr.training.user_callbacks import is_callback, prepare_callbacks

__all__ = [
    "LARS",
    "LR_SCHEDULES",
    "OPTIMIZERS",
    "Batches",
    "Checkpoints",
    "ContrastiveNet",
    "HoldOut",
    "MomentumSGD",
    "ProgressLine",
    "SampleTensors",
    "WarmupThen",
    "broadcast",
    "check_length",
    "check_same_on_ranks",
    "data_parallel",
    "embed_samples",
    "embed_views",
    "fingerprint",
    "handle_ctrl_c",
    "is_callback",
    "is_out_of_memory",
    "make_views",
    "prepare_callbacks",
    "preset_arguments",
    "release_tensors",
    "row_groups",
    "undisturbed",
    "validation_size",
]
