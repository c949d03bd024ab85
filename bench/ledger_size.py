"""`ledger`: what `foregate status` takes when a ledger holds a million events, without and with a checkpoint."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from bench.room import BUILD, Ended, child, ours
from foregate.app.starting import lay_project

FOREGATE = Path(sys.executable).parent / "foregate"
REPEATS, TARGET_SECONDS = 5, 1.0


def measure() -> dict[str, Any]:
    """Return wall and CPU seconds of the registry and of the whole command, each in a process of its own."""
    folder, empty = BUILD / "long-ledger", BUILD / "empty-ledger"
    try:
        found: dict[str, Any] = {
            "target_seconds": TARGET_SECONDS,
            "ledger": ours("bench.ledger_history", "build").told(),
        }
        print(f"{found['ledger']['events']:,} events, {found['ledger']['mb']:,} MB")
        shutil.rmtree(empty, ignore_errors=True)
        empty.mkdir(parents=True)
        lay_project(empty)
        _look(empty, 1)
        looks = {"an empty ledger": _look(empty, REPEATS)}
        looks["a million events, no checkpoint yet"] = _look(folder, 1)
        looks["a million events, with the checkpoint that left"] = _look(folder, REPEATS)
        found["commands"] = {"an empty ledger": _command(empty), "a million events": _command(folder)}
        ours("bench.ledger_history", "lengthen")
        looks["the same, and 2,000 events since the checkpoint"] = _look(folder, REPEATS)
        found["whole"] = ours("bench.ledger_status", folder, "whole").told()
        found["looks"] = looks
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(empty, ignore_errors=True)
    for name, look in looks.items():
        print(f"{name}: reading {look['reading']:.2f} s, CPU {look['reading_cpu']:.2f} of {look['process_cpu']:.2f} s")
    return found


def _look(folder: Path, times: int) -> dict[str, Any]:
    """Return the best of some processes that read the registry, with the spread of their seconds."""
    runs = [ours("bench.ledger_status", folder) for _ in range(times)]
    told = [run.told() for run in runs]
    best = min(told, key=lambda one: one["reading_cpu"])
    spread = {
        f"{name}_spread": [min(one[name] for one in told), max(one[name] for one in told)]
        for name in ("reading", "reading_cpu")
    }
    return {**best, **spread, **_process(runs)}


def _command(folder: Path) -> dict[str, Any]:
    """Return what the whole command took, five times."""
    runs = [child(FOREGATE, "-C", folder, "status") for _ in range(REPEATS)]
    if wrong := [run for run in runs if run.code]:
        raise RuntimeError(f"exit {wrong[0].code}: {wrong[0].out[-400:]}")
    return _process(runs)


def _process(runs: list[Ended]) -> dict[str, Any]:
    return {
        "process_seconds": min(run.seconds for run in runs),
        "process_cpu": min(run.cpu_seconds for run in runs),
        "peak_mb": max(run.peak_mb for run in runs),
    }
