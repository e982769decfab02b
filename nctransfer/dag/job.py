"""A job of the workflow: its settings, inputs and stamp."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import wraps
from pathlib import Path
from typing import Any, Protocol, TypeVar

from nctransfer.settings import Settings
from nctransfer.stamp import Stamp


@dataclass(frozen=True)
class Job:
    """One job of the workflow."""

    rule: str  # its rule
    script: Path  # its script
    keys: tuple[str, ...]  # its wildcards
    settings: Settings  # its settings, from the configuration
    stamp: Stamp  # digests of everything that decides its result: code, settings, inputs
    inputs: Mapping[str, str]  # the files that it reads, by name
    variants: frozenset[str]  # dotted names of the modules that its settings choose
    parents: tuple["Job", ...] = field(default=(), repr=False, compare=False)  # that make its inputs

    def told(self) -> dict[str, Any]:
        """The parameter that passes the job to its script; Snakemake compares its ``repr``."""
        return {"settings": self.settings.told(), "stamp": self.stamp.to_json()}


class _Planner(Protocol):
    jobs: dict[tuple[str, ...], Job]


P = TypeVar("P", bound=_Planner)


def once(method: Callable[..., Job]) -> Callable[..., Job]:
    """Derive each job only once: Snakemake asks for its inputs and settings separately."""

    @wraps(method)
    def derived(plan: P, *keys: str) -> Job:
        name = (method.__name__, *keys)
        if name not in plan.jobs:
            plan.jobs[name] = replace(method(plan, *keys), keys=keys)
        return plan.jobs[name]

    return derived
