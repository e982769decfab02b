"""Transfer accuracies of several seeds: mean, deviation, number of test images, interval."""

import numpy as np
import pandas as pd
from scipy import stats

from nctransfer.intervals import accuracy_interval
from nctransfer.reporting.tidy_rows import SAMPLES

TRANSFER = "transfer_accuracy"


def with_intervals(table: pd.DataFrame) -> pd.DataFrame:
    """Add the 95 % interval of transfer_accuracy: transfer_accuracy_low to transfer_accuracy_high.

    Over training seeds (Student's t) where there are several, else over the test images (Wilson).
    """
    mean, std, seeds = (table[column].to_numpy(float) for column in (TRANSFER, f"{TRANSFER}_std", "seeds"))
    low, high = accuracy_interval(mean, table[SAMPLES].to_numpy(float))
    with np.errstate(invalid="ignore", divide="ignore"):
        half = stats.t.ppf(0.975, np.maximum(seeds - 1, 1)) * std / np.sqrt(seeds)
    several = seeds > 1
    return table.assign(
        **{
            f"{TRANSFER}_low": np.where(several, mean - half, low),
            f"{TRANSFER}_high": np.where(several, mean + half, high),
        }
    )
