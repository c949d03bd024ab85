"""Whether a peer's answer is Foregate's: the same leads, equal values, floats within 1e-9."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import duckdb

TOLERANCE = 1e-9
_FLOATS = ("DOUBLE", "FLOAT", "DECIMAL")


def differences(ours: Path, theirs: Path) -> dict[str, int]:
    """Return the number of leads that differ, by column; empty when the answers agree.

    Every column of `theirs` is compared, so a peer that answers a subset is held to that subset.
    """
    engine = duckdb.connect()
    engine.execute(f"create view a as from '{ours}'")
    engine.execute(f"create view b as from '{theirs}'")
    mine, other = _types(engine, "a"), _types(engine, "b")
    found = {name: -1 for name in other if name not in mine}
    shared = [name for name in other if name in mine and name != "subject_id"]
    compared = ", ".join(f"count(*) filter (where {_differs(n, mine[n], other[n])})" for n in shared)
    joined = "from a full join b using (subject_id)"
    counts = engine.execute(f"select {compared} {joined}").fetchone() or ()
    found |= {name: count for name, count in zip(shared, counts, strict=True) if count}
    rows = engine.execute("select (select count(*) from a) - (select count(*) from b)").fetchone()
    if rows and rows[0]:
        found["rows"] = rows[0]
    return found


def _types(engine: duckdb.DuckDBPyConnection, view: str) -> dict[str, str]:
    return {row[0]: row[1] for row in engine.execute(f"describe {view}").fetchall()}


def _differs(name: str, mine: str, other: str) -> str:
    if mine.startswith(_FLOATS) or other.startswith(_FLOATS):
        near = f"abs(a.{name}::double - b.{name}::double) <= {TOLERANCE}"
        return f"not coalesce({near}, a.{name} is null and b.{name} is null)"
    return f"a.{name} is distinct from b.{name}::{mine}"


if __name__ == "__main__":
    print(json.dumps(differences(Path(sys.argv[1]), Path(sys.argv[2]))))
