"""Few-shot episodes: how many, and of what shape."""

from typing import Annotated

from pydantic import Field

from nctransfer.settings import Count, Distinct, Integer, Settings, ViewNames


class FewShotSettings(Settings):
    """Few-shot episodes, drawn from all images of a data set, both splits together."""

    ways: Annotated[Integer, Field(ge=2)] = 5
    """Number of classes per episode."""
    shots: Distinct[Count] = (1, 5)
    """Images of each class that the classifier is fitted to; episodes of each number."""
    queries: Count = 15
    """Further images of each class that it is tested on."""
    episodes: Annotated[Integer, Field(ge=2)] = 600
    """Number of episodes, over which accuracy has its mean and 95 % interval."""
    normalise: bool = True
    """Whether the classifier sees features of unit length (Tian et al. 2020) or as they are."""


class FewShotJobSettings(FewShotSettings):
    """What the job is told that draws episodes."""

    permutations: Count
    """Number of label permutations whose mean NC1 stands beside NC1."""
    names: ViewNames
    """Repeated in every row."""
    seed: int
    """Of the episodes: the same for all models."""
