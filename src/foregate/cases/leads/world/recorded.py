"""A world as it had been recorded by one of its days: what happened or became known later is not in it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import date
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from .days import NEVER, Bools, Floats, Ints, day_number
from .employment import Registrations
from .outreach import NOBODY, Outreach
from .sheets import Table
from .tables import Entries, World, status_on
from .truth import Outcomes

Rows = TypeVar("Rows", Outreach, Outcomes, Entries)


@dataclass(frozen=True, slots=True)
class Course:
    """How leads went on to the end of their world, by index; a task names the index of its lead.

    `firm` is the firm on the day of contact (-1 for none), `chance` in [0, 1) settles the course of the status.
    """

    outreach: Outreach
    outcomes: Outcomes
    entries: Entries
    firm: Ints
    chance: Floats
    task_lead: Ints
    task_day: Ints
    task_kind: Ints

    def __len__(self) -> int:
        return len(self.firm)

    def then(self, later: Course) -> Course:
        """Return these leads and then the later ones."""
        return Course(
            outreach=joined(self.outreach, later.outreach),
            outcomes=joined(self.outcomes, later.outcomes),
            entries=joined(self.entries, later.entries),
            firm=np.concatenate([self.firm, later.firm]),
            chance=np.concatenate([self.chance, later.chance]),
            task_lead=np.concatenate([self.task_lead, later.task_lead + len(self)]),
            task_day=np.concatenate([self.task_day, later.task_day]),
            task_kind=np.concatenate([self.task_kind, later.task_kind]),
        )


def joined(one: Rows, other: Rows) -> Rows:
    """Return the rows of one and then those of the other."""
    columns: dict[str, Any] = {}
    for field in fields(one):
        mine: Any = getattr(one, field.name)
        theirs: Any = getattr(other, field.name)
        columns[field.name] = np.concatenate([mine, theirs]) if isinstance(mine, np.ndarray) else [*mine, *theirs]
    return type(one)(**columns)


def kept(table: Table, rows: Bools) -> Table:
    """Return the table with some of its rows."""
    mask = pa.array(rows)
    return {name: column.filter(mask) for name, column in table.items()}


def by_day(days: Ints, today: int) -> Ints:
    """Return the days with those after today as NEVER."""
    return np.where(days <= today, days, NEVER)


def as_recorded(world: World, course: Course, day: date) -> World:
    """Return the world by the records of `day`; leads keep their places, those not yet created belong to nobody."""
    today = day_number(day)
    outreach = known_outreach(course.outreach, today)
    outcomes = replace(course.outcomes, call=by_day(course.outcomes.call, today))
    done = course.task_day <= today
    return replace(
        world,
        as_of=day,
        today=today,
        registrations=known_registrations(world.registrations, today),
        outreach=outreach,
        outcomes=outcomes,
        lead_firm=course.firm,
        status=status_on(course.chance, outreach, outcomes, today),
        task_lead=course.task_lead[done],
        task_day=course.task_day[done],
    )


def known_outreach(outreach: Outreach, today: int) -> Outreach:
    """Return the leads as today's CRM shows them."""
    return replace(
        outreach,
        person=np.where(outreach.created <= today, outreach.person, NOBODY),
        contacted=by_day(outreach.contacted, today),
        email=by_day(outreach.email, today),
        linkedin=by_day(outreach.linkedin, today),
    )


def known_registrations(rows: Registrations, today: int) -> Registrations:
    """Return the jobs on record today; they come in the order of their recording."""
    seen = slice(int(np.searchsorted(rows.recorded, today, side="right")))
    filed = rows.end_recorded[seen] <= today
    return Registrations(
        person=rows.person[seen],
        firm=rows.firm[seen],
        start=rows.start[seen],
        end=np.where(filed, rows.end[seen], NEVER),
        recorded=rows.recorded[seen],
        end_recorded=np.where(filed, rows.end_recorded[seen], NEVER),
        main=rows.main[seen],
    )
