"""Daily counts of many series as they were known at an origin: what every forecaster of counts is given."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
# Poisson draws around it still fit into 32 bits.
MOST = 1e9
Number = TypeVar("Number", np.int32, np.int64, np.float64)


def grouped(values: NDArray[Number], groups: Indices, count: int, axis: int = 0) -> NDArray[Number]:
    """Return the sums of an axis by group: the axis becomes `count` long, in the order of the groups' indices.

    `groups` gives each entry of the axis its group, from 0; a group without entries is 0. Integers stay integers of
    their size. Each sum is taken in the order of the entries, so that it does not hang on the other axes' lengths.

    >>> grouped(np.array([[1, 2], [10, 20], [3, 4]]), np.array([0, 2, 0]), 3).tolist()
    [[4, 6], [0, 0], [10, 20]]
    """
    entries: NDArray[Number] = np.moveaxis(values, axis, 0)
    found: NDArray[Number] = np.zeros((count, *entries.shape[1:]), dtype=values.dtype)
    for entry, group in zip(entries, groups, strict=True):
        found[group] += entry
    return np.moveaxis(found, 0, axis)


def arrivals(rates: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int32]:
    """Return Poisson counts with the given rates, of their shape; a rate beyond 1e9 is taken as 1e9.

    >>> arrivals(np.array([0.0, 1e30]), np.random.default_rng(1)) > 0
    array([False,  True])
    """
    return rng.poisson(np.minimum(rates, MOST)).astype(np.int32)


@dataclass(frozen=True)
class History:
    """Daily counts of the bottom series of one stage, as known at an origin; the last column is its last complete day.

    `counts` is [series, days] with explicit zeros; `last` is the day of the last column. `born` [series] is the index
    of the first day a series exists: earlier days are absence and no zeros; it equals the days for one not yet born.
    `died` [series] is the index of the first day it no longer exists; at least the days means alive. `segments`
    [series] is the index, from 0, of the super-segment each series belongs to. ValueError when the shapes disagree,
    there is no day or no series, a count is negative, or a birth or a segment is out of range.

    >>> two = History(np.array([[0, 1, 2], [0, 0, 5]]), date(2025, 3, 3), np.array([0, 2]), np.array([3, 3]),
    ...               np.array([0, 0]))
    >>> two.weekdays(2), two.until(1).last.isoformat(), two.until(1).born
    (array([5, 6, 0, 1, 2]), '2025-03-02', array([0, 2]))
    """

    counts: NDArray[np.int64]
    last: date
    born: Indices
    died: Indices
    segments: Indices

    def __post_init__(self) -> None:
        if self.counts.ndim != 2 or 0 in self.counts.shape:
            raise ValueError(f"the counts have shape {self.counts.shape}; wanted [series, days], at least one of each")
        if {self.born.shape, self.died.shape, self.segments.shape} != {(self.series,)}:
            raise ValueError(f"births, deaths and segments must each have {self.series} values, one for each series")
        if int(self.counts.min()) < 0:
            raise ValueError("a count is negative")
        if int(self.born.min()) < 0 or int(self.born.max()) > self.days or int(self.segments.min()) < 0:
            raise ValueError("a birth must lie within 0 and the days, a segment must be at least 0")

    @property
    def series(self) -> int:
        """How many series there are, dead and unborn ones too."""
        return int(self.counts.shape[0])

    @property
    def days(self) -> int:
        """How many days there are."""
        return int(self.counts.shape[1])

    @property
    def super_segments(self) -> int:
        """How many super-segments there are; one without a series of its own counts when a later one has some."""
        return int(self.segments.max()) + 1

    @property
    def alive(self) -> NDArray[np.bool_]:
        """[series] whether a series exists on the last day: a forecast of any other is 0."""
        return np.asarray((self.born < self.days) & (self.died >= self.days))

    def present(self) -> NDArray[np.bool_]:
        """Return [series, days] whether a series existed on a day; elsewhere its count is absence."""
        day = np.arange(self.days)
        return np.asarray((day >= self.born[:, None]) & (day < self.died[:, None]))

    def weekdays(self, horizon: int) -> Indices:
        """Return [days + horizon] the weekdays, 0 = Monday, of the history and then of the days to come."""
        first = self.last.toordinal() - self.days + 1
        return (np.arange(first, first + self.days + horizon, dtype=np.int64) + 6) % 7

    def until(self, day_index: int) -> History:
        """Return the history as it was known at the end of a day, given by its column.

        Later births and deaths were not known then: such a series is not yet born, or alive. ValueError for a column
        that is not there.
        """
        if not 0 <= day_index < self.days:
            raise ValueError(f"column {day_index} of {self.days} days is not there")
        kept = day_index + 1
        last = date.fromordinal(self.last.toordinal() - self.days + kept)
        born = np.minimum(self.born, kept)
        died = np.where(self.died < kept, self.died, kept)
        return replace(self, counts=self.counts[:, :kept], last=last, born=born, died=died)
