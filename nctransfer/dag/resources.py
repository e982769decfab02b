"""What a job requests from a cluster: host memory and time, estimated or set in the configuration.

No result and no digest depends on it.
"""

import math
from dataclasses import dataclass, field

from nctransfer.dag.estimates import Need, Needs
from nctransfer.dag.plan import Plan

# Factor on estimated times: slower disks, other jobs on the node, a shared GPU; and on the memory of jobs
# that compute on the CPU.
MARGIN, CPU_MEMORY_MARGIN = 2.0, 1.5
# Limits of first requests: MB and minutes. Many clusters allow a week at most.
MEMORY_RANGE = (5_000, 512_000)
RUNTIME_RANGE = (10, 10_080)
# From how many minutes on a runtime is rounded up to multiples of how many minutes.
STEPS = ((720, 60), (120, 30), (0, 10))


@dataclass(frozen=True)
class Request:
    """What a job requests: host memory in MB, and minutes."""

    mem_mb: int
    runtime: int


@dataclass
class Requests:
    """What the jobs of a plan request."""

    plan: Plan
    _needs: dict[tuple[str, ...], Need] = field(default_factory=dict)

    @property
    def gpus(self) -> int:
        """Number of GPUs that a job with torch requests."""
        return 0 if Needs(self.plan).on_cpu else 1

    def request(self, stage: str, *keys: str, attempt: int = 1) -> Request:
        """What a job requests; each ``attempt`` (from 1) doubles it, up to the largest estimates."""
        fixed, growth = self.plan.configuration.resources, 2 ** (attempt - 1)
        mem_mb, runtime = fixed.mem_mb, fixed.runtime
        if mem_mb is None:
            margin = 1.0 if self.gpus else CPU_MEMORY_MARGIN
            mem_mb = _within(MEMORY_RANGE, round_memory(margin * self._need(stage, *keys).memory))
        if runtime is None:
            minutes = MARGIN * fixed.runtime_factor * self._need(stage, *keys).seconds / 60
            runtime = min(_within(RUNTIME_RANGE, round_runtime(minutes)), fixed.runtime_limit)
        return Request(
            max(mem_mb, min(growth * mem_mb, MEMORY_RANGE[1])),
            max(runtime, min(growth * runtime, fixed.runtime_limit)),
        )

    def _need(self, *name: str) -> Need:
        """Estimate the need of a job only once: Snakemake asks for memory and runtime separately."""
        if name not in self._needs:
            stage, *keys = name
            self._needs[name] = Needs(self.plan).need(stage, *keys)
        return self._needs[name]


def round_memory(memory: float) -> int:
    """MB, rounded up to thousands."""
    return math.ceil(memory / 1_000) * 1_000


def round_runtime(minutes: float) -> int:
    """Minutes, rounded up to multiples of ten, thirty or sixty."""
    step = next(step for least, step in STEPS if minutes >= least)
    return math.ceil(minutes / step) * step


def _within(bounds: tuple[int, int], value: int) -> int:
    low, high = bounds
    return min(max(value, low), high)
