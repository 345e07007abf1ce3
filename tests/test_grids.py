"""Grids over machines: joblib's backends give what one process gives, and a worker keeps to the GPU it was given."""

import os
from unittest import mock

import joblib
import pytest
import torch
from joblib import Parallel, delayed, parallel_config
from numpy.testing import assert_array_equal, assert_equal
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from skclr.planning import choose_device

GRID = [
    {"embed__framework": ["moco", "barlow_twins"]},
    {"embed__loss": ["triplet", "nt_xent"]},
]


def search(embedder, table):
    """Return the results of a grid without times."""
    pipe = Pipeline([("embed", embedder), ("classify", LogisticRegression())])
    grid = GridSearchCV(pipe, GRID, cv=2, scoring="neg_log_loss", refit=False, error_score="raise")
    return {name: values for name, values in grid.fit(*table).cv_results_.items() if "_time" not in name}


@pytest.fixture(scope="module")
def local(table, quick):
    """Return the results of the grid in this process, on one thread, as in workers of dask and ray."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield search(quick(), table)
    torch.set_num_threads(n_threads)


@pytest.fixture(scope="module")
def dask():
    """Return a client of two worker processes."""
    distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed")
    with (
        distributed.LocalCluster(2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def ray():
    """Start ray on this machine as a backend of joblib, as if there were two GPUs."""
    ray = pytest.importorskip("ray", reason="ray is not installed")
    from ray.util.joblib import register_ray

    ray.init(num_cpus=2, num_gpus=2, include_dashboard=False, log_to_driver=False)
    register_ray()
    yield ray
    ray.shutdown()


def test_a_grid_on_loky_is_the_local_grid(local, quick, table):
    with parallel_config("loky", n_jobs=2, inner_max_num_threads=1):
        assert_equal(search(quick(), table), local)


@pytest.mark.usefixtures("local")
def test_a_fit_of_images_on_loky_is_the_local_fit(digits, quick):
    with parallel_config("loky", n_jobs=2, inner_max_num_threads=1):
        for embedding in Parallel()(delayed(quick().fit_transform)(digits[0]) for _ in range(2)):
            assert_array_equal(embedding, quick().fit_transform(digits[0]))


def transform_by_dump(path, X):
    return joblib.load(path).transform(X)


@pytest.mark.usefixtures("local")
def test_a_dump_is_used_in_another_process(table, quick, tmp_path):
    embedder = quick().fit(table[0])
    joblib.dump(embedder, tmp_path / "embedder.joblib")
    with parallel_config("loky", n_jobs=2, inner_max_num_threads=1):
        (embedding,) = Parallel()([delayed(transform_by_dump)(tmp_path / "embedder.joblib", table[0])])
    assert_array_equal(embedding, embedder.transform(table[0]))


def test_processes_of_joblib_share_the_cores():
    n_threads = Parallel(2, backend="loky")(delayed(torch.get_num_threads)() for _ in range(2))
    assert max(n_threads) <= max(1, os.cpu_count() // 2)


@pytest.mark.filterwarnings("default")
def test_a_grid_on_dask_is_the_local_grid(dask, local, quick, table):
    with parallel_config("dask"):
        assert_equal(search(quick(), table), local)


@pytest.mark.peers
@pytest.mark.filterwarnings("default")
def test_a_grid_on_ray_is_the_local_grid(ray, local, quick, table):
    with parallel_config("ray", n_jobs=2):
        assert_equal(search(quick(), table), local)


def set_environment(**variables):
    """Set variables of the process where this runs, None to unset."""
    for name, value in variables.items():
        os.environ.pop(name, None) if value is None else os.environ.update({name: value})


@pytest.mark.filterwarnings("default")
def test_a_job_of_dask_is_not_a_rank_of_a_launcher(dask, quick, table):
    # Without the other variables, a fit that took itself for a rank would fail, and not wait for the others.
    dask.run(set_environment, WORLD_SIZE="2")
    with parallel_config("dask"):
        (embedding,) = Parallel()([delayed(quick().fit_transform)(table[0])])
    dask.run(set_environment, WORLD_SIZE=None)
    assert_array_equal(embedding, quick().fit_transform(table[0]))


# -- one GPU for each worker -----------------------------------------------------------------------


def choose_on_simulated_gpus(device):
    """Return the device if CUDA sees what CUDA_VISIBLE_DEVICES names."""
    n_gpus = len([number for number in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if number])
    cuda = {"is_available": lambda: n_gpus > 0, "device_count": lambda: n_gpus}
    with mock.patch.multiple("torch.cuda", **cuda):
        return choose_device(device)


def fit_on_simulated_gpus(embedder, X):
    """Fit on the CPU, and give the devices that `fit` has chosen and the GPUs that the process sees after."""
    chosen = []

    def choose(device):
        chosen.append(str(choose_on_simulated_gpus(device)))
        return torch.device("cpu")

    with mock.patch("skclr.fitting.choose_device", choose):
        embedder.fit(X)
    return chosen, os.environ["CUDA_VISIBLE_DEVICES"]


@pytest.mark.parametrize(
    ("visible", "device", "chosen"),
    [("5", "auto", "cuda"), ("5", "cuda:0", "cuda:0"), ("5,2", "cuda:1", "cuda:1"), ("", "auto", "cpu")],
)
def test_a_device_is_one_of_the_visible(visible, device, chosen, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    assert str(choose_on_simulated_gpus(device)) == chosen


@pytest.mark.parametrize(("visible", "device", "n_gpus"), [("", "cuda", 0), ("5", "cuda:1", 1), ("5", "cuda:5", 1)])
def test_a_device_that_is_not_visible_is_an_error(visible, device, n_gpus, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    told = f"device='{device}' .*sees {n_gpus} CUDA devices.*CUDA_VISIBLE_DEVICES='{visible}'.*Use device='auto'"
    with pytest.raises(ValueError, match=told):
        choose_on_simulated_gpus(device)


@pytest.mark.filterwarnings("default")
def test_each_worker_of_dask_takes_its_own_gpu(dask, quick, table):
    """The estimator was pickled without a GPU; each worker checks once per fit, and leaves the parameter as it is."""
    for number, worker in enumerate(dask.scheduler_info()["workers"]):
        dask.run(set_environment, CUDA_VISIBLE_DEVICES=str(5 + number), workers=[worker])
    fits = dask.run(fit_on_simulated_gpus, quick(), table[0])
    assert sorted(fits.values()) == [(["cuda"], "5"), (["cuda"], "6")]


@pytest.mark.peers
@pytest.mark.filterwarnings("default")
def test_each_worker_of_ray_takes_its_own_gpu(ray, quick, table):
    with parallel_config("ray", n_jobs=2, ray_remote_args={"num_gpus": 1}):
        fits = Parallel()(delayed(fit_on_simulated_gpus)(quick(), table[0]) for _ in range(8))
    assert {tuple(chosen) for chosen, _ in fits} == {("cuda",)}
    assert {visible for _, visible in fits} == {"0", "1"}
