"""From a world to the files a company would have of it on one day."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

from .catalogue import COMMODITIES, END, INDEX, START
from .truth import Days, Floats, Truth, trading_days, truth


def lay(folder: Path, seed: int, until: date) -> dict[str, int]:
    """Return the rows of each file after writing the world of a seed as it was known on a day to a folder.

    A row is there once it has been published. The same arguments give the same bytes; a later day only adds rows.
    ValueError for a day outside the world.
    """
    return lay_world(folder, truth(seed), until)


def lay_world(folder: Path, world: Truth, until: date) -> dict[str, int]:
    """Return the rows of each file after writing a world that has been made already."""
    if not START <= until <= END:
        raise ValueError(f"the world knows {START} to {END}, not {until}")
    folder.mkdir(parents=True, exist_ok=True)
    rows = {}
    for one in COMMODITIES:
        published = trading_days()[one.published : one.published + len(world.days)]
        there = int((published <= np.datetime64(until, "D")).sum())
        file = folder / f"{one.name}.csv"
        rows[one.name] = write(file, "price", world.days[:there], world.price[one.name][:there], published[:there])
    there = world.at(until)
    days = world.days[:there]
    rows[INDEX] = write(folder / f"{INDEX}.csv", "value", days, world.index[:there], days)
    return rows


def write(file: Path, number: str, days: Days, numbers: Floats, published: Days) -> int:
    """Return the rows written to a file of three columns: the day, the number, and the day it is known."""
    table = pa.table({"day": days, number: numbers, "published_on": published})
    csv.write_csv(table, file)
    return int(table.num_rows)


def read(file: Path) -> tuple[str, Days, Floats, Days]:
    """Return the name of the number, the days, the numbers and the days known of a file that was laid."""
    table = csv.read_csv(file)
    name = table.column_names[1]
    days, published = (
        np.asarray(table.column(one).combine_chunks().to_numpy(zero_copy_only=False), dtype="datetime64[D]")
        for one in ("day", "published_on")
    )
    numbers = np.asarray(table.column(name).combine_chunks().to_numpy(zero_copy_only=False), dtype=np.float64)
    return name, days, numbers, published
