"""Size of a data set before it is downloaded; only the resources that jobs ask for depend on it.

Each source lists the sizes that it knows in its ``dataset.py``.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class DataSetSize:
    """Size of a data set, or of the subset in use."""

    train: int  # train, test: number of images of each split
    test: int
    classes: int
    download: int = 0  # size of its download, in MB
    # height and width where all images are stored at one size, else None
    pixels: tuple[int, int] | None = None

    @property
    def images(self) -> int:
        """Images of both splits."""
        return self.train + self.test


# An unknown data set is taken to be large, because a job that asks for too little memory is killed.
UNKNOWN = DataSetSize(100_000, 50_000, 1_000, 20_000)
