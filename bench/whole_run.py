"""One run of a laid project through all phases, timed from inside."""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path

from bench.timing import peak_mb
from foregate.app.leads import Leads
from foregate.lifecycle.walk import Step


def run(folder: Path) -> dict[str, object]:
    """Return state, seconds per phase and peak memory after a run from an empty warehouse and ledger."""
    for left in [*folder.glob("warehouse.duckdb*"), *folder.glob("ledger.sqlite*")]:
        left.unlink()
    shutil.rmtree(folder / "artifacts", ignore_errors=True)
    phases: dict[str, float] = {}

    def watch(step: Step) -> None:
        if step.state:
            phases[step.phase] = round(step.seconds, 2)

    began = time.perf_counter()
    state = Leads(folder).run(watch=watch)
    took = time.perf_counter() - began
    phases = {"sources": round(took - sum(phases.values()), 2), **phases}
    return {"state": str(state.state), "seconds": round(took, 2), "phases": phases, "peak_mb": peak_mb()}


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]))))
