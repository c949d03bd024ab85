"""Foregate's compiled statement, its own plan over pairs, and the hand-written statement, in one engine."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import foregate.cases.leads as leads
from bench.timing import job, tell, timed
from foregate.project import Project
from foregate.warehouse.duckdb import DuckDB
from foregate.warehouse.features import FeatureFile, read_features
from foregate.warehouse.point_in_time import Compiled, Spine, compile_features
from foregate.warehouse.sources import view_name

HAND_WRITTEN = Path(__file__).parent / "hand_written.sql"
DEMO = Path(str(leads.__file__)).parent / "demo_project"
EXPRESSIBLE = {"registration": ("rep_type",), "firm_kind": ("is_wirehouse", "is_independent_ria")}


def opened(data: Path, spine_file: Path) -> tuple[DuckDB, dict[str, dict[str, str]]]:
    """Return an engine in memory that reads every source and the spine from its Parquet file."""
    engine = DuckDB(":memory:")
    columns = {}
    for name in ("employment", "departures", "firms", "person_snapshot"):
        engine.read_file(view_name(name), data / f"{name}.parquet")
        columns[name] = engine.columns(view_name(name))
    engine.read_file("spine", spine_file)
    return engine, columns


def compiled(engine: DuckDB, columns: dict[str, dict[str, str]], plan: str) -> Compiled:
    """Return the demo's features compiled as a run would; the plan `subset` holds what Feast can express."""
    declared = Project(DEMO).declared
    files = read_features(DEMO / "features", {n: f.of for n, f in declared.features.items() if f.of})
    types = engine.columns("spine")
    late = {"email_known_on": "email_known_on", "linkedin_known_on": "linkedin_known_on"}
    names = ["person_id", *late] + (["firm_id"] if plan == "subset" else [])
    spine = Spine("spine", {n: types[n] for n in names}, "leads", late)
    if plan == "subset":
        files = [_only(f, EXPRESSIBLE[f.name]) for f in files if f.name in EXPRESSIBLE]
    return compile_features(files, declared.sources, columns, spine, by_change=plan != "pairs")


def _only(file: FeatureFile, names: tuple[str, ...]) -> FeatureFile:
    return replace(file, outputs={n: file.outputs[n] for n in names})


def main(asked: dict[str, Any]) -> None:
    """Compute, time and write what was asked for."""
    engine, columns = opened(Path(asked["data"]), Path(asked["spine"]))
    began = time.perf_counter()
    if asked["plan"] == "hand":
        sql = HAND_WRITTEN.read_text().replace("{spine}", "spine")
    else:
        sql = compiled(engine, columns, asked["plan"]).sql(engine.dialect)
    took = time.perf_counter() - began
    rows, times = timed(lambda: engine.create("answer", sql), asked["repeats"])
    tell(times, ["duckdb", "sqlglot"], compile_seconds=round(took, 3), rows=rows)
    engine.export("select * from answer", Path(asked["out"]))


if __name__ == "__main__":
    main(job())
