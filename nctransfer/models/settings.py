"""Settings of the job that fetches a model."""

from typing import Any, Literal

from pydantic import Field

from nctransfer.data.settings import Geometry
from nctransfer.settings import Settings

Pooling = Literal["avg", "cls", "token_mean", "patch_mean"]


class ModelSourceSettings(Settings):
    """Where the weights of a model come from."""

    source: str
    """Source of the weights: module of `nctransfer.models.sources`."""
    name: str | None = None
    """Name of the model at the source."""
    weights: str | None = None
    """Which weights; `null` takes the library's default."""
    architecture: str | None = None
    """`library/name` of the network (local, pretraining)."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Options of the architecture's builder."""
    weights_key: str | None = None
    """Where the weights are in a file (local); `null` takes those that match."""
    weights_prefix: str | None = None
    """Beginning of their names that is left out (local); `null` takes the one that matches."""


class ModelJobSettings(ModelSourceSettings):
    """Settings of the job that fetches a model's weights; each source reads some of the optional keys."""

    unit_layout: str
    """How the network is cut into units: module of `nctransfer.models.unit_layouts`."""
    size: tuple[int, int] | None = None
    """Height and width of the input, in pixels; `null` takes the size of the weights."""
    native: Geometry | None = None
    """Evaluation transform of the library that the plan expects; `null` where the study uses another."""
    epoch: int | None = None
    """Epoch of a snapshot (pretraining); `null` takes the final weights."""
    mean: tuple[float, float, float] | None = None
    """Mean of the input, one number per channel (local)."""
    std: tuple[float, float, float] | None = None
    """Standard deviation of the input (local)."""
    head: bool = True
    """Whether the classifier of a local checkpoint is usable."""


class TextTowerSettings(ModelSourceSettings):
    """The model whose text tower is used: `open_clip`, or `local` with the architecture `open_clip/NAME`."""


def has_text_tower(source: str, name: str | None) -> bool:
    """Whether a model has a text tower, which ``zero_shot`` needs.

    ``name`` is the entry's ``name``, or its ``architecture`` for a local file; whether that file holds more
    than the image tower only the job can tell.
    """
    return source == "open_clip" or (source == "local" and str(name).startswith("open_clip/"))
