"""Several ranks train what one process trains: every framework and pairwise loss, in float64."""

import functools
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from skorch.callbacks import Callback
from torch.testing import assert_close

from skclr.planning import check_ranks_alike, choose_batch_size
from skclr.ranks.collectives import World, world
from skclr.ranks.process_group import _leave, check_same_on_ranks, data_parallel
from skclr.views import VIEWS
from tests.ranks import on_ranks as ranks
from tests.ranks.fits import Die, X, embedder

EXACT = {"rtol": 1e-9, "atol": 1e-9}


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """Where the ranks have left what they have trained, and the codes with which they ended."""
    folder = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, "-m", "tests.ranks.on_ranks", folder]
    return folder, json.loads(subprocess.run(command, check=True, timeout=300, stdout=subprocess.PIPE).stdout)


@pytest.fixture(scope="module")
def trained(ended):
    folder, codes = ended
    assert codes["parts"] == [0] * 3
    return [torch.load(folder / "parts" / f"{rank}.pt") for rank in range(3)]


@pytest.fixture(scope="module")
def alone():
    """Return the results of one process, computed once for all comparisons with ranks."""
    return functools.cache(lambda case, n_steps: ranks.train(case, max_epochs=n_steps // 2))


@pytest.mark.parametrize("case", ranks.CASES)
def test_ranks_train_what_one_process_trains(case, trained, alone):
    expected = alone(case, len(trained[0]["together"][case]["losses"]))
    for rank in trained:
        assert_close(rank["together"][case], expected, **EXACT)


@pytest.mark.parametrize("case", ranks.CASES)
def test_without_gathering_they_do_not(case, trained, alone):
    found = trained[0]["without gathering"][case]
    expected = alone(case, len(trained[0]["together"][case]["losses"]))
    with pytest.raises(AssertionError):
        assert_close(found, expected["gradients"], rtol=1e-3, atol=1e-6)


@pytest.fixture(scope="module")
def fits(ended):
    """Two ranks fit embedders, of which the last is cut short by the end of rank 1; their folder, and what they say."""
    folder, codes = ended
    said = [(folder / "fits" / f"{rank}.stderr").read_text() for rank in range(2)]
    assert codes["fits"] == [1, 3], said
    return folder / "fits", said


def test_ranks_end_with_one_model(fits):
    first, second = (np.load(fits[0] / f"{rank}.npz") for rank in range(2))
    for name in ("one", "other", "losses"):
        assert_array_equal(first[name], second[name])


def test_a_callback_that_stops_one_rank_stops_all(fits):
    assert [np.load(fits[0] / f"{rank}.npz")["n_epochs"] for rank in range(2)] == [1, 1]


class Count(Callback):
    """Note the steps that were taken."""

    steps = []

    def on_batch_end(self, net, **kwargs):
        self.steps.append(net.step_)


def test_a_checkpoint_finds_divergence_on_every_rank(monkeypatch, tmp_path):
    """Else the first rank would end in the middle of an epoch, and the others wait for it in the next step."""
    diverging = {"learning_rate": 1e30, "batch_size": 16, "checkpoint_minutes": 0, "callbacks": [Count]}
    last_steps = []
    for rank in range(2):
        monkeypatch.setattr(world, "rank", rank)
        with pytest.raises(FloatingPointError, match="epoch 1"):
            embedder(checkpoint_dir=tmp_path / str(rank), **diverging).fit(X)
        last_steps.append(Count.steps[-1])
    assert last_steps[0] == last_steps[1] < 6


def test_rank_0_alone_writes(fits):
    _, said = fits
    assert said[0].count("epoch 3/3") == 1
    assert said[1] == ""


def test_fit_on_ranks_is_fit(fits):
    alone = embedder().fit(X)
    together = np.load(fits[0] / "0.npz")
    assert_allclose(together["losses"], alone.loss_curve_, rtol=1e-5)
    assert_allclose(together["other"], alone.transform(X), atol=1e-3)


def test_a_rank_that_ends_ends_all_and_the_run_resumes_alone(fits):
    folder, said = fits
    assert "ConnectionError: another rank has ended" in said[0]
    resumed = embedder(checkpoint_dir=folder / "run", checkpoint_minutes=0, callbacks=[Die]).fit(X)
    assert resumed.net_.step_ == 9
    assert_allclose(resumed.loss_curve_, embedder().fit(X).loss_curve_, rtol=1e-5)


@pytest.mark.skipif(sys.platform != "linux", reason="threads are named by /proc")
def test_no_thread_outlives_the_group(fits):
    assert "gloo" not in (fits[0] / "0.threads").read_text()


def test_group_that_exists_before_fit_can_be_released():
    """Defaults of torch's functions that held it would let the others wait for a rank that has left."""
    script = (
        "import torch.distributed as dist\n"
        "dist.init_process_group('gloo', store=dist.HashStore(), rank=0, world_size=1)\n"
        "import skclr.ranks.process_group\n"
        "from torch.distributed.nn import functional\n"
        "assert functional.broadcast.__defaults__ == (None,)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_rank_that_left_does_not_wait_for_the_others(monkeypatch):
    monkeypatch.setattr("skclr.ranks.process_group._left", True)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConnectionError, match="this rank has left the others"):
        embedder().fit(X)


def test_second_fit_from_another_thread_is_refused(monkeypatch):
    monkeypatch.setattr("skclr.ranks.process_group._join", lambda: None)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with data_parallel(), ThreadPoolExecutor() as pool, pytest.raises(RuntimeError, match="one model at a time"):
        pool.submit(embedder().fit, X).result()
    with data_parallel(), data_parallel():
        pass


def test_ranks_with_different_fits_are_told_the_difference(monkeypatch):
    ones, others = {"data": "a", "max_epochs": "5", "lr": "1"}, {"data": "a", "max_epochs": "6", "lr": "2"}
    shown = []
    monkeypatch.setattr(world, "gather", lambda x: shown.append(x) or torch.cat(shown))
    check_same_on_ranks(ones)
    with pytest.raises(ValueError, match="fit got different max_epochs, lr on different ranks"):
        check_same_on_ranks(others)


def test_ranks_are_given_the_same_parameters(monkeypatch):
    """A search that draws its candidates without a seed would train another objective on each."""
    one, other = (embedder(max_epochs=0, loss_params={"temperature": t}).fit(X).net_.plan for t in (0.1, 0.2))
    shown = []
    monkeypatch.setattr(world, "gather", lambda x: shown.append(x) or torch.cat(shown))
    check_ranks_alike(replace(one, callbacks=(Count,)))
    check_ranks_alike(one)
    with pytest.raises(ValueError, match="fit got different loss__temperature on different ranks"):
        check_ranks_alike(other)


def test_ranks_find_the_same_checkpoint(monkeypatch, tmp_path):
    """On machines without a shared folder only the first would resume, and the others would start again."""
    embedder(checkpoint_dir=tmp_path).fit(X)
    monkeypatch.setattr("skclr.training.checkpoint.world", of_two_folders := World())
    monkeypatch.setattr(of_two_folders, "gather", lambda step: torch.cat([step, torch.tensor([-1])]))
    with pytest.raises(ValueError, match=r"by rank step 9, none\. Use a folder that all machines share"):
        embedder(checkpoint_dir=tmp_path).fit(X)


def test_rank_that_hangs_is_named(monkeypatch):
    monkeypatch.setattr("skclr.ranks.process_group._left", False)
    monkeypatch.setattr(world, "size", 2)
    with pytest.raises(ConnectionError, match=r"does not answer .*Timed out waiting"):
        _leave(RuntimeError("[gloo/transport/tcp/unbound_buffer.cc:129] Timed out waiting 6000ms"))


def test_batch_that_cannot_be_shared_out(monkeypatch):
    monkeypatch.setattr(world, "size", 4)
    with pytest.raises(ValueError, match="batch_size=30 of 60 samples cannot be divided among 4 ranks"):
        choose_batch_size(30, 60, 256)
    assert choose_batch_size("auto", 150, 256)[0] == 148


@pytest.mark.parametrize("name", VIEWS)
def test_views_on_a_rank_are_its_share_of_all_views(name, monkeypatch):
    torch.manual_seed(0)
    x = {
        "image": torch.rand(12, 3, 16, 16),
        "series": torch.randn(12, 2, 40),
        "audio": torch.randn(12, 400),
        "text": torch.randint(1, 50, (12, 20)),
        "paired": torch.randn(12, 2, 6),
    }.get(name, torch.randn(12, 6))
    params = {"sampling_rate": 100} if name == "audio" else {}
    maker, rows = VIEWS[name](**params).fit(x), torch.arange(12)
    everything = maker(x, rows, torch.Generator().manual_seed(1))
    monkeypatch.setattr("skclr.randomness.world", third := World())
    third.join(2, 3)
    third.gather = lambda own: x
    own = maker(x[8:], rows[8:], torch.Generator().manual_seed(1))
    assert_close(own, [view[8:] for view in everything], equal_nan=True)
