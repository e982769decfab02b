"""The stamp that every output carries: digests of the code, the settings and the inputs that made it.

A job refuses inputs that carry another digest than the plan's (``nctransfer.runtime.job``), and ``adopt``
tells by a stamp's parts what has changed since (``nctransfer.dag.adopt``).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self


@dataclass(frozen=True)
class Stamp:
    """What made a file.

    Attributes:
        digest: of all below; the word for it in logs, pages and metadata.
        code: digest of the code that its job reached.
        told: digest of the job's settings and of what it reads that no job makes.
        made_by: digests of the jobs that made its inputs, by the name of the input.
        parts: digests of the modules that its job reached, sorted.
    """

    digest: str = ""
    code: str = ""
    told: str = ""
    made_by: Mapping[str, str] = field(default_factory=dict)
    parts: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values; the parts as one text."""
        return asdict(self) | {"made_by": dict(self.made_by), "parts": " ".join(self.parts)}

    def by_path(self, inputs: Mapping[str, str]) -> dict[str, str]:
        """Digests of the files that it was made from, by their paths.

        Args:
            inputs: paths by the name of the input.
        """
        return dict(sorted((inputs[name], digest) for name, digest in self.made_by.items()))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` gave.

        Raises:
            KeyError, TypeError: the values are no stamp.
        """
        return cls(
            **{name: values[name] for name in ("digest", "code", "told")},
            made_by=dict(values["made_by"]),
            parts=tuple(values["parts"].split()),
        )


# Of a file that no job of the workflow made.
UNSTAMPED = Stamp()
