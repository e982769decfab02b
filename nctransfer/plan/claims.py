"""The claims that the scorecard tests: read and checked before anything is computed."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nctransfer.errors import ConfigError
from nctransfer.plan import documents, schema
from nctransfer.plan.names import check_variant

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "workflow" / "schemas" / "claims.schema.yaml"
OWN = ROOT / "config" / "claims.yaml"
STATISTICS = "nctransfer.reporting.scorecard.statistics"


def claims_file(config: Mapping[str, Any]) -> Path:
    """The file of claims that a configuration names; the paper's where it names none."""
    named = config["report"]["claims"]
    path = OWN if named is None else Path(named).expanduser()
    # relative where it can be: a folder that is moved reruns nothing
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def read_claims(path: Path) -> list[dict[str, Any]]:
    """Read a file of claims.

    Returns:
        its rows in order, every key present, and ``row``: the number of the claim, with a letter where
        several rows test one.

    Raises:
        ConfigError: one line for every mistake.
    """
    rules = documents.read_mapping(SCHEMA)
    given = {"claims": documents.read(path)}
    problems = [f"{path}: {line}" for line in schema.mistakes(given, rules)]
    if problems:
        raise ConfigError("\n".join(problems))
    claims: list[dict[str, Any]] = schema.with_defaults(given, rules, rules)["claims"]
    problems = [
        f"{path}: {line}" for index, claim in enumerate(claims) for line in _check(index, claim, path)
    ]
    if problems:
        raise ConfigError("\n".join(problems))
    return [{"row": name, **claim} for name, claim in zip(_rows(claims), claims, strict=True)]


def _check(index: int, claim: Mapping[str, Any], path: Path) -> Iterator[str]:
    where = f"claims[{index}]"
    yield from check_variant(f"{where}.statistic", STATISTICS, claim["statistic"])
    ends = claim["threshold"] if isinstance(claim["threshold"], list) else None
    if (claim["direction"] == "within") != (ends is not None):
        yield f"{where}.threshold: {claim['threshold']!r}; within takes two numbers, the others one"
    elif ends is not None and ends[0] > ends[1]:
        yield f"{where}.threshold: {ends!r}; the first must not exceed the second"
    published = claim["published"] or {}
    if published.get("table") is not None and not (path.parent / published["table"]).is_file():
        yield f"{where}.published.table: no file {str(path.parent / published['table'])!r}"
    if published.get("column") is not None and published.get("table") is None:
        yield f"{where}.published.column: is of a table, and none is named"


def _rows(claims: list[dict[str, Any]]) -> Iterator[str]:
    """Names of the rows: 1, 2, 3a, 3b, ..."""
    numbers = [claim["claim"] for claim in claims]
    seen: dict[int, int] = {}
    for number in numbers:
        seen[number] = seen.get(number, 0) + 1
        yield f"{number}{chr(ord('a') + seen[number] - 1)}" if numbers.count(number) > 1 else str(number)


def published_tables(claims: list[dict[str, Any]], path: Path) -> dict[str, Path]:
    """Files of published numbers, by the name that the claims give them."""
    named = [claim["published"]["table"] for claim in claims if claim["published"]]
    return {name: path.parent / name for name in sorted({name for name in named if name})}


def pictures_read(claims: list[dict[str, Any]]) -> list[str]:
    """Keys of the figures and tables that claims read, in order."""
    keys = [key for claim in claims for key in (*claim["where"], claim["against"]) if key is not None]
    return list(dict.fromkeys(keys))
