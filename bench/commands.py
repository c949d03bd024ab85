"""`help` and `demo`: what a person waits for first."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from bench.room import BUILD, child

FOREGATE = Path(sys.executable).parent / "foregate"
REPEATS = 5
HELP_TARGET, DEMO_TARGET = 0.3, 90.0


def measure_help() -> dict[str, Any]:
    """Return CPU seconds (user and system) of `foregate --help`, five times."""
    runs = [child(FOREGATE, "--help") for _ in range(REPEATS)]
    wrong = [r for r in runs if r.code or not r.out.strip()]
    found = {
        "cpu_seconds": [r.cpu_seconds for r in runs],
        "seconds": [r.seconds for r in runs],
        "best_cpu": min(r.cpu_seconds for r in runs),
        "peak_mb": max(r.peak_mb for r in runs),
        "target_cpu": HELP_TARGET,
    }
    if wrong:
        found["failed"] = f"exit {wrong[0].code}, {len(wrong[0].out.strip())} characters of help"
    print(f"foregate --help: {found['best_cpu']:.2f} s CPU", found.get("failed", ""))
    return found


def measure_demo() -> dict[str, Any]:
    """Return wall and CPU seconds and peak memory of `foregate demo` into a fresh folder."""
    folder = BUILD / "demo-command"
    shutil.rmtree(folder, ignore_errors=True)
    ended = child(FOREGATE, "demo", "--folder", folder)
    found: dict[str, Any] = {
        "seconds": ended.seconds,
        "cpu_seconds": ended.cpu_seconds,
        "peak_mb": ended.peak_mb,
        "target_seconds": DEMO_TARGET,
    }
    if ended.code or not (folder / "foregate.toml").is_file():
        found["failed"] = f"exit {ended.code}: " + " | ".join(ended.out.strip().splitlines()[-3:])[-400:]
    print(f"foregate demo: {ended.seconds:.1f} s, {ended.peak_mb} MB", found.get("failed", ""))
    return found
