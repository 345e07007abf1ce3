"""Projection and prediction heads: the small networks between an embedding and its loss."""

from torch import nn

from skclr.arguments import check_sizes


def mlp_head(
    in_features: int,
    hidden_dim: int,
    out_features: int,
    *,
    n_layers: int = 2,
    batch_norm: bool = True,
    normalize_output: bool = False,
) -> nn.Sequential:
    """Build a head of linear layers with batch normalisation and ReLU between them.

    Parameters
    ----------
    in_features, hidden_dim, out_features : widths; hidden_dim is not used with one layer.
    n_layers : number of linear layers, 1 or more.
    batch_norm : whether the hidden layers are normalised over the batch.
    normalize_output : whether the output is normalised too, without a learned scale or shift.

    Returns
    -------
    A module that maps (B, in_features) to (B, out_features).

    Raises
    ------
    ValueError : if n_layers or the width of a hidden layer is below 1.

    References
    ----------
    Chen et al. 2020 (SimCLR), sec. 4.2. Differs: as in SimCLR's code and all later papers, hidden layers are normalised
    over the batch.
    """
    if n_layers < 1:
        raise ValueError(f"n_layers={n_layers}: use 1 or more")
    if n_layers > 1:
        check_sizes(hidden_dim=hidden_dim)
    layers: list[nn.Module] = []
    for _ in range(n_layers - 1):
        # The bias before a BatchNorm has no effect: the mean is subtracted again.
        layers += [nn.Linear(in_features, hidden_dim, bias=not batch_norm)]
        layers += [nn.BatchNorm1d(hidden_dim)] * batch_norm + [nn.ReLU()]
        in_features = hidden_dim
    layers += [nn.Linear(in_features, out_features, bias=not normalize_output)]
    layers += [nn.BatchNorm1d(out_features, affine=False)] * normalize_output
    return nn.Sequential(*layers)
