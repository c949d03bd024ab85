"""The tables of a world: what the CRM, the vendor and the list of prospects hold on the day as_of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import pyarrow as pa

from .days import NEVER, Floats, Ints, month_starts
from .employment import Registrations, present_employer
from .firms import ENTITIES, Firms
from .outreach import LEFT_OWNERS, NOBODY, QUEUES, SOURCES, Outreach
from .people import AGE_BANDS, LICENCES, REP_TYPES, TITLES, People, Snapshots
from .scale import Scale
from .sheets import Table, amounts, dates, flags, numbers, words
from .truth import Outcomes

STATUSES: Final = ("New", "Contacting", "Nurture", "Closed", "Qualified")
NEW, CONTACTING, NURTURE, CLOSED, QUALIFIED = range(5)
DISPOSITIONS: Final = ("No Response", "Not Interested", "Bad Contact", "Book Not Transferable", "Timing")
CUSTODIANS: Final = tuple(f"Custodian {letter}" for letter in "ABCDEF")
SPELLINGS: Final = ("{}", "{}", "{}", "{} LLC", "{}, Inc.", "{} Inc", "{} & Co")
FIRST_LEAD: Final = 5_000_001


@dataclass(frozen=True, slots=True)
class World:
    """Everything true of a world and everything recorded of it, before it becomes tables."""

    scale: Scale
    as_of: date
    today: int
    firms: Firms
    people: People
    snapshots: Snapshots
    registrations: Registrations
    outreach: Outreach
    outcomes: Outcomes
    lead_firm: Ints
    status: Ints
    task_lead: Ints
    task_day: Ints

    def lead_numbers(self) -> Ints:
        """Return the lead_id of each lead."""
        return FIRST_LEAD + np.arange(len(self.outreach.person))


def draw_status(rng: np.random.Generator, outreach: Outreach, outcomes: Outcomes, today: int) -> Ints:
    """Return the status of today: it knows how each story went on."""
    return status_on(rng.random(len(outreach.person)), outreach, outcomes, today)


def status_on(chance: Floats, outreach: Outreach, outcomes: Outcomes, today: int) -> Ints:
    """Return the status of each lead on a day; `chance` is the lead's own, in [0, 1), and stays with it."""
    fresh = today - outreach.day < 45
    quiet = np.where(fresh & (chance < 0.8), CONTACTING, np.where(chance < 0.3, NURTURE, CLOSED))
    called = np.where(chance < 0.7, QUALIFIED, np.where(chance < 0.85, NURTURE, CLOSED))
    return np.where(outreach.reached, np.where(outcomes.call <= today, called, quiet), NEW)


def draw_tasks(rng: np.random.Generator, outreach: Outreach, today: int) -> tuple[Ints, Ints]:
    """Return the lead and the day of each task: the contact itself, then about one more."""
    reached = np.flatnonzero(outreach.reached)
    counts = 1 + rng.poisson(1.05, len(reached))
    lead = np.repeat(reached, counts)
    first = np.zeros(len(lead), dtype=np.bool_)
    first[np.cumsum(counts) - counts] = True
    day = outreach.contacted[lead] + np.where(first, 0, rng.geometric(0.08, len(lead)))
    kept = day <= today
    return lead[kept], day[kept]


@dataclass(frozen=True, slots=True)
class Entries:
    """What somebody typed into each lead: why it would be closed, the title of an unknown person, the company."""

    disposition: Ints
    title: Ints
    company: Sequence[str | None]


def type_entries(world: World, rng: np.random.Generator) -> Entries:
    """Return what somebody typed into each lead."""
    size = len(world.outreach.person)
    disposition = rng.integers(0, len(DISPOSITIONS), size)
    title = rng.integers(0, len(TITLES), size)
    return Entries(disposition, title, type_companies(world, rng))


def leads(world: World, entries: Entries) -> Table:
    """Return the table of leads, as the CRM shows them on as_of."""
    outreach, size = world.outreach, len(world.outreach.person)
    known = outreach.person >= 0
    person = np.where(known, world.people.number[np.maximum(outreach.person, 0)], 9_000_000 + np.arange(size))
    call = np.where(world.outcomes.call <= world.today, world.outcomes.call, NEVER)
    disposition = np.where(world.status == CLOSED, entries.disposition, -1)
    latest = world.snapshots.row(np.maximum(outreach.person, 0), np.full(size, world.today + 1))
    return {
        "lead_id": numbers(world.lead_numbers()),
        "person_id": numbers(person, outreach.person == NOBODY),
        "source": words(outreach.source, SOURCES),
        "created_on": dates(outreach.created),
        "contacted_on": dates(outreach.contacted),
        "call_scheduled_on": dates(call),
        "owner_id": numbers(outreach.owner),
        "status": words(world.status, STATUSES),
        "disposition": words(disposition, DISPOSITIONS),
        "company": pa.array(entries.company, pa.string()),
        "title": words(np.where(known, world.snapshots.title[latest], entries.title), TITLES),
        "email_known_on": dates(outreach.email),
        "linkedin_known_on": dates(outreach.linkedin),
        "do_not_call": flags(outreach.do_not_call),
    }


def type_companies(world: World, rng: np.random.Generator) -> list[str | None]:
    """Return the firm of each lead as somebody typed it; three in a hundred were left empty."""
    size = len(world.outreach.person)
    firm = np.where(world.lead_firm >= 0, world.lead_firm, rng.integers(0, len(world.firms), size))
    names = world.firms.names()
    spelling, case, blank = rng.integers(0, len(SPELLINGS), size), rng.random(size), rng.random(size) < 0.03
    typed = [SPELLINGS[s].format(names[f]) for f, s in zip(firm.tolist(), spelling.tolist(), strict=True)]
    cased = [
        text.upper() if chance < 0.15 else text.lower() if chance < 0.25 else text
        for text, chance in zip(typed, case.tolist(), strict=True)
    ]
    return [None if empty else text for text, empty in zip(cased, blank.tolist(), strict=True)]


def employment(world: World) -> Table:
    """Return the table of jobs as recorded by as_of."""
    rows = world.registrations
    return {
        "person_id": numbers(world.people.number[rows.person]),
        "firm_id": numbers(world.firms.numbers()[rows.firm]),
        "started_on": dates(rows.start),
        "ended_on": dates(rows.end),
        "recorded_on": dates(rows.recorded),
        "ended_recorded_on": dates(rows.end_recorded),
    }


def firms(world: World) -> Table:
    """Return the table of firms, one row each."""
    rows = world.firms
    return {
        "firm_id": numbers(rows.numbers()),
        "firm_name": rows.names(),
        "is_wirehouse": flags(rows.wirehouse),
        "entity_classification": words(rows.entity, ENTITIES),
        "protocol_joined_on": dates(np.where(rows.protocol <= world.today, rows.protocol, NEVER)),
        "custodian": words(rows.custodian, CUSTODIANS),
        "first_seen_on": dates(rows.seen),
    }


def firm_month(world: World, rng: np.random.Generator) -> Table:
    """Return assets and accounts by firm and month; one firm in three misses some months."""
    months = month_starts(world.as_of, world.scale.months)
    count, span = len(world.firms), len(months)
    firm, month = np.repeat(np.arange(count), span), np.tile(months, count)
    bad = (world.firms.bleeds_from[firm] <= month) & (month <= world.firms.bleeds_to[firm])
    growth = rng.normal(0.006, 0.03, count * span) - 0.025 * bad
    path = np.cumsum(growth.reshape(count, span), axis=1).ravel()
    base = np.log(world.firms.pull * world.scale.people * 6e7) + rng.normal(0, 0.8, count)
    aum = np.exp(base[firm] + path)
    accounts = np.maximum(1, aum / np.exp(rng.normal(12.6, 0.5, count))[firm]).astype(np.int64)
    gappy = (rng.random(count) < 0.36)[firm]
    kept = ~(gappy & (rng.random(count * span) < 0.15))
    aum = np.where(rng.random(count * span) < 0.07, np.nan, aum.round(2))
    return {
        "firm_id": numbers(world.firms.numbers()[firm[kept]]),
        "month": dates(month[kept]),
        "aum": amounts(aum[kept]),
        "accounts": numbers(accounts[kept]),
    }


def person_snapshot(world: World) -> Table:
    """Return the history of what the vendor says of each person."""
    rows = world.snapshots
    return {
        "person_id": numbers(world.people.number[rows.person]),
        "recorded_on": dates(rows.day),
        "rep_type": words(rows.rep, REP_TYPES),
        "licences": words(rows.licence, LICENCES),
        "title": words(rows.title, TITLES),
        "producing": flags(rows.producing),
        "age_band": words(rows.age, AGE_BANDS),
    }


def tasks(world: World, kind: Ints) -> Table:
    """Return the table of calls, messages and mails to contacted leads; `kind` is one code a task."""
    size = len(world.task_lead)
    return {
        "task_id": numbers(np.arange(1, size + 1)),
        "lead_id": numbers(world.lead_numbers()[world.task_lead]),
        "kind": words(kind, ("Call", "SMS", "Email")),
        "happened_on": dates(world.task_day),
    }


def draw_kinds(rng: np.random.Generator, size: int) -> Ints:
    """Return the kind of each of `size` tasks: a call, a message, an e-mail."""
    return rng.choice(3, size, p=[0.5, 0.3, 0.2])


def owners(world: World) -> Table:
    """Return the table of owners: the working desks, those who left, and two queues that are nobody."""
    desks = world.scale.owners + LEFT_OWNERS
    place = np.arange(desks + len(QUEUES))
    return {
        "owner_id": numbers(1 + place),
        "owner_name": [f"Desk {number:02d}" for number in range(1, desks + 1)] + list(QUEUES),
        "is_active": flags((place < world.scale.owners) | (place >= desks)),
        "is_person": flags(place < desks),
    }


def prospects(world: World, email: Ints, linkedin: Ints) -> Table:
    """Return everybody who may be put on a list, as of today; those who are leads carry what the CRM holds."""
    people, size = world.people, len(world.people.number)
    rows = world.snapshots.row(np.arange(size), np.full(size, world.today + 1))
    firm = people.home.copy()
    firm[: world.scale.people] = present_employer(world.registrations, world.scale.people, world.today)
    lead = np.full(size, -1)
    found = np.flatnonzero(world.outreach.person >= 0)
    lead[world.outreach.person[found]] = found
    is_lead = lead >= 0
    last = np.where(world.outreach.reached, world.outreach.contacted, -NEVER)
    np.maximum.at(last, world.task_lead, world.task_day)
    email = np.where(is_lead, world.outreach.email[lead], email)
    linkedin = np.where(is_lead, world.outreach.linkedin[lead], linkedin)
    return {
        "person_id": numbers(people.number),
        "firm_id": numbers(world.firms.numbers()[firm], firm < 0),
        "firm_name": words(firm, world.firms.names()),
        "title": words(world.snapshots.title[rows], TITLES),
        "age_band": words(world.snapshots.age[rows], AGE_BANDS),
        "producing": flags(world.snapshots.producing[rows] & (firm >= 0)),
        "disclosure": flags(people.disclosure),
        "has_linkedin": flags(linkedin != NEVER),
        "last_contacted_on": dates(np.where(is_lead & (last[lead] > 0), last[lead], NEVER)),
        "lead_id": numbers(FIRST_LEAD + lead, ~is_lead),
        "lead_status": words(np.where(is_lead, world.status[lead], -1), STATUSES),
        "do_not_call": flags(is_lead & world.outreach.do_not_call[lead]),
        "email_known_on": dates(email),
        "linkedin_known_on": dates(linkedin),
    }


def truth(world: World) -> Table:
    """Return the true chance of each contacted lead, and whether it ever had a call; no source of a project."""
    reached = world.outreach.reached
    return {
        "lead_id": numbers(world.lead_numbers()[reached]),
        "probability": amounts(world.outcomes.probability[reached]),
        "converted_ever": flags(world.outcomes.converted[reached]),
    }
