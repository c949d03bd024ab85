"""Columns and tables as Arrow sees them, and their files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .days import NEVER, Bools, Floats, Ints

Column = Any
Table = Mapping[str, Column]


def dates(days: Ints) -> Column:
    """Return a DATE column, NULL where the day is NEVER."""
    absent = days == NEVER
    return pa.array(np.where(absent, 0, days).astype(np.int32), mask=absent).cast(pa.date32())


def numbers(values: Ints, absent: Bools | None = None) -> Column:
    """Return a BIGINT column, NULL where `absent`."""
    return pa.array(values.astype(np.int64), mask=absent)


def amounts(values: Floats) -> Column:
    """Return a DOUBLE column, NULL where NaN."""
    return pa.array(values, mask=np.isnan(values))


def flags(values: Bools) -> Column:
    """Return a BOOLEAN column."""
    return pa.array(values)


def words(codes: Ints, choices: Sequence[str]) -> Column:
    """Return a VARCHAR column of the choice at each code, NULL below zero."""
    places = pa.array(np.maximum(codes, 0).astype(np.int32), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(places, pa.array(list(choices), pa.string())).cast(pa.string())


def write(folder: Path, tables: Mapping[str, Table]) -> dict[str, int]:
    """Return the rows of each table after writing it to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = {}
    for name, columns in tables.items():
        table = pa.table(dict(columns))
        pq.write_table(table, folder / f"{name}.parquet", compression="zstd", row_group_size=250_000)
        rows[name] = table.num_rows
    return rows
