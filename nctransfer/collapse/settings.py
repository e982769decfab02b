"""What is told to the jobs that measure collapse."""

from nctransfer.settings import Count, Device, Settings, ViewNames


class CollapseSettings(Settings):
    """The collapse metrics."""

    permutations: Count = 3
    """Number of label permutations whose mean NC1 stands beside each NC1."""


class MetricsJobSettings(CollapseSettings):
    """What the job is told that measures a model's features."""

    names: ViewNames
    """Repeated in every row."""
    seed: int
    """Of the permutations."""
    device: Device
    """Where to compute."""


class ClassifierMetricsJobSettings(Settings):
    """What the jobs are told that measure classifiers (NC3, NC4): the probes', or the model's own."""

    names: ViewNames
    """Repeated in every row."""
    device: Device
    """Where to compute."""
