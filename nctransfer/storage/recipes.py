"""The recipe that a file carries: whoever reads it can tell what made it."""

import json
from pathlib import Path

from nctransfer.errors import StoreError


def read_recipe(path: Path) -> str:
    """Recipe that a tidy table or a store's manifest carries.

    Raises:
        StoreError: the file is missing or neither of the two.
    """
    try:
        if Path(path).suffix == ".parquet":
            # pandas takes half a second to import, and many jobs read stores alone
            from nctransfer.storage.tables import table_recipe

            return table_recipe(path)
        return str(json.loads(Path(path).read_text())["recipe"])
    except FileNotFoundError:
        raise StoreError(f"{path}: missing") from None
    except (ValueError, KeyError, TypeError, OSError) as error:
        if getattr(error, "errno", None) is not None:  # the machine's refusal, not the file's fault
            raise
        raise StoreError(
            f"{path}: neither a tidy table nor a manifest ({error}); delete it and run again"
        ) from None
