"""The ledger of adoptions: code changes that a maintainer declared to alter no result."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nctransfer.errors import StoreError
from nctransfer.storage.files import save_text

LEDGER = "adoptions.json"


@dataclass(frozen=True)
class Adoption:
    """One adoption."""

    when: str  # UTC, ISO 8601
    revision: Mapping[str, Any]  # revision of the project, as in the provenance
    reason: str  # why no result depends on the change
    modules: list[str]  # the modules that differed
    jobs: list[dict[str, Any]]  # rule, keys (wildcards), old and new digest of each job


def read_ledger(results: Path) -> list[Adoption]:
    """The ledger in a study's results, oldest entry first; empty without one. StoreError: it is no ledger."""
    path = results / LEDGER
    if not path.is_file():
        return []
    try:
        return [Adoption(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, TypeError) as error:
        raise StoreError(f"{path}: not a ledger of adoptions ({error})") from None


def write_ledger(results: Path, entry: Adoption) -> None:
    """Add an entry to a study's ledger."""
    entries = [*read_ledger(results), entry]
    save_text(json.dumps([asdict(one) for one in entries], indent=1) + "\n", results / LEDGER)
