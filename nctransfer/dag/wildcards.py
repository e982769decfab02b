"""Regular expressions of the values that a wildcard may have."""

import re
from collections.abc import Iterable
from itertools import groupby
from os.path import commonprefix


def names(keys: Iterable[str]) -> str:
    """Regular expression that matches exactly these keys, so that a typo in a target matches nothing.

    Common beginnings stand once: Snakemake compiles every wildcard again for every output file of every rule,
    and a study has hundreds of keys.
    """
    return "|".join(_alternatives(sorted(set(keys)))) or "(?!)"


def _alternatives(keys: list[str]) -> list[str]:
    found = []
    for _, group in groupby(keys, key=lambda key: key[:1]):
        alike = list(group)
        shared = commonprefix(alike)  # noqa: RUF071 -- of letters, not of parts of a path
        rest = _alternatives([key[len(shared) :] for key in alike]) if len(alike) > 1 else []
        found.append(re.escape(shared) + (f"(?:{'|'.join(rest)})" if rest else ""))
    return found
