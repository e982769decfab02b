"""What is told to the job that fetches a model."""

from typing import Any, Literal

from pydantic import Field

from nctransfer.data.settings import Geometry
from nctransfer.settings import Settings

Pooling = Literal["avg", "cls", "token_mean", "patch_mean"]


class ModelJobSettings(Settings):
    """What the job is told that fetches a model's weights; each source reads its own of the optional keys."""

    source: str
    """Where the weights come from: module of `nctransfer.models.sources`."""
    name: str | None = None
    """Name at the source."""
    weights: str | None = None
    """Which weights; `null` takes the library's default."""
    architecture: str | None = None
    """`library/name` of the network (local, pretraining)."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Of the architecture's builder."""
    unit_layout: str
    """How the network is cut into units: module of `nctransfer.models.unit_layouts`."""
    size: tuple[int, int] | None = None
    """Height and width that the network is shown, in pixels; `null` takes the weights' own."""
    native: Geometry | None = None
    """Transform that the plan expects of the library; `null` where the study uses another."""
    epoch: int | None = None
    """Epoch of a snapshot (pretraining); `null` takes the last weights."""
    mean: tuple[float, float, float] | None = None
    """Mean of the input, one number per channel (local)."""
    std: tuple[float, float, float] | None = None
    """Standard deviation of the input (local)."""
    head: bool = True
    """Whether the classifier of a local checkpoint is usable."""


def has_text_tower(source: str, name: str | None) -> bool:
    """Whether a model comes with a text tower, so that ``zero_shot`` is possible.

    Args:
        source: of the model's entry.
        name: its ``name``, or its ``architecture`` where the weights are the user's. Whether
            a file of weights holds more than the image tower only the job can tell.
    """
    return source == "open_clip" or (source == "local" and str(name).startswith("open_clip/"))
