"""A first pass over all image files of a data set: which can be used, and which grey value is white."""

import logging
import math
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from nctransfer.data.decode import read_picture
from nctransfer.data.raw_split import RawSplit

logger = logging.getLogger(__name__)

BLOCK = 32  # files that a thread reads at once


@dataclass(frozen=True)
class Survey:
    """What was found.

    Attributes:
        white_level: the largest value of the number of bits, 8 or more, that holds all grey levels of images
            of more than 8 bits, or 1 where all of these are fractions; None if there is no such image.
        unusable: by split, rows of the files that cannot be used; the log says why.
    """

    white_level: float | None
    unusable: Mapping[str, list[int]]


def survey(raw: Mapping[str, RawSplit], max_megapixels: int) -> Survey:
    """Read all image files of all splits, by split."""
    # with `validation`, both splits are parts of one
    surveyed = {id(split): _survey(split, max_megapixels) for split in raw.values()}
    brightest = [value for _, found in surveyed.values() for value in found]
    unusable = {name: surveyed[id(split)][0] for name, split in raw.items()}
    return Survey(_white_level(brightest), unusable)


def _survey(split: RawSplit, max_megapixels: int) -> tuple[list[int], list[int | float]]:
    if split.read is None:  # an array
        return [], []
    read = split.read
    unusable: list[int] = []
    brightest: list[int | float] = []

    def look(rows: np.ndarray) -> None:
        for row in map(int, rows):
            try:
                pixels = read_picture(read(row), max_megapixels).pixels
            except (OSError, ValueError) as error:
                logger.warning(
                    "not used: %s: %s", split.locate(row), getattr(error, "strerror", None) or error
                )
                unusable.append(row)
            else:
                if pixels.dtype != np.uint8:
                    brightest.append(pixels.max().item())

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(
            pool.map(
                look, (range(start, min(start + BLOCK, len(split))) for start in range(0, len(split), BLOCK))
            )
        )
    return sorted(unusable), brightest


def _white_level(brightest: list[int | float]) -> float | None:
    if not brightest:
        return None
    if max(brightest) <= 1 and all(isinstance(value, float) for value in brightest):
        return 1.0
    return float(2 ** max(8, math.ceil(max(brightest)).bit_length()) - 1)
