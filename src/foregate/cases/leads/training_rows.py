"""Rows for learning and judging, always in one order: by contact day, then by lead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from foregate.cases.leads.statements import statement
from foregate.cases.leads.work import Rows
from foregate.core.ports import Warehouse

TRAIN = ("fit", "stop", "calibrate")


def training_rows(warehouse: Warehouse, slices: Sequence[str] = TRAIN, *, outcomes: bool = True) -> Rows:
    """Return the features of some slices and, unless they are to stay closed, their outcomes."""
    table = warehouse.table(statement("labelled", warehouse.dialect))
    table = table.filter(pc.is_in(table.column("slice"), value_set=pa.array(list(slices))))
    found = table.column("label").to_numpy(zero_copy_only=False).astype(np.float64)
    return Rows(table.drop_columns(["label"]), found if outcomes else np.zeros(0))


def between(rows: Rows, first: Any, last: Any) -> Rows:
    """Return the rows whose contact lies in [first, last]."""
    days = rows.table.column("as_of")
    kept = pc.and_(pc.greater_equal(days, pa.scalar(first)), pc.less_equal(days, pa.scalar(last)))
    mask = kept.to_numpy(zero_copy_only=False)
    return Rows(rows.table.filter(kept), rows.outcomes[mask])


def of_slices(rows: Rows, slices: Sequence[str]) -> Rows:
    """Return the rows of some slices."""
    kept = pc.is_in(rows.table.column("slice"), value_set=pa.array(list(slices)))
    return Rows(rows.table.filter(kept), rows.outcomes[kept.to_numpy(zero_copy_only=False)])


def text_codes(rows: Rows, name: str) -> Any:
    """Return a text column as strings, missing as the empty string."""
    return np.asarray(pc.fill_null(rows.table.column(name), "").to_pylist(), dtype=str)
