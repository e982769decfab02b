"""The result of a model source: a network with its weights, and its description."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from nctransfer.errors import DownloadError, ModelError
from nctransfer.models.architecture import Architecture, Metadata
from nctransfer.models.checkpoint import first_line
from nctransfer.models.settings import ModelSourceSettings


@dataclass(frozen=True)
class Fetched:
    """A pre-trained network."""

    network: nn.Module  # with its weights and, unless it was left out, its classification layer
    architecture: Architecture  # builds the same network again, without weights
    metadata: Metadata  # preprocessing and class names
    headless: bool  # whether the classification layer is to be removed


def download_failed(model: str, weights: str, error: BaseException) -> ModelError:
    """The error for weights that could not be downloaded, with a remedy."""
    kind = "" if isinstance(error, DownloadError) else f"{type(error).__name__}: "
    return ModelError(
        f"{model}: its weights {weights!r} could not be downloaded ({kind}{first_line(error)}); check the "
        "network (and proxy), or download the file elsewhere and use `source: local` with `weights: FILE`; "
        "delete a damaged file in the library's download cache first"
    )


def published_name(settings: ModelSourceSettings) -> str:
    """Name of a published model; ModelError where it is not set."""
    if settings.name is None:
        raise ModelError(f"`name`: a model of {settings.source} must be named")
    return settings.name


def existing(path: Path | str | None, key: str) -> Path:
    """The weights file set by a key; ModelError where it is not set or does not exist."""
    if not path:
        raise ModelError(f"`{key}`: a weights file (.safetensors, or a torch checkpoint) must be named")
    if not Path(path).is_file():
        raise ModelError(f"{path}: no such weights file (`{key}`)")
    return Path(path)
