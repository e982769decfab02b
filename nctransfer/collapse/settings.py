"""Settings of the jobs that measure collapse."""

from nctransfer.settings import Count, Device, Settings, ViewNames


class CollapseSettings(Settings):
    """The collapse metrics."""

    permutations: Count = 3
    """Number of label permutations over which `nc1_shuffled`, reported with each NC1, is averaged."""


class MetricsJobSettings(CollapseSettings):
    """Settings of the job that measures a model's features."""

    names: ViewNames
    """Model and view, repeated in every row."""
    seed: int
    """Seed of the permutations."""
    device: Device
    """Device to compute on."""


class ClassifierMetricsJobSettings(Settings):
    """Settings of the jobs that measure classifiers (NC3, NC4): those of probes, or the model's own."""

    names: ViewNames
    """Model and view, repeated in every row."""
    device: Device
    """Device to compute on."""
