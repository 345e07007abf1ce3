import pytest
import torch
from torch.testing import assert_close

from skclr.frameworks import BYOL
from skclr.parts.schedules import cosine

GROUPS = torch.arange(10)


def standardized(z):
    return (z - z.mean(0)) / (z.var(0, unbiased=False) + 1e-5).sqrt()


def test_loss_is_the_papers(build, make_views):
    # Equation 2 with standardised targets, summed over both directions as in equation 3, averaged over directions and
    # samples.
    framework, (x1, x2) = build(BYOL).eval(), make_views()
    total = 0.0
    for online, target in ((x1, x2), (x2, x1)):
        q = framework.predictor(framework.projector(framework.encoder(online)))
        z = standardized(framework.teacher.projector(framework.teacher.encoder(target)))
        for a, b in zip(q, z, strict=True):
            total += 2 - 2 * (a @ b) / (a.norm() * b.norm())
    assert_close(framework([x1, x2], GROUPS), total / 20)


def test_targets_are_constants(build, make_views):
    # The gradient must be that of a regression onto numbers.
    framework, views = build(BYOL), make_views()
    framework(views, GROUPS).backward()
    gradients = [p.grad.clone() for p in framework.encoder.parameters()]
    framework.zero_grad()
    targets = [standardized(framework.teacher(view)) for view in views]
    for view, target in zip(views, targets[::-1], strict=True):
        p = framework.predictor(framework.projector(framework.encoder(view)))
        cosines = torch.nn.functional.cosine_similarity(p, target, dim=1)
        (1 - cosines).mean().backward()
    for gradient, parameter in zip(gradients, framework.encoder.parameters(), strict=True):
        assert_close(gradient, parameter.grad)


def test_views_are_not_joined(build, make_views):
    # Joined views would share BatchNorm's statistics, and one view's scale would change the other.
    framework, passes = build(BYOL), []
    for encoder in (framework.encoder, framework.teacher.encoder):
        encoder.register_forward_hook(lambda module, inputs, output: passes.append(len(output)))
    framework(make_views(3), GROUPS)
    assert passes == [10] * 5


def test_local_views_are_not_targets(build, make_views):
    framework, seen = build(BYOL), []
    framework.teacher.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    views = make_views(4)
    framework(views, GROUPS)
    assert len(seen) == 2
    assert all(a is b for a, b in zip(seen, views[:2], strict=True))


@pytest.mark.parametrize("progress", [0.0, 0.25, 1.0])
def test_teacher_follows_slower_and_slower(build, progress):
    framework = build(BYOL, decay=0.9)
    old = [p.clone() for p in framework.teacher.parameters()]
    with torch.no_grad():
        for parameter in framework.parameters():
            if parameter.requires_grad:
                parameter += 1.0
    framework.after_step(progress)
    decay = cosine(0.9, 1.0, progress)
    for parameter, before in zip(framework.teacher.parameters(), old, strict=True):
        assert_close(parameter, before + (1 - decay))


def test_groups_are_not_used(build, make_views):
    one, other = build(BYOL), build(BYOL)
    assert torch.equal(one(make_views(), GROUPS), other(make_views(), torch.zeros_like(GROUPS)))
