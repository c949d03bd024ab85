"""How the libraries' orders of the same test rows differ: AUC against the first, with the paired interval."""

from __future__ import annotations

import json
import sys

import pyarrow.parquet as pq

from foregate.metrics.compare import auc_difference

if __name__ == "__main__":
    tables = [pq.read_table(path) for path in sys.argv[1:]]
    outcomes, first = (tables[0].column(n).to_numpy() for n in ("outcome", "score"))
    found = [auc_difference(outcomes, table.column("score").to_numpy(), first) for table in tables[1:]]
    print(json.dumps([[round(e.value, 4), round(e.low, 4), round(e.high, 4)] for e in found]))
