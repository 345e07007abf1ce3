"""Image models of timm."""

import difflib
import inspect
from types import ModuleType
from typing import Any

from torch import Tensor

from skclr.encoders.base import Encoder
from skclr.optional import import_optional


class Timm(Encoder):
    """A model of timm without its classifier.

    Parameters
    ----------
    input_shape : (C, H, W). Models with a fixed image size are built for H × W.
    model : name of a model, as listed by `timm.list_models()`.
    pretrained : whether timm downloads pretrained weights; their first layer is adapted to C channels.
    **params : parameters of `timm.create_model`.

    Raises
    ------
    ImportError : if timm is not installed.
    ValueError : if timm does not know the model, or the model does not accept a parameter.

    Notes
    -----
    Vision transformers accept images of a single size. For local views of another size, pass `dynamic_img_size=True`.

    References
    ----------
    Wightman 2019, PyTorch Image Models (timm). Differs: images are standardised by the mean and standard deviation of
    the training data instead of those of ImageNet.

    Examples
    --------
    >>> from skclr import ContrastiveEmbedder
    >>> embedder = ContrastiveEmbedder(encoder="timm", encoder_params={"model": "convnext_atto", "pretrained": True})
    >>> embedder.fit_transform(images).shape  # doctest: +SKIP
    (1000, 320)
    """

    n_dims = 3
    takes_missing = False
    package = "timm"

    def __init__(
        self, input_shape: tuple[int, int, int], model: str = "resnet18", pretrained: bool = False, **params: Any
    ) -> None:
        super().__init__()
        timm = _import_timm()
        _check_model(timm, model)
        channels, height, width = input_shape
        config = timm.get_pretrained_cfg(model)
        preset: dict[str, Any] = {"in_chans": channels, "num_classes": 0}
        if config is not None and config.fixed_input_size:
            preset["img_size"] = (height, width)
        try:
            self.network = timm.create_model(model, pretrained=pretrained, **{**preset, **params})
        except TypeError as error:
            raise ValueError(f"encoder_params={params}: timm's {model} does not take them ({error})") from error
        self.out_features = int(self.network.head_hidden_size)

    @classmethod
    def without_fetching(cls, params: dict[str, Any]) -> dict[str, Any]:
        """See `Encoder.without_fetching`."""
        timm = _import_timm()
        if not timm.is_model(params.get("model", "resnet18")):
            raise ValueError(f"model={params['model']!r} is not a built-in model of timm")
        # The arguments of `create_model` itself determine where weights come from.
        sources = inspect.signature(timm.create_model).parameters
        return {name: value for name, value in params.items() if name not in sources}

    def forward(self, x: Tensor) -> Tensor:
        """Return the (B, out_features) embeddings of images (B, C, H, W)."""
        return self.network(x)


def _import_timm() -> ModuleType:
    return import_optional("timm", "vision", "encoder='timm'")


def _check_model(timm: ModuleType, model: str) -> None:
    # A colon separates the source from the name; timm resolves it.
    if ":" in model or timm.is_model(model):
        return
    near = difflib.get_close_matches(model, timm.list_models(), n=3)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    raise ValueError(f"model={model!r} is not known to timm: {hint}see timm.list_models() for all names")
