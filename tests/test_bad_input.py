"""Bad input: every error names the argument, its value and a remedy, and leaves nothing half done."""

import re

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.exceptions import NotFittedError
from torch import nn

from skclr import ContrastiveEmbedder


def nan_at(X, row, column, value=np.nan):
    X = X.copy()
    X[row, column] = value
    return X


# What is passed to fit in place of a good table, and what the message must say.
BAD_TABLES = {
    "inf": (lambda X: nan_at(X, 7, 2, np.inf), "infinity in row 7, column 2"),
    "inf_in_frame": (
        lambda X: pd.DataFrame(nan_at(X, 7, 2, -np.inf), columns=list("abcde")),
        r"infinity in row 7, column 2 \('c'\)",
    ),
    "empty": (lambda X: X[:0], "0 sample"),
    "one_row": (lambda X: X[:1], "1 sample.*2 or more"),
    "one_feature": (lambda X: X[:, :1], "1 feature.*2 or more"),
    "complex": (lambda X: X.astype(complex), "Complex data not supported"),
    "text": (lambda X: np.where(X > 0, "warm", "cold"), "text where a table needs numbers.*categorical_features"),
    "date_column": (
        lambda X: pd.DataFrame({"a": X[:, 0], "day": pd.Timestamp("2020-02-29")}),
        "'day'.*TableVectorizer",
    ),
    "same_name_twice": (
        lambda X: pd.DataFrame(X, columns=["a", "b", "a", "c", "d"]),
        "X has more than one column named 'a'. Rename or drop",
    ),
    "words_among_numbers": (
        lambda X: np.where(np.arange(5) == 1, np.array("warm", object), X.astype(object)),
        "text where a table needs numbers.*categorical_features",
    ),
    "one_dimension": (lambda X: X[:, 0], "Reshape your data"),
    "nan_in_sparse": (lambda X: sparse.csr_array(nan_at(X, 7, 2)), "NaN or infinity"),
    "names_of_files": (lambda X: [__file__] * 10, "is the path of a file. Set modality='image'.*or modality='text'"),
    "ambiguous": (lambda X: X[:, :4].reshape(15, 4, 4), "modality='image'.*modality='series'"),
}

BAD_PARAMETERS = {
    "batch_size": ({"batch_size": 1}, "batch_size=1: pass .*2 or more"),
    "batch_size_type": ({"batch_size": "large"}, "batch_size='large'"),
    "framework": ({"framework": "simcrl"}, "framework='simcrl'.*did you mean 'simclr'.*known are .*'moco'"),
    "loss": ({"loss": "nt_xnet"}, "loss='nt_xnet'.*did you mean 'nt_xent'"),
    "encoder": ({"encoder": "resnet"}, "encoder='resnet'.*'resnet18'"),
    "views": ({"views": "images"}, "views='images'.*'image'"),
    "modality": ({"modality": "tabluar"}, "did you mean 'tabular'"),
    "optimizer": ({"optimizer": "adam"}, "optimizer='adam'.*'adamw'"),
    "lr_schedule": ({"lr_schedule": "cosin"}, "did you mean 'cosine'"),
    "loss_params": ({"loss_params": {"temprature": 1}}, "loss_params has 'temprature'.*NTXent.*temperature"),
    "framework_params": ({"framework_params": {"queue": 1}}, "framework_params has 'queue'.*hidden_dim"),
    "encoder_params": ({"encoder_params": {"depth": 1}}, "encoder_params has 'depth'.*n_blocks"),
    "negative_width": ({"framework_params": {"hidden_dim": -1}}, "hidden_dim=-1: use a whole number"),
    "encoder_of_others": (
        {"encoder": nn.Linear(3, 2)},
        r"encoder=Linear does not accept the samples of X, of shape \(5,\)",
    ),
    "views_params": ({"views_params": {"p": 1}}, "views_params has 'p'.*n_neighbors"),
    "views_value": ({"views": "corruption", "views_params": {"rate": 2}}, "rate=2.*in \\[0, 1\\]"),
    "modality_params": ({"modality_params": {"scale": 1}}, "modality_params has 'scale'"),
    "optimizer_params": ({"optimizer_params": {"beta": 1}}, "optimizer_params has 'beta'.*betas"),
    "optimizer_value": (
        {"optimizer_params": {"betas": ""}},
        "optimizer_params={'betas': ''}.*AdamW expects",
    ),
    "net_params": ({"net_params": {"epochs": 1}}, "epochs"),
    "callbacks": ({"callbacks": ["early"]}, "callbacks=.'early'.: pass None or a list of skorch callbacks"),
    "params_type": ({"loss_params": 0.5}, "loss_params=0.5: pass a dictionary"),
    "temperature": ({"loss_params": {"temperature": 0}}, "temperature"),
    "max_epochs": ({"max_epochs": -1}, "max_epochs=-1"),
    "learning_rate": ({"learning_rate": 0.0}, "learning_rate=0.0: pass 'auto' or a number above 0"),
    "device": ({"device": "tpu9"}, "device='tpu9'"),
    "precision": ({"precision": "int8"}, "precision='int8': pass 'auto', 'float32'"),
    "positives": ({"positives": "label"}, "positives='label': pass 'views' or 'labels'"),
    "validation_fraction": ({"validation_fraction": 1.0}, "validation_fraction=1.0"),
    "nothing_to_validate": ({"validation_fraction": 0.0, "early_stopping": True}, "needs validation samples"),
    "nothing_to_train": (
        {"validation_fraction": 0.99, "early_stopping": True},
        "validation_fraction=0.99 leaves",
    ),
    "one_view": ({"views": "corruption", "views_params": {"n_views": 1, "rate": 0.5}}, "n_views"),
    "no_neighbors": ({"views_params": {"n_neighbors": 0}}, "n_neighbors=0: use a whole number of 1 or more"),
    "categorical_name": (
        {"modality_params": {"categorical_features": ["age"]}},
        r"categorical_features=\['age'\] does not fit X of 5 columns",
    ),
    "categorical_mask": ({"modality_params": {"categorical_features": [True, False]}}, "one boolean per column"),
    "categorical_word": ({"modality_params": {"categorical_features": "auto"}}, "pass 'from_dtype', None"),
    "max_categories": ({"modality_params": {"max_categories": 1}}, "max_categories=1: pass 2 or more"),
    "labels_without_y": ({"positives": "labels"}, "positives='labels' needs y"),
    "own_loss_has_no_choice": ({"framework": "byol", "loss": "triplet"}, "its own objective.*simclr"),
    "object_with_params": (
        {"loss": lambda z, g: z.mean(), "loss_params": {"temperature": 1}},
        "Set them on the object",
    ),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_table(case, table, quick):
    make, message = BAD_TABLES[case]
    embedder = quick()
    with pytest.raises((ValueError, TypeError), match=f"(?s){message}"):
        embedder.fit(make(table[0]))
    assert [name for name in vars(embedder) if name.endswith("_")] == []


@pytest.mark.parametrize("case", BAD_PARAMETERS)
def test_bad_parameter(case, table, quick):
    params, message = BAD_PARAMETERS[case]
    embedder = quick(**params)
    with pytest.raises(ValueError, match=f"(?s){message}"):
        embedder.fit(table[0])
    assert [name for name in vars(embedder) if name.endswith("_")] == []


@pytest.mark.parametrize("name", ["framework", "loss", "encoder", "views", "modality", "optimizer", "lr_schedule"])
@pytest.mark.parametrize("value", [True, 0.5, [], b"simclr"])
def test_part_that_is_not_a_part(name, value, table, quick):
    with pytest.raises(ValueError, match=re.escape(f"{name}={value!r}: pass ")):
        quick(**{name: value}).fit(table[0])


def test_failed_refit_leaves_the_old_fit_whole(table, quick):
    X, _ = table
    embedder = quick().fit(X)
    before = embedder.transform(X)
    for bad in (nan_at(X[:, :4], 0, 0, np.inf), X[:1]):
        with pytest.raises(ValueError, match="X"):
            embedder.fit(bad)
    with pytest.raises(FloatingPointError):
        embedder.set_params(warm_start=True, learning_rate=1e30).fit(X)
    assert embedder.n_features_in_ == 5
    assert_array_equal(embedder.transform(X), before)


@pytest.mark.parametrize(
    ("y", "params", "message"),
    [
        ([0, 1], {}, "y has 2 values, but X has 60 rows"),
        ([0, 1], {"positives": "labels"}, "y has 2 values, but X has 60 rows"),
        (np.linspace(0, 1, 60), {"positives": "labels"}, "continuous.*KBinsDiscretizer"),
        ([1, -1] * 30, {"positives": "labels"}, r"y contains -1 \(unlabelled\) and one class. Recode two classes"),
    ],
)
def test_bad_labels(table, quick, y, params, message):
    with pytest.raises(ValueError, match=message):
        quick(**params).fit(table[0], y)


def test_bad_groups(table, quick):
    X, y = table
    with pytest.raises(ValueError, match="groups has 2 values"):
        quick().fit(X, groups=[1, 2])
    with pytest.raises(ValueError, match="Pass only one of them"):
        quick(positives="labels").fit(X, y, groups=y)


def test_batch_larger_than_the_data_says_so(table, quick):
    with pytest.warns(UserWarning, match="batch_size=64 is larger than the 60 training samples"):
        embedder = quick(batch_size=64).fit(table[0])
    assert embedder.history_[0]["batches"][0]["train_batch_size"] == 60


def test_float16_on_a_cpu_warns_once(table, quick):
    embedder = quick(precision="float16", device="cpu")
    with pytest.warns(UserWarning, match="ten times slower than 'bfloat16' on a CPU") as caught:
        embedder.fit(table[0])
    assert len(caught) == 1


def test_transform_before_fit():
    with pytest.raises(NotFittedError, match="not fitted yet"):
        ContrastiveEmbedder().transform(np.zeros((3, 2)))


def test_other_number_of_features(table, quick):
    embedder = quick().fit(table[0])
    with pytest.raises(ValueError, match="X has 4 features, but ContrastiveEmbedder is expecting 5"):
        embedder.transform(table[0][:, :4])
    with pytest.raises(ValueError, match="features"):
        embedder.partial_fit(table[0][:, :4])


def test_other_image_size(digits, quick):
    embedder = quick().fit(digits[0])
    with pytest.raises(ValueError, match=r"shape \(7, 8\).*fitted on \(8, 8\)"):
        embedder.transform(digits[0][:, 1:])


def test_channels_that_the_shape_does_not_tell(digits, quick):
    X = np.stack([digits[0]] * 6, axis=-1)
    with pytest.raises(ValueError, match="'channels': C"):
        quick().fit(X)
    with pytest.raises(ValueError, match="'channel_axis': 1"):
        quick().fit(np.zeros((10, 3, 8, 3), np.uint8))


def test_image_shape_that_does_not_multiply(digits, quick):
    with pytest.raises(ValueError, match="image_shape=\\(8, 9\\) has 72 values, but a row of X has 64"):
        quick(modality_params={"image_shape": (8, 9)}).fit(digits[0].reshape(120, 64))


def test_loss_that_becomes_nan_names_the_epoch(table, quick):
    with pytest.raises(FloatingPointError, match=r"epoch \d+: lower learning_rate \(now 1e\+30\)"):
        quick(learning_rate=1e30, max_epochs=9).fit(table[0])


def test_early_stopping_in_a_stream(table, quick):
    with pytest.raises(ValueError, match="early_stopping=True"):
        quick(early_stopping=True).partial_fit(table[0])


def test_warm_start_with_other_parts(table, quick):
    embedder = quick(warm_start=True).fit(table[0])
    with pytest.raises(ValueError, match="warm_start=False"):
        embedder.set_params(encoder__width=8).fit(table[0])


def test_encoder_that_returns_no_rows(digits, quick):
    with pytest.raises(ValueError, match=r"encoder maps \(2, 1, 8, 8\) to \(2, 3, 6, 6\)"):
        quick(encoder=nn.Conv2d(1, 3, 3)).fit(digits[0])


def test_ctrl_c_is_not_swallowed(table, quick):
    from skorch.callbacks import Callback

    class CtrlC(Callback):
        def on_batch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    embedder = quick(callbacks=[CtrlC()])
    with pytest.raises(KeyboardInterrupt):
        embedder.fit(table[0])
    assert not hasattr(embedder, "net_")
