"""The stamp that every output carries: digests of the code, the settings and the inputs that made it.

A job refuses inputs with a digest other than the plan's (``nctransfer.runtime.job``); ``adopt`` finds the
changed modules by the parts of a stamp (``nctransfer.dag.adopt``).
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

# Rules that only show what others have computed.
DRAWING = ("figure", "table", "overview", "provenance")


@dataclass(frozen=True)
class MadeWith:
    """What numbers depend on beside code, settings and inputs. No job runs again because of it by default."""

    versions: Mapping[str, str] = field(hash=False)  # of Python and libraries, by name
    device: str  # "cpu", or the GPU's name
    threads: int
    precision: str  # arithmetic of the network's forward pass
    identity: str  # whether files are told apart by their "contents" or their "size"
    rules: tuple[str, ...] = ()  # those whose jobs ran with it, sorted

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of ``dataclasses.asdict``; what only a later version knows is left out."""
        known = {part.name: values[part.name] for part in fields(cls)}
        return cls(**known | {"rules": tuple(known["rules"])})


def together(records: Iterable[MadeWith]) -> tuple[MadeWith, ...]:
    """Records that differ, each with the rules of all that are equal to it, in a fixed order."""
    rules: dict[str, set[str]] = {}
    distinct = {}
    for record in records:
        name = repr(replace(record, versions=dict(sorted(record.versions.items())), rules=()))
        distinct[name] = record
        rules.setdefault(name, set()).update(record.rules)
    return tuple(replace(distinct[name], rules=tuple(sorted(rules[name]))) for name in sorted(distinct))


@dataclass(frozen=True)
class Stamp:
    """What made a file."""

    digest: str = ""  # digest of all of the following; shown in logs, pages and metadata
    code: str = ""  # digest of the code that its job can reach
    told: str = ""  # digest of the job's settings and of inputs that no job makes
    # digests of the jobs that made its inputs, by the name of the input
    made_by: Mapping[str, str] = field(default_factory=dict)
    parts: tuple[str, ...] = ()  # digests of the modules that its job can reach, sorted
    # with what the file and everything that it was made from were made; known when its job has run, and
    # part of no digest
    made_with: tuple[MadeWith, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values; the parts are joined to one text."""
        return asdict(self) | {
            "made_by": dict(self.made_by),
            "parts": " ".join(self.parts),
            "made_with": [asdict(record) | {"rules": list(record.rules)} for record in self.made_with],
        }

    def own(self, rule: str) -> tuple[MadeWith, ...]:
        """With what a rule's job made the file itself: several if it was interrupted, none if not known."""
        return tuple(record for record in self.made_with if rule in record.rules)

    def by_path(self, inputs: Mapping[str, str], folder: Path) -> dict[str, str]:
        """Digests of the input files by path relative to a folder; ``inputs`` are paths by name."""
        return dict(
            sorted((os.path.relpath(inputs[name], folder), digest) for name, digest in self.made_by.items())
        )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_json`; KeyError, TypeError if the values are no stamp."""
        return cls(
            **{name: values[name] for name in ("digest", "code", "told")},
            made_by=dict(values["made_by"]),
            parts=tuple(values["parts"].split()),
            # not known of the outputs of earlier versions
            made_with=tuple(MadeWith.from_json(record) for record in values.get("made_with", ())),
        )


# Of an output that was made before this was recorded, and kept by ``adopt``.
UNRECORDED = MadeWith({}, "not recorded", 0, "not recorded", "contents")
# Stamp of a file that no job of the workflow made.
UNSTAMPED = Stamp()
