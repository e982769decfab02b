"""scikit-learn's handwritten digits: 1,797 grey images of 8 x 8 px, bundled with it (UCI test set)."""

from pathlib import Path

import numpy as np
import sklearn
from sklearn.datasets import load_digits

from nctransfer.data.raw_split import RawSplit
from nctransfer.data.sources.digits.settings import DigitsSettings
from nctransfer.data.subset import split_by_fraction

TEST_FRACTION = 0.25  # default


def open_split(options: DigitsSettings, split: str, root: Path) -> RawSplit:
    """Open one split of the digits, whose grey levels 0..16 become 0..255; ``root`` is not used."""
    bunch = load_digits()
    labels = bunch.target.astype(np.int64)
    rows = split_by_fraction(labels, 10, options.test_fraction or TEST_FRACTION, options.split_seed or 0)
    indices = rows[split == "test"]
    grey = np.round(bunch.images[indices] * (255 / 16)).astype(np.uint8)
    return RawSplit(
        labels=labels[indices],
        class_names=tuple(str(digit) for digit in range(10)),
        provenance={"options": options.options(), "scikit-learn": sklearn.__version__},
        images=np.repeat(grey[..., None], 3, axis=-1),
        locate=lambda row: f"digit {indices[row]}",
    )
