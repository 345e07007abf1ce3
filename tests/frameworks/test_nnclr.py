import torch
from torch.nn.functional import normalize
from torch.testing import assert_close

from skclr.frameworks import NNCLR

GROUPS = torch.arange(10)


def fill(framework, make_views):
    framework.train()
    framework(make_views(seed=1), GROUPS + 100)
    return framework.eval()


def test_loss_is_the_papers(build, make_views):
    framework, views = fill(build(NNCLR), make_views), make_views()
    z = [framework.projector(framework.encoder(view)) for view in views]
    p = [normalize(framework.predictor(row), dim=1) for row in z]
    expected = 0.0
    for i, j in ((0, 1), (1, 0)):
        # Equation 4: the neighbour of view i finds its sample among the predictions of view j.
        for k, row in enumerate(z[i]):
            neighbor = max(framework.queue.rows, key=lambda q: q @ row)
            logits = (p[j] @ neighbor / 0.1).exp()
            expected -= (logits[k] / logits.sum()).log() / 20
    assert_close(framework(views, GROUPS), expected)


def test_nearest_is_by_cosine(build, make_views):
    framework = fill(build(NNCLR, projection_dim=2), make_views)
    framework.queue.rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    nearest = framework.nearest(torch.tensor([[0.1, 9.0], [-5.0, 0.2]]))
    assert_close(nearest, torch.tensor([[0.0, 1.0], [-1.0, 0.0]]))


def test_neighbours_are_constants(build, make_views):
    framework = build(NNCLR)
    assert not framework.nearest(torch.randn(5, 256, requires_grad=True)).requires_grad


def test_queue_takes_the_first_view_after_neighbours_are_found(build, make_views):
    framework, views = build(NNCLR, queue_size=12), make_views()
    twin = build(NNCLR)
    framework(views, GROUPS)
    first = normalize(twin.projector(twin.encoder(views[0])), dim=1)
    assert_close(framework.queue.rows[:10], first.detach())
    framework(make_views(seed=1), GROUPS + 10)
    assert framework.queue.groups.tolist() == [*range(10, 20), 0, 1]
