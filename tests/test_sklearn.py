"""scikit-learn's own checks, all of them and nothing excused."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.utils import estimator_checks as checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from skclr import ContrastiveEmbedder


@parametrize_with_checks([ContrastiveEmbedder(encoder_params={"width": 16}, max_epochs=2)])
def test_scikit_learn_check(estimator, check):
    check(estimator)


@pytest.mark.parametrize("check", [checks.check_transformer_general, checks.check_parameters_default_constructible])
def test_scikit_learn_check_of_the_defaults(check):
    check("ContrastiveEmbedder", ContrastiveEmbedder())


# scikit-learn runs these on its own estimators only; a user expects them to pass here, too.
# The checks mix frames and arrays.
@pytest.mark.filterwarnings("ignore:X does not have valid feature names", "ignore:X has feature names")
@pytest.mark.parametrize(
    "check",
    [
        checks.check_dataframe_column_names_consistency,
        checks.check_estimators_partial_fit_n_features,
        checks.check_get_feature_names_out_error,
        checks.check_global_output_transform_pandas,
        checks.check_global_set_output_transform_polars,
        checks.check_inplace_ensure_writeable,
        checks.check_set_output_transform,
        checks.check_set_output_transform_pandas,
        checks.check_set_output_transform_polars,
        checks.check_transformer_get_feature_names_out,
        checks.check_transformer_get_feature_names_out_pandas,
    ],
    ids=lambda check: check.__name__,
)
def test_check_outside_the_suite(check):
    check("ContrastiveEmbedder", ContrastiveEmbedder(encoder_params={"width": 16}, max_epochs=2))


@pytest.fixture
def pipeline(quick):
    return Pipeline([("embed", quick()), ("clf", LogisticRegression(max_iter=1000))])


def test_cross_val_score(pipeline, table):
    assert cross_val_score(pipeline, *table, cv=3, error_score="raise").mean() > 0.9


def test_grid_over_names_and_their_parameters(pipeline, table):
    grid = {
        "embed__framework": ["simclr", "moco"],
        "embed__loss": ["nt_xent", "info_nce"],
        "embed__loss__temperature": [0.1, 1.0],
    }
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(*table)
    best = search.best_estimator_.named_steps["embed"]
    assert best.loss_params == {"temperature": search.best_params_["embed__loss__temperature"]}
    assert best.net_.module_.loss.temperature == search.best_params_["embed__loss__temperature"]


def test_halving_grid_search(pipeline, table):
    grid = {"embed__encoder__width": [8, 16], "embed__learning_rate": [1e-3, 1e-2]}
    search = HalvingGridSearchCV(pipeline, grid, cv=2, random_state=0, min_resources=30, error_score="raise")
    assert search.fit(*table).best_score_ > 0.8


def test_part_parameters_reach_through_a_pipeline(pipeline):
    changed = clone(pipeline).set_params(embed__loss__temperature=0.2, embed__encoder__width=16)
    assert changed.get_params()["embed__loss__temperature"] == 0.2
    assert changed.named_steps["embed"].encoder_params == {"width": 16}
    assert pipeline.named_steps["embed"].loss_params is None


def test_setting_an_entry_leaves_the_dictionary_as_it_was():
    params = {"temperature": 0.5}
    embedder = ContrastiveEmbedder(loss_params=params).set_params(loss__temperature=0.1)
    assert params == {"temperature": 0.5}
    assert embedder.loss_params == {"temperature": 0.1}


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_set_output(quick, table, output):
    frame = quick().set_output(transform=output).fit_transform(table[0])
    assert list(frame.columns)[:2] == ["contrastiveembedder0", "contrastiveembedder1"]
    np.testing.assert_array_equal(frame.to_numpy(), quick().fit_transform(table[0]))
