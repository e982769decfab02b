"""The claims that the scorecard tests: read and checked before anything is computed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nctransfer.config import yaml_files
from nctransfer.config.mistakes import key_path, mistakes
from nctransfer.config.references import check_variant
from nctransfer.errors import ConfigError
from nctransfer.reporting.scorecard import statistics
from nctransfer.reporting.scorecard.settings import ClaimSettings, JudgedClaimSettings
from nctransfer.settings import Settings

OWN = Path(__file__).resolve().parents[2] / "config" / "claims.yaml"


class ClaimsSettings(Settings):
    """What a file of claims holds, under one key."""

    claims: tuple[ClaimSettings, ...]
    """The claims, in order."""


def claims_file(named: str | None) -> Path:
    """The file of claims that a configuration names; the paper's where it names none."""
    path = OWN if named is None else Path(named).expanduser()
    # relative where it can be: a folder that is moved reruns nothing
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def read_claims(path: Path) -> tuple[JudgedClaimSettings, ...]:
    """Read a file of claims.

    Returns:
        its rows in order, each with its name: the number of the claim, with a letter where several rows
        test one.

    Raises:
        ConfigError: one line for every mistake.
    """
    given = {"claims": yaml_files.read(path)}
    try:
        claims = ClaimsSettings.model_validate_json(json.dumps(given, default=str), strict=True).claims
    except ValidationError as error:
        lines = [f"{path}: {mistake.line}" for mistake in mistakes(error, given, ClaimsSettings)]
        raise ConfigError("\n".join(lines)) from None
    lines = [f"{path}: {line}" for index, claim in enumerate(claims) for line in _check(index, claim, path)]
    if lines:
        raise ConfigError("\n".join(lines))
    return tuple(
        JudgedClaimSettings(row=name, **_given(claim))
        for name, claim in zip(_rows(claims), claims, strict=True)
    )


def _given(claim: ClaimSettings) -> Mapping[str, Any]:
    return {name: getattr(claim, name) for name in claim.model_fields_set}


def _check(index: int, claim: ClaimSettings, path: Path) -> Iterator[str]:
    where = key_path(("claims", index))
    yield from check_variant(f"{where}.statistic", statistics, claim.statistic)
    ends = claim.threshold if isinstance(claim.threshold, tuple) else None
    if (claim.direction == "within") != (ends is not None):
        told = list(ends) if ends else claim.threshold
        yield f"{where}.threshold: {told!r}; within takes two numbers, the others one"
    elif ends is not None and ends[0] > ends[1]:
        yield f"{where}.threshold: {list(ends)!r}; the first must not exceed the second"
    published = claim.published
    if published is None:
        return
    if published.table is not None and not (path.parent / published.table).is_file():
        yield f"{where}.published.table: no file {str(path.parent / published.table)!r}"
    if published.column is not None and published.table is None:
        yield f"{where}.published.column: is of a table, and none is named"


def _rows(claims: Sequence[ClaimSettings]) -> Iterator[str]:
    """Names of the rows: 1, 2, 3a, 3b, ..."""
    numbers = [claim.claim for claim in claims]
    seen: dict[int, int] = {}
    for number in numbers:
        seen[number] = seen.get(number, 0) + 1
        yield f"{number}{chr(ord('a') + seen[number] - 1)}" if numbers.count(number) > 1 else str(number)


def published_tables(claims: Sequence[ClaimSettings], path: Path) -> dict[str, Path]:
    """Files of published numbers, by the name that the claims give them."""
    named = {claim.published.table for claim in claims if claim.published and claim.published.table}
    return {name: path.parent / name for name in sorted(named)}


def pictures_read(claims: Sequence[ClaimSettings]) -> list[str]:
    """Keys of the figures and tables that claims read, in order."""
    keys = [key for claim in claims for key in (*claim.where, claim.against) if key is not None]
    return list(dict.fromkeys(keys))
