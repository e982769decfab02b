"""Reading the numbers behind pictures."""

from pathlib import Path

import pandas as pd

from nctransfer.errors import StoreError


def read_numbers(path: Path) -> pd.DataFrame:
    """Read the numbers behind a figure or table, or published ones; texts such as ``none`` stay texts.

    Raises:
        StoreError: the file is no CSV, or has no panels.
    """
    try:
        table = pd.read_csv(path, keep_default_na=False, na_values=[""])
    except (ValueError, pd.errors.ParserError) as error:
        raise StoreError(f"{path}: not readable as CSV ({error})") from None
    for column in ("panel", "title"):
        if column not in table:
            raise StoreError(
                f"{path}: has no column {column!r}; there are: {', '.join(map(str, table.columns))}"
            )
    return table
