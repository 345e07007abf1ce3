import pytest
import torch
from torch.testing import assert_close

from skclr.frameworks import DINO
from skclr.frameworks.dino import Prototypes

GROUPS = torch.arange(10)


@pytest.mark.parametrize("n_views", [2, 4])
def test_loss_is_the_papers(build, make_views, n_views):
    framework, views = build(DINO, n_prototypes=7).eval(), make_views(n_views)
    framework.center = torch.linspace(-0.1, 0.1, 7)
    student = [framework.prototypes(framework.projector(framework.encoder(view))) for view in views]
    total, n_terms = 0.0, 0
    for j, view in enumerate(views[:2]):
        target = ((framework.teacher(view) - framework.center) / framework.teacher_temperature).exp()
        target = target / target.sum(dim=1, keepdim=True)
        for i, scores in enumerate(student):
            if i != j:
                p = (scores / framework.temperature).exp()
                p = p / p.sum(dim=1, keepdim=True)
                total -= (target * p.log()).sum() / len(p)
                n_terms += 1
    assert_close(framework(views, GROUPS), total / n_terms)


def test_center_is_the_moving_mean_of_the_teachers_scores(build, make_views):
    framework, twin = build(DINO, center_decay=0.8), build(DINO)
    framework.center += 1.0
    views = make_views()
    framework(views, GROUPS)
    scores = twin.teacher(torch.cat(views))
    assert_close(framework.center, 0.8 + 0.2 * scores.mean(dim=0))


def test_prototypes_have_no_length():
    torch.manual_seed(0)
    prototypes = Prototypes(4, 3)
    z = torch.randn(5, 4)
    before = prototypes(z)
    assert before.abs().max() <= 1 + 1e-6
    with torch.no_grad():
        prototypes.weight *= 7
    assert_close(prototypes(3 * z), before)


def test_frozen_prototypes_do_not_move(build, make_views):
    # Momentum and weight decay act on a gradient of zeros, but not on none.
    framework = build(DINO, freeze_until=0.5)
    optimizer = torch.optim.SGD(framework.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    start = framework.prototypes.weight.detach().clone()
    for number, progress in enumerate([0.2, 0.4, 0.6, 0.8]):
        frozen = framework.clock.progress < 0.5
        optimizer.zero_grad()
        framework(make_views(seed=number), GROUPS).backward()
        assert (framework.prototypes.weight.grad is None) == frozen
        optimizer.step()
        framework.after_step(progress)
        assert torch.equal(framework.prototypes.weight, start) == frozen


def test_teacher_follows_the_prototypes_too(build):
    framework = build(DINO, decay=0.9)
    before = framework.teacher.projector[1].weight.clone()
    with torch.no_grad():
        framework.prototypes.weight += 1.0
    framework.after_step(0.0)
    assert_close(framework.teacher.projector[1].weight, before + 0.1)


def test_temperature_of_the_teacher_warms_up(build, make_views):
    framework = build(DINO, teacher_temperature=0.01, final_teacher_temperature=1.0).eval()
    losses = []
    for progress in (0.0, 0.15, 0.3, 1.0):
        framework.clock.progress = progress
        losses.append(framework(make_views(), GROUPS))
    cold, warming, warm, end = losses
    # The warmer the teacher, the more even its distributions and the nearer the loss to their entropy.
    assert cold != warming != warm
    assert warm == end


def test_local_views_are_not_targets(build, make_views):
    framework, rows = build(DINO), []
    framework.teacher.register_forward_hook(lambda module, inputs, output: rows.append(len(output)))
    framework(make_views(5), GROUPS)
    assert sum(rows) == 20
