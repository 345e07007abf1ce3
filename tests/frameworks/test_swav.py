import math

import pytest
import torch
from torch.nn.functional import normalize
from torch.testing import assert_close

from skclr.frameworks import SwAV
from skclr.parts.sinkhorn import sinkhorn

GROUPS = torch.arange(10)


def projections(framework, views):
    return [normalize(framework.projector(framework.encoder(view)), dim=1) for view in views]


@pytest.mark.parametrize("n_views", [2, 4])
def test_loss_is_the_papers(build, make_views, n_views):
    # Equation 2 for each global view's code and each other view's scores.
    framework, views = build(SwAV, n_prototypes=7).eval(), make_views(n_views)
    scores = [z @ framework.prototypes.T for z in projections(framework, views)]
    total, n_terms = 0.0, 0
    for j in range(2):
        # Each view has codes of its own: both views in one assignment would share the prototypes.
        codes = sinkhorn(scores[j], framework.epsilon)
        for i in range(n_views):
            if i != j:
                p = (scores[i] / framework.temperature).exp()
                p = p / p.sum(dim=1, keepdim=True)
                total -= (codes * p.log()).sum() / len(codes)
                n_terms += 1
    assert_close(framework(views, GROUPS), total / n_terms)


def test_scores_are_cosines(build, make_views):
    # No bias, and both sides on the sphere.
    framework = build(SwAV, n_prototypes=7)
    (z,) = projections(framework, make_views()[:1])
    expected = torch.nn.functional.cosine_similarity(z[:, None], framework.prototypes[None], dim=2)
    assert_close(z @ framework.prototypes.T, expected)


def test_prototypes_are_on_the_sphere_from_the_start_and_after_each_step(build, make_views):
    framework = build(SwAV, freeze_until=0.0)
    optimizer = torch.optim.SGD(framework.parameters(), lr=0.1)
    start = framework.prototypes.detach().clone()
    assert_close(start.norm(dim=1), torch.ones(len(start)))
    for number in range(3):
        framework(make_views(seed=number), GROUPS).backward()
        optimizer.step()
        framework.after_step(0.5)
        assert_close(framework.prototypes.norm(dim=1), torch.ones(len(start)))
    assert not torch.allclose(framework.prototypes, start)


def test_frozen_prototypes_do_not_move(build, make_views):
    # Momentum and weight decay act on a gradient of zeros, but not on none.
    framework = build(SwAV, freeze_until=0.5)
    optimizer = torch.optim.SGD(framework.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    start = framework.prototypes.detach().clone()
    for number, progress in enumerate([0.2, 0.4, 0.6, 0.8]):
        frozen = framework.clock.progress < 0.5
        optimizer.zero_grad()
        framework(make_views(seed=number), GROUPS).backward()
        assert (framework.prototypes.grad is None) == frozen
        optimizer.step()
        framework.after_step(progress)
        assert torch.allclose(framework.prototypes, start, atol=1e-6) == frozen


def test_frozen_prototypes_still_teach_the_encoder(build, make_views):
    framework = build(SwAV, freeze_until=1.0)
    framework(make_views(), GROUPS).backward()
    assert all(p.grad.abs().sum() > 0 for p in framework.encoder.parameters())


class TestQueue:
    def test_there_is_none_unless_asked_for(self, build, make_views):
        framework = build(SwAV)
        framework(make_views(), GROUPS)
        assert all(len(queue.rows) == 0 for queue in framework.queues)

    def test_each_global_view_has_its_own(self, build, make_views):
        framework, views = build(SwAV, queue_size=16).eval(), make_views(3)
        # In eval mode a view's projections do not depend on the other views.
        framework.queues.train()
        framework(views, GROUPS)
        for queue, rows in zip(framework.queues, projections(framework, views[:2]), strict=True):
            assert_close(queue.rows[:10], rows.detach())

    def test_joins_the_assignment_from_its_start_on(self, build, make_views):
        framework = build(SwAV, n_prototypes=7, queue_size=16, queue_start=0.5)
        framework(make_views(seed=1), GROUPS)
        scores = projections(framework, make_views())[0] @ framework.prototypes.T
        queue = framework.queues[0]
        alone = sinkhorn(scores, framework.epsilon)
        together = sinkhorn(torch.cat([scores, queue.rows @ framework.prototypes.T]), framework.epsilon)[:10]
        framework.after_step(0.4)
        assert_close(framework.assign(scores, queue), alone)
        framework.after_step(0.5)
        assert_close(framework.assign(scores, queue), together)
        assert not torch.allclose(alone, together)


def test_loss_leaves_the_logarithm_of_the_number_of_prototypes(build):
    # Pinned there, all samples sit on one point: the field's usual way for SwAV to fail.
    framework = build(SwAV, n_prototypes=32)
    optimizer = torch.optim.AdamW(framework.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(64, 6, generator=generator)
    for number in range(100):
        views = [x + 0.1 * torch.randn(x.shape, generator=generator) for _ in range(2)]
        loss = framework(views, torch.arange(64))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        framework.after_step((number + 1) / 100)
    assert loss < 0.8 * math.log(32)
