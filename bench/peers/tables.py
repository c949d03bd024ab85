"""The tables the tree libraries learn from: the demo's features, and a public campaign where its file is at hand."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

from bench.whole_run import run
from bench.world import SEED, lay
from foregate.modeling.signature import CATEGORY, encode, sign
from foregate.project import Project
from foregate.warehouse.duckdb import DuckDB

FIT, STOP = 0.70, 0.85
AFTER_THE_CALL = "duration"


def demo(build: Path) -> dict[str, Any]:
    """Return the demo's training table after a run of it: the features a model may learn, label and slice."""
    folder = lay("demo")
    run(folder)
    settings = Project(folder).declared.leads
    assert settings is not None
    engine = DuckDB(str(folder / "warehouse.duckdb"), read_only=True)
    schema = engine.rows("select schema_name from information_schema.schemata where schema_name like 'run_%'")[0][0]
    left_out = ", ".join(["subject_id", "as_of", *settings.selection.not_learned])
    table = engine.table(
        f"select f.* exclude ({left_out}), l.label, s.slice from {schema}.lead_features as f "
        f"join {schema}.label as l on l.lead_id = f.subject_id join {schema}.slice as s on s.lead_id = f.subject_id "
        "where l.label is not null and s.slice in ('fit', 'stop', 'test') order by f.as_of, f.subject_id"
    )
    engine.close()
    return _written(table, build / "trees-demo.parquet")


def campaign(file: Path, build: Path, *, shuffled: bool) -> dict[str, Any]:
    """Return the bank's calls without what is known only after the call: cut in order of time, or shuffled first.

    In order of time the test comes after a crisis that training has not seen: its base rate is several times higher,
    and every library extrapolates. Shuffled rows hide that, and compare the libraries where there is nothing to miss.
    """
    table = csv.read_csv(file, parse_options=csv.ParseOptions(delimiter=";")).drop_columns([AFTER_THE_CALL])
    if shuffled:
        table = table.take(np.random.default_rng(SEED).permutation(table.num_rows))
    place = np.arange(table.num_rows) / table.num_rows
    slices = np.where(place < FIT, "fit", np.where(place < STOP, "stop", "test"))
    label = (table.column("y").to_numpy(zero_copy_only=False) == "yes").astype(np.int64)
    table = table.drop_columns(["y"]).append_column("label", pa.array(label))
    return _written(table.append_column("slice", pa.array(slices)), build / f"trees-bank-{shuffled}.parquet")


def _written(table: pa.Table, path: Path) -> dict[str, Any]:
    """Write features as numbers (a text's place among its values in the fit rows), and return where and what kinds."""
    names = [n for n in table.column_names if n not in ("label", "slice")]
    fit = table.filter(pa.compute.equal(table.column("slice"), "fit"))
    signature = sign(fit, names)
    matrix = encode(table, signature)
    columns = {n: matrix[:, i] for i, n in enumerate(names)}
    pq.write_table(pa.table({**columns, "label": table.column("label"), "slice": table.column("slice")}), path)
    label = table.column("label").to_numpy(zero_copy_only=False)
    places = [i for i, kind in enumerate(signature.kinds) if kind == CATEGORY]
    return {"path": str(path), "kinds": places, "rows": table.num_rows, "positives": int(label.sum())}


if __name__ == "__main__":
    build = Path(sys.argv[1])
    made = {"demo world": demo(build)}
    if len(sys.argv) > 2:
        for name, shuffled in (("bank_marketing, in order of time", False), ("bank_marketing, shuffled", True)):
            made[name] = campaign(Path(sys.argv[2]), build, shuffled=shuffled)
    print(json.dumps(made))
