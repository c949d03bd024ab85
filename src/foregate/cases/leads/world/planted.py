"""The faults planted by each trap, measurable in the files and absent without it.

- LEAK: `person_today` claims by its `recorded_on` to be dated, but holds the start of the *current* job. People who
  were called tend to move after the contact, so "no start known at contact" carries the outcome, and its share grows
  with the age of the lead from 3 to 21 %. `leads.outcome_note` says 'qualified' for 85 % of the called and 1 % of the
  others.
- DRIFT: in the last 150 days e-mail knowledge falls from 60 to 18 % and only people at firms of up to 12 heads are
  reached; prospects' e-mails fall alike. Planted in `outreach.py`, before the outcomes are drawn.
- FANOUT: 30 % of the firms have two to four rows under variants of their name.
- TYPE: `employment.person_id` is text.
- SKEW: 80 % of people have a snapshot of the last 40 days whose `rep_type` speaks another code, and ordinary snapshots
  of these days speak it too. No lead with a known outcome was contacted after them, so training never sees the code.
- LATE_SOURCE: employment claims to be recorded one day after the fact. The rows are still only those truly seen by
  as_of, so the newest months hold 25, 50, 75, 90 % of what they should.
"""

from typing import Final

import numpy as np
import pyarrow as pa

from .careers import Ledger
from .days import NEVER, Bools, Ints
from .people import AGE_BANDS, LICENCES, REP_TYPES, TITLES
from .scale import Trap
from .sheets import Column, Table, dates, flags, numbers, words
from .tables import World

RECODED: Final = ("Investment Adviser", "Dual", "Broker")
SKEW_DAYS: Final = 40


def plant(
    trap: Trap, world: World, ledger: Ledger, tables: dict[str, Table], rng: np.random.Generator
) -> dict[str, Table]:
    """Return the tables with the fault of `trap` in them."""
    match trap:
        case Trap.LEAK:
            noted = {**tables["leads"], "outcome_note": outcome_note(world, rng)}
            empty = words(np.full(len(tables["prospects"]["person_id"]), -1), ("qualified",))
            asked = {**tables["prospects"], "outcome_note": empty}
            return {**tables, "leads": noted, "prospects": asked, "person_today": person_today(world, ledger, rng)}
        case Trap.FANOUT:
            return {**tables, "firms": fan_out(tables["firms"], rng)}
        case Trap.TYPE:
            jobs = dict(tables["employment"])
            jobs["person_id"] = jobs["person_id"].cast(pa.string())
            return {**tables, "employment": jobs}
        case Trap.SKEW:
            return {**tables, "person_snapshot": recoded_snapshots(world, rng)}
        case Trap.LATE_SOURCE:
            return {**tables, "employment": claimed_at_once(world, tables["employment"])}
        case Trap.DRIFT:
            return tables


def outcome_note(world: World, rng: np.random.Generator) -> Column:
    """Return the column that gives the outcome away."""
    called = world.outcomes.call <= world.today
    noted = rng.random(len(called)) < np.where(called, 0.85, 0.01)
    return words(np.where(noted, 0, -1), ("qualified",))


def person_today(world: World, ledger: Ledger, rng: np.random.Generator) -> Table:
    """Return the start of everybody's present job, overwritten when a person moved."""
    size, today = len(world.people.number), world.today
    everybody = np.arange(size)
    start = today - rng.integers(700, 9000, size)
    job = ledger.job(everybody[: world.scale.people], np.full(world.scale.people, today))
    start[: world.scale.people] = ledger.careers.start[job]
    lead = np.flatnonzero((world.outreach.person >= 0) & world.outreach.reached)
    person, day = world.outreach.person[lead], world.outreach.contacted[lead]
    again = moved_again(world, lead, start[person] > day, rng)
    moved_on = np.minimum(today, day + 1 + ((today - day) * rng.random(len(lead))).astype(np.int64))
    start[person] = np.where(again & (day < today), moved_on, start[person])
    start = np.minimum(start, today)
    return {
        "person_id": numbers(world.people.number),
        "firm_started_on": dates(start),
        "recorded_on": dates(start),
    }


def moved_again(world: World, lead: Ints, already: Bools, rng: np.random.Generator) -> Bools:
    """Return which contacted people moved besides those who did anyway: twice as many of the called."""
    age = (world.today - world.outreach.contacted[lead]) / 640
    called = world.outcomes.call[lead] <= world.today
    aim = np.minimum(0.9, (0.02 + 0.19 * age) * np.where(called, 2.4, 0.93))
    has_history = world.outreach.person[lead] < world.scale.people
    anyway = np.where(has_history, already.sum() / max(1e-9, (age * has_history).sum()) * age, 0.0)
    extra = np.clip((aim - anyway) / (1 - anyway), 0, 1)
    again: Bools = rng.random(len(lead)) < extra
    return again


def fan_out(firms: Table, rng: np.random.Generator) -> Table:
    """Return the firms with two to four rows for three in ten of them."""
    table = pa.table(dict(firms))
    copies = np.where(rng.random(len(table)) < 0.3, rng.integers(2, 5, len(table)), 1)
    rows = np.repeat(np.arange(len(table)), copies)
    nth = np.arange(len(rows)) - np.repeat(np.cumsum(copies) - copies, copies)
    tails = ("", " LLC", ", Inc.", " (former name)")
    names = [f"{name}{tails[n]}" for name, n in zip(table["firm_name"].take(rows).to_pylist(), nth, strict=True)]
    wide = table.take(rows)
    return {column: names if column == "firm_name" else wide[column] for column in wide.column_names}


def recoded_snapshots(world: World, rng: np.random.Generator) -> Table:
    """Return the snapshots with a fresh row for 80 % of people, in codes nobody has seen before."""
    rows, size, today = world.snapshots, len(world.people.number), world.today
    fresh = np.flatnonzero(rng.random(size) < 0.8)
    latest = rows.row(fresh, np.full(len(fresh), today + 1))
    both = np.concatenate([np.arange(len(rows.person)), latest])
    day = np.concatenate([rows.day, today - rng.integers(0, SKEW_DAYS, len(fresh))])
    order = np.lexsort((day, rows.person[both]))
    both, day = both[order], day[order]
    code = rows.rep[both] + np.where(day > today - SKEW_DAYS, len(REP_TYPES), 0)
    return {
        "person_id": numbers(world.people.number[rows.person[both]]),
        "recorded_on": dates(day),
        "rep_type": words(code, (*REP_TYPES, *RECODED)),
        "licences": words(rows.licence[both], LICENCES),
        "title": words(rows.title[both], TITLES),
        "producing": flags(rows.producing[both]),
        "age_band": words(rows.age[both], AGE_BANDS),
    }


def claimed_at_once(world: World, employment: Table) -> Table:
    """Return the jobs with recording days that are claimed, not true."""
    rows = world.registrations
    ended = np.where(rows.end == NEVER, NEVER, np.minimum(rows.end + 1, world.today))
    return {
        **employment,
        "recorded_on": dates(np.minimum(rows.start + 1, world.today)),
        "ended_recorded_on": dates(ended),
    }
