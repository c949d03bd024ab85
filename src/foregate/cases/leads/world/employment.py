"""The employment history as the vendor keeps it: late, with doubles and with a little dirt."""

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from .careers import Careers
from .days import NEVER, YEAR, Bools, Ints, day_number, recording_lag
from .scale import Scale

DIRTY_STARTS: Final = 0.012
DIRTY_ENDS: Final = 0.013
OLDEST: Final = date(1942, 2, 19)
FURTHEST: Final = 1520
"""Days after as_of of the furthest wrong end: 2029-12-29 for 2025-10-31."""


@dataclass(frozen=True, slots=True)
class Registrations:
    """The rows anybody has seen by as_of, in order of recording; an end not yet recorded is NEVER."""

    person: Ints
    firm: Ints
    start: Ints
    end: Ints
    recorded: Ints
    end_recorded: Ints
    main: Bools


def register(rng: np.random.Generator, scale: Scale, careers: Careers, as_of: date) -> Registrations:
    """Return the recorded history: jobs, second registrations up to the size asked for, and 2.5 % wrong dates."""
    today = day_number(as_of)
    recorded = careers.start + recording_lag(rng, len(careers.start))
    missing = scale.employment - int(np.count_nonzero(recorded <= today))
    person, firm, start, end = double(rng, careers, max(0, missing), today)
    recorded = np.concatenate([recorded, start + recording_lag(rng, len(start))])
    main = np.arange(len(recorded)) < len(careers.start)
    person = np.concatenate([careers.person, person])
    firm = np.concatenate([careers.firm, firm])
    start = np.concatenate([careers.start, start])
    end = np.concatenate([careers.end, end])
    end_recorded = np.maximum(recorded, end + recording_lag(rng, len(end)))
    ended = (end <= today) & (end_recorded <= today)
    end, end_recorded = np.where(ended, end, NEVER), np.where(ended, end_recorded, NEVER)
    start, end, end_recorded = soil(rng, start, end, recorded, end_recorded, today)
    order = np.lexsort((person, recorded))
    order = order[recorded[order] <= today]
    return Registrations(
        person=person[order],
        firm=firm[order],
        start=start[order],
        end=end[order],
        recorded=recorded[order],
        end_recorded=end_recorded[order],
        main=main[order],
    )


def double(rng: np.random.Generator, careers: Careers, size: int, today: int) -> tuple[Ints, Ints, Ints, Ints]:
    """Return `size` registrations that overlap a job, at its firm or a sister firm; few of them are recent."""
    long = careers.end - careers.start > 400
    past = np.flatnonzero(long & (careers.end < today - 6 * YEAR))
    recent = np.flatnonzero(long & (careers.start < today - 400))
    chosen = np.where(rng.random(size) < 0.97, rng.choice(past, size), rng.choice(recent, size))
    span = np.minimum(careers.end[chosen], today) - careers.start[chosen]
    start = careers.start[chosen] + (span * rng.uniform(0.05, 0.5, size)).astype(np.int64)
    shortened = start + (span * rng.uniform(0.2, 0.45, size)).astype(np.int64)
    end = np.where(rng.random(size) < 0.5, careers.end[chosen], shortened)
    firm = careers.firm[chosen]
    sister = (firm * 31 + 17) % (int(careers.firm.max()) + 1)
    return careers.person[chosen], np.where(rng.random(size) < 0.8, firm, sister), start, end


def soil(
    rng: np.random.Generator, start: Ints, end: Ints, recorded: Ints, end_recorded: Ints, today: int
) -> tuple[Ints, Ints, Ints]:
    """Return starts, ends and their recording with a few starts before 1970 and a few ends in years to come."""
    size = len(start)
    old = rng.integers(day_number(OLDEST), 0, size)
    far = today + rng.integers(30, FURTHEST, size)
    wrong_start, wrong_end = rng.random(size) < DIRTY_STARTS, rng.random(size) < DIRTY_ENDS
    end_recorded = np.where(wrong_end & (end_recorded == NEVER), recorded, end_recorded)
    return np.where(wrong_start, old, start), np.where(wrong_end, far, end), end_recorded


def present_employer(registrations: Registrations, people: int, today: int) -> Ints:
    """Return the firm each person is at by the records of as_of, -1 where they show none."""
    rows = np.flatnonzero(registrations.main & (registrations.end > today))
    rows = rows[np.argsort(registrations.start[rows], kind="stable")]
    firm = np.full(people, -1)
    firm[registrations.person[rows]] = registrations.firm[rows]
    return firm
