import pytest
import torch
from torch.testing import assert_close

from skclr.encoders.text import TokenBag, mean_of_tokens
from skclr.encoders.text_transformer import TextTransformer

N_TOKENS = 50
ENCODERS = [TokenBag, TextTransformer]
SHAPES = [(6,), (6, 3)]


def tokens(shape, n=5, seed=0):
    """Texts of 1 to n words, padded."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(1, N_TOKENS, (n, *shape), generator=generator)
    for i in range(n):
        x[i, 1 + i :] = 0
    return x


def build(encoder, shape, **params):
    torch.manual_seed(0)
    table = torch.randn(N_TOKENS, 32)
    weights = torch.rand(N_TOKENS) + 0.5
    return encoder(shape, N_TOKENS, table=table, token_weights=weights, **params)


every = pytest.mark.parametrize("encoder", ENCODERS)
every_shape = pytest.mark.parametrize("shape", SHAPES)


@every
@every_shape
def test_gradients_reach_all_parameters(encoder, shape):
    model, x = build(encoder, shape), tokens(shape)
    embedding = model(x)
    assert embedding.shape == (5, model.out_features)
    # Neither the sum nor the length, which are fixed by normalisation.
    (embedding @ torch.randn(model.out_features)).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())
    # Nothing has been learned of padding, nor of tokens that did not come up.
    seen = torch.zeros(N_TOKENS, dtype=torch.bool)
    seen[x.unique()] = True
    seen[0] = False
    assert torch.equal(model.table.grad.any(1), seen)


@every
@every_shape
def test_padding_does_not_matter(encoder, shape):
    model, x = build(encoder, shape).eval(), tokens(shape)
    longer = torch.cat([x, torch.zeros_like(x)], dim=1)
    assert_close(model(longer), model(x), atol=1e-5, rtol=1e-5)


@every
@every_shape
def test_company_does_not_matter(encoder, shape):
    model, x = build(encoder, shape).eval(), tokens(shape)
    alone = torch.cat([model(x[i : i + 1]) for i in range(len(x))])
    assert_close(model(x), alone, atol=1e-5, rtol=1e-5)


@every
@every_shape
@pytest.mark.parametrize("mode", [True, False])
def test_a_text_without_tokens_is_embedded(encoder, shape, mode):
    model, x = build(encoder, shape).train(mode), tokens(shape)
    x[2] = 0
    embedding = model(x)
    assert embedding.isfinite().all()
    embedding.sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


@every
def test_dropout_makes_two_views_of_one_text(encoder):
    model, x = build(encoder, (6,), dropout=0.5), tokens((6,))
    assert not torch.equal(model(x), model(x))
    still = build(encoder, (6,), dropout=0.0)
    assert torch.equal(still(x), still(x))


@every
def test_the_table_is_copied(encoder):
    table = torch.ones(N_TOKENS, 8)
    model = encoder((6,), N_TOKENS, table=table)
    torch.nn.init.zeros_(model.table)
    assert table.all()


@every
def test_without_a_table_vectors_are_drawn(encoder):
    model = encoder((6,), N_TOKENS, width=16)
    assert model.table.shape == (N_TOKENS, 16)
    assert model(tokens((6,))).shape == (5, 16)


def test_mean_of_tokens_is_the_naive_one():
    x, table, weights = tokens((6, 3)), torch.randn(N_TOKENS, 4), torch.rand(N_TOKENS)
    for row, mean in zip(x, mean_of_tokens(x, table, weights), strict=True):
        ids = row[row > 0]
        assert_close(mean, (weights[ids, None] * table[ids]).sum(0) / weights[ids].sum())


def test_a_bag_does_not_see_the_order_and_a_transformer_does():
    x = tokens((6,), n=6)[5:]
    for encoder, same in ((TokenBag, True), (TextTransformer, False)):
        model = build(encoder, (6,)).eval()
        assert torch.allclose(model(x), model(x.flip(1)), atol=1e-5) == same


def test_a_bag_is_no_longer_for_fewer_tokens():
    model, x = build(TokenBag, (6,)).eval(), tokens((6,), n=6)
    assert_close(model(x).norm(dim=1), torch.ones(6))


def test_bag_with_layers():
    model = build(TokenBag, (6,), n_layers=2)
    assert model(tokens((6,))).shape == (5, 32)
    assert sum(isinstance(module, torch.nn.Linear) for module in model.modules()) == 2


def test_width_that_heads_do_not_share():
    with pytest.raises(ValueError, match="width=30: use a multiple of 2 · n_heads=8"):
        TextTransformer((6,), N_TOKENS, width=30)
