"""What a turn costs: seconds on the clock, and seconds of the processors."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """`seconds` on the clock, and the CPU seconds of the client: all threads, and the processes that it waited for."""

    seconds: float
    cpu_seconds: float


def _cpu_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Starts when it is made."""

    _begun: float = field(default_factory=time.perf_counter)
    _spent: float = field(default_factory=_cpu_seconds)

    def cost(self) -> Cost:
        """What was spent from the start until now."""
        return Cost(seconds=time.perf_counter() - self._begun, cpu_seconds=_cpu_seconds() - self._spent)
