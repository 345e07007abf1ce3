"""What every framework keeps, whatever its paper: parametrised over the registries."""

import copy
import inspect
import io
import pickle

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from skclr.frameworks import FRAMEWORKS, Framework
from skclr.losses import LOSSES

N_SAMPLES, WIDTH = 12, 24
PAIRWISE = [name for name, framework in FRAMEWORKS.items() if framework.default_loss is not None]
MULTI_VIEW = [name for name, framework in FRAMEWORKS.items() if framework.exact_views is None]

every_framework = pytest.mark.parametrize("name", FRAMEWORKS)


class TinyMLP(nn.Sequential):
    out_features = 8

    def __init__(self):
        super().__init__(
            nn.Linear(WIDTH, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, self.out_features)
        )


class TinyConv(nn.Sequential):
    """Takes images of any size, as multi-crop asks."""

    out_features = 8

    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )


def build(name, seed=0, encoder=TinyMLP, **params):
    torch.manual_seed(seed)
    return FRAMEWORKS[name](encoder(), **params)


def make_views(n_views=2, seed=0, n_samples=N_SAMPLES):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n_samples, WIDTH, generator=generator)
    return [x + 0.3 * torch.randn(x.shape, generator=generator) for _ in range(n_views)]


def train(framework, n_steps, first_seed=0):
    """Train on batches that each bring new samples; give the losses."""
    optimizer = torch.optim.SGD(framework.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    losses = []
    for step in range(n_steps):
        groups = torch.arange(step * N_SAMPLES, (step + 1) * N_SAMPLES)
        loss = framework(make_views(seed=first_seed + step), groups)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        framework.after_step((step + 1) / n_steps)
        losses.append(loss.item())
    return losses


def state(framework):
    return {name: value.clone() for name, value in framework.state_dict().items()}


def assert_same_state(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


GROUPS = torch.arange(N_SAMPLES)


# -- the loss ---------------------------------------------------------------------------------------


@every_framework
@pytest.mark.parametrize("n_views", [2, 5])
def test_loss_is_a_finite_scalar(name, n_views):
    framework, views = build(name), make_views(n_views)
    if framework.exact_views not in (None, n_views):
        with pytest.raises(ValueError, match="values to unpack"):
            framework(views, GROUPS)
        return
    loss = framework(views, GROUPS)
    assert loss.shape == ()
    assert torch.isfinite(loss)


@pytest.mark.parametrize("name", MULTI_VIEW)
def test_multi_crop_takes_local_views_of_another_size(name):
    framework = build(name, encoder=TinyConv)
    generator = torch.Generator().manual_seed(0)
    views = [torch.rand(N_SAMPLES, 1, size, size, generator=generator) for size in (8, 8, 4, 4, 4)]
    framework(views, GROUPS).backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in framework.encoder.parameters())


@every_framework
def test_gradients_reach_everything_that_is_trained(name):
    framework = build(name)
    # Past the start, where prototypes may be frozen.
    framework.after_step(0.5)
    framework(make_views(), GROUPS).backward()
    for parameter_name, parameter in framework.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, parameter_name
            assert torch.isfinite(parameter.grad).all(), parameter_name
    for parameter_name, parameter in framework.encoder.named_parameters():
        assert parameter.grad.abs().sum() > 0, parameter_name


@pytest.mark.parametrize("name", ["moco", "byol", "dino"])
def test_no_gradient_reaches_a_teacher(name):
    framework = build(name)
    framework(make_views(), GROUPS).backward()
    for parameter in framework.teacher.parameters():
        assert not parameter.requires_grad
        assert parameter.grad is None


@every_framework
def test_order_of_samples_does_not_matter(name):
    order = torch.randperm(N_SAMPLES, generator=torch.Generator().manual_seed(1))
    one, other = build(name).double(), build(name).double()
    views = [view.double() for view in make_views()]
    assert_close(one(views, GROUPS), other([view[order] for view in views], GROUPS[order]))


@every_framework
def test_views_are_not_written_to(name):
    framework, views, groups = build(name), make_views(), GROUPS.clone()
    framework(views, groups).backward()
    framework.after_step(0.5)
    assert all(torch.equal(view, before) for view, before in zip(views, make_views(), strict=True))
    assert len(views) == 2
    assert torch.equal(groups, GROUPS)


@every_framework
def test_float64_stays_float64(name):
    framework = build(name).double()
    loss = framework([view.double() for view in make_views()], GROUPS)
    assert loss.dtype == torch.float64
    framework.after_step(0.5)
    assert all(value.dtype != torch.float32 for value in framework.state_dict().values())


@every_framework
def test_autocast_gives_a_float32_loss_near_the_exact_one(name):
    # Two steps, so that queues and centres have taken rows of half precision.
    exact, half = build(name), build(name)
    for step in range(2):
        views, groups = make_views(seed=step), GROUPS + step * N_SAMPLES
        with torch.autocast("cpu", torch.bfloat16):
            loss = half(views, groups)
        loss.backward()
        assert loss.dtype == torch.float32
        assert_close(loss, exact(views, groups), rtol=0.1, atol=0.05)
    assert all(parameter.grad.isfinite().all() for parameter in half.encoder.parameters())


# -- positives --------------------------------------------------------------------------------------


@every_framework
def test_labels_as_groups(name):
    framework = build(name)
    # Two classes, and unlabelled rows that are groups of their own.
    groups = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, -1, -2, -3, -4])
    loss = framework(make_views(), groups)
    loss.backward()
    assert torch.isfinite(loss)
    if name in PAIRWISE:
        assert not torch.isclose(loss, build(name)(make_views(), GROUPS))


@pytest.mark.parametrize("name", PAIRWISE)
@pytest.mark.parametrize("loss_name", LOSSES)
def test_every_pairwise_loss_trains(name, loss_name):
    framework = build(name, loss=LOSSES[loss_name]())
    losses = train(framework, 3)
    assert all(torch.isfinite(torch.tensor(losses)))
    assert all(parameter.grad.isfinite().all() for parameter in framework.encoder.parameters())


@every_framework
def test_default_loss_is_the_constructors(name):
    framework = FRAMEWORKS[name]
    parameters = inspect.signature(framework).parameters
    if framework.default_loss is None:
        assert "loss" not in parameters
    else:
        assert type(parameters["loss"].default) is LOSSES[framework.default_loss]


# -- state ------------------------------------------------------------------------------------------


@every_framework
def test_eval_mode_changes_no_buffer(name):
    framework = build(name)
    train(framework, 2)
    framework.eval()
    before = state(framework)
    one, other = framework(make_views(), GROUPS), framework(make_views(), GROUPS)
    assert_same_state(state(framework), before)
    assert torch.equal(one, other)


@every_framework
@pytest.mark.parametrize("mode", [True, False])
def test_state_dict_repeats_the_loss_to_the_bit(name, mode):
    trained, fresh = build(name, seed=0), build(name, seed=1)
    train(trained, 3)
    file = io.BytesIO()
    torch.save(trained.state_dict(), file)
    file.seek(0)
    fresh.load_state_dict(torch.load(file, weights_only=True))
    trained.train(mode)
    fresh.train(mode)
    views, groups = make_views(seed=9), GROUPS + 900
    assert torch.equal(trained(views, groups), fresh(views, groups))
    assert_same_state(trained.state_dict(), fresh.state_dict())


@every_framework
def test_resumed_run_is_the_run_that_never_stopped(name):
    def step(framework, number):
        loss = framework(make_views(seed=number), GROUPS + number * N_SAMPLES)
        framework.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in framework.parameters():
                if parameter.grad is not None:
                    parameter -= 0.1 * parameter.grad
        framework.after_step(number / 200)

    # Schedules that begin or end at some progress are under way where the run is cut.
    whole, cut = build(name), build(name)
    for number in range(1, 5):
        step(whole, number)
        step(cut, number)
        resumed = build(name, seed=number)
        resumed.load_state_dict(copy.deepcopy(cut.state_dict()))
        cut = resumed
    assert_same_state(whole.state_dict(), cut.state_dict())


@every_framework
def test_training_is_repeatable(name):
    one, other = build(name), build(name)
    assert train(one, 5) == train(other, 5)
    assert_same_state(one.state_dict(), other.state_dict())


@every_framework
def test_global_generator_is_left_alone(name):
    framework = build(name)
    before = torch.get_rng_state()
    train(framework, 2)
    assert torch.equal(torch.get_rng_state(), before)


@every_framework
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["copy", "pickle"])
def test_copies_go_their_own_way(name, duplicate):
    framework = build(name)
    train(framework, 2)
    twin = duplicate(framework)
    before = state(framework)
    assert_same_state(twin.state_dict(), before)
    train(twin, 2, first_seed=7)
    assert_same_state(state(framework), before)


@every_framework
def test_nothing_is_stored_twice(name):
    framework = build(name)
    train(framework, 1)
    addresses = [value.untyped_storage().data_ptr() for value in framework.state_dict().values() if value.numel()]
    assert len(set(addresses)) == len(addresses)


@every_framework
def test_parameters_move_with_the_optimiser_and_after_step_alone(name):
    # As under gradient accumulation: several batches, one step.
    framework = build(name)
    before = [parameter.detach().clone() for parameter in framework.parameters()]
    for seed in range(3):
        framework(make_views(seed=seed), GROUPS + seed * N_SAMPLES).backward()
    assert all(torch.equal(p, old) for p, old in zip(framework.parameters(), before, strict=True))


@every_framework
def test_endless_stream(name):
    # partial_fit does not know the end: progress stays 0.
    framework = build(name)
    optimizer = torch.optim.SGD(framework.parameters(), lr=0.05)
    for step in range(3):
        loss = framework(make_views(seed=step), GROUPS + step * N_SAMPLES)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        framework.after_step(0.0)
        assert torch.isfinite(loss)


@every_framework
def test_the_encoder_is_trained(name):
    framework = build(name)
    assert all(parameter.requires_grad for parameter in framework.encoder.parameters())


# -- learning ---------------------------------------------------------------------------------------


class Toy:
    """Four classes in two columns; all others are noise, drawn again for each view."""

    def __init__(self, n_samples=256):
        self.generator = torch.Generator().manual_seed(0)
        corners = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
        self.classes = torch.arange(n_samples) % 4
        self.signal = corners[self.classes] + 0.3 * self.normal(n_samples, 2)

    def normal(self, *shape):
        return torch.randn(*shape, generator=self.generator)

    def view(self, rows):
        return torch.cat([self.signal[rows], self.normal(len(rows), WIDTH - 2)], dim=1)

    def batch(self, size=128):
        rows = torch.randint(len(self.signal), (size,), generator=self.generator)
        return [self.view(rows) for _ in range(2)], rows

    @torch.no_grad()
    def score(self, embed):
        """Return the share of samples whose nearest neighbour is of their class."""
        h = embed(self.view(torch.arange(len(self.signal))))
        distances = torch.cdist(h, h).fill_diagonal_(torch.inf)
        return (self.classes[distances.argmin(dim=1)] == self.classes).float().mean().item()


# Projections of this encoder's 8 columns have little but redundancy where they are much wider, and a queue is best
# below the number of samples.
SMALL = {
    **{name: {"projection_dim": 128} for name in ("barlow_twins", "vicreg", "simsiam")},
    **{name: {"queue_size": 128} for name in ("moco", "nnclr")},
}


@every_framework
def test_learns_what_views_share(name):
    toy, framework, n_steps = Toy(), build(name, **SMALL.get(name, {})), 100
    raw, untrained = toy.score(lambda x: x), toy.score(copy.deepcopy(framework).eval().encoder)
    optimizer = torch.optim.AdamW([p for p in framework.parameters() if p.requires_grad], lr=5e-3)
    for step in range(n_steps):
        loss = framework(*toy.batch())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        framework.after_step((step + 1) / n_steps)
    learned = toy.score(framework.eval().encoder)
    assert max(raw, untrained) < 0.65
    assert learned > 0.75


# -- data -------------------------------------------------------------------------------------------


@every_framework
def test_recipes_for_every_optimiser(name):
    recipes = FRAMEWORKS[name].recipes
    assert set(recipes) == {"adamw", "sgd", "lars"}
    for recipe in recipes.values():
        assert recipe.at(256) == recipe.learning_rate > 0
        assert recipe.at(1024) == pytest.approx(recipe.learning_rate * 4**recipe.scaling)
        assert 0 <= recipe.weight_decay < 0.1


def test_registry_holds_frameworks():
    assert all(issubclass(framework, Framework) for framework in FRAMEWORKS.values())
