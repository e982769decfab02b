"""Transfer accuracies with the uncertainty that the number of test images leaves."""

import pandas as pd

from nctransfer.intervals import accuracy_interval
from nctransfer.reporting.tidy_rows import SAMPLES

TRANSFER = "transfer_accuracy"


def with_intervals(table: pd.DataFrame) -> pd.DataFrame:
    """Add Wilson's 95 % interval over test images, transfer_accuracy_low to transfer_accuracy_high.

    It is about the images, not the training: for that there is the deviation over seeds.
    """
    low, high = accuracy_interval(table[TRANSFER].to_numpy(float), table[SAMPLES].to_numpy(float))
    return table.assign(**{f"{TRANSFER}_low": low, f"{TRANSFER}_high": high})
