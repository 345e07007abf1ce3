import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler
from torch.testing import assert_close

from skclr.modalities.kernels import KERNELS, N_KERNELS, RandomKernels, fill_gaps, lengths_of, spread_over_dilations
from skclr.modalities.principal import equal_columns, mixing, principal_components, scaled_to
from skclr.training.inference import widest_output


def series(n=30, channels=2, length=40, seed=0):
    """Draw random walks, one with a gap and two that end early."""
    x = torch.randn(n, channels, length, generator=torch.Generator().manual_seed(seed)).cumsum(2)
    x[1, 0, 10:14] = torch.nan
    x[2, :, 25:] = torch.nan
    x[3, :, 5:] = torch.nan
    return (x - x.nanmean()) / 5


def shares_by_hand(kernels, x):
    """Compute the shares of one series (C, T) step by step."""
    length = int((~x.isnan().all(0)).nonzero().max()) + 1
    values = np.zeros((len(x), length))
    for channel in range(len(x)):
        last = 0.0
        for step in range(length):
            last = last if x[channel, step].isnan() else float(x[channel, step])
            values[channel, step] = last
    found, first = [], 0
    for i, (dilation, n_biases) in enumerate(zip(kernels.dilations_, kernels.n_biases_, strict=True)):
        above = np.zeros((N_KERNELS, n_biases))
        for k in range(N_KERNELS):
            summed = (kernels.channels_[i, k].numpy()[:, None] * values).sum(0)
            padded = np.pad(summed, 4 * dilation)
            outputs = [
                sum(float(KERNELS[k, j]) * padded[step + j * dilation] for j in range(9)) for step in range(length)
            ]
            if (k + i) % 2 and length > 8 * dilation:
                outputs = outputs[4 * dilation : length - 4 * dilation]
            for b in range(n_biases):
                excess = np.array(outputs) - float(kernels.biases_[k, first + b])
                above[k, b] = np.mean((np.clip(1e3 * excess, -1, 1) + 1) / 2)
        first += n_biases
        found.append(above.T.ravel())
    return np.arcsin(np.sqrt(np.concatenate(found)))


@pytest.mark.parametrize("row", [0, 1, 2, 3])
def test_shares_are_those_computed_step_by_step(row):
    x = series()
    kernels = RandomKernels(n_biases=4, n_features=16).fit(x)
    assert_close(kernels.shares(x)[row], torch.from_numpy(shares_by_hand(kernels, x[row])).float(), atol=1e-4, rtol=0)


def test_kernels_are_all_choices_of_three_and_sum_to_zero():
    assert KERNELS.shape == (84, 9)
    assert len(KERNELS.unique(dim=0)) == 84
    assert not KERNELS.sum(1).any()


@pytest.mark.parametrize(("n_steps", "n_biases"), [(1, 48), (9, 48), (10, 3), (150, 48), (5_000, 48), (150, 1)])
def test_every_bias_has_a_dilation_that_fits(n_steps, n_biases):
    spread = spread_over_dilations(n_steps, n_biases)
    assert sum(spread.values()) == n_biases
    assert max(spread) * 8 < max(n_steps, 9)


def test_gaps_take_the_value_before_them():
    x = torch.tensor([[[torch.nan, 1.0, torch.nan, torch.nan, 2.0, torch.nan, torch.nan]]])
    assert lengths_of(x).tolist() == [5]
    assert fill_gaps(x, lengths_of(x)).tolist() == [[[0.0, 1.0, 1.0, 1.0, 2.0, 0.0, 0.0]]]


def test_columns_have_one_variance_and_keep_distances():
    x = series(60)
    kernels = RandomKernels(n_biases=4, n_features=64).fit(x)
    features = kernels(x)
    assert_close(features.var(0, correction=0), torch.full((64,), 16.0), rtol=1e-3, atol=0)
    shares = kernels.shares(x)
    deviation = shares.std(0, correction=0)
    shares = shares[:, deviation > 1e-6] / deviation[deviation > 1e-6]
    ratio = torch.cdist(features, features) / torch.cdist(shares, shares).clamp(min=1e-9)
    ratio = ratio[~torch.eye(60, dtype=torch.bool)]
    assert_close(ratio, torch.full_like(ratio, float(ratio.mean())), rtol=1e-2, atol=0)


def test_a_scaler_behind_does_not_raise_noise_of_few_series():
    few, more = series(12), series(200, seed=1)
    kernels = RandomKernels().fit(few)
    scaled = StandardScaler().fit(kernels(few).numpy()).transform(kernels(more).numpy())
    assert np.abs(scaled).max() < 10


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_series_that_do_not_vary_give_finite_features(value):
    x = torch.full((5, 1, 20), value)
    assert RandomKernels().fit(x)(x).isfinite().all()


def test_padding_and_other_rows_change_nothing():
    x = series()
    kernels = RandomKernels().fit(x)
    assert_close(kernels(x[2:3, :, :25])[0], kernels(x)[2], atol=1e-3, rtol=0)
    assert_close(kernels(x[[2, 7]]), kernels(x)[[2, 7]], atol=1e-3, rtol=0)


@pytest.mark.parametrize("shape", [(50, 8), (8, 50)])
def test_principal_components_are_those_of_a_singular_value_decomposition(shape):
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(0)) * torch.arange(1, shape[1] + 1)
    mean, axes, variances = principal_components(x, 5)
    _, singular, vectors = torch.linalg.svd(x - x.mean(0), full_matrices=False)
    assert_close(variances, singular[:5] ** 2 / len(x), rtol=1e-4, atol=0)
    assert_close((axes.T @ vectors[:5].T).abs(), torch.eye(5), atol=1e-4, rtol=0)
    assert_close(mean, x.mean(0))


@pytest.mark.parametrize("n", [1, 2, 16, 12, 100])
def test_mixing_keeps_distances(n):
    assert_close(mixing(n) @ mixing(n).T, torch.eye(n), atol=1e-4, rtol=0)


def test_columns_of_any_number_are_nearly_of_one_variance():
    x = torch.randn(500, 12, generator=torch.Generator().manual_seed(0))
    _, axes, variances = principal_components(x, 12)
    columns = equal_columns(x - x.mean(0), scaled_to(axes, variances, 48.0), 12)
    spread = columns.var(0, correction=0)
    assert_close(spread.mean(), torch.tensor(4.0), rtol=1e-3, atol=0)
    assert spread.max() < 2 * spread.min()


@pytest.mark.parametrize("n", [20, 600])
def test_a_constant_is_not_taken_for_the_size_of_a_sample(n):
    """Chunks of rows are as small as the largest tensor is large, so none may be computed from the axes alone."""
    kernels = RandomKernels().fit(x := series(n))
    assert widest_output(lambda: kernels(x[:1])) <= 2 * len(kernels.mean_)
