"""The stamp that every output carries: digests of the code, the settings and the inputs that made it.

A job refuses inputs with a digest other than the plan's (``nctransfer.runtime.job``); ``adopt`` finds the
changed modules by the parts of a stamp (``nctransfer.dag.adopt``).
"""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True)
class Stamp:
    """What made a file."""

    digest: str = ""  # digest of all of the following; shown in logs, pages and metadata
    code: str = ""  # digest of the code that its job can reach
    told: str = ""  # digest of the job's settings and of inputs that no job makes
    # digests of the jobs that made its inputs, by the name of the input
    made_by: Mapping[str, str] = field(default_factory=dict)
    parts: tuple[str, ...] = ()  # digests of the modules that its job can reach, sorted

    def to_json(self) -> dict[str, Any]:
        """Plain values; the parts are joined to one text."""
        return asdict(self) | {"made_by": dict(self.made_by), "parts": " ".join(self.parts)}

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
        )


# Stamp of a file that no job of the workflow made.
UNSTAMPED = Stamp()
