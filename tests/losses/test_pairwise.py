"""Pairwise losses against their dense references, and the tiling engine against the dense product."""

import copy
import math
import pickle
from functools import partial

import pytest
import torch
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from skclr.losses import LOSSES, Contrastive, InfoNCE, NPair, NTXent, SupCon, Triplet, count_anchors, tiles
from tests.losses.references import dense, dense_code

# Every loss in each of its forms: what else than a number its parameters choose.
FORMS = {
    "contrastive": [{"distance": "cosine"}, {"distance": "euclidean", "margin": 2.0}],
    "triplet": [
        {"mining": mining, **distance}
        for mining in ("all", "semi_hard", "hard")
        for distance in ({"distance": "cosine"}, {"distance": "euclidean", "margin": 0.5})
    ],
    "logistic": [{"mining": "all"}, {"mining": "semi_hard"}],
}
CASES = [
    pytest.param(name, params, id="-".join([name, *(v for v in params.values() if isinstance(v, str))]))
    for name in LOSSES
    for params in FORMS.get(name, [{}])
]
LAYOUTS = {
    "pairs": lambda n: torch.arange((n + 1) // 2).repeat(2)[:n],
    "classes": lambda n: torch.arange(n) % max(1, n // 3),
    "singletons": lambda n: torch.where(torch.arange(n) % 3 < 2, torch.arange(n) % 3 % 2 * (n > 4), -torch.arange(n)),
}

every_case = pytest.mark.parametrize(("name", "params"), CASES)
with_or_without_candidates = pytest.mark.parametrize("queue", [False, True], ids=["own", "candidates"])


@pytest.fixture
def tiled(monkeypatch):
    """Force tiles of so many rows."""

    def force(n_rows):
        monkeypatch.setattr(tiles, "rows_per_tile", lambda candidates: n_rows)

    return force


def make_batch(n=8, layout="pairs", queue=False, width=5, seed=0, dtype=torch.float64):
    """Return the arguments of a loss."""
    generator = torch.Generator().manual_seed(seed)
    groups = LAYOUTS[layout](n)
    batch = [torch.randn(n, width, generator=generator, dtype=torch.float64).to(dtype), groups]
    if queue:
        # The first anchor has a positive; other ids may be of no anchor.
        ids = torch.randint(-1, n, (n + 2,), generator=generator)
        rows = torch.randn(n + 3, width, generator=generator, dtype=torch.float64).to(dtype)
        batch += [rows, torch.cat([groups[:1], ids])]
    return batch


def value_and_grads(loss, batch):
    leaves = [x.detach().clone().requires_grad_(x.is_floating_point()) for x in batch]
    value = loss(*leaves)
    value.backward()
    return value.detach(), [leaf.grad for leaf in leaves if leaf.requires_grad]


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_has_a_dense_reference(name):
    assert "loss = " in dense_code(LOSSES[name])


@every_case
@pytest.mark.parametrize("layout", LAYOUTS)
@with_or_without_candidates
def test_equals_its_dense_reference(name, params, layout, queue, tiled):
    loss = LOSSES[name](**params)
    for n in (2, 3, 4, 5, 7, 9, 12, 17):
        batch = make_batch(n, layout, queue, seed=n)
        expected, expected_grads = value_and_grads(partial(dense, loss), batch)
        for n_rows in (n, 3, 1):
            tiled(n_rows)
            value, grads = value_and_grads(loss, batch)
            assert_close(value, expected, rtol=1e-10, atol=1e-10)
            assert_close(grads, expected_grads, rtol=1e-8, atol=1e-10)


@every_case
@with_or_without_candidates
@pytest.mark.parametrize("n_rows", [10, 3], ids=["dense", "tiled"])
def test_gradcheck(name, params, queue, n_rows, tiled):
    tiled(n_rows)
    embeddings, groups, *rest = make_batch(7, "classes", queue, width=3)
    embeddings.requires_grad_()
    if rest:
        rest[0].requires_grad_()
    assert torch.autograd.gradcheck(LOSSES[name](**params), (embeddings, groups, *rest))


@every_case
@with_or_without_candidates
def test_tiles_change_nothing(name, params, queue, tiled):
    loss, batch = LOSSES[name](**params), make_batch(41, "singletons", queue)
    dense, dense_grads = value_and_grads(loss, batch)
    tiled(4)
    value, grads = value_and_grads(loss, batch)
    assert_close(value, dense, rtol=1e-12, atol=1e-12)
    assert_close(grads, dense_grads, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kept_bytes", [0, 2**25], ids=["computed again", "kept"])
@pytest.mark.parametrize("n", [2, 17, 41])
def test_products_that_serve_both_rows_change_nothing(n, kept_bytes, tiled):
    def weighted(rows, sums):
        # Weights tell the gradients of the rows apart.
        return (sums * torch.arange(1.0, n + 1)).sum()

    rows, _ = make_batch(n)
    batch = [math.sqrt(20) * torch.nn.functional.normalize(rows)]
    expected, expected_grads = value_and_grads(
        lambda rows: weighted(rows, (rows @ rows.T).masked_fill(torch.eye(n).bool(), -torch.inf).logsumexp(1)), batch
    )
    for n_rows in (1, 2, 50):
        tiled(n_rows)
        value, grads = value_and_grads(
            lambda rows: weighted(rows, tiles.log_sum_exp_of_others(rows, at_most=20.0, kept_bytes=kept_bytes)), batch
        )
        assert_close(value, expected, rtol=1e-12, atol=1e-12)
        assert_close(grads, expected_grads, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["nt_xent", "sup_con"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("product", [0.9, 1.1])
def test_products_above_and_below_the_bound_cost_the_same(name, layout, product, tiled):
    """Above it, the largest product of each row is subtracted before the exponential."""
    loss, batch = LOSSES[name](temperature=1 / (product * tiles.LARGEST_PRODUCT)), make_batch(41, layout)
    expected, expected_grads = value_and_grads(partial(dense, loss), batch)
    tiled(4)
    value, grads = value_and_grads(loss, batch)
    assert_close(value, expected, rtol=1e-12, atol=1e-12)
    assert_close(grads, expected_grads, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("wants", [(False, False), (True, False), (False, True)])
def test_tiles_give_the_gradients_that_are_wanted(wants, tiled):
    batch = make_batch(9, queue=True)
    _, (anchors_grad, candidates_grad) = value_and_grads(InfoNCE(), batch)
    tiled(2)
    batch[0].requires_grad_(wants[0])
    batch[2].requires_grad_(wants[1])
    loss = InfoNCE()(*batch)
    assert loss.requires_grad == any(wants)
    if any(wants):
        loss.backward()
    for x, wanted, grad in zip(batch[::2], wants, (anchors_grad, candidates_grad), strict=True):
        assert_close(x.grad, grad if wanted else None)


class Watch(TorchDispatchMode):
    """Note the largest tensor made, and all operations that make the host wait for a device."""

    WAITS = ("_local_scalar_dense", "is_nonzero", "nonzero", "masked_select", "_unique2")

    def __init__(self):
        super().__init__()
        self.largest, self.waits = 0, []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for x in out if isinstance(out, tuple | list) else [out]:
            if isinstance(x, torch.Tensor):
                self.largest = max(self.largest, x.untyped_storage().size() // x.element_size())
        self.waits += [name for name in self.WAITS if func.overloadpacket.__name__ == name]
        return out


@every_case
def test_memory_grows_with_the_rows(name, params, tiled):
    n_rows, n, width = 4, 256, 16
    tiled(n_rows)
    embeddings, groups = make_batch(n, width=width)
    embeddings.requires_grad_()
    with Watch() as watch:
        LOSSES[name](**params)(embeddings, groups).backward()
    assert watch.largest <= n * (width + 2)


@every_case
@with_or_without_candidates
@pytest.mark.parametrize("n_rows", [8, 3], ids=["dense", "tiled"])
def test_a_step_waits_for_nothing(name, params, queue, n_rows, tiled):
    tiled(n_rows)
    embeddings, *rest = make_batch(queue=queue)
    with Watch() as watch:
        LOSSES[name](**params)(embeddings.requires_grad_(), *rest).backward()
    # The look for a positive, on a CPU only.
    assert len(watch.waits) == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@every_case
def test_accelerator_gives_the_same_or_nan(name, params, tiled):
    loss, batch = LOSSES[name](**params), make_batch()
    expected, grads = value_and_grads(loss, batch)
    embeddings, groups = (x.cuda() for x in batch)
    tiled(3)
    torch.cuda.set_sync_debug_mode("error")
    try:
        value, cuda_grads = value_and_grads(loss, [embeddings, groups])
        alone = loss(embeddings, torch.arange(8, device="cuda"))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert_close(value.cpu(), expected)
    assert_close([grad.cpu() for grad in cuda_grads], grads)
    assert alone.isnan()


@pytest.mark.parametrize(("n_candidates", "n_rows"), [(0, 2**19), (1024, 512), (65_536, 32), (10**7, 32)])
def test_tiles_stay_of_one_size(n_candidates, n_rows):
    candidates = torch.empty(n_candidates, 0)
    assert tiles.rows_per_tile(candidates, cpu_bytes=2**21) == n_rows
    assert tiles.rows_per_tile(candidates.double(), cpu_bytes=2**21) == max(32, n_rows // 2)


@pytest.mark.parametrize("name", ["nt_xent", "sup_con", "info_nce", "soft_nearest_neighbors"])
def test_collapsed_costs_log_of_the_candidates(name):
    # All of the 2B - 1 candidates are equally similar.
    embeddings, groups = torch.ones(12, 4, dtype=torch.float64), LAYOUTS["pairs"](12)
    assert LOSSES[name]()(embeddings, groups).item() == pytest.approx(math.log(12 - 1))


def test_collapsed_dcl_counts_negatives_only():
    embeddings, groups = torch.ones(12, 4, dtype=torch.float64), LAYOUTS["pairs"](12)
    assert LOSSES["dcl"]()(embeddings, groups).item() == pytest.approx(math.log(12 - 2))


@pytest.mark.parametrize("mining", ["all", "semi_hard", "hard"])
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_collapsed_triplets_cost_the_margin(mining, distance):
    embeddings = torch.ones(12, 4, requires_grad=True)
    value = Triplet(0.3, distance, mining)(embeddings, LAYOUTS["pairs"](12))
    value.backward()
    assert value.item() == pytest.approx(0.3)
    assert embeddings.grad.isfinite().all()


@pytest.mark.parametrize("mining", ["all", "semi_hard", "hard"])
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("n_rows", [8, 3], ids=["dense", "tiled"])
def test_solved_triplets_cost_nothing(mining, distance, n_rows, tiled):
    tiled(n_rows)
    embeddings = torch.eye(4).repeat(2, 1).requires_grad_()
    value = Triplet(0.3, distance, mining)(embeddings, LAYOUTS["pairs"](8))
    value.backward()
    assert value.item() == 0
    assert not embeddings.grad.any()


def test_hard_triplets_do_not_gain_by_shrinking():
    embeddings, groups = make_batch()
    loss = Triplet(mining="hard", distance="euclidean")
    assert_close(loss(embeddings / 100, groups), loss(embeddings, groups))


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("name", ["contrastive", "triplet"])
def test_equal_rows_of_unequal_groups_have_finite_gradients(name, distance):
    embeddings = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)).repeat(2, 1) * 10
    groups = torch.arange(6).repeat_interleave(2)
    _, (grad,) = value_and_grads(LOSSES[name](distance=distance), [embeddings, groups])
    assert grad.isfinite().all()
    assert grad.abs().max() < 10


def test_euclidean_distances_survive_a_common_offset():
    embeddings, groups = make_batch(dtype=torch.float32)
    loss = Contrastive(distance="euclidean", margin=2.0)
    assert_close(loss(embeddings + 100, groups), loss(embeddings, groups), rtol=1e-4, atol=0)


@every_case
@with_or_without_candidates
def test_order_and_names_of_groups_do_not_matter(name, params, queue):
    loss, batch = LOSSES[name](**params), make_batch(10, "classes", queue)
    order = torch.randperm(10, generator=torch.Generator().manual_seed(1))
    shuffled = [batch[0][order], batch[1][order] * 7 - 3]
    if queue:
        order = torch.randperm(len(batch[2]), generator=torch.Generator().manual_seed(2))
        shuffled += [batch[2][order], batch[3][order] * 7 - 3]
    assert_close(loss(*shuffled), loss(*batch))


def test_more_than_one_positive_is_where_the_softmax_losses_differ():
    views, groups = make_batch(8, "pairs")
    assert_close(NTXent(0.3)(views, groups), SupCon(0.3)(views, groups))
    assert_close(NTXent(0.3)(views, groups), InfoNCE(0.3)(views, groups))
    groups = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2])
    values = [loss(0.3)(views, groups).item() for loss in (NTXent, SupCon, InfoNCE)]
    assert len(set(values)) == 3


@every_case
def test_anchors_without_a_positive_are_left_out(name, params):
    loss = LOSSES[name](**params, **({"norm_weight": 0} if name == "n_pair" else {}))
    embeddings, groups, candidates, candidate_groups = make_batch(queue=True)
    groups[1::2] = 100
    assert_close(
        loss(embeddings, groups, candidates, candidate_groups),
        loss(embeddings[::2], groups[::2], candidates, candidate_groups),
    )


@pytest.mark.parametrize("layout", LAYOUTS)
@with_or_without_candidates
def test_count_anchors(layout, queue):
    _, groups, *rest = make_batch(11, layout, queue)
    others = rest[1] if queue else groups
    n_equal = (groups[:, None] == others).sum(1)
    expected = (n_equal > (0 if queue else 1)).sum()
    assert torch.equal(count_anchors(groups, *rest[1:]), expected)


@every_case
@with_or_without_candidates
def test_without_negatives_there_is_no_nan(name, params, queue):
    embeddings, _ = make_batch(4)
    batch = [embeddings, torch.zeros(4, dtype=torch.int64)]
    value, grads = value_and_grads(LOSSES[name](**params), batch + batch * queue)
    assert value.isfinite()
    assert all(grad.isfinite().all() for grad in grads)


@every_case
def test_a_row_of_zeros_causes_no_nan(name, params):
    embeddings, groups = make_batch()
    embeddings[0] = 0
    value, (grad,) = value_and_grads(LOSSES[name](**params), [embeddings, groups])
    assert value.isfinite()
    assert grad.isfinite().all()
    assert grad.abs().max() < 1e3


@every_case
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("n_rows", [16, 3], ids=["dense", "tiled"])
def test_half_precision_rows_at_a_low_temperature(name, params, dtype, n_rows, tiled):
    tiled(n_rows)
    temperature = {"temperature": 0.01} if hasattr(LOSSES[name](), "temperature") else {}
    loss = LOSSES[name](**params, **temperature)
    batch = make_batch(16, dtype=dtype)
    value, (grad,) = value_and_grads(loss, batch)
    assert value.dtype == torch.float32
    assert grad.dtype == dtype
    assert value.isfinite()
    assert grad.isfinite().all()
    # Nothing is lost but what the rows had lost.
    assert_close(value, loss(batch[0].float(), batch[1]))


@every_case
@pytest.mark.parametrize("n_rows", [8, 3], ids=["dense", "tiled"])
def test_autocast_changes_nothing(name, params, n_rows, tiled):
    tiled(n_rows)
    loss, batch = LOSSES[name](**params), make_batch(dtype=torch.float32)
    expected, grads = value_and_grads(loss, batch)
    embeddings, groups = batch
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(embeddings.requires_grad_(), groups)
    value.backward()
    assert torch.equal(value, expected)
    assert_close([embeddings.grad], grads, rtol=0, atol=0)


@every_case
def test_unwritten_inputs_and_equal_repeats(name, params):
    loss, batch = LOSSES[name](**params), make_batch(queue=True)
    before = copy.deepcopy(batch)
    first, second = loss(*batch), loss(*batch)
    assert torch.equal(first, second)
    assert all(torch.equal(x, y) for x, y in zip(batch, before, strict=True))


@every_case
def test_is_a_value(name, params):
    loss = LOSSES[name](**params)
    for twin in (pickle.loads(pickle.dumps(loss)), copy.deepcopy(loss), LOSSES[name](**params)):
        assert twin == loss
        assert hash(twin) == hash(loss)


@pytest.mark.parametrize("name", LOSSES)
def test_no_positive_raises(name):
    embeddings, _, candidates, _ = make_batch(queue=True)
    alone = torch.arange(8)
    with pytest.raises(ValueError, match="groups has 8 different ids, so no row has a positive"):
        LOSSES[name]()(embeddings, alone)
    with pytest.raises(ValueError, match=r"candidate_groups \(11 ids\) have no id in common"):
        LOSSES[name]()(embeddings, alone, candidates, torch.full((11,), -1))


def test_arguments_that_do_not_fit_raise():
    embeddings, groups, candidates, candidate_groups = make_batch(queue=True)
    with pytest.raises(ValueError, match=r"groups \(7,\)\. Pass embeddings \(R, d\)"):
        NTXent()(embeddings, groups[1:])
    with pytest.raises(ValueError, match="candidate_groups is None"):
        NTXent()(embeddings, groups, candidates)
    with pytest.raises(ValueError, match="candidates is None"):
        NTXent()(embeddings, groups, candidate_groups=candidate_groups)
    with pytest.raises(ValueError, match=r"candidates has shape \(11, 4\).*Pass candidates \(C, 5\)"):
        NTXent()(embeddings, groups, candidates[:, 1:], candidate_groups)


@pytest.mark.parametrize("value", [0, -0.1, math.nan])
@pytest.mark.parametrize("name", [name for name in LOSSES if hasattr(LOSSES[name](), "temperature")])
def test_temperature_must_be_positive(name, value):
    with pytest.raises(ValueError, match=f"temperature={value}: use a number above 0"):
        LOSSES[name](temperature=value)


def test_unknown_names_and_negative_weights_raise():
    with pytest.raises(ValueError, match="mining='easy': use one of 'all', 'semi_hard', 'hard'"):
        Triplet(mining="easy")
    with pytest.raises(ValueError, match="distance='l1': use one of 'cosine', 'euclidean'"):
        Contrastive(distance="l1")
    with pytest.raises(ValueError, match="margin is -1, but must be 0 or more"):
        Triplet(margin=-1)
    with pytest.raises(ValueError, match="norm_weight is -1, but must be 0 or more"):
        NPair(norm_weight=-1)
