"""What a source hands over: a network with its weights, and what is known about it."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from nctransfer.errors import ModelError
from nctransfer.models.architecture import Architecture, Metadata
from nctransfer.models.settings import ModelJobSettings


@dataclass(frozen=True)
class Fetched:
    """A pre-trained network.

    Attributes:
        network: with its weights loaded, classification layer included unless it was left out.
        architecture: builds the same network again, without weights.
        metadata: preprocessing and class names.
        headless: whether the classification layer is to be left out.
    """

    network: nn.Module
    architecture: Architecture
    metadata: Metadata
    headless: bool


def download_failed(model: str, weights: str, error: BaseException) -> ModelError:
    """The error for weights that could not be fetched, with what to do about it."""
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return ModelError(
        f"{model}: its weights {weights!r} could not be fetched ({type(error).__name__}: {reason}); "
        "check the network (and proxy), or fetch the file elsewhere and use `source: local` with "
        "`weights: FILE`; a damaged file in the library's download cache must be deleted first"
    )


def published_name(settings: ModelJobSettings) -> str:
    """Name of a published model.

    Raises:
        ModelError: it is not named.
    """
    if settings.name is None:
        raise ModelError(f"`name`: a model of {settings.source} must be named")
    return settings.name


def existing(path: Path | str | None, key: str) -> Path:
    """The weights file that a configuration names.

    Raises:
        ModelError: it is not named or not there.
    """
    if not path:
        raise ModelError(f"`{key}`: a weights file (.safetensors, or a torch checkpoint) must be named")
    if not Path(path).is_file():
        raise ModelError(f"{path}: no such weights file (`{key}`)")
    return Path(path)
