"""Where a peer's loss has our definition, it has our value: in float64, on the same tensors."""

import pytest
import torch
from torch.nn.functional import normalize
from torch.testing import assert_close

from skclr.losses import DCL, InfoNCE, NPair, NTXent, PairwiseLoss, SoftNearestNeighbors, SupCon, Triplet

pytestmark = pytest.mark.peers

PAIRS = torch.arange(8).repeat(2)
CLASSES = torch.arange(16) % 3


@pytest.fixture(scope="module")
def pml():
    peer = pytest.importorskip("pytorch_metric_learning")
    print(f"\npytorch-metric-learning {peer.__version__}, torch {torch.__version__}")
    pytest.importorskip("pytorch_metric_learning.losses")
    return peer


@pytest.fixture(scope="module")
def lightly_loss():
    peer = pytest.importorskip("lightly")
    print(f"\nlightly {peer.__version__}, torch {torch.__version__}")
    return pytest.importorskip("lightly.loss")


@pytest.fixture
def embeddings():
    return torch.randn(16, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture
def candidates():
    return torch.randn(16, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def assert_same(ours: PairwiseLoss, theirs, embeddings, groups, *rest):
    """Compare values and gradients."""
    values, grads = [], []
    for loss in (ours, theirs):
        x = embeddings.clone().requires_grad_()
        value = loss(x, groups, *rest)
        value.backward()
        values.append(value.detach())
        grads.append(x.grad)
    assert_close(*values)
    assert_close(*grads)


def by_reference(loss):
    """Call a loss of pytorch-metric-learning as ours are called."""

    def call(x, groups, rows=None, ids=None):
        # By identity of the ids it sees that rows are compared with themselves.
        return loss(x, groups, ref_emb=rows, ref_labels=None if ids is None else ids.clone())

    return call


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_lightly_nt_xent(lightly_loss, embeddings, temperature):
    peer = lightly_loss.NTXentLoss(temperature)
    assert_same(NTXent(temperature), lambda x, _: peer(*x.chunk(2)), embeddings, PAIRS)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_lightly_dcl(lightly_loss, embeddings, temperature):
    peer = lightly_loss.DCLLoss(temperature)
    # It takes rows as they are.
    assert_same(DCL(temperature), lambda x, _: peer(*normalize(x).chunk(2)), embeddings, PAIRS)


@pytest.mark.parametrize("groups", [PAIRS, CLASSES])
def test_pml_nt_xent_is_info_nce(pml, embeddings, candidates, groups):
    # Its denominator leaves the other positives out.
    peer = by_reference(pml.losses.NTXentLoss(0.2))
    assert_same(InfoNCE(0.2), peer, embeddings, groups)
    assert_same(InfoNCE(0.2), peer, embeddings, groups, candidates, groups)


@pytest.mark.parametrize("groups", [PAIRS, CLASSES])
def test_pml_sup_con(pml, embeddings, candidates, groups):
    peer = by_reference(pml.losses.SupConLoss(0.2))
    assert_same(SupCon(0.2), peer, embeddings, groups)
    assert_same(SupCon(0.2), peer, embeddings, groups, candidates, groups)


@pytest.mark.parametrize("groups", [PAIRS, CLASSES])
def test_pml_nca_is_soft_nearest_neighbors(pml, embeddings, candidates, groups):
    # Squared distances of unit rows are 2 - 2 cosines.
    peer = by_reference(pml.losses.NCALoss(softmax_scale=1 / (2 * 0.2)))
    assert_same(SoftNearestNeighbors(0.2), peer, embeddings, groups)
    assert_same(SoftNearestNeighbors(0.2), peer, embeddings, groups, candidates, groups)


def test_pml_n_pairs(pml, embeddings):
    # Its anchors are the first row of each group, its candidates the second; its products are as they are.
    peer = pml.losses.NPairsLoss(distance=pml.distances.DotProductSimilarity(normalize_embeddings=False))
    ours, scale = NPair(norm_weight=0), embeddings.shape[1] ** 0.25
    assert_same(lambda x, ids: ours(scale * x[:8], ids[:8], scale * x[8:], ids[8:]), peer, embeddings, PAIRS)


@pytest.mark.parametrize("groups", [PAIRS, CLASSES])
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_pml_triplet(pml, embeddings, candidates, groups, distance):
    metrics = {
        "cosine": pml.distances.CosineSimilarity(),
        "euclidean": pml.distances.LpDistance(normalize_embeddings=False),
    }
    peer = by_reference(pml.losses.TripletMarginLoss(0.3, distance=metrics[distance]))
    assert_same(Triplet(0.3, distance, "all"), peer, embeddings, groups)
    assert_same(Triplet(0.3, distance, "all"), peer, embeddings, groups, candidates, groups)
