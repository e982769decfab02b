"""Few-shot episodes: number and size."""

from typing import Annotated

from pydantic import Field

from nctransfer.settings import Count, Distinct, Integer, Settings, ViewNames


class FewShotSettings(Settings):
    """Few-shot episodes, drawn from all images of a data set (both splits together)."""

    ways: Annotated[Integer, Field(ge=2)] = 5
    """Number of classes per episode."""
    shots: Distinct[Count] = (1, 5)
    """Numbers of images per class that the classifier is fitted to; episodes are drawn for each number."""
    queries: Count = 15
    """Number of further images per class, used for testing."""
    episodes: Annotated[Integer, Field(ge=2)] = 600
    """Number of episodes, over which the mean accuracy and its 95 % interval are computed."""
    normalise: bool = True
    """Whether features are normalised to unit length for the classifier (Tian et al. 2020)."""


class FewShotJobSettings(FewShotSettings):
    """Settings of the job that draws episodes."""

    permutations: Count
    """Number of label permutations over which `nc1_shuffled` is averaged."""
    names: ViewNames
    """Model and view, repeated in every row."""
    seed: int
    """Seed of the episodes: the same for all models."""
