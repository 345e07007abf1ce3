"""Optimisers with the settings of the papers."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn


class LARS(torch.optim.Optimizer):
    """Momentum SGD whose step is scaled, layer by layer, to the norm of the weights.

    Parameters
    ----------
    params : parameters or groups of parameters; a group with `adapt=False` takes plain momentum steps.
    lr : learning rate.
    momentum : momentum factor.
    weight_decay : L2 penalty, included in the gradient whose norm is measured.
    trust_coefficient : step length as a share of the weights' norm (η).

    References
    ----------
    You et al. 2017, algorithm 1. Differs: as in SimCLR's code, biases and normalisation are left out of
    both adaptation and weight decay.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclr import ContrastiveEmbedder
    >>> X, _ = load_iris(return_X_y=True)
    >>> embedder = ContrastiveEmbedder(optimizer="lars", optimizer_params={"momentum": 0.8}, max_epochs=2)
    >>> embedder.fit_transform(X).shape
    (150, 160)
    """

    def __init__(
        self,
        params: Any,
        lr: float = 0.3,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust_coefficient: float = 1e-3,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "trust_coefficient": trust_coefficient,
            "adapt": True,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Take one optimisation step.

        Parameters
        ----------
        closure : recomputes the loss; optional.

        Returns
        -------
        The return value of the closure.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if weights:
                self._step_group(weights, group)
        return loss

    def _step_group(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        raw = [weight.grad for weight in weights if weight.grad is not None]
        gradients = torch._foreach_add(raw, weights, alpha=group["weight_decay"])
        if group["adapt"]:
            lengths = torch._foreach_norm(weights)
            slopes = torch._foreach_norm(gradients)
            ratios = [
                # With a norm of zero there is nothing to scale.
                torch.where((w > 0) & (g > 0), group["trust_coefficient"] * w / g, 1.0)
                for w, g in zip(lengths, slopes, strict=True)
            ]
            torch._foreach_mul_(gradients, ratios)
        for weight in weights:
            if "velocity" not in self.state[weight]:
                self.state[weight]["velocity"] = torch.zeros_like(weight)
        velocities = [self.state[weight]["velocity"] for weight in weights]
        torch._foreach_mul_(velocities, group["momentum"])
        torch._foreach_add_(velocities, gradients)
        torch._foreach_add_(weights, velocities, alpha=-group["lr"])


class MomentumSGD(torch.optim.SGD):
    """SGD with a momentum of 0.9 by default, like optimizer="sgd" and optimizer=torch.optim.SGD.

    Parameters
    ----------
    params, lr, momentum, weight_decay, nesterov, foreach : as in `torch.optim.SGD`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skclr import ContrastiveEmbedder
    >>> X, _ = load_iris(return_X_y=True)
    >>> embedder = ContrastiveEmbedder(optimizer="sgd", optimizer_params={"nesterov": True}, max_epochs=2)
    >>> embedder.fit_transform(X).shape
    (150, 160)
    """

    def __init__(
        self,
        params: Any,
        lr: float = 0.1,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        foreach: bool | None = True,
    ) -> None:
        super().__init__(params, lr, momentum, weight_decay=weight_decay, nesterov=nesterov, foreach=foreach)


OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "lars": LARS,
}

# Optimisers of torch that update all parameters in one kernel, on devices that support it.
_FUSED = (torch.optim.AdamW, torch.optim.Adam)
_FUSED_DEVICES = ("cpu", "cuda")


def preset_arguments(optimizer: type, device: torch.device) -> dict[str, Any]:
    """Return the package's defaults for a torch optimiser: a fused kernel if possible, and momentum for SGD.

    SGD is not fused, since that kernel fails if a parameter gets its first gradient later than others, as frozen
    prototypes do.
    """
    if optimizer is torch.optim.SGD:
        return {"momentum": 0.9}
    can = issubclass(optimizer, _FUSED) and device.type in _FUSED_DEVICES
    return {"fused": True} if can else {}


def parameter_groups(parameters: Iterable[nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    """Split parameters into weights, and biases and normalisation, which neither decay nor adapt.

    Parameters
    ----------
    parameters : parameters of a module; those without gradient are left out.
    weight_decay : weight decay of the weights.

    Returns
    -------
    Parameter groups for optimisers of torch.
    """
    trained = [p for p in parameters if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay, "adapt": True},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0, "adapt": False},
    ]
    return [group for group in groups if group["params"]]
