"""`./run bench [NAME ...]`: measure, write bench/results, render docs/benchmarks.md."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from bench import commands, features, ledger_size, rollback, scale, trees
from bench.render import render
from bench.room import RESULTS, ROOT, machine

NAMES = ("help", "features", "demo", "scale", "trees", "rollback", "ledger", "alarms", "counts", "funnel", "prices")


def main() -> None:
    """Run the benchmarks that were asked for, one after the other."""
    asked = argparse.ArgumentParser(prog="./run bench", description=__doc__)
    asked.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(NAMES)}; none: all of them")
    asked.add_argument(
        "--date", type=date.fromisoformat, default=datetime.now(UTC).date(), help="the day to write down"
    )
    asked.add_argument("--bank", type=Path, help="bank-additional-full.csv or .csv.gz, for `trees`")
    asked.add_argument("--render-only", action="store_true", help="write docs/benchmarks.md from the stored results")
    given = asked.parse_args()
    if unknown := set(given.names) - set(NAMES):
        asked.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    measures: dict[str, Callable[[], dict[str, Any]]] = {
        "help": commands.measure_help,
        "features": features.measure,
        "demo": commands.measure_demo,
        "scale": scale.measure,
        "trees": lambda: trees.measure(given.bank),
        "rollback": rollback.measure,
        "ledger": ledger_size.measure,
        # Imported here: what it needs would count in the peaks of the others.
        "alarms": lambda: import_module("bench.false_alarms").measure(),
        "counts": lambda: import_module("bench.count_models").measure(),
        "funnel": lambda: import_module("bench.funnel_peers").measure(),
        "prices": lambda: import_module("bench.prices").measure(),
    }
    if not given.render_only:
        for name in given.names or NAMES:
            _store(name, given.date, measures[name])
    page = ROOT / "docs" / "benchmarks.md"
    page.write_text(render(RESULTS), encoding="utf-8")
    print(f"written: {page.relative_to(ROOT)}")


def _store(name: str, on: date, measure: Callable[[], dict[str, Any]]) -> None:
    """Write a result with the machine and how busy it was before and after: whole or not at all."""
    before = machine()
    found = {"benchmark": name, "date": on.isoformat(), "machine": before, "results": measure()}
    found["load_after"] = machine()["load"]
    RESULTS.mkdir(exist_ok=True)
    staged = RESULTS / f"{name}.json.tmp"
    staged.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    staged.replace(RESULTS / f"{name}.json")


if __name__ == "__main__":
    main()
