"""Careers: who worked where and when, as it truly was."""

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from .days import YEAR, Bools, Floats, Ints, day_number
from .firms import Firms, Hiring

STEPS: Final = 40
"""More jobs than anybody has."""


@dataclass(frozen=True, slots=True)
class Careers:
    """Jobs sorted by person and start, one at a time for each person; an end after as_of is one to come."""

    person: Ints
    firm: Ints
    start: Ints
    end: Ints
    entry: Ints
    leave: Ints
    first: Ints

    @property
    def people(self) -> int:
        """Return the number of people."""
        return len(self.entry)


def live(rng: np.random.Generator, firms: Firms, hiring: Hiring, people: int, as_of: date) -> Careers:
    """Return the careers of `people` people up to `as_of`: restless at first, then settled."""
    today = day_number(as_of)
    entry, leave = draw_spans(rng, people, today)
    restless = np.exp(rng.normal(0, 0.4, people))
    who = np.arange(people)
    day = entry.copy()
    parts: list[tuple[Ints, Ints, Ints, Ints]] = []
    for _ in range(STEPS):
        firm = hiring.pick(rng, day)
        end = np.minimum(leave[who], day + stay(rng, (day - entry[who]) / YEAR, restless[who]))
        end = np.maximum(day + 20, np.minimum(end, pushed_out(rng, firms, firm, day)))
        parts.append((who, firm, day, end))
        again = end + between_jobs(rng, len(who))
        going = (again <= today) & (again + 60 < leave[who])
        who, day = who[going], again[going]
        if not len(who):
            break
    person, firm, start, end = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((start, person))
    person, firm, start, end = person[order], firm[order], start[order], end[order]
    first = np.searchsorted(person, np.arange(people))
    return Careers(person, firm, start, end, entry, leave, first)


def draw_spans(rng: np.random.Generator, people: int, today: int) -> tuple[Ints, Ints]:
    """Return the days on which people enter and leave the industry; it grows by some percent a year."""
    growth, longest = 0.03, 45.0
    chance = rng.random(people)
    ago = -np.log(1 - chance * (1 - np.exp(-growth * longest))) / growth
    span = np.minimum(47.0, 36.0 * rng.weibull(4.0, people))
    span = np.where(rng.random(people) < 0.10, rng.uniform(1, 8, people), span)
    entry = today - (ago * YEAR).astype(np.int64)
    return entry, entry + np.maximum(200, span * YEAR).astype(np.int64)


def stay(rng: np.random.Generator, years: Floats, restless: Floats) -> Ints:
    """Return how long a job lasts that begins after `years` in the industry, if nothing pushes."""
    mean = np.interp(years, [0, 2, 4, 7, 10, 15], [2.6, 4.0, 10.0, 22.0, 32.0, 38.0])
    drawn = rng.gamma(2.0, mean / 2.0) / restless
    return np.maximum(60, drawn * YEAR).astype(np.int64)


def pushed_out(rng: np.random.Generator, firms: Firms, firm: Ints, day: Ints) -> Ints:
    """Return the day on which a bad spell of the firm drives each person out, far off if it does not."""
    begin = np.maximum(day, firms.bleeds_from[firm])
    out = begin + (rng.exponential(YEAR / 0.42, len(firm))).astype(np.int64)
    return np.where(out < firms.bleeds_to[firm], out, np.int64(1 << 40))


def between_jobs(rng: np.random.Generator, size: int) -> Ints:
    """Return the days between two jobs: mostly one."""
    kind = rng.random(size)
    gap = np.where(kind < 0.85, rng.integers(5, 60, size), rng.integers(60, 500, size))
    return np.where(kind < 0.6, 1, gap).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Facts:
    """What was true of each person on a day; without a job `firm` is -1 and the months are NaN."""

    firm: Ints
    tenure: Floats
    experience: Floats
    priors: Ints
    moves: Ints
    heads: Ints
    change: Ints

    @property
    def employed(self) -> Bools:
        """Return who had a job."""
        return self.firm >= 0


class Ledger:
    """Answers what was true of people and firms on any day."""

    def __init__(self, careers: Careers, firms: Firms) -> None:
        self.careers = careers
        self._base = int(careers.start.min()) - 2000
        self._jobs = self._key(careers.person, careers.start)
        self._starts = np.sort(self._key(careers.firm, careers.start))
        self._ends = np.sort(self._key(careers.firm, careers.end))
        self._offsets = np.concatenate([[0], np.cumsum(np.bincount(careers.firm, minlength=len(firms)))])

    def _key(self, owner: Ints, day: Ints) -> Ints:
        return (owner.astype(np.int64) << 17) | np.clip(day - self._base, 0, (1 << 17) - 1)

    def job(self, person: Ints, day: Ints) -> Ints:
        """Return the row of the job last begun by `day`; the one before the person's first if there is none."""
        return np.searchsorted(self._jobs, self._key(person, day), side="right") - 1

    def at_work(self, person: Ints, day: Ints) -> Bools:
        """Return who has a job on `day`."""
        row = self.job(person, day)
        return (row >= self.careers.first[person]) & (self.careers.end[row] > day)

    def heads(self, firm: Ints, day: Ints) -> Ints:
        """Return how many people each firm has on `day`."""
        come = np.searchsorted(self._starts, self._key(firm, day), side="right")
        gone = np.searchsorted(self._ends, self._key(firm, day), side="right")
        return come - gone

    def facts(self, person: Ints, day: Ints) -> Facts:
        """Return what was true of each person on `day`."""
        known = (person >= 0) & (person < self.careers.people)
        who = np.where(known, person, 0)
        row = self.job(who, day)
        first = self.careers.first[who]
        at_work = known & (row >= first) & (self.careers.end[row] > day)
        firm = np.where(at_work, self.careers.firm[row], -1)
        somewhere = np.maximum(firm, 0)
        heads = self.heads(somewhere, day)
        begun = np.maximum(self.job(who, day - 1096), first)
        nan = np.where(at_work, 0.0, np.nan)
        month = YEAR / 12
        return Facts(
            firm=firm,
            tenure=nan + (day - self.careers.start[row]) / month,
            experience=nan + (day - self.careers.entry[who]) / month,
            priors=np.where(at_work, row - first, 0),
            moves=np.where(at_work, row - begun, 0),
            heads=np.where(at_work, heads, 0),
            change=np.where(at_work, heads - self.heads(somewhere, day - 365), 0),
        )
