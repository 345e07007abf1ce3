"""What ranks compute in test_process_group: `python -m tests.ranks.on_ranks FOLDER` forks three, and then two."""

import gc
import json
import os
import signal
import socket
import sys
from pathlib import Path

import torch
from sklearn.base import BaseEstimator
from skorch.callbacks import Callback
from torch import nn

from skclr import ContrastiveEmbedder
from skclr.frameworks import FRAMEWORKS
from skclr.losses import LOSSES, tiles
from skclr.modalities import Tabular
from skclr.parts import queue, sinkhorn
from skclr.planning import plan_fit
from skclr.ranks import batch_norm
from skclr.ranks.collectives import World
from skclr.ranks.process_group import data_parallel
from skclr.training import ContrastiveNet, MomentumSGD, SampleTensors
from skclr.views import Jitter

CASES = {
    **{name: (name, {}) for name in FRAMEWORKS},
    **{f"simclr {name}": ("simclr", {"loss": loss()}) for name, loss in LOSSES.items()},
    "moco in tiles": ("moco", {"loss": LOSSES["nt_xent"]()}),
    "swav with a queue": ("swav", {"queue_size": 30, "queue_start": 0.0}),
}
SIZES = {
    "moco": {"projection_dim": 8, "queue_size": 30},
    "nnclr": {"projection_dim": 8, "hidden_dim": 16, "queue_size": 30},
    "swav": {"projection_dim": 8, "n_prototypes": 7},
    "dino": {"projection_dim": 8, "hidden_dim": 16, "n_prototypes": 7},
    "byol": {"projection_dim": 8, "hidden_dim": 16},
}


rows_per_tile = tiles.rows_per_tile


class Encoder(nn.Sequential):
    out_features = 8

    def __init__(self):
        super().__init__(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 8))


class Recorder(Callback):
    """Keep the gradients of the first step."""

    def on_grad_computed(self, net, named_parameters, **kwargs):
        if net.step_ == 0:
            self.gradients = {name: p.grad.clone() for name, p in named_parameters if p.grad is not None}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def plan(x, max_epochs):
    settings = {"max_epochs": max_epochs, "batch_size": 24, "optimizer": MomentumSGD, "learning_rate": 0.05}
    settings |= {"weight_decay": 0.0, "lr_schedule": "constant", "warmup_epochs": 0, "precision": "float32"}
    embedder = ContrastiveEmbedder(**settings)
    modality = Tabular()
    modality.read(x.numpy(), BaseEstimator(), reset=True)
    return plan_fit(embedder.get_params(deep=False), modality, len(x), torch.device("cpu"), seed=0)


def train(case, max_epochs):
    """Train a framework in float64, two steps per epoch, and return everything that the ranks should agree on."""
    name, params = CASES[case]
    tiles.rows_per_tile = (lambda candidates: 5) if "tiles" in case else rows_per_tile
    torch.manual_seed(0)
    x = torch.randn(48, 6, dtype=torch.float64)
    # Some of the samples have another of their group.
    groups = torch.arange(48) // 2 * 2 + torch.arange(48) % 2 * (torch.arange(48) % 3 > 0)
    framework = FRAMEWORKS[name](Encoder(), **{"projection_dim": 8, **SIZES.get(name, {}), **params}).double()
    recorder = Recorder()
    net = ContrastiveNet(framework, plan(x, max_epochs), Jitter(), callbacks=[("recorder", recorder)])
    with data_parallel():
        net.partial_fit(SampleTensors(x.numpy(), torch.from_numpy, torch.device("cpu"), groups))
    losses = [batch["train_loss"] for epoch in net.history for batch in epoch["batches"]]
    return {"losses": torch.tensor(losses), "gradients": recorder.gradients, "state": framework.state_dict()}


def train_all():
    # Other objectives in the same framework need no more than a step and one after it.
    return {case: train(case, max_epochs=1 if case.startswith("simclr ") else 3) for case in CASES}


def first_gradients():
    return {case: train(case, max_epochs=1)["gradients"] for case in CASES}


def forget_the_others():
    """Restrict the parts to the rows of their own rank, as without gathering."""
    methods = [m for name, m in sys.modules.items() if name.startswith(("skclr.losses.", "skclr.frameworks."))]
    for part in (batch_norm, queue, sinkhorn, *methods):
        if hasattr(part, "world"):
            part.world = World()


def main(folder):
    results = {"together": train_all()}
    forget_the_others()
    results["without gathering"] = first_gradients()
    torch.save(results, folder / f"{os.environ['RANK']}.pt")


def fork(function, folder, n_ranks):
    """Call a function on ranks, with a launcher's variables; write what each says to stderr, and return their codes."""
    folder.mkdir()
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(n_ranks)}
    processes = []
    for rank in range(n_ranks):
        if (process := os.fork()) == 0:
            # A rank that waits for another for ever does not outlive the tests.
            signal.alarm(200)
            os.environ["RANK"] = str(rank)
            with open(folder / f"{rank}.stderr", "wb") as file:
                os.dup2(file.fileno(), 2)
            function(folder)
            sys.exit()
        processes.append(process)
    return [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]


if __name__ == "__main__":
    # Forked, so that all has been imported, and by their full names, by which a checkpoint tells callbacks apart.
    from tests.ranks import fits, on_ranks

    torch.set_num_threads(1)
    # A garbage collection in a rank would copy the memory that it shares with the others.
    gc.freeze()
    folder = Path(sys.argv[1])
    # Three, so that one rank is neither the first nor the last.
    codes = {"parts": fork(on_ranks.main, folder / "parts", 3), "fits": fork(fits.main, folder / "fits", 2)}
    print(json.dumps(codes))
