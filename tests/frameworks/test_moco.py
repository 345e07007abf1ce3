import pytest
import torch
from torch import nn
from torch.nn.functional import normalize
from torch.testing import assert_close

from skclr.frameworks import MoCo
from skclr.losses import InfoNCE

GROUPS = torch.arange(10)


def query(framework, view):
    return normalize(framework.projector(framework.encoder(view)), dim=1)


def key(framework, view):
    return normalize(framework.teacher(view), dim=1)


def info_nce(queries, keys, groups, key_groups, temperature):
    """Algorithm 1, row by row: cross entropy of each positive key against all keys that are none."""
    costs = []
    for q, group in zip(queries, groups, strict=True):
        logits = (keys @ q / temperature).exp()
        negatives = logits[key_groups != group].sum()
        for positive in logits[key_groups == group]:
            costs.append(-(positive / (positive + negatives)).log())
    return torch.stack(costs).mean()


def fill(framework, make_views, n_batches=2):
    """Push some batches of other samples."""
    framework.train()
    for number in range(1, n_batches + 1):
        framework(make_views(seed=number), GROUPS + 100 * number)


@pytest.mark.parametrize("n_batches", [0, 2])
def test_loss_is_the_papers(build, make_views, n_batches):
    framework, (x1, x2) = build(MoCo), make_views()
    fill(framework, make_views, n_batches)
    framework.eval()
    expected = 0.0
    for x_query, x_key, queue in ((x2, x1, framework.queues[0]), (x1, x2, framework.queues[1])):
        keys = torch.cat([key(framework, x_key), queue.rows])
        groups = torch.cat([GROUPS, queue.groups])
        expected += info_nce(query(framework, x_query), keys, GROUPS, groups, temperature=0.2) / 2
    assert_close(framework([x1, x2], GROUPS), expected)


def test_keys_join_the_queue_after_the_loss(build, make_views):
    # Pushed before, each positive key would stand among the candidates twice.
    framework, twin, views = build(MoCo), build(MoCo), make_views()
    loss = framework(views, GROUPS)
    queries, keys = [query(twin, view) for view in views], [key(twin, view) for view in views]
    expected = 0.0
    for i, j in ((0, 1), (1, 0)):
        candidates = torch.cat([keys[j], twin.queues[j].rows])
        groups = torch.cat([GROUPS, twin.queues[j].groups])
        expected += info_nce(queries[i], candidates, GROUPS, groups, temperature=0.2) / 2
    assert_close(loss, expected)
    assert torch.equal(framework.queues[0].groups[:10], GROUPS)


def test_no_image_is_its_own_negative(build, make_views):
    # The image's key of an epoch ago is in the queue. As a positive it pulls the query; under
    # another id it would push.
    def loss_with_stale_keys(stale_groups):
        framework, views = build(MoCo).eval(), make_views()
        framework.queues.train()
        for view, queue in zip(views[::-1], framework.queues, strict=True):
            queue.push(query(framework, view), stale_groups)
        return framework(views, GROUPS)

    assert loss_with_stale_keys(GROUPS) < loss_with_stale_keys(GROUPS + 100)


def test_rows_of_a_class_are_positives_wherever_they_stand(build, make_views):
    # A queue full of the query's class leaves it without negatives.
    framework, views = build(MoCo, queue_size=10), make_views()
    same = torch.zeros(10, dtype=torch.int64)
    framework(views, same)
    framework.eval()
    assert framework(views, same).item() == pytest.approx(0, abs=1e-6)
    assert framework(views, same + 1) > 1


@pytest.mark.parametrize("symmetric", [True, False])
def test_each_key_view_has_a_queue_of_its_own(build, make_views, symmetric):
    framework, views = build(MoCo, symmetric=symmetric), make_views(3)
    twin = build(MoCo, symmetric=symmetric)
    framework(views, GROUPS)
    assert len(framework.queues) == 1 + symmetric
    for queue, view in zip(framework.queues, views, strict=False):
        assert_close(queue.rows[:10], key(twin, view))
        assert torch.equal(queue.groups[:10], GROUPS)


def test_asymmetric_queries_are_the_other_views(build, make_views):
    framework = build(MoCo, symmetric=False)
    views = [view.requires_grad_() for view in make_views()]
    framework(views, GROUPS).backward()
    assert views[0].grad is None
    assert views[1].grad is not None


def test_queue_holds_unit_rows_of_any_number_of_batches(build, make_views):
    # 10 does not divide 25, and the last batch of an epoch may be ragged.
    framework = build(MoCo, queue_size=25)
    for number, n_samples in enumerate([10, 10, 7, 10]):
        groups = torch.arange(n_samples) + 100 * number
        framework(make_views(n_samples=n_samples, seed=number), groups)
        for queue in framework.queues:
            assert_close(queue.rows.norm(dim=1), torch.ones(len(queue.rows)))
    expected = [*range(300, 310), *range(200, 207), *range(100, 108)]
    assert framework.queues[0].groups.tolist() == expected


def test_local_views_give_no_keys(build, make_views):
    framework, seen = build(MoCo), []
    framework.teacher.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    framework(make_views(5), GROUPS)
    assert len(seen) == 2


def test_projector_is_the_mlp_of_version_2(build):
    kinds = [type(layer) for layer in build(MoCo).projector]
    assert kinds == [nn.Linear, nn.ReLU, nn.Linear]


def test_teacher_is_constant_at_the_end(build):
    framework = build(MoCo)
    old = [p.clone() for p in framework.teacher.parameters()]
    with torch.no_grad():
        framework.projector[0].weight += 1.0
    for progress, stands in ((1.0, True), (0.0, False)):
        framework.after_step(progress)
        same = [torch.equal(p, before) for p, before in zip(framework.teacher.parameters(), old, strict=True)]
        assert all(same) == stands


def test_temperature_is_the_losss(build, make_views):
    views = make_views()
    sharp, smooth = (build(MoCo, loss=InfoNCE(temperature=t))(views, GROUPS) for t in (0.05, 1.0))
    assert not torch.isclose(sharp, smooth)
