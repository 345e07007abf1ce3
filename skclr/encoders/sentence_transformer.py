"""A pretrained model of sentence-transformers or transformers."""

import copy
import os
from typing import Any

import torch
from torch import Tensor, nn

from skclr.encoders.base import Encoder
from skclr.optional import import_optional


class SentenceTransformer(Encoder):
    """A pretrained model of sentence-transformers or transformers, frozen or fine-tuned.

    `ContrastiveEmbedder(encoder=model)` with a model of sentence-transformers sets the rest. Otherwise the modality
    must use the model's own tokenizer: `modality_params={"tokenizer": model}`, or the fast tokenizer of a transformers
    model, whose embedding is the mean of its last hidden states.

    Parameters
    ----------
    input_shape : (L,) tokens.
    n_tokens : size of the modality's vocabulary.
    model : folder of a model, its name, which is downloaded, or a model object, which is copied: a
        `sentence_transformers.SentenceTransformer`, or a transformers model as loaded by `AutoModel`.
    trainable : "none", "all", or the number of last layers that are trained.

    Raises
    ------
    ImportError : if sentence-transformers is not installed.
    TypeError : if `model` is anything else.
    ValueError : if the modality uses another tokenizer, or the model has fewer layers than `trainable`.

    Notes
    -----
    The learning rate "auto" is 5e-5, for fine-tuning. If no layer is trained, `max_epochs="auto"` is 0, since there is
    nothing to learn.

    References
    ----------
    Reimers & Gurevych 2019 (Sentence-BERT); fine-tuned without labels as in Gao et al. 2021 (SimCSE), sec. 3. Differs:
    texts are truncated at the modality's max_tokens instead of the model's.

    Examples
    --------
    >>> from skclr import ContrastiveEmbedder
    >>> embedder = ContrastiveEmbedder(
    ...     modality_params={"tokenizer": "path/of/a/model"},
    ...     encoder="sentence_transformer",
    ...     encoder_params={"model": "path/of/a/model", "trainable": 2},
    ... )
    >>> embedder.fit_transform(texts).shape  # doctest: +SKIP
    (1000, 384)
    """

    tokens = True
    any_length = True
    facts = ("n_tokens",)
    # Those of frameworks are for new networks, and would destroy what a model has learned.
    learning_rate = 5e-5
    package = "sentence_transformers"

    def __init__(
        self, input_shape: tuple[int, ...], n_tokens: int, model: Any = None, trainable: str | int = "none"
    ) -> None:
        super().__init__()
        self.model = _load(model)
        if len(input_shape) != 1 or not _fits_tokenizer(self.model, n_tokens - 1):
            raise ValueError(
                "encoder='sentence_transformer' needs texts read with the model's own tokenizer. "
                "Set modality_params={'tokenizer': ...} to the same path or object as encoder_params={'model': ...}."
            )
        _train_last(self.model, trainable)
        with torch.no_grad():
            # Measured, since modules after the transformer may change the width.
            self.out_features = self.eval()(torch.ones(1, 1, dtype=torch.int64)).shape[1]
        self.train()

    @classmethod
    def is_trained(cls, params: dict[str, Any]) -> bool:
        """See `Encoder.is_trained`."""
        return params.get("trainable", "none") != "none"

    @classmethod
    def without_fetching(cls, params: dict[str, Any]) -> dict[str, Any]:
        """See `Encoder.without_fetching`."""
        raise ValueError(
            "encoder='sentence_transformer' is built from the files of a model. Pass it: "
            "load(path, encoder_params={'model': ...})."
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the (B, out_features) embeddings of ids (B, L): those of the model plus 1, 0 for padding."""
        inputs = {"input_ids": (x - 1).clamp(min=0), "attention_mask": (x > 0).long()}
        return self.model(inputs)["sentence_embedding"]


class MeanOfStates(nn.Module):
    """A transformers model with the interface of sentence-transformers.

    Parameters
    ----------
    model : returns `last_hidden_state`, (B, L, d).
    """

    model: Any

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the mean state (B, d) of the tokens with mask 1, from ids and mask (B, L)."""
        states = self.model(**inputs).last_hidden_state
        mask = inputs["attention_mask"].unsqueeze(2).to(states.dtype)
        return {"sentence_embedding": (states * mask).sum(1) / mask.sum(1).clamp(min=1)}


def _load(model: Any) -> Any:
    sentence_transformers = import_optional("sentence_transformers", "pretrained", "encoder='sentence_transformer'")
    if model is None:
        raise ValueError(
            "encoder='sentence_transformer' needs a model. Set encoder_params={'model': ...} to its folder or to a "
            "SentenceTransformer."
        )
    if isinstance(model, sentence_transformers.SentenceTransformer):
        return copy.deepcopy(model).cpu()
    if hasattr(model, "get_input_embeddings"):
        return MeanOfStates(copy.deepcopy(model).cpu())
    if not isinstance(model, str | os.PathLike):
        raise TypeError(
            f"model is a {type(model).__name__}. Pass the folder of a model, a SentenceTransformer, or a transformers "
            "model as loaded by AutoModel."
        )
    return sentence_transformers.SentenceTransformer(str(model), device="cpu")


def _fits_tokenizer(model: Any, n_tokens: int) -> bool:
    """Return whether a tokenizer with n_tokens ids can be the model's own."""
    if isinstance(model, MeanOfStates):
        # Such a model has no tokenizer, and often has a few more vectors than there are tokens.
        return n_tokens <= model.model.get_input_embeddings().num_embeddings
    return n_tokens == len(model.tokenizer)


def _train_last(model: nn.Module, trainable: str | int) -> None:
    """Make only the last layers of the model's longest stack trainable."""
    model.requires_grad_(trainable == "all")
    if trainable in ("none", "all"):
        return
    stack = max((module for module in model.modules() if isinstance(module, nn.ModuleList)), key=len)
    if not isinstance(trainable, int) or not 1 <= trainable <= len(stack):
        raise ValueError(f"trainable={trainable!r}: use 'none', 'all', or a number of layers from 1 to {len(stack)}")
    stack[-trainable:].requires_grad_(True)
