"""Size of a data set before it is downloaded: what jobs ask a cluster for depends on it.

Each source says the sizes that it knows, in ``dataset.py`` of its folder.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class DataSetSize:
    """Size of a data set, or of what is used of it; only what a job asks a cluster for depends on it.

    Attributes:
        train, test: number of images of each split.
        classes: number of classes.
        download: what is fetched for it, in MB.
        pixels: height and width where all images have one size and are stored so, else None.
    """

    train: int
    test: int
    classes: int
    download: int = 0
    pixels: tuple[int, int] | None = None

    @property
    def images(self) -> int:
        """Images of both splits."""
        return self.train + self.test


# A data set of which nothing is known is taken to be large: a job that asks for too little is killed.
UNKNOWN = DataSetSize(100_000, 50_000, 1_000, 20_000)
