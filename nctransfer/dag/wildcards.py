"""Regular expressions of the values that a wildcard may have."""

import re
from collections.abc import Iterable
from itertools import groupby
from os.path import commonprefix


def names(keys: Iterable[str]) -> str:
    """Regular expression that matches exactly these keys, so that a typo in a target matches nothing.

    Common beginnings, and common ends of them, stand once: Snakemake compiles every wildcard again for every
    output file of every rule, and a study has hundreds of keys.
    """
    return "|".join(_alternatives(sorted(set(keys)))) or "(?!)"


def _alternatives(keys: list[str]) -> list[str]:
    beginnings: dict[str, list[str]] = {}  # by what may follow
    for _, group in groupby(keys, key=lambda key: key[:1]):
        alike = list(group)
        shared = commonprefix(alike)  # noqa: RUF071 -- of letters, not of parts of a path
        rest = _alternatives([key[len(shared) :] for key in alike]) if len(alike) > 1 else []
        beginnings.setdefault("|".join(rest), []).append(re.escape(shared))
    found = []
    for ends, heads in beginnings.items():
        joined = heads if len(heads) == 1 or not ends else [f"(?:{'|'.join(heads)})"]
        found += [f"{head}(?:{ends})" if ends else head for head in joined]
    return found
