"""Entries into one stage of a funnel and what is known of their going on to the next: what rates are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foregate.metrics.estimate import Integers
from foregate.metrics.inputs import same_length


@dataclass(frozen=True)
class Cohorts:
    """Entries into a stage as known at the end of a day, one an entity; days count from any day 0.

    `series` [entities]: which series, 0..n_series - 1. `entered` [entities]: the day of entry. `converted` [entities]:
    the day of entry into the next stage, -1 when that is not known at the origin, which is no failure: the entity is
    open. `origin`: the last complete day. `channel` [n_series]: which channel each series belongs to. Raises ValueError
    for arrays of unequal lengths, entries or conversions after the origin, conversions before their entry (it says how
    many) and series or channels out of range.
    """

    series: Integers
    entered: Integers
    converted: Integers
    origin: int
    channel: Integers

    def __post_init__(self) -> None:
        for name in ("series", "entered", "converted", "channel"):
            object.__setattr__(self, name, _whole(getattr(self, name), name))
        same_length(series=self.series, entered=self.entered, converted=self.converted)
        self._refuse_strange_series()
        late = int(np.count_nonzero(self.entered > self.origin))
        seen = int(np.count_nonzero(self.converted > self.origin))
        if late or seen:
            raise ValueError(
                f"{late} entries and {seen} conversions lie after the origin, day {self.origin}; wanted what was known "
                "then: no later entries, and -1 for later conversions"
            )
        if self.entered.size and self.entered.min() < 0:
            raise ValueError(f"an entry is on day {self.entered.min()}; wanted days of at least 0")
        backwards = int(np.count_nonzero((self.converted != -1) & (self.converted < self.entered)))
        if backwards:
            raise ValueError(f"{backwards} conversions are dated before their entry; wanted no negative delays")

    def _refuse_strange_series(self) -> None:
        if self.channel.size == 0 or self.channel.min() < 0:
            raise ValueError("the channels are empty or negative; wanted a channel of at least 0 for every series")
        if self.series.size and not (self.series.min() >= 0 and self.series.max() < self.n_series):
            raise ValueError(
                f"the series run from {self.series.min()} to {self.series.max()}; wanted 0 to {self.n_series - 1}"
            )

    @property
    def n_series(self) -> int:
        """Return how many series there are, those without entries included."""
        return int(self.channel.size)

    @property
    def n_channels(self) -> int:
        """Return how many channels there are."""
        return int(self.channel.max()) + 1

    @property
    def is_converted(self) -> np.typing.NDArray[np.bool_]:
        """Return, for each entity, whether its conversion is known [entities]."""
        return self.converted >= 0

    @property
    def ages(self) -> Integers:
        """Return for how many days each entity was watched after the day of its entry [entities]."""
        return self.origin - self.entered

    @property
    def delays(self) -> Integers:
        """Return the days from entry to conversion of those converted, in their order [conversions]."""
        there = self.is_converted
        return self.converted[there] - self.entered[there]

    def known_at(self, day: int) -> Cohorts:
        """Return the same cohorts as they were known at the end of an earlier day.

        Later entries are left out and later conversions are open. ValueError for a day after the origin, of which more
        would have to be known.

        >>> told = Cohorts([0, 0, 0], [0, 1, 5], [1, 6, -1], 9, [0]).known_at(4)
        >>> told.entered.tolist(), told.converted.tolist(), told.origin
        ([0, 1], [1, -1], 4)
        """
        if day > self.origin:
            raise ValueError(f"known are days up to {self.origin}; wanted no later day than that, not {day}")
        there = self.entered <= day
        converted = self.converted[there]
        seen = np.where(converted > day, -1, converted)
        return Cohorts(self.series[there], self.entered[there], seen, day, self.channel)

    def entered_within(self, first: int, last: int) -> Cohorts:
        """Return the entities that entered on the days first..last, as they are known now.

        >>> Cohorts([0, 0, 0], [0, 1, 5], [1, 6, -1], 9, [0]).entered_within(1, 4).converted.tolist()
        [6]
        """
        there = (self.entered >= first) & (self.entered <= last)
        return Cohorts(self.series[there], self.entered[there], self.converted[there], self.origin, self.channel)


def _whole(values: object, name: str) -> Integers:
    found = np.asarray(values)
    if found.ndim != 1 or (found.size and found.dtype.kind not in "iu"):
        raise ValueError(f"the {name} have shape {found.shape} and type {found.dtype}; wanted one row of whole numbers")
    return found.astype(np.int64)
