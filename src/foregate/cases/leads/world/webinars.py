"""Webinars: who sat in one and when; what attendance says of a person hangs on the effects in force at contact."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from .days import YEAR, Bools, Ints
from .people import People
from .sheets import Table, dates, numbers

ATTENDED_WITHIN: Final = 180
"""Days before a contact in which an attendance counts."""
SHARE: Final = 0.08
"""The share of people who attended within those days, on any day."""


@dataclass(frozen=True, slots=True)
class Webinars:
    """Attendances sorted by person and day; each is recorded on the day after."""

    person: Ints
    day: Ints
    recorded: Ints

    def attended(self, person: Ints, day: Ints) -> Bools:
        """Return who attended in the 180 days before `day`, of the attendances recorded before it."""
        keys = (self.person << 20) | (self.recorded + (1 << 18))
        row = np.searchsorted(keys, (person << 20) | (day + (1 << 18)), side="left") - 1
        found = np.maximum(row, 0)
        recent: Bools = (row >= 0) & (self.person[found] == person) & (self.day[found] >= day - ATTENDED_WITHIN)
        return recent


def hold_webinars(rng: np.random.Generator, since: Ints, first: int, last: int) -> Webinars:
    """Return who attended from `first` to `last`: the same share of people at any time, nobody before `since`."""
    yearly = -np.log(1 - SHARE) * YEAR / ATTENDED_WITHIN
    counts = rng.poisson(yearly * (last - first + 1) / YEAR, len(since))
    person = np.repeat(np.arange(len(since)), counts)
    day = rng.integers(first, last + 1, len(person))
    kept = day >= since[person]
    person, day = person[kept], day[kept]
    order = np.lexsort((day, person))
    person, day = person[order], day[order]
    return Webinars(person, day, day + 1)


def webinars(rows: Webinars, people: People, today: int) -> Table:
    """Return the table of attendances recorded by `today`, in order of recording."""
    order = np.lexsort((rows.person, rows.recorded))
    order = order[rows.recorded[order] <= today]
    return {
        "person_id": numbers(people.number[rows.person[order]]),
        "attended_on": dates(rows.day[order]),
        "recorded_on": dates(rows.recorded[order]),
    }
