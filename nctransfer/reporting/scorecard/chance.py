"""How many claims would hold by chance: the claims tested on this run's own tables, dealt out anew.

Which accuracy and which NC1 belongs to which model, method or unit is drawn at random, so that no claim about
them has a reason to hold, while all values, their ties and their spread are those of the run.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from nctransfer.reporting.scorecard import verdicts
from nctransfer.reporting.scorecard.findings import names_of
from nctransfer.reporting.scorecard.settings import JudgedClaimSettings
from nctransfer.reporting.tidy_rows import PAIRED

# what is dealt out together: columns that start with these
ACCURACIES = ("transfer_accuracy", "train_accuracy", "accuracy", "test_samples", "seeds")
COLLAPSE = ("nc1", "cdnv")
COUNTS = ("trained", "share")
POINT = ["series", "label"]


def by_chance(
    claims: Sequence[JudgedClaimSettings], tables: Mapping[str, pd.DataFrame], permutations: int
) -> pd.DataFrame:
    """Verdicts on all claims in tables that are dealt out anew so many times, always the same ones.

    Returns:
        permutation, claim, verdict; one row per permutation and claim.
    """
    parts, tables = [], {key: verdicts.narrow(table, claims) for key, table in tables.items()}
    for permutation in range(permutations):
        dealt = {
            key: deal(table, np.random.default_rng([permutation, *key.encode()]))
            for key, table in tables.items()
        }
        judged = [verdicts.Judged(claim, verdicts.find(claim, dealt), None, "") for claim in claims]
        found = verdicts.by_number(judged)
        table = pd.DataFrame({"claim": list(found), "verdict": list(found.values())})
        parts.append(table.assign(permutation=permutation))
    return pd.concat(parts, ignore_index=True)[["permutation", "claim", "verdict"]]


def deal(table: pd.DataFrame, generator: np.random.Generator) -> pd.DataFrame:
    """Deal accuracies, collapse and counts out anew within panels, alike for points that these share."""
    table = table.drop(columns=PAIRED, errors="ignore")  # of pairs that are torn apart
    dealt = table.copy()
    for prefixes in (ACCURACIES, COLLAPSE, COUNTS):
        columns = [column for column in map(str, table) if column.startswith(prefixes)]
        order = _points(table, generator) if set(POINT) <= set(table) else _rows(table, generator)
        dealt[columns] = table[columns].to_numpy()[order]
    return dealt.astype(table.dtypes.to_dict())


def _rows(table: pd.DataFrame, generator: np.random.Generator) -> np.ndarray:
    """Positions of the rows, permuted within panels."""
    order = np.arange(len(table))
    for places in table.groupby("panel", dropna=False).indices.values():
        order[places] = generator.permutation(places)
    return order


def _points(table: pd.DataFrame, generator: np.random.Generator) -> np.ndarray:
    """Positions of the rows of other points, the same ones in every panel that has them."""
    keys = names_of(table, POINT)
    names = keys.unique()
    rank = dict(zip(names, generator.permutation(len(names)), strict=True))
    order = np.arange(len(table))
    blocks = [column for column in ("panel", "shots", "abscissa") if column in table]
    for places in table.groupby(blocks, dropna=False).indices.values():
        ranks = keys.iloc[places].map(rank).to_numpy()
        order[places] = places[ranks.argsort(kind="stable").argsort()]
    return order
