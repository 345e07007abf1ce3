import pytest
import torch
from torch import nn
from torch.testing import assert_close

from skclr.parts.multi_view import across_views, forward_views


class TestForwardViews:
    def test_outputs_stand_in_the_order_of_the_views(self):
        views = [torch.full((3, 2), float(i)) for i in range(4)]
        outputs = forward_views(lambda x: 10 * x, views)
        for view, output in zip(views, outputs, strict=True):
            assert_close(output, 10 * view)

    def test_one_pass_for_each_run_of_equal_shapes(self):
        passes = []

        def mean(x):
            passes.append(tuple(x.shape))
            return x.mean(dim=(1, 2))[:, None]

        views = [torch.rand(3, 8, 8)] * 2 + [torch.rand(3, 4, 4)] * 3
        outputs = forward_views(mean, views)
        assert passes == [(6, 8, 8), (9, 4, 4)]
        assert [output.shape for output in outputs] == [(3, 1)] * 5

    def test_batch_norm_sees_views_of_one_shape_together(self):
        norm = nn.BatchNorm1d(1, affine=False)
        low, high = forward_views(norm, [torch.zeros(4, 1), torch.ones(4, 1)])
        assert low.mean() < 0 < high.mean()

    def test_one_view(self):
        (output,) = forward_views(lambda x: x + 1, [torch.zeros(2, 2)])
        assert_close(output, torch.ones(2, 2))


class TestAcrossViews:
    @staticmethod
    def seen(n_predictions, n_targets, **options):
        pairs = []

        def loss(i, j):
            pairs.append((i, j))
            return torch.tensor(float(10 * i + j))

        mean = across_views(loss, range(n_predictions), range(n_targets), **options)
        assert mean.item() == pytest.approx(sum(10 * i + j for i, j in pairs) / len(pairs))
        return pairs

    def test_two_views_foretell_each_other(self):
        assert self.seen(2, 2) == [(0, 1), (1, 0)]

    def test_no_view_predicts_itself_and_local_views_are_not_targets(self):
        assert self.seen(4, 2) == [(0, 1), (1, 0), (2, 0), (2, 1), (3, 0), (3, 1)]

    def test_symmetric_counts_each_pair_once(self):
        assert self.seen(2, 2, symmetric=True) == [(1, 0)]
        assert self.seen(4, 2, symmetric=True) == [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1)]
