import numpy as np
import pytest
import torch
from torch.testing import assert_close

from skclr.losses.redundancy import barlow_twins, vicreg

LOSSES = [barlow_twins, vicreg]


def views(n=9, d=4, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    z1 = torch.randn(n, d, generator=generator, dtype=dtype)
    return z1, 0.7 * z1 + torch.randn(n, d, generator=generator, dtype=dtype)


def barlow_loop(z1, z2, weight):
    """Equation 1 of the paper, element by element; the constant is BatchNorm's."""

    def standardize(z):
        return (z - z.mean(axis=0)) / np.sqrt(z.var(axis=0) + 1e-5)

    a, b = standardize(z1.numpy()), standardize(z2.numpy())
    n, d = a.shape
    total = 0.0
    for i in range(d):
        for j in range(d):
            c = sum(a[k, i] * b[k, j] for k in range(n)) / n
            total += (1 - c) ** 2 if i == j else weight * c**2
    return total


def vicreg_loop(z1, z2, invariance_weight, variance_weight, covariance_weight):
    """Equations 1 to 6 of the paper, averaged as in its code."""
    n, d = z1.shape
    z1, z2 = z1.numpy(), z2.numpy()
    invariance = sum((z1[k, i] - z2[k, i]) ** 2 for k in range(n) for i in range(d)) / (n * d)
    variance = covariance = 0.0
    for z in (z1, z2):
        mean = z.mean(axis=0)
        c = sum(np.outer(row - mean, row - mean) for row in z) / (n - 1)
        variance += sum(max(0, 1 - np.sqrt(c[i, i] + 1e-4)) for i in range(d)) / d / 2
        covariance += sum(c[i, j] ** 2 for i in range(d) for j in range(d) if i != j) / d
    return invariance_weight * invariance + variance_weight * variance + covariance_weight * covariance


@pytest.mark.parametrize("n", [2, 5, 17])
@pytest.mark.parametrize("weight", [0.0, 5e-3, 1.0])
def test_barlow_twins_equals_the_papers_equation(n, weight):
    z1, z2 = views(n)
    assert barlow_twins(z1, z2, weight).item() == pytest.approx(barlow_loop(z1, z2, weight), abs=1e-10)


@pytest.mark.parametrize("n", [2, 5, 17])
@pytest.mark.parametrize("weights", [(25.0, 25.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)])
def test_vicreg_equals_the_papers_equations(n, weights):
    z1, z2 = views(n)
    assert vicreg(z1, z2, *weights).item() == pytest.approx(vicreg_loop(z1, z2, *weights), abs=1e-10)


def test_barlow_twins_is_zero_for_views_that_agree_in_uncorrelated_dimensions():
    z = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64)
    assert barlow_twins(z, z).item() == pytest.approx(0, abs=1e-9)


def test_barlow_twins_of_collapsed_views_is_the_number_of_dimensions():
    z = torch.ones(6, 5)
    assert barlow_twins(z, z).item() == pytest.approx(5)


def test_barlow_twins_standardises_each_view_by_its_own_statistics():
    # With statistics of both views together, a shift between them would count as correlation.
    z1, z2 = views()
    assert_close(barlow_twins(z1, 100 + 3 * z2), barlow_twins(z1, z2), rtol=1e-4, atol=0)


def test_barlow_twins_of_repeated_dimensions_pays_for_each_pair():
    z = views()[0][:, :1].expand(-1, 3)
    assert barlow_twins(z, z, redundancy_weight=1.0).item() == pytest.approx(3 * 2, rel=1e-3)


def test_vicreg_of_collapsed_views_pays_for_variance_alone():
    z = torch.ones(6, 5)
    # The deviation that is left is the root of the constant 1e-4.
    assert vicreg(z, z).item() == pytest.approx(25 * (1 - 0.01))


def test_vicreg_pays_nothing_for_variance_above_one():
    z = 10 * views()[0]
    assert vicreg(z, z, 0.0, 1.0, 0.0).item() == 0


@pytest.mark.parametrize("loss", LOSSES)
class TestBoth:
    def test_views_are_alike(self, loss):
        z1, z2 = views()
        assert_close(loss(z1, z2), loss(z2, z1))

    def test_order_of_samples_and_of_dimensions_does_not_matter(self, loss):
        z1, z2 = views()
        rows, columns = torch.tensor([3, 1, 0, 2, 8, 7, 6, 5, 4]), torch.tensor([2, 0, 3, 1])
        assert_close(loss(z1[rows][:, columns], z2[rows][:, columns]), loss(z1, z2))

    def test_gradient(self, loss):
        z1, z2 = views(5, 3)
        assert torch.autograd.gradcheck(loss, (z1.requires_grad_(), z2.requires_grad_()))

    def test_gradient_is_finite_where_a_dimension_is_constant(self, loss):
        z1, z2 = views()
        z1[:, 0] = 1.0
        z1.requires_grad_()
        loss(z1, z2).backward()
        assert torch.isfinite(z1.grad).all()

    def test_inputs_stay(self, loss):
        z1, z2 = views()
        loss(z1, z2)
        assert all(torch.equal(a, b) for a, b in zip((z1, z2), views(), strict=True))

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision_is_computed_in_float32(self, loss, dtype):
        # Sums of 2,000 products of size 100 x 100 overflow float16.
        z1, z2 = ((100 * z).to(dtype) for z in views(2000, 3))
        value = loss(z1, z2)
        assert value.dtype == torch.float32
        assert_close(value, loss(z1.float(), z2.float()))

    def test_autocast_changes_no_bit(self, loss):
        z1, z2 = views(dtype=torch.float32)
        with torch.autocast("cpu", torch.bfloat16):
            value = loss(z1, z2)
        assert torch.equal(value, loss(z1, z2))

    def test_shapes_that_differ(self, loss):
        with pytest.raises(ValueError, match=r"\(9, 4\).*\(8, 4\)"):
            loss(views(9)[0], views(8)[0])

    def test_single_sample(self, loss):
        with pytest.raises(ValueError, match="batch_size of 2 or more"):
            loss(*views(1))
