"""The estimator's contract where scikit-learn's checks do not reach: N-D input, training, reproducibility."""

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from joblib import Parallel, delayed
from numpy.testing import assert_array_equal
from scipy.spatial.distance import pdist
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from skorch.callbacks import EarlyStopping
from torch import nn

from skclr import ContrastiveEmbedder
from skclr.frameworks import FRAMEWORKS
from skclr.training import OPTIMIZERS

LAYOUTS = {
    "grey": lambda X: X,
    "channels_first": lambda X: X[:, None],
    "channels_last": lambda X: np.stack([X] * 3, axis=-1),
    "float": lambda X: X[:, None].astype(np.float32) / 255,
    "float64": lambda X: X[:, None] / 255,
    "flat": lambda X: X.reshape(len(X), -1),
    "multispectral": lambda X: np.stack([X] * 6, axis=-1),
}
MODALITY_PARAMS = {"flat": {"image_shape": (8, 8)}, "multispectral": {"channels": 6}}


@pytest.fixture(params=LAYOUTS)
def images(request, digits):
    return LAYOUTS[request.param](digits[0]), MODALITY_PARAMS.get(request.param)


@pytest.fixture(params=["table", *LAYOUTS])
def any_input(request, table, digits):
    """Every kind of X, and the modality parameters that it needs."""
    if request.param == "table":
        return table[0], None
    return LAYOUTS[request.param](digits[0]), MODALITY_PARAMS.get(request.param)


@pytest.fixture
def fitted(any_input, quick):
    X, modality_params = any_input
    return X, quick(modality_params=modality_params, encoder_params={"width": 16}).fit(X)


# -- the same meaning for every kind of X ---------------------------------------------------------


def test_output_is_finite_float32(fitted):
    X, embedder = fitted
    embedding = embedder.transform(X)
    assert embedding.dtype == np.float32
    assert embedding.shape == (len(X), len(embedder.get_feature_names_out()))
    assert np.isfinite(embedding).all()


def test_refit_and_clone_repeat_every_bit(fitted):
    X, embedder = fitted
    embedding = embedder.transform(X)
    assert_array_equal(embedding, clone(embedder).fit(X).transform(X))
    assert_array_equal(embedding, embedder.fit(X).transform(X))


def test_row_order_and_subsets_change_no_bit(fitted):
    X, embedder = fitted
    embedding = embedder.transform(X)
    order = np.random.default_rng(0).permutation(len(X))
    assert_array_equal(embedding[order], embedder.transform(X[order]))
    assert_array_equal(embedding[3:5], embedder.transform(X[3:5]))
    assert_array_equal(embedding[:1], embedder.transform(X[:1]))


def test_pickle_keeps_every_bit(fitted, tmp_path):
    X, embedder = fitted
    joblib.dump(embedder, tmp_path / "embedder.joblib")
    loaded = joblib.load(tmp_path / "embedder.joblib")
    assert_array_equal(embedder.transform(X), loaded.transform(X))
    # Continuing from the file is the same as continuing from the estimator.
    assert_array_equal(embedder.partial_fit(X).transform(X), loaded.partial_fit(X).transform(X))


def test_memmap_is_read_and_not_written(fitted, tmp_path):
    X, embedder = fitted
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert_array_equal(clone(embedder).fit(mapped).transform(mapped), embedder.transform(X))


def test_layout_in_memory_changes_nothing(fitted):
    X, embedder = fitted
    assert_array_equal(embedder.transform(np.asfortranarray(X)), embedder.transform(X))


def test_transform_changes_no_attribute(fitted):
    X, embedder = fitted
    before = joblib.hash(embedder)
    embedder.transform(X)
    assert joblib.hash(embedder) == before


# -- images ---------------------------------------------------------------------------------------


def test_layouts_of_one_image_give_one_embedding(digits, quick):
    X, _ = digits
    kinds = ["grey", "channels_first", "flat"]
    grey, first, flat = (
        quick(modality_params=MODALITY_PARAMS.get(kind)).fit_transform(LAYOUTS[kind](X)) for kind in kinds
    )
    assert_array_equal(grey, first)
    assert_array_equal(grey, flat)


def test_resnet_trains(digits, quick):
    embedder = quick(encoder="resnet18", max_epochs=1).fit(digits[0][:32])
    assert embedder.transform(digits[0][:2]).shape == (2, 512)


# -- tables ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_data_frames_equal_arrays(table, quick, frame):
    X, _ = table
    names = list("abcde")
    embedder = quick().fit(frame(dict(zip(names, X.T, strict=True))))
    assert list(embedder.feature_names_in_) == names
    assert_array_equal(embedder.transform(frame(dict(zip(names, X.T, strict=True)))), quick().fit_transform(X))


def test_columns_are_standardised_inside(table, quick):
    X, _ = table
    scaled = X * [1, 10, 100, 1e3, 1e4] + [0, 1, 2, 3, 1e9]
    np.testing.assert_allclose(quick().fit_transform(scaled), quick().fit_transform(X), atol=1e-2)


def test_constant_column_is_harmless(table, quick):
    X = np.column_stack([table[0], np.full(60, 7.0)])
    assert np.isfinite(quick().fit_transform(X)).all()


def test_passthrough_returns_plain_features_and_all_columns_one_variance(table, quick):
    X, _ = table
    embedder = quick(passthrough=True).fit(X)
    with_inputs = embedder.transform(X)
    without = quick(passthrough=False).fit_transform(X)
    beside = with_inputs[:, : embedder.model_.n_learned]
    # The first components, rotated and scaled by one factor: distances keep their ratios.
    components = PCA(beside.shape[1]).fit_transform(without)
    ratios = pdist(beside) / pdist(components)
    np.testing.assert_allclose(ratios, ratios.mean(), rtol=1e-3)
    np.testing.assert_allclose(with_inputs.var(0), 1.0, rtol=1e-2)
    # A linear map of the plain features gives the standardised inputs.
    plain = with_inputs[:, beside.shape[1] :]
    inputs = LinearRegression().fit(plain, X).predict(plain)
    np.testing.assert_allclose(inputs, X, atol=1e-2 * X.std())


# -- training -------------------------------------------------------------------------------------


def test_untrained_encoder_is_a_baseline(table, quick):
    embedder = quick(max_epochs=0).fit(table[0])
    assert embedder.n_iter_ == 0
    assert embedder.loss_curve_ == []
    assert embedder.transform(table[0]).shape == quick().fit_transform(table[0]).shape


def test_loss_falls(digits, quick):
    curve = quick(max_epochs=12, batch_size=40).fit(digits[0]).loss_curve_
    assert np.mean(curve[-3:]) < np.mean(curve[:3]) - 0.2


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "lars", torch.optim.RMSprop])
@pytest.mark.parametrize("lr_schedule", ["cosine", "constant"])
def test_optimizers_train(table, quick, optimizer, lr_schedule):
    embedder = quick(optimizer=optimizer, lr_schedule=lr_schedule, max_epochs=1)
    start = quick(max_epochs=0).fit(table[0]).encoder_.state_dict()
    end = embedder.fit(table[0]).encoder_.state_dict()
    assert all(not torch.equal(start[name], end[name]) for name in start if name.endswith("weight"))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_framework_trains_with_every_optimizer(framework, optimizer, table, quick):
    # Past the start, where prototypes may be frozen.
    embedder = quick(framework, optimizer=optimizer, max_epochs=5).fit(table[0])
    assert np.isfinite(embedder.loss_curve_).all()
    assert all(parameter.isfinite().all() for parameter in embedder.net_.module_.parameters())


def test_warm_start_continues(table, quick):
    embedder = quick(warm_start=True).fit(table[0])
    first = embedder.transform(table[0])
    embedder.set_params(max_epochs=3).fit(table[0])
    assert embedder.n_iter_ == 5
    assert not np.array_equal(first, embedder.transform(table[0]))
    assert embedder.loss_curve_[:2] == quick().fit(table[0]).loss_curve_


def test_partial_fit_continues(table, quick):
    embedder = quick().partial_fit(table[0][:30])
    counted = embedder.net_.step_
    embedder.partial_fit(table[0][30:])
    assert embedder.n_iter_ == 2
    assert embedder.net_.step_ == 2 * counted
    assert embedder.net_.optimizer_.state_dict()["state"][0]["step"] == embedder.net_.step_


def test_early_stopping_restores_the_best_epoch(table, quick):
    embedder = quick(max_epochs=60, early_stopping=2, learning_rate=0.05).fit(table[0])
    valid = [epoch["valid_loss"] for epoch in embedder.history_]
    assert len(valid) < 60
    # Fixed views make the validation loss a function of the weights alone.
    net, best = embedder.net_, min(valid)
    train, held_out = net.train_split(embedder.model_.read(table[0]))
    net.held_out_views_ = net.view_maker.fit(train).held_out(held_out)
    net.run_single_epoch(net.get_iterator(held_out), training=False, prefix="again", step_fn=net.validation_step)
    assert net.history[-1]["batches"][-1]["again_loss"] == pytest.approx(best)


def test_early_stopping_is_reported_in_words(table, quick, capsys):
    embedder = quick(max_epochs=60, early_stopping=2, learning_rate=0.05, verbose=1).fit(table[0])
    valid = [epoch["valid_loss"] for epoch in embedder.history_]
    assert (
        f"valid_loss has not improved for 2 epochs: stopped after epoch {len(valid)} of 60, with the weights of epoch "
        f"{valid.index(min(valid)) + 1}\n"
    ) in capsys.readouterr().err
    # Another reason to stop.
    other = EarlyStopping(monitor="train_loss", patience=1, threshold=10, threshold_mode="abs")
    quick(max_epochs=60, early_stopping=50, callbacks=[other], verbose=1).fit(table[0])
    assert "has not improved" not in capsys.readouterr().err


def test_skorch_callbacks_are_copied(table, quick):
    callback = EarlyStopping(monitor="train_loss", patience=1, threshold=10, threshold_mode="abs")
    embedder = quick(max_epochs=30, callbacks=[callback]).fit(table[0])
    assert embedder.n_iter_ == 2
    assert callback.dynamic_threshold_ is None


def test_progress_line(table, quick, capsys):
    quick(verbose=1).fit(table[0])
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "epoch 2/2" in shown.err
    for word in ("loss", "samples/s", "left"):
        assert word in shown.err


def test_silent_by_default(table, quick, capsys):
    quick().fit(table[0])
    assert capsys.readouterr() == ("", "")


def test_bfloat16_trains(digits, quick):
    assert np.isfinite(quick(precision="bfloat16").fit_transform(digits[0])).all()


# -- parts of the user's own ----------------------------------------------------------------------


def test_own_encoder_is_copied(digits, quick):
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Dropout(0.5))
    before = encoder[1].weight.clone()
    embedder = quick(encoder=encoder)
    embedding = embedder.fit_transform(digits[0])
    assert embedding.shape == (120, 16)
    assert torch.equal(encoder[1].weight, before)
    # Dropout draws from torch's global generator, which must neither matter nor change.
    torch.manual_seed(1)
    state = torch.get_rng_state()
    assert_array_equal(embedder.fit_transform(digits[0]), embedding)
    assert torch.equal(torch.get_rng_state(), state)


def noisy(x):
    return x + 0.1 * torch.randn_like(x)


def test_own_views_repeat(table, quick):
    embedder = quick(views=noisy, views_params={"n_views": 3})
    assert_array_equal(embedder.fit_transform(table[0]), embedder.fit_transform(table[0]))


def same_direction(embeddings, groups, candidates=None, candidate_groups=None):
    """A loss of a user's own: minus the mean similarity of positives."""
    z = nn.functional.normalize(embeddings)
    return -(z @ z.T)[groups[:, None] == groups].mean()


def test_own_loss_is_minimised(table, quick):
    curve = quick(loss=same_direction, max_epochs=5).fit(table[0]).loss_curve_
    assert curve[-1] < curve[0]


# -- labels and groups ----------------------------------------------------------------------------


def test_y_is_ignored_unless_asked_for(table, quick):
    X, y = table
    assert_array_equal(quick().fit_transform(X, y), quick().fit_transform(X))
    assert not np.array_equal(quick(positives="labels").fit_transform(X, y), quick().fit_transform(X))


def test_unlabelled_rows_are_groups_of_their_own(table, quick):
    X, _ = table
    nothing_known = np.full(len(X), -1)
    with pytest.warns(UserWarning, match="y has no labels except -1"):
        unlabelled = quick(positives="labels").fit(X, nothing_known)
    assert_array_equal(unlabelled.transform(X), quick().fit_transform(X))


def test_groups_do_what_labels_do(table, quick):
    X, y = table
    by_groups = quick().fit(X, groups=[f"patient {i}" for i in y]).transform(X)
    assert_array_equal(by_groups, quick(positives="labels").fit(X, y).transform(X))


def test_unlabeled_rows_are_trained_on(table, quick):
    X, y = table
    embedder = quick(positives="labels", batch_size=20).fit(X[:30], y[:30], unlabeled=X[30:])
    assert embedder.net_.steps_per_epoch_ == 3
    assert embedder.transform(X).shape[0] == 60


# -- reproducibility ------------------------------------------------------------------------------


def fit_transform_on_one_thread(embedder, X):
    torch.set_num_threads(1)
    return embedder.fit_transform(X)


@pytest.fixture
def threads_of_torch():
    """Set torch's number of threads back: what one thread sets is also what later ones start with."""
    n_threads = torch.get_num_threads()
    yield
    torch.set_num_threads(n_threads)


@pytest.mark.usefixtures("threads_of_torch")
def test_fits_in_threads_are_bit_equal(table, digits, quick):
    for X in (table[0], digits[0]):
        here = fit_transform_on_one_thread(quick(), X)
        there = Parallel(2, backend="threading")(delayed(fit_transform_on_one_thread)(quick(), X) for _ in range(4))
        for embedding in there:
            assert_array_equal(embedding, here)


def test_global_generators_are_left_alone(digits, quick):
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    embedder = quick(random_state=None).fit(digits[0])
    embedder.transform(digits[0])
    assert torch.equal(torch.get_rng_state(), before)
    # random_state=None draws from numpy's global generator, as everywhere in scikit-learn.
    assert not np.array_equal(np.random.get_state()[1], numpy_before) or np.random.get_state()[2] != 0
    numpy_before = np.random.get_state()[1].copy()
    quick(random_state=3).fit(digits[0])
    assert np.array_equal(np.random.get_state()[1], numpy_before)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_trained_on_cuda_used_on_cpu(digits, quick):
    embedder = quick(device="cuda").fit(digits[0])
    assert embedder.device_.type == "cuda"
    assert embedder.transform(digits[0]).shape == (120, 256)


def test_repr_shows_what_was_set():
    assert repr(ContrastiveEmbedder("simclr", batch_size=64)) == "ContrastiveEmbedder(batch_size=64)"


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_framework_fits_tables_and_images(framework, table, digits, quick):
    for X in (table[0], digits[0]):
        embedder = quick(framework).fit(X)
        assert np.isfinite(embedder.loss_curve_).all()
        assert np.isfinite(embedder.transform(X)).all()


def test_auto_loss_is_the_frameworks_own(table, quick):
    assert quick("nnclr").fit(table[0]).net_.module_.loss.temperature == 0.1
    assert quick("nnclr", loss="info_nce").fit(table[0]).net_.module_.loss.temperature == 0.2
    assert quick("moco", loss_params={"temperature": 0.3}).fit(table[0]).net_.module_.loss.temperature == 0.3


def test_labels_that_a_framework_does_not_use(table, quick):
    with pytest.raises(ValueError, match="framework='byol' does not use labels"):
        quick("byol", positives="labels").fit(*table)


def test_a_queue_does_not_take_the_rows_of_the_next_piece_for_its_own(table, quick):
    embedder = quick("moco").partial_fit(table[0][:30])
    embedder.net_.continue_from(embedder.net_, optimizer=False)
    assert (embedder.net_.module_.queues[0].groups < 0).all()
