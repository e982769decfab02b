"""CLIP's text tower as a classifier: zero-shot classification, one embedding per class."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import open_clip
import torch
from torch import Tensor, nn
from torch.nn import functional

from nctransfer.catalog.known_models import lookup
from nctransfer.errors import ModelError
from nctransfer.finetuning.tuned_network import TunedNetwork
from nctransfer.models.architecture import Architecture
from nctransfer.models.architectures import open_clip as library
from nctransfer.models.checkpoint import first_line, load_strictly, refuse_non_finite
from nctransfer.models.fetched import existing, published_name
from nctransfer.models.foreign_weights import choose, read_file, states
from nctransfer.models.settings import TextTowerSettings, has_text_tower
from nctransfer.models.sources import open_clip as published
from nctransfer.runtime.downloads import downloading

logger = logging.getLogger(__name__)

PROMPTS_AT_ONCE = 256

Tokenizer = Callable[[list[str]], Tensor]


class TextClassifier(nn.Module):
    """Scaled cosines of image embeddings with the text embeddings of the classes, (K, d) of unit norm."""

    embeddings: Tensor
    scale: Tensor

    def __init__(self, embeddings: Tensor, scale: float) -> None:
        super().__init__()
        self.register_buffer("embeddings", embeddings)
        self.register_buffer("scale", torch.tensor(scale, device=embeddings.device))

    def forward(self, features: Tensor) -> Tensor:
        """Logits (N, K) of image embeddings (N, d)."""
        return self.scale * functional.normalize(features.float()) @ self.embeddings.T


class ZeroShotNetwork(TunedNetwork):
    """A network whose output, CLIP's embedding, is the feature of the classifier."""

    def read(self, images: Tensor) -> Tensor:
        """The embedding (N, d) of standardised images."""
        embedding: Tensor = self.backbone.network(images)
        return embedding


def text_classifier(
    settings: TextTowerSettings,
    checkpoint: Path | None,
    class_names: Sequence[str],
    templates: Sequence[str],
    device: torch.device | str,
) -> tuple[Tensor, float]:
    """Embed the K class names with the text tower of a CLIP model.

    The embedding of a class is the mean over the templates (prompts with ``{}`` in the class's place) of the
    prompts' unit-norm embeddings, normalised again (Radford et al., ICML 2021, section 3.1.4; open_clip's
    ``build_zero_shot_classifier``). The logits of an image are the scale times the inner products of its
    unit-norm embedding with those of the classes. Prompts longer than the model's context are cut.
    ``checkpoint`` is the file of a whole model's weights, for ``source: local``.

    Returns:
        the embeddings of the classes, (K, d) float32 with rows of unit norm, on ``device``; and the scale,
            the model's exp(logit_scale).

    Raises:
        ModelError: the model has no text tower, or its weights or tokenizer are not available.
    """
    model, tokenizer, where = _model(settings, checkpoint)
    model = model.float().to(device).eval()
    logger.info("%s: %d classes, %d prompts each", where, len(class_names), len(templates))
    at_once, words = max(1, PROMPTS_AT_ONCE // len(templates)), (list(class_names), list(templates))
    columns = open_clip.build_zero_shot_classifier(
        model, tokenizer, *words, num_classes_per_batch=at_once, device=device
    )
    scale = model.logit_scale.detach().exp()
    refuse_non_finite({"the text classifier": columns, "its logit scale": scale}, where)
    return columns.T.contiguous(), float(scale)


def _model(settings: TextTowerSettings, checkpoint: Path | None) -> tuple[Any, Tokenizer, str]:
    """A whole model with its weights, its tokenizer, and its name in messages."""
    source = settings.source
    name = settings.architecture if source == "local" else settings.name
    if not has_text_tower(source, name):
        raise ModelError(
            f"{name or source}: has no text tower (source {source}); zero_shot needs `source: open_clip`, or "
            "`source: local` with `architecture: open_clip/NAME` and the weights of a whole CLIP model"
        )
    return _local(settings, checkpoint) if source == "local" else _published(settings)


def _published(settings: TextTowerSettings) -> tuple[Any, Tokenizer, str]:
    name = published_name(settings)
    weights = settings.weights or lookup("open_clip", name).weights
    library.metadata(name, weights)  # its error lists the weights
    tokenizer = _tokenizer(name)
    return published.download(name, weights), tokenizer, f"open_clip/{name}"


def _local(settings: TextTowerSettings, checkpoint: Path | None) -> tuple[Any, Tokenizer, str]:
    path = existing(checkpoint or settings.weights, "weights")
    architecture = Architecture.parse(settings.architecture or "", settings.options)
    contents = read_file(path)
    if not any(library.has_text_tower(state) for _, state in states(contents)):
        raise ModelError(
            f"{path}: has no text tower; zero_shot needs the weights of a whole CLIP model as open_clip "
            "writes them"
        )
    sizes = architecture.options.get("text_cfg") or {}
    tokenizer = _tokenizer(architecture.name, sizes.get("context_length"), sizes.get("vocab_size"))
    model = library.build_whole(architecture.name, architecture.options)
    state = choose(
        contents, path, model.state_dict(), partial(library.adapt_whole, model),
        key=settings.weights_key, prefix=settings.weights_prefix,
    )  # fmt: skip
    load_strictly(model, state, str(path))
    return model, tokenizer, str(path)


def _tokenizer(name: str, context_length: int | None = None, vocabulary: int | None = None) -> Tokenizer:
    """The architecture's tokenizer, with the context length of a text tower of another size."""
    try:
        with downloading():
            tokenizer = open_clip.get_tokenizer(name, context_length=context_length)
    except Exception as error:  # any error of the network, the hub or its library
        raise ModelError(
            f"open_clip/{name}: its tokenizer could not be downloaded ({type(error).__name__}: "
            f"{first_line(error)}); check the network (and proxy), and that the transformers "
            "library is installed, or choose a model with CLIP's own tokenizer, such as ViT-B-32"
        ) from error
    needed = getattr(tokenizer, "vocab_size", 0)
    if vocabulary is not None and vocabulary < needed:
        raise ModelError(
            f"open_clip/{name}: options.text_cfg.vocab_size: {vocabulary}, but its tokenizer has {needed} "
            "tokens"
        )
    return tokenizer
