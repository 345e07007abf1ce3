"""Any of timm's image models as an encoder."""

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
    input_shape : (C, H, W). Models that ask for an image size are made for H × W.
    model : timm's name of it, as `timm.list_models()` gives them.
    pretrained : whether timm fetches trained weights; it fits their first layer to C channels.
    **params : of `timm.create_model`.

    Raises
    ------
    ImportError : where timm is not installed.
    ValueError : for a model that timm does not know, or a parameter that the model does not take.

    Notes
    -----
    Vision transformers take images of one size only: for local views of another give
    `dynamic_img_size=True`.

    References
    ----------
    Wightman 2019, PyTorch Image Models (timm). Differs: images are standardised by the mean and deviation
    of the data at hand, and not by those of ImageNet.

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
            raise ValueError(f"model={params['model']!r} is none of timm's own")
        # What `create_model` itself takes says where weights come from.
        sources = inspect.signature(timm.create_model).parameters
        return {name: value for name, value in params.items() if name not in sources}

    def forward(self, x: Tensor) -> Tensor:
        """Return the (B, out_features) embeddings of images (B, C, H, W)."""
        return self.network(x)


def _import_timm() -> ModuleType:
    return import_optional("timm", "vision", "encoder='timm'")


def _check_model(timm: ModuleType, model: str) -> None:
    # A colon names a place to load from, which timm knows to read.
    if ":" in model or timm.is_model(model):
        return
    near = difflib.get_close_matches(model, timm.list_models(), n=3)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    raise ValueError(f"model={model!r} is not known to timm: {hint}timm.list_models() gives all")
