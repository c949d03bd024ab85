"""`scale`: a whole run, all phases, at the seeds' size: seconds per phase and peak memory."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from bench.room import ours

TARGET_MB = 4096


def measure() -> dict[str, Any]:
    """Return what a whole run at the seeds' size took; its world is made before the clock starts."""
    folder = Path(ours("bench.world", "seeds").told())
    ended = ours("bench.whole_run", folder)
    try:
        found = {**ended.told(), "cpu_seconds": ended.cpu_seconds, "target_mb": TARGET_MB}
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return {"failed": str(error)[-600:], "target_mb": TARGET_MB}
    print(f"a whole run: {found['seconds']:.1f} s, {found['peak_mb']} MB, {found['state']}")
    for phase, seconds in found["phases"].items():
        print(f"  {phase:12s} {seconds:7.2f} s")
    return dict(found)
