"""How a peer measures itself: wall and CPU seconds of each repetition, and the process's peak memory."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, TypeVar

T = TypeVar("T")


def timed(answer: Callable[[], T], repeats: int) -> tuple[T, dict[str, list[float]]]:
    """Return the last answer with the wall and CPU seconds of every repetition."""
    wall, cpu = [], []
    for _ in range(repeats):
        began, spent = time.perf_counter(), _cpu()
        found = answer()
        wall.append(round(time.perf_counter() - began, 3))
        cpu.append(round(_cpu() - spent, 3))
    return found, {"seconds": wall, "cpu_seconds": cpu}


def job() -> dict[str, Any]:
    """Return what this peer was asked for: its only argument, as JSON."""
    asked: dict[str, Any] = json.loads(sys.argv[1])
    return asked


def tell(times: dict[str, list[float]], libraries: list[str], **more: object) -> None:
    """Print what was measured as the last line, as JSON."""
    versions = {name: version(name) for name in libraries}
    print(json.dumps({**times, "peak_mb": peak_mb(), "versions": versions, **more}))


def peak_mb() -> int:
    """Return the process's peak resident memory, of this program alone (a child's rusage would count its parent's)."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) // 1024


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
