"""Pre-trained weights published by timm."""

from dataclasses import replace
from pathlib import Path

import timm
import torch
from timm.data import ImageNetInfo, infer_imagenet_subset
from torch import nn

from nctransfer.errors import ModelError
from nctransfer.models.architecture import Architecture
from nctransfer.models.architectures import timm as library
from nctransfer.models.checkpoint import first_line
from nctransfer.models.fetched import Fetched, download_failed, published_name
from nctransfer.models.settings import ModelJobSettings
from nctransfer.runtime.downloads import downloading


def fetch(settings: ModelJobSettings, checkpoint: Path | None) -> Fetched:
    """Download (or take from the cache) and load the weights; ``checkpoint`` is not used.

    timm itself adapts published state dicts (to an image size of the options too) and loads them strictly.
    Raises ModelError: unknown name or option, failed download, or weights that do not fit.
    """
    name = published_name(settings)
    metadata = library.metadata(name, None)
    entry = library.entry(name)
    if not entry.has_weights:
        raise ModelError(f"timm/{name}: the library publishes no weights of it; use `source: local`")
    if settings.options:  # refused before the download
        with torch.device("meta"):
            library.build(name, settings.options, None)
    timm.models.set_pretrained_check_hash(True)
    try:
        with downloading():
            network = timm.create_model(name, pretrained=True, **settings.options)
    except RuntimeError as error:
        if not settings.options or "invalid hash" in str(error):
            raise download_failed(f"timm/{name}", entry.tag or "default", error) from error
        raise ModelError(
            f"timm/{name}: timm does not fit its weights to the options {dict(settings.options)} "
            f"({first_line(error)}); leave `options` and `size` out"
        ) from None
    except Exception as error:  # any other error of the network, the hub or the reader
        raise download_failed(f"timm/{name}", entry.tag or "default", error) from error
    architecture = Architecture("timm", name, settings.options)
    return Fetched(
        network, architecture, replace(metadata, class_names=_class_names(network)), headless=False
    )


def _class_names(network: nn.Module) -> tuple[str, ...] | None:
    subset = infer_imagenet_subset(network)
    return tuple(ImageNetInfo(subset).label_descriptions()) if subset else None
