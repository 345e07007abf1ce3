"""What a notebook shows of an embedder."""

import re

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skclr.frameworks import FRAMEWORKS
from skclr.losses import NTXent


def captions(estimator):
    """Return the text below the name of each box."""
    return re.findall(r'<div class="caption">(.*?)</div>', estimator._repr_html_())


def test_names_before_the_fit(quick):
    embedder = quick("byol", encoder="mlp", loss=NTXent(), encoder_params={"width": 77})
    assert captions(embedder) == ["auto", "auto", "mlp", "byol", "NTXent"]
    assert "77" in embedder._repr_html_()


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_what_became_of_them_after_it(framework, quick, table):
    embedder = quick(framework).fit(table[0])
    modality, views, encoder, method, loss = captions(embedder)
    assert (modality, views) == ("Tabular", f"Neighbors: {embedder.net_.view_maker.n_views} views")
    assert encoder.startswith(f"ResidualMLP: {embedder.encoder_.out_features} features")
    assert method == f"{FRAMEWORKS[framework].__name__}: 2 epochs, loss {embedder.loss_curve_[-1]:.4g} on cpu"
    assert (loss == "the framework&#x27;s own") == (FRAMEWORKS[framework].default_loss is None)


def test_in_a_pipeline(quick, table):
    pipe = make_pipeline(quick(max_epochs=0), LogisticRegression()).fit(*table)
    assert "SimCLR: untrained on cpu" in captions(pipe)
