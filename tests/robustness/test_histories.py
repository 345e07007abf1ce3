"""A long history neither slows training down nor keeps a model from being saved."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import skclr
from skclr.training.history import from_columns, to_columns

HISTORIES = {
    "empty": [],
    "plain": [{"epoch": 1, "train_loss": 0.5, "batches": [{"train_loss": 0.1, "train_batch_size": 3}]}],
    "no batches": [{"epoch": 1, "train_loss": 0.5, "batches": []}],
    "gaps": [
        {"epoch": 1, "batches": [{"train_loss": 0.1}, {}]},
        {"epoch": 2, "score": 0.5, "batches": [{"valid_loss": float("inf")}]},
    ],
    "other values": [
        {"epoch": 1, "note": "begun", "best": True, "rate": 1, "list": [1, "a"], "batches": []},
        {"epoch": 2, "note": None, "best": False, "rate": 0.5, "large": 2**70, "batches": []},
    ],
}


@pytest.mark.parametrize("kind", HISTORIES)
def test_columns_hold_a_history(kind):
    history = HISTORIES[kind]
    again = from_columns(to_columns(history))
    assert again == history
    # 1 == True == 1.0
    assert repr([sorted(epoch.items()) for epoch in again]) == repr([sorted(epoch.items()) for epoch in history])


@pytest.mark.parametrize(
    "columns",
    [
        {"n_batches": np.array([10**12]), "epochs": {"a": {"rows": None, "values": np.ones(1)}}, "batches": {}},
        {"n_batches": np.array([-1]), "epochs": {"a": {"rows": None, "values": np.ones(1)}}, "batches": {}},
        {"n_batches": np.array([0.5]), "epochs": {"a": {"rows": None, "values": np.ones(1)}}, "batches": {}},
        {"n_batches": np.array([0]), "epochs": {"a": {"rows": np.array([1]), "values": np.ones(1)}}, "batches": {}},
        {"n_batches": np.array([0]), "epochs": {"a": {"rows": np.array([-1]), "values": np.ones(1)}}, "batches": {}},
        {"n_batches": np.array([0]), "epochs": {"a": {"rows": None, "values": np.ones(2)}}, "batches": {}},
    ],
)
def test_columns_that_do_not_fit_are_refused(columns):
    with pytest.raises(ValueError, match=r"."):
        from_columns(columns)


@pytest.mark.parametrize(("n_epochs", "n_batches"), [(1, 20_000), (10_000, 2)])
def test_the_header_of_a_file_does_not_grow_with_the_steps(n_epochs, n_batches, table, quick, tmp_path):
    def header_bytes():
        embedder.save(tmp_path / "model.skclr")
        # safetensors writes its length first, of which 100 MB are allowed.
        return int.from_bytes((tmp_path / "model.skclr").read_bytes()[:8], "little")

    embedder = quick(max_epochs=1).fit(table[0])
    before = header_bytes()
    epoch = {**embedder.history_[0], "batches": embedder.history_[0]["batches"] * n_batches}
    embedder.history_[:] = [epoch] * n_epochs
    assert header_bytes() < before + 1_000
    loaded = skclr.load(tmp_path / "model.skclr")
    assert len(loaded.history_) == n_epochs
    assert loaded.history_[-1] == epoch
    onward = [model.partial_fit(table[0]).transform(table[0]) for model in (loaded, embedder)]
    assert_array_equal(*onward)


def test_partial_fit_copies_no_epoch(table, quick):
    embedder = quick().fit(table[0])
    epochs = list(embedder.history_)
    embedder.partial_fit(table[0])
    assert all(one is other for one, other in zip(embedder.history_[:-1], epochs, strict=True))
    assert len(epochs) == 2


def test_a_failed_call_leaves_the_history_as_it_was(table, quick):
    embedder = quick(warm_start=True).fit(table[0])
    before = repr(embedder.history_)
    with pytest.raises(ZeroDivisionError):
        embedder.set_params(views=lambda x: 1 // 0).fit(table[0])
    assert repr(embedder.history_) == before
