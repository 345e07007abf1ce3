"""What the network is shown is what the user gave: pairs as they are, and facts only for parts that ask for them."""

import numpy as np
import pandas as pd
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

import skclr
from skclr import ContrastiveEmbedder, SemiSupervisedClassifier
from skclr.encoders import MLP, Encoder
from skclr.evaluation import SCORERS, compare, diagnose
from skclr.modalities import MODALITIES
from skclr.plotting import report
from skclr.views import Masking, Paired, Views

N = 12
WORDS = np.array(["red", "green", "blue", "small", "large", "round"])


def rng(seed=0):
    return np.random.default_rng(seed)


def texts(seed):
    return [" ".join(rng(seed + 10 * i).permutation(WORDS)[:4]) for i in range(N)]


# By modality: one array of views, its parameters, and what the encoder gets of it.
SIDES = {
    "tabular": (lambda seed: rng(seed).normal(size=(N, 5)), {}),
    "image": (lambda seed: rng(seed).integers(0, 256, (N, 8, 8, 3)).astype(np.uint8), {}),
    "series": (lambda seed: rng(seed).normal(size=(N, 2, 30)).astype(np.float32), {}),
    "audio": (
        lambda seed: rng(seed).uniform(-1, 1, (N, 2000)).astype(np.float32),
        {"modality_params": {"sampling_rate": 8000}},
    ),
    "text": (lambda seed: np.array(texts(seed)), {}),
}
PAIRED = {"name": "paired", "class": Paired, "object": Paired()}
CONTAINERS = {
    "tuple": (lambda A, B: (A, B), "auto"),
    **{f"tuple, {kind}": (lambda A, B: (A, B), views) for kind, views in PAIRED.items()},
    **{f"array, {kind}": (lambda A, B: np.stack([A, B], axis=1), views) for kind, views in PAIRED.items()},
}


class Shown(Callback):
    """Record every batch that the encoder is shown in training."""

    batches = []

    def on_train_begin(self, net, **kwargs):
        Shown.batches = []
        net.module_.encoder.register_forward_pre_hook(self.record)

    @staticmethod
    def record(module, args):
        if module.training:
            Shown.batches.append(args[0].clone())


def embedder(views="auto", **params):
    # Narrow, for speed.
    narrow = {} if "encoder" in params else {"encoder_params": {"width": 8}}
    return ContrastiveEmbedder(views=views, **{"max_epochs": 1, "random_state": 0, **narrow, **params})


def sorted_rows(x):
    flat = torch.nan_to_num(x.flatten(1).double(), nan=-99.0)
    return flat[np.lexsort(flat.numpy().T)]


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("modality", SIDES)
def test_pairs_are_shown_as_they_were_given(modality, container):
    make, params = SIDES[modality]
    pack, views = CONTAINERS[container]
    A, B = make(0), make(1)
    model = embedder(views, modality=modality, callbacks=[Shown()], **params).fit(pack(A, B))
    rows = [model.model_.modality.read(side, model, reset=False) for side in (A, B)]
    given = [model.model_.modality.to_tensor(side[np.arange(N)]) for side in rows]
    # SimCLR embeds all views of a batch at once.
    shown = torch.cat(Shown.batches)
    assert torch.equal(sorted_rows(shown), sorted_rows(torch.cat(given)))


def test_pairs_of_a_table_are_standardised_and_nothing_else():
    A, B = SIDES["tabular"][0](0), SIDES["tabular"][0](1)
    embedder(callbacks=[Shown()]).fit((A, B))
    expected = torch.from_numpy(np.concatenate([(side - A.mean(0)) / A.std(0) for side in (A, B)]))
    torch.testing.assert_close(
        sorted_rows(torch.cat(Shown.batches)), sorted_rows(expected), rtol=1e-5, atol=1e-5, check_dtype=False
    )


@pytest.mark.parametrize("views", ["auto", *PAIRED.values()], ids=["auto", *PAIRED])
def test_on_top_draws_when_it_is_asked_for(views):
    A, B = SIDES["tabular"][0](0), SIDES["tabular"][0](1)
    on_top = Masking(n_views=1, rate=0.5)
    if isinstance(views, Paired):
        model = embedder(Paired(on_top=on_top), callbacks=[Shown()])
    else:
        model = embedder(views, views_params={"on_top": on_top}, callbacks=[Shown()])
    model.fit((A, B))
    assert 0.2 < torch.cat(Shown.batches).isnan().float().mean() < 0.8


@pytest.mark.parametrize("views", ["paired", Paired, Paired()], ids=PAIRED)
@pytest.mark.parametrize("modality", SIDES)
def test_x_without_views_is_refused(views, modality):
    make, params = SIDES[modality]
    with pytest.raises(ValueError, match="views='paired' takes the views from X"):
        embedder(views, modality=modality, **params).fit((make(0),))


@pytest.mark.parametrize("views", ["paired", Paired, Paired()], ids=PAIRED)
def test_a_table_is_not_a_pair(views):
    with pytest.raises(ValueError, match="views='paired' takes the views from X"):
        embedder(views).fit(SIDES["tabular"][0](0))


@pytest.mark.parametrize("on_top", ["masking", Masking, 3])
@pytest.mark.parametrize("views", ["paired", "neighbors"])
def test_on_top_is_a_view_maker(views, on_top):
    A = SIDES["tabular"][0](0)
    X = (A, A) if views == "paired" else A
    with pytest.raises((ValueError, TypeError), match=r"on_top.*an instance of Views"):
        embedder(views, views_params={"on_top": on_top}).fit(X)


# -- everything that takes X takes pairs ----------------------------------------------------------


@pytest.fixture(params=["tuple", "array"])
def pairs(request):
    A, B = rng(0).normal(size=(2, 40, 5))
    A[:20] += 3
    B[:20] += 3
    return CONTAINERS[f"{request.param}, name"][0](A, B)


CLASSES = np.repeat([0, 1], 20)
# Too few labels to choose C by cross-validation, which takes most of the time.
FEW = np.where(np.arange(40) % 5, -1, CLASSES)


@pytest.mark.parametrize("views", [Paired, Paired()], ids=["class", "object"])
class TestWhereverPairsGo:
    """`Paired` and `Paired()` do what "paired" does."""

    def test_estimator(self, views, pairs, tmp_path):
        first = pairs[0] if isinstance(pairs, tuple) else pairs[:, 0]
        model, named = embedder(views).fit(pairs), embedder("paired").fit(pairs)
        assert np.array_equal(model.transform(first), named.transform(first))
        assert model.score(pairs) == named.score(pairs)
        for one, other in zip(model.make_views(pairs), named.make_views(pairs), strict=True):
            assert np.array_equal(one, other)
        if isinstance(pairs, tuple):
            with pytest.raises(ValueError, match="transform embeds one"):
                model.transform(pairs)
        model.save(tmp_path / "model.skclr")
        again = skclr.load(tmp_path / "model.skclr")
        assert again.score(pairs) == model.score(pairs)
        assert np.array_equal(again.partial_fit(pairs).transform(first), named.partial_fit(pairs).transform(first))

    def test_unlabeled_pairs(self, views, pairs):
        model, named = (embedder(v).fit(pairs, unlabeled=pairs) for v in (views, "paired"))
        assert model.loss_curve_ == named.loss_curve_

    def test_scorers(self, views, pairs):
        model, named = embedder(views).fit(pairs), embedder("paired").fit(pairs)
        for scorer in SCORERS.values():
            assert scorer(model, pairs) == scorer(named, pairs)

    def test_diagnosis(self, views, pairs):
        model, named = embedder(views).fit(pairs), embedder("paired").fit(pairs)
        assert diagnose(model, pairs, FEW) == diagnose(named, pairs, FEW)

    def test_comparison(self, views, pairs):
        sides = pairs if isinstance(pairs, tuple) else (pairs[:, 0], pairs[:, 1])
        baselines = ["supervised network", "raw features", "untrained encoder"]
        choices = {"baselines": baselines, "cv": 2, "labels_per_class": (2,), "n_draws": 1}
        one = compare(pairs, CLASSES, {"mine": embedder(views)}, **choices)
        other = compare(sides, CLASSES, {"mine": embedder()}, **choices)
        assert [record["scores"] for record in one.records] == [record["scores"] for record in other.records]


def test_report(tmp_path):
    A, B = rng(0).normal(size=(2, 20, 3))
    pairs = np.stack([A, B], axis=1)
    assert report(embedder(Paired).fit(pairs), pairs, path=tmp_path / "report.html").exists()


@pytest.mark.parametrize("views", ["auto", *PAIRED.values()], ids=["auto", *PAIRED])
def test_a_classifier_of_pairs_answers_or_is_refused(views):
    A, B = rng(0).normal(size=(2, 40, 5))
    with pytest.raises(ValueError, match="views"):
        SemiSupervisedClassifier(embedder(views)).fit((A, B), CLASSES)


# -- facts of the data ------------------------------------------------------------------------------


def facts_of(modality):
    make, params = SIDES[modality]
    return embedder(modality=modality, max_epochs=0, **params).fit(make(0)).model_.modality.facts()


FACTS = sorted(set().union(*map(facts_of, SIDES)))


def test_every_modality_is_tried():
    assert set(SIDES) == set(MODALITIES)


def network_with(base, argument):
    """Make a class whose constructor has an argument that is called like a fact."""
    received = []

    class Mine(base):
        def __init__(self, input_shape, **params):
            super().__init__()
            received.append(params.get(argument, "default"))
            self.out_features = 4
            self.layers = nn.Sequential(nn.Flatten(), nn.LazyLinear(4))

        def forward(self, x):
            return self.layers(x.float().nan_to_num())

    # A signature as written out by hand: (input_shape, <argument>="default").
    namespace = {}
    exec(
        f"def __init__(self, input_shape, {argument}='default'): original(self, input_shape, {argument}={argument})",
        {"original": Mine.__init__},
        namespace,
    )
    Mine.__init__ = namespace["__init__"]
    return Mine, received


@pytest.mark.parametrize("base", [nn.Module, Encoder])
@pytest.mark.parametrize(("argument", "modality"), [(fact, name) for name in SIDES for fact in facts_of(name)])
def test_an_argument_of_a_users_encoder_is_the_users(argument, base, modality):
    make, params = SIDES[modality]
    Mine, received = network_with(base, argument)
    Mine.tokens = modality == "text"
    model = embedder(encoder=Mine, modality=modality, max_epochs=0, **params).fit(make(0))
    model.set_params(encoder_params={argument: 7}).fit(make(0))
    assert received == ["default", 7]


@pytest.mark.parametrize("argument", FACTS)
def test_an_argument_of_a_users_views_is_the_users(argument):
    received = []

    class Mine(Views):
        n_views = 2

        def fit(self, samples):
            received.append(getattr(self, argument))
            return self

        def __call__(self, x, rows, generator):
            return [x, x + 0.1]

    namespace = {}
    exec(f"def __init__(self, {argument}='default'): self.{argument} = {argument}", {}, namespace)
    Mine.__init__ = namespace["__init__"]
    X = SIDES["tabular"][0](0)
    embedder(Mine).fit(X)
    embedder(Mine, views_params={argument: 7}).fit(X)
    embedder(Mine(**{argument: 8})).fit(X)
    assert received == ["default", 7, 8]


def test_a_users_parts_get_the_facts_that_they_ask_for():
    received = {}

    class Mine(Encoder):
        facts = ("cardinalities",)

        def __init__(self, input_shape, cardinalities=(), gaps="default"):
            super().__init__()
            received.update(cardinalities=cardinalities, gaps=gaps)
            self.out_features = 3
            self.layer = nn.Linear(input_shape[0], 3)

        def forward(self, x):
            return self.layer(x)

    class Columns(Views):
        facts = ("gaps", "cardinalities")
        n_views = 2

        def __init__(self, cardinalities=()):
            self.cardinalities = cardinalities

        def fit(self, samples):
            received["views"] = self.cardinalities
            return self

        def __call__(self, x, rows, generator):
            return [x, x]

    X = pd.DataFrame({"number": np.arange(N) / N, "kind": ["a", "b", "c"] * 4})
    embedder(Columns, encoder=Mine).fit(X)
    assert received == {"cardinalities": (0, 3), "gaps": "default", "views": (0, 3)}


def test_a_subclass_of_our_own_class_gets_what_its_base_declares():
    seen = []

    class Mine(MLP):
        def __init__(self, input_shape, cardinalities=(), features="default"):
            seen.append((cardinalities, features))
            super().__init__(input_shape, cardinalities=cardinalities)

    embedder(encoder=Mine).fit(pd.DataFrame({"number": np.arange(N) / N, "kind": ["a", "b", "c"] * 4}))
    assert seen == [((0, 3), "default")]


def test_a_missing_argument_is_named():
    class Mine(Encoder):
        def __init__(self, input_shape, n_tokens):
            super().__init__()

        def forward(self, x):
            return x

    with pytest.raises(ValueError, match=r"encoder=Mine needs 'n_tokens'.*encoder_params"):
        embedder(encoder=Mine).fit(SIDES["tabular"][0](0))
