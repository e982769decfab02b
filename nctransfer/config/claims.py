"""The claims that the scorecard tests, read and checked before any computation."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from nctransfer.config import yaml_files
from nctransfer.config.mistakes import key_path, mistakes, unspeakable
from nctransfer.config.references import check_variant
from nctransfer.errors import ConfigError
from nctransfer.reporting.scorecard import statistics
from nctransfer.reporting.scorecard.settings import ClaimSettings, JudgedClaimSettings
from nctransfer.settings import Settings

_PACKAGE = Path(__file__).resolve().parents[1]
_OWN = _PACKAGE.parent / "config" / "claims.yaml"
# an installed package brings its own
OWN = _OWN if _OWN.is_file() else _PACKAGE / "paper" / "claims.yaml"


class ClaimsSettings(Settings):
    """Contents of a file of claims, under one key."""

    claims: Annotated[tuple[ClaimSettings, ...], Field(min_length=1)]
    """The claims, in order."""


def claims_file(path: str | None) -> Path:
    """The file of claims of a configuration; the paper's if it names none."""
    file = OWN if path is None else Path(path).expanduser()
    # a relative path if possible, so that moving the project folder reruns nothing
    return file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file


def read_claims(path: Path) -> tuple[JudgedClaimSettings, ...]:
    """The rows of a file of claims; ConfigError with one line per mistake.

    Each is named by the number of its claim, with a letter if a claim has several rows.
    """
    values = {"claims": yaml_files.read(path)}
    if lines := [f"{path}: {line}" for line in unspeakable(values)]:
        raise ConfigError("\n".join(lines))
    try:
        claims = ClaimsSettings.model_validate_json(json.dumps(values, default=str), strict=True).claims
    except ValidationError as error:
        lines = [f"{path}: {mistake.line}" for mistake in mistakes(error, values, ClaimsSettings)]
        raise ConfigError("\n".join(lines)) from None
    lines = [f"{path}: {line}" for index, claim in enumerate(claims) for line in _check(index, claim, path)]
    if lines:
        raise ConfigError("\n".join(lines))
    return tuple(
        JudgedClaimSettings(row=name, **{field: getattr(claim, field) for field in claim.model_fields_set})
        for name, claim in zip(_rows(claims), claims, strict=True)
    )


def _check(index: int, claim: ClaimSettings, path: Path) -> Iterator[str]:
    where = key_path(("claims", index))
    yield from check_variant(f"{where}.statistic", statistics, claim.statistic)
    ends = claim.threshold if isinstance(claim.threshold, tuple) else None
    if (claim.direction == "within") != (ends is not None):
        threshold = list(ends) if ends else claim.threshold
        yield f"{where}.threshold: {threshold!r}; direction within takes two numbers, the others one"
    elif ends is not None and ends[0] > ends[1]:
        yield f"{where}.threshold: {list(ends)!r}; the first must not exceed the second"
    published = claim.published
    if published is None:
        return
    if published.table is not None and not (path.parent / published.table).is_file():
        yield f"{where}.published.table: no file {str(path.parent / published.table)!r}"
    if published.column is not None and published.table is None:
        yield f"{where}.published.column: needs a table; set published.table"


def _rows(claims: Sequence[ClaimSettings]) -> Iterator[str]:
    """Names of the rows: 1, 2, 3a, 3b, ..."""
    numbers = [claim.claim for claim in claims]
    seen: dict[int, int] = {}
    for number in numbers:
        seen[number] = seen.get(number, 0) + 1
        yield f"{number}{chr(ord('a') + seen[number] - 1)}" if numbers.count(number) > 1 else str(number)


def published_tables(claims: Sequence[ClaimSettings], path: Path) -> dict[str, Path]:
    """Files of published numbers, by the name used in the claims."""
    names = {claim.published.table for claim in claims if claim.published and claim.published.table}
    return {name: path.parent / name for name in sorted(names)}


def calibration_file(path: Path) -> Path | None:
    """The file beside a file of claims that says how its tests err, if there is one."""
    file = path.parent / "calibration.csv"
    return file if file.is_file() else None


def pictures_read(claims: Sequence[ClaimSettings]) -> list[str]:
    """Keys of the figures and tables that claims read, in order."""
    keys = [key for claim in claims for key in (*claim.where, claim.against) if key is not None]
    return list(dict.fromkeys(keys))
