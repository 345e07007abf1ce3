import json
from pathlib import Path

import _panel_tables as tables
import numpy as np
import pytest
import torch
from _panel_data import Entry, Set, capped, catalogue, draws, fingerprint
from _panel_judging import folds_of, judge
from _panel_kernels import RandomKernels, dilations_for, kernel_weights
from _panel_logistic import compressed, fit, rotated
from _panel_ranks import cliques, ranked
from panel import Store
from scipy.sparse import csr_matrix
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

# -- draws ----------------------------------------------------------------------------------------


def test_a_draw_takes_as_many_rows_as_the_class_has():
    y = np.repeat([0, 1, 2], [1, 4, 9])
    for rows in draws(y, 5):
        assert np.bincount(y[rows]).tolist() == [1, 4, 5]
        assert len(set(rows)) == len(rows)


def test_a_budget_that_no_class_reaches_has_no_draws():
    y = np.repeat([0, 1], [3, 4])
    assert draws(y, 5) == []
    assert len(draws(y, 4)) == 10
    assert [rows.tolist() for rows in draws(y, "all")] == [list(range(7))]


def test_fewer_labels_are_among_more():
    y = np.arange(60) % 3
    assert all(set(few) < set(many) for few, many in zip(draws(y, 5), draws(y, 20), strict=True))
    assert len({tuple(rows) for rows in draws(y, 5)}) == 10


def test_a_cap_numbers_the_classes_that_are_left():
    given = capped(Set(np.arange(6.0)[:, None], np.array([4, 4, 7, 7, 7, 4]), np.zeros((3, 1)), np.array([7, 4, 5])), 5)
    assert len(given.X) == len(given.y) == 5
    assert given.y_test.tolist() == [1, 0, -1]


def test_sets_of_two_folders_count_once_and_every_second_is_in_the_dev_half(tmp_path):
    (tmp_path / "ucr").mkdir()
    arrays = {f"{name}_{part}": np.zeros(4) for part in ("train", "test") for name in "Xy"}
    for name in ("ucr/A", "ucr/B", "ucr/C", "ucr/D", "ucr/E", "ts_B", "ts_F"):
        np.savez(tmp_path / name, **arrays)
    halves = {entry.name: entry.halves for entry in catalogue(tmp_path)}
    assert halves == {f"ucr/{n}": ("dev",) if n in "ACE" else ("other",) for n in "ABCDE"} | {"ts_F": ("other",)}


def test_the_fingerprint_follows_the_data():
    given = Set(["a", "b"], np.array([0, 1]), ["c"], np.array([0]))
    assert fingerprint(given) == fingerprint(given._replace(X=["a", "b"]))
    assert fingerprint(given) != fingerprint(given._replace(X_test=["d"]))


# -- kernels --------------------------------------------------------------------------------------


def naive_share(series, weights, dilation, bias, unpadded):
    """Loop over the steps of one series (channels, time) without gaps."""
    length, margin = series.shape[1], 4 * dilation
    inner = unpadded and length > 2 * margin
    above = []
    for step in range(margin, length - margin) if inner else range(length):
        places = [step + (i - 4) * dilation for i in range(9)]
        reached = [(i, place) for i, place in enumerate(places) if 0 <= place < length]
        above.append(sum(float(weights[:, i] @ series[:, place]) for i, place in reached) > float(bias))
    return np.mean(above)


def test_kernels_are_those_of_a_loop():
    # With integers single precision is exact, and the output that is the bias never counts.
    X = torch.from_numpy(np.random.default_rng(0).integers(-99, 99, (6, 2, 40)).astype(float))
    X[1, :, 25:] = torch.nan  # A shorter series.
    X[2, 0, 7:9] = torch.nan  # A gap, filled with the value before.
    kernels = RandomKernels(84 * 7).fit(X.float())
    features = kernels.transform(X.float())
    X[2, 0, 7:9] = X[2, 0, 6]
    assert features.shape == (6, 84 * 7)
    start = 0
    for scale in kernels.scales_:
        for kernel in (0, 1, 40, 83):
            weights = scale.weights[kernel].double()
            for number, bias in enumerate(scale.biases[kernel]):
                column = features[:, start + 84 * number + kernel]
                parts = [row[:, : 25 if i == 1 else 40] for i, row in enumerate(X)]
                expected = [naive_share(p, weights, scale.dilation, bias, scale.unpadded[kernel]) for p in parts]
                np.testing.assert_allclose(column, expected, atol=1e-6)
        start += 84 * scale.biases.shape[1]


def test_what_follows_the_end_of_a_series_does_not_count():
    X = torch.randn(5, 1, 30, generator=torch.Generator().manual_seed(0))
    kernels = RandomKernels(840).fit(X)
    longer = torch.nn.functional.pad(X, (0, 9), value=torch.nan)
    assert torch.equal(kernels.transform(X), kernels.transform(longer))


def test_kernels_ignore_the_level_of_a_series():
    assert kernel_weights().sum(1).abs().max() == 0
    assert len({tuple(row.tolist()) for row in kernel_weights()}) == 84


@pytest.mark.parametrize(("length", "n_biases"), [(5, 119), (9, 3), (150, 119), (2844, 119), (100, 1)])
def test_dilations_hold_all_biases_within_the_series(length, n_biases):
    counts = dilations_for(length, n_biases)
    assert sum(counts.values()) == n_biases
    assert all(8 * dilation < max(length, 9) for dilation in counts)


# -- the linear model -----------------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 5])
def test_the_classifier_is_scikit_learns(n_classes):
    X, y = load_digits(n_class=n_classes, return_X_y=True)
    X, y, X_test = X[:60] / 16, y[:60], X[60:200] / 16
    found = rotated(*compressed(X, X_test))
    held = np.arange(60) % 4 == 0
    masks = torch.from_numpy(np.stack([np.ones(60), ~held])).float().repeat_interleave(2, 0)[None]
    C = torch.tensor([0.1, 10.0, 0.1, 10.0])
    targets = torch.eye(n_classes)[y][None]
    weights = fit(found.train[None], found.penalty[None], targets, masks, C)[0]
    for problem, mask in enumerate(masks[0].bool().numpy()):
        expected = LogisticRegression(C=float(C[problem]), tol=1e-8, max_iter=10_000).fit(X[mask], y[mask])
        p = (found.test @ weights[:-1, problem] + weights[-1, problem]).softmax(1)
        np.testing.assert_allclose(p, expected.predict_proba(X_test), atol=5e-3)


def test_compression_keeps_inner_products():
    X, X_test = np.random.default_rng(0).normal(size=(2, 8, 30))
    for train, test in ((X, X_test), (csr_matrix(X), csr_matrix(X_test))):
        few, few_test = compressed(train, test)
        np.testing.assert_allclose(few_test @ few.T, X_test @ X.T, atol=1e-6)
        assert few.shape == (8, 8)


def test_folds_hold_each_row_out_once():
    labels = np.repeat([0, 1, 2], [5, 5, 2])
    folds = folds_of(labels).numpy()
    assert folds.shape == (3, 12)
    assert (folds.sum(0) == 1).all()
    assert folds.sum(1).tolist() == [4, 4, 4]
    assert len(folds_of(np.arange(4))) == 0


def test_judging_scores_each_scaling_budget_and_draw():
    rng, y = np.random.default_rng(0), np.arange(40) % 2
    X = rng.normal(size=(40, 3)) * [1, 1, 1e3] + 4 * y[:, None] * [1, 0, 0]
    scores = judge(X, X, y, y)
    assert list(scores) == ["as it is", "standardised"]
    assert {budget: len(found["accuracy"]) for budget, found in scores["standardised"].items()} == {
        "1": 10,
        "5": 10,
        "20": 10,
        "all": 1,
    }
    # The large column is noise: scaling has to help.
    assert np.mean(scores["standardised"]["5"]["accuracy"]) > np.mean(scores["as it is"]["1"]["accuracy"])


# -- summaries of the results ------------------------------------------------------------------


def scores(*accuracies, budget="5"):
    return {budget: {"accuracy": list(accuracies)}}


def test_a_set_is_lost_beyond_a_point_and_beyond_the_noise():
    reference = scores(0.80, 0.90, 0.70)
    assert tables.margin(scores(0.78, 0.88, 0.68), reference, "5", 100) == (pytest.approx(-2), True)
    assert not tables.margin(scores(0.795, 0.895, 0.695), reference, "5", 100).lost
    # Two points below on the mean, with a deviation of the paired difference of 5.3 points.
    assert not tables.margin(scores(0.72, 0.90, 0.72), reference, "5", 100).lost
    assert not tables.margin(scores(0.90, 0.95, 0.80), reference, "5", 100).lost


def test_with_all_labels_the_size_of_the_test_set_says_what_is_noise():
    reference, row = scores(0.90, budget="all"), scores(0.88, budget="all")
    assert not tables.margin(row, reference, "all", 100).lost  # the standard error is 3 points
    assert tables.margin(row, reference, "all", 10_000).lost


def stored(path, rows, kind="tables"):
    store, entry = Store(path), Entry("a", kind, ("dev",), lambda: None)
    facts = {"fingerprint": "1", "n_train": 9, "n_test": 100, "n_classes": 2, "budgets_left_out": []}
    for name, accuracy in rows.items():
        found = {b: {"accuracy": [accuracy] * 10, "balanced": [accuracy] * 10} for b in ("1", "5", "20")}
        found["all"] = {"accuracy": [accuracy], "balanced": [accuracy]}
        row = {"n_seeds": 1, "scores": {"as it is": found}, "fit_s": 1.0, "judge_s": 1.0}
        store.add(entry, name, facts, {name: row})
    return entry


def test_the_reference_is_the_best_baseline_of_the_dev_half(tmp_path):
    stored(tmp_path / "baselines.json", {"raw": 0.7, "PCA": 0.8})
    stored(tmp_path / "embedding.json", {"embedding": 0.9, "worse": 0.6})
    found = tables.summary(tmp_path)["kinds"]["tables"]
    assert found["reference"] == "PCA, as it is"
    rows = found["halves"]["dev"]["rows"]
    assert rows["embedding, as it is"]["5"]["gain"] == pytest.approx(10)
    assert rows["worse, as it is"]["all"]["lost"] == {"accuracy": ["a"], "balanced": ["a"]}
    assert found["halves"]["dev"]["highest"]["5"] == pytest.approx(80)
    assert "lost 1 / 1 of 1" in tables.markdown({"kinds": {"tables": found}})


def test_ranks_and_cliques():
    accuracies = {"a": (0.9, 0.8, 0.7, 0.9), "b": (0.8, 0.7, 0.6, 0.8), "c": (0.1, 0.2, 0.3, 0.1)}
    rows = [
        tables.Row(name, "", {str(i): {"halves": ("dev",), "scores": scores(v)} for i, v in enumerate(values)})
        for name, values in accuracies.items()
    ]
    found = ranked(rows, "5")
    assert found.means.tolist() == [1, 2, 3]
    # Demšar 2006: the studentised range of three groups gives 2.343.
    assert found.critical == pytest.approx(2.343 * (3 * 4 / (6 * 4)) ** 0.5, abs=1e-3)
    assert found.p == pytest.approx(np.exp(-4))
    assert cliques(np.array([1.0, 2.0, 3.0]), 1.5) == [(1.0, 2.0), (2.0, 3.0)]
    assert cliques(np.array([1.0, 2.0, 3.0]), 2.5) == [(1.0, 3.0)]
    assert ranked(rows[:2], "5") is None


def test_what_was_measured_is_kept_until_data_or_seeds_change(tmp_path):
    path: Path = tmp_path / "baselines.json"
    entry = stored(path, {"raw": 0.7, "PCA": 0.8})
    store = Store(path)
    assert not store.lacks(entry, "raw", "1", 1)
    assert store.lacks(entry, "raw", "1", 2)
    assert store.lacks(entry, "raw", "2", 1)
    assert store.lacks(entry, "RBF map", "1", 1)
    kept = json.loads(path.read_text())
    path.write_text(json.dumps({**kept, "protocol": 0}))
    assert Store(path).lacks(entry, "raw", "1", 1)
