"""A first pass over all image files of a data set: which can be used, and which grey value is white."""

import logging
import math
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
    """What was found."""

    # the largest value of the number of bits, 8 or more, that holds all grey levels of images of more than 8
    # bits, or 1 where all of these are fractions; None if there is no such image
    white_level: float | None
    unusable: Mapping[str, list[int]]  # by split, rows of the files that cannot be used; the log says why


def survey(raw: Mapping[str, RawSplit], max_megapixels: int, threads: int) -> Survey:
    """Read all image files of all splits, by split, so many at a time."""
    # with `validation`, both splits are parts of one
    for problem in dict.fromkeys(problem for split in raw.values() for problem in split.problems):
        logger.warning("not used: %s", problem)
    surveyed = {id(split): _survey(split, max_megapixels, threads) for split in raw.values()}
    brightest = [value for _, found in surveyed.values() for value in found]
    unusable = {name: surveyed[id(split)][0] for name, split in raw.items()}
    return Survey(_white_level(brightest), unusable)


def _survey(split: RawSplit, max_megapixels: int, threads: int) -> tuple[list[int], list[int | float]]:
    if split.read is None:  # an array
        return [], []
    read = split.read
    unusable: list[int] = []
    brightest: list[int | float] = []

    def look(rows: range) -> None:
        for row in rows:
            try:
                pixels = read_picture(read(row), max_megapixels).pixels
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                logger.warning("not used: %s: %s", split.locate(row), reason)
                unusable.append(row)
            else:
                if pixels.dtype != np.uint8:
                    brightest.append(pixels.max().item())

    everything = range(len(split))
    blocks = (everything[start : start + BLOCK] for start in everything[::BLOCK])
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(look, blocks):  # raises what a thread has raised
            pass
    return sorted(unusable), brightest


def _white_level(brightest: list[int | float]) -> float | None:
    if not brightest:
        return None
    if max(brightest) <= 1 and all(isinstance(value, float) for value in brightest):
        return 1.0
    return float(2 ** max(8, math.ceil(max(brightest)).bit_length()) - 1)
