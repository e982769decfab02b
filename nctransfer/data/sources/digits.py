"""scikit-learn's handwritten digits: 1,797 grey images of 8 x 8 px, bundled with it (UCI test set).

Options:
    test_fraction: share of each class to test on (0.25).
    split_seed: of the draw (0).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from sklearn.datasets import load_digits

from nctransfer.data.raw import RawSplit
from nctransfer.data.subset import split_by_fraction


def open_split(options: Mapping[str, Any], split: str, root: Path) -> RawSplit:
    """Open one split of the digits; their grey levels 0..16 become 0..255.

    Args:
        options: see the module.
        split: ``"train"`` or ``"test"``.
        root: not used: nothing is downloaded.
    """
    bunch = load_digits()
    labels = bunch.target.astype(np.int64)
    rows = split_by_fraction(labels, 10, options.get("test_fraction", 0.25), options.get("split_seed", 0))
    chosen = rows[split == "test"]
    grey = np.round(bunch.images[chosen] * (255 / 16)).astype(np.uint8)
    return RawSplit(
        labels=labels[chosen],
        class_names=tuple(str(digit) for digit in range(10)),
        provenance={"options": dict(options), "scikit-learn": sklearn.__version__},
        images=np.repeat(grey[..., None], 3, axis=-1),
        locate=lambda row: f"digit {chosen[row]}",
    )
