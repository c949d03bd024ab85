"""What `foregate status` reads, in a process of its own: the registry and what is in service; or the whole chain."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from bench.timing import peak_mb


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def look(folder: Path, *, whole: bool) -> dict[str, Any]:
    """Return seconds of importing and of reading the ledger, and what was found there."""
    began, spent = time.perf_counter(), _cpu()
    from foregate.app.leads import Leads
    from foregate.core.folds import served

    imported, imported_cpu = time.perf_counter(), _cpu()
    app = Leads(folder)
    if whole:
        found = {"events": sum(1 for _ in app.ledger.read("leads"))}
    else:
        states = app.states()
        verdicts = {state.state for state in states.values()}
        entries = app.entries()
        split = served(entry.event for entry in entries)
        found = {"versions": len(states), "verdicts": len(verdicts), "split": dict(split), "retained": len(entries)}
    return {
        "importing": round(imported - began, 3),
        "importing_cpu": round(imported_cpu - spent, 3),
        "reading": round(time.perf_counter() - imported, 3),
        "reading_cpu": round(_cpu() - imported_cpu, 3),
        "peak_mb": peak_mb(),
        **found,
    }


if __name__ == "__main__":
    print(json.dumps(look(Path(sys.argv[1]), whole=sys.argv[2:] == ["whole"])))
