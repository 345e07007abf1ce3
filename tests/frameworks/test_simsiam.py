import torch
from torch.nn.functional import cosine_similarity
from torch.testing import assert_close

from skclr.frameworks import SimSiam

GROUPS = torch.arange(10)


def test_loss_is_the_papers(build, make_views):
    framework, views = build(SimSiam).eval(), make_views()
    z1, z2 = (framework.projector(framework.encoder(view)) for view in views)
    p1, p2 = framework.predictor(z1), framework.predictor(z2)
    expected = -(cosine_similarity(p1, z2).mean() + cosine_similarity(p2, z1).mean()) / 2
    assert_close(framework(views, GROUPS), expected)


def test_targets_are_constants(build, make_views):
    framework, views = build(SimSiam), make_views()
    framework(views, GROUPS).backward()
    gradient = framework.projector[0].weight.grad.clone()
    framework.zero_grad()
    z1, z2 = (framework.projector(framework.encoder(view)) for view in views)
    p1, p2 = framework.predictor(z1), framework.predictor(z2)
    # Without detach the gradient is another one: this is what the paper's ablation collapses by.
    stopped = -(cosine_similarity(p1, z2.detach()).mean() + cosine_similarity(p2, z1.detach()).mean()) / 2
    flowing = -(cosine_similarity(p1, z2).mean() + cosine_similarity(p2, z1).mean()) / 2
    (other,) = torch.autograd.grad(flowing, framework.projector[0].weight, retain_graph=True)
    (same,) = torch.autograd.grad(stopped, framework.projector[0].weight)
    assert_close(gradient, same)
    assert not torch.allclose(gradient, other)


def test_projections_are_normalised_over_the_batch_and_the_predictor_is_a_bottleneck(build, make_views):
    framework = build(SimSiam, projection_dim=32)
    z = framework.projector(framework.encoder(make_views()[0]))
    assert_close(z.mean(dim=0), torch.zeros(32), rtol=0, atol=1e-5)
    assert framework.predictor[0].out_features == 32 // 4


def test_views_are_not_joined(build, make_views):
    framework, passes = build(SimSiam), []
    framework.encoder.register_forward_hook(lambda module, inputs, output: passes.append(len(output)))
    framework(make_views(3), GROUPS)
    assert passes == [10] * 3
