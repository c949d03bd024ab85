"""From a scale and a seed to the files of a world."""

from datetime import date
from pathlib import Path
from typing import Final

import numpy as np

from . import tables
from .careers import Ledger, live
from .days import Ints, day_number
from .employment import register
from .firms import Firms, Hiring, found_firms, open_hiring
from .outreach import EMAIL_BY_CONTACT, EMAIL_IN_DRIFT, LINKEDIN_BY_CONTACT, known_before, reach_out
from .people import People, gather, record_people
from .planted import plant
from .scale import Scale, Trap, stream
from .sheets import Table, write
from .tables import World, draw_status, draw_tasks
from .truth import Effects, complete, decide, log_odds

AS_OF: Final = date(2025, 10, 31)


def generate(
    folder: Path,
    scale: Scale,
    seed: int,
    as_of: date = AS_OF,
    trap: Trap | None = None,
    signal: bool = True,
) -> dict[str, int]:
    """Return the rows of each table after writing the world as `folder`/<table>.parquet.

    The same arguments give the same bytes. Parts draw their chance apart, so a trap leaves the other tables alone;
    only DRIFT, which changes whom the desk contacts, and what follows from that, moves the leads themselves.
    """
    firms = found_firms(stream(seed, "firms"), scale.firms, as_of)
    hiring = open_hiring(firms, as_of)
    careers = live(stream(seed, "careers"), firms, hiring, scale.people, as_of)
    ledger = Ledger(careers, firms)
    people = gather_people(seed, scale, firms, hiring, ledger, day_number(as_of))
    world = build(seed, scale, as_of, firms, ledger, people, trap is Trap.DRIFT, signal)
    sheets = tabulate(world, seed, trap)
    if trap is not None:
        sheets = plant(trap, world, ledger, sheets, stream(seed, "trap"))
    return write(folder, sheets)


def gather_people(seed: int, scale: Scale, firms: Firms, hiring: Hiring, ledger: Ledger, today: int) -> People:
    """Return everybody, with the firm where each truly is today."""
    rng = stream(seed, "people")
    home = hiring.pick(rng, np.full(scale.prospects, today))
    home[rng.random(scale.prospects) < 0.15] = -1
    home[: scale.people] = ledger.facts(np.arange(scale.people), np.full(scale.people, today)).firm
    return gather(rng, firms, ledger.careers, home, scale.prospects, today)


def build(
    seed: int,
    scale: Scale,
    as_of: date,
    firms: Firms,
    ledger: Ledger,
    people: People,
    drift: bool,
    signal: bool,
) -> World:
    """Return the world: outreach to the people, the outcomes by the truth, and what followed."""
    today = day_number(as_of)
    snapshots = record_people(stream(seed, "snapshots"), people, today)
    outreach = reach_out(stream(seed, "outreach"), scale, ledger, firms, as_of, drift)
    facts = ledger.facts(outreach.person, outreach.day)
    odds = log_odds(outreach, facts, firms, people, snapshots, Effects())
    outcomes = decide(stream(seed, "outcomes"), outreach, odds, signal)
    crm = stream(seed, "crm")
    outreach = complete(crm, outreach, outcomes, today)
    status = draw_status(crm, outreach, outcomes, today)
    task_lead, task_day = draw_tasks(crm, outreach, today)
    home = np.where(outreach.person >= 0, people.home[np.maximum(outreach.person, 0)], -1)
    return World(
        scale=scale,
        as_of=as_of,
        today=today,
        firms=firms,
        people=people,
        snapshots=snapshots,
        registrations=register(stream(seed, "employment"), scale, ledger.careers, as_of),
        outreach=outreach,
        outcomes=outcomes,
        lead_firm=np.where(facts.employed, facts.firm, home),
        status=status,
        task_lead=task_lead,
        task_day=task_day,
    )


def tabulate(world: World, seed: int, trap: Trap | None) -> dict[str, Table]:
    """Return the tables of an honest world."""
    email, linkedin = reachable(world, seed, trap)
    return {
        "leads": tables.leads(world, tables.type_entries(world, stream(seed, "leads"))),
        "employment": tables.employment(world),
        "firms": tables.firms(world),
        "firm_month": tables.firm_month(world, stream(seed, "firm_month")),
        "person_snapshot": tables.person_snapshot(world),
        "tasks": tables.tasks(world, tables.draw_kinds(stream(seed, "tasks"), len(world.task_lead))),
        "owners": tables.owners(world),
        "prospects": tables.prospects(world, email, linkedin),
        "truth": tables.truth(world),
    }


def reachable(world: World, seed: int, trap: Trap | None) -> tuple[Ints, Ints]:
    """Return since when e-mail and LinkedIn are known of everybody who is no lead."""
    rng, size = stream(seed, "reachable"), len(world.people.number)
    email = EMAIL_IN_DRIFT if trap is Trap.DRIFT else EMAIL_BY_CONTACT
    day = world.today - rng.integers(0, 500, size)
    return (
        known_before(rng, rng.random(size) < email, day),
        known_before(rng, rng.random(size) < LINKEDIN_BY_CONTACT, day),
    )
