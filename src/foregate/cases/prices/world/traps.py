"""Traps: each plants one fault into files that were laid before, where exactly one gate should name it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from .catalogue import COMMODITIES, INDEX
from .laying import read, write
from .truth import Days, Floats

Columns = tuple[Days, Floats, Days]
Plant = Callable[[Days, Floats, Days], Columns]

SERIES: Final = COMMODITIES[0].name
"""The commodity that the faults are planted in."""
FROZEN: Final = 30
HOLE: Final = 20
AHEAD: Final = 21


def _planted(plant: Plant, name: str) -> Callable[[Path], None]:
    def into(folder: Path) -> None:
        file = folder / f"{name}.csv"
        number, days, numbers, published = read(file)
        write(file, number, *plant(days, numbers, published))

    return into


def _frozen_tail(days: Days, numbers: Floats, published: Days) -> Columns:
    """Return the last 30 prices as the one before them, carried forward."""
    return days, np.append(numbers[:-FROZEN], np.full(FROZEN, numbers[-FROZEN - 1])), published


def _hole(days: Days, numbers: Floats, published: Days) -> Columns:
    """Return the files without twenty days, never loaded."""
    kept = np.ones(len(days), dtype=np.bool_)
    kept[len(days) // 2 : len(days) // 2 + HOLE] = False
    return days[kept], numbers[kept], published[kept]


def _duplicates(days: Days, numbers: Floats, published: Days) -> Columns:
    """Return twelve days twice, half of them with another price."""
    again = np.linspace(100, len(days) - 100, 12).astype(np.int64)
    doubled = numbers[again] * np.where(np.arange(12) % 2, 1.0, 1.001)
    found = tuple(np.concatenate([a, b]) for a, b in ((days, days[again]), (published, published[again])))
    return found[0], np.concatenate([numbers, doubled]), found[1]


def _unit_switch(days: Days, numbers: Floats, published: Days) -> Columns:
    """Return the last third of prices in cents."""
    return days, np.where(np.arange(len(days)) < 2 * len(days) // 3, numbers, 100 * numbers), published


def _future_date(days: Days, numbers: Floats, published: Days) -> Columns:
    """Return three rows more, dated eight months after the newest day, and published on it."""
    ahead = days[-1] + 240 + np.arange(3)
    return np.append(days, ahead), np.append(numbers, numbers[-3:]), np.append(published, published[-3:])


def _negative_price(days: Days, numbers: Floats, published: Days) -> Columns:
    """Return one price below zero."""
    found = numbers.copy()
    found[-400] = -37.63
    return days, found, published


def _zero_filled(days: Days, numbers: Floats, published: Days) -> Columns:
    """Return one value in five, as if it had been missing, as zero."""
    return days, np.where(np.arange(len(days)) % 5 == 2, 0.0, numbers), published


def _early_exogenous(days: Days, numbers: Floats, published: Days) -> Columns:
    """Return the last thousand values as known three days before their own day."""
    return days, numbers, np.where(np.arange(len(days)) < len(days) - 1000, published, published - 3)


def _leaked_target(folder: Path) -> None:
    """Make the column beside the prices the price of 21 trading days later; the newest, which nobody has, stay."""
    _, days, prices, _ = read(folder / f"{SERIES}.csv")
    name, own, numbers, published = read(folder / f"{INDEX}.csv")
    found = np.full(len(own), np.nan)
    there = np.searchsorted(days, own[: len(days) - AHEAD]) + AHEAD
    found[: len(there)] = prices[there]
    write(folder / f"{INDEX}.csv", name, own, np.where(np.isnan(found), numbers, found), published)


TRAPS: Final[dict[str, Callable[[Path], None]]] = {
    "frozen_tail": _planted(_frozen_tail, SERIES),
    "hole": _planted(_hole, SERIES),
    "duplicates": _planted(_duplicates, SERIES),
    "unit_switch": _planted(_unit_switch, SERIES),
    "future_date": _planted(_future_date, SERIES),
    "negative_price": _planted(_negative_price, SERIES),
    "zero_filled": _planted(_zero_filled, INDEX),
    "early_exogenous": _planted(_early_exogenous, INDEX),
    "leaked_target": _leaked_target,
}
"""Name -> what plants one fault into the folder that `lay` wrote to."""
