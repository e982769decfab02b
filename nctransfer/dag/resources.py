"""What a job asks a cluster for: host memory and time, estimated or fixed by the configuration.

No result and no digest depends on it.
"""

import math
from dataclasses import dataclass, field

from nctransfer.dag.estimates import ESTIMATES, Need, Needs
from nctransfer.dag.plan import Plan

# Times of the estimate that is asked for: slower disks, other jobs on the node, a GPU shared with others.
MARGIN = 2.0
# Within which every estimate is at first: MB and minutes. A week is what many clusters allow at most.
MEMORY_RANGE = (5_000, 512_000)
RUNTIME_RANGE = (10, 10_080)
# Minutes to which a runtime is rounded up, from so many minutes on.
STEPS = ((720, 60), (120, 30), (0, 10))


@dataclass(frozen=True)
class Request:
    """What a job asks for: host memory in MB, and minutes."""

    mem_mb: int
    runtime: int


@dataclass
class Requests:
    """What the jobs of a plan ask for.

    Args:
        plan: the plan.
    """

    plan: Plan
    _needs: dict[tuple[str, ...], Need] = field(default_factory=dict)

    @property
    def gpus(self) -> int:
        """GPUs that a job asks for that computes with torch."""
        return 0 if Needs(self.plan).on_cpu else 1

    def request(self, stage: str, *keys: str, attempt: int = 1) -> Request:
        """What a job asks for.

        Args:
            stage: its rule.
            keys: its wildcards.
            attempt: 1, 2, ...: each doubles memory and time of the one before, up to the largest estimates.
        """
        fixed, growth = self.plan.configuration.resources, 2 ** (attempt - 1)
        mem_mb, runtime = fixed.mem_mb, fixed.runtime
        if mem_mb is None:
            mem_mb = _within(MEMORY_RANGE, round_memory(self._need(stage, *keys).memory))
        if runtime is None:
            minutes = MARGIN * fixed.runtime_factor * self._need(stage, *keys).seconds / 60
            runtime = min(_within(RUNTIME_RANGE, round_runtime(minutes)), fixed.runtime_limit)
        return Request(
            max(mem_mb, min(growth * mem_mb, MEMORY_RANGE[1])),
            max(runtime, min(growth * runtime, fixed.runtime_limit)),
        )

    def _need(self, *name: str) -> Need:
        """Estimate a job's need once: Snakemake asks for memory and runtime one by one."""
        if name not in self._needs:
            stage, *keys = name
            self._needs[name] = ESTIMATES[stage](Needs(self.plan), *keys)
        return self._needs[name]


def round_memory(memory: float) -> int:
    """MB, up to full thousands."""
    return math.ceil(memory / 1_000) * 1_000


def round_runtime(minutes: float) -> int:
    """Minutes, up to full steps of ten, thirty or sixty."""
    step = next(step for least, step in STEPS if minutes >= least)
    return math.ceil(minutes / step) * step


def _within(bounds: tuple[int, int], value: int) -> int:
    low, high = bounds
    return min(max(value, low), high)
