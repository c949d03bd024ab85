"""Outreach: which person became a lead, when it was contacted, and what was known of it by then."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from .careers import Ledger
from .days import NEVER, Bools, Floats, Ints, day_number, draw_days, month_starts
from .firms import Firms
from .scale import Scale

SOURCES: Final = (
    "Provided List",
    "Provided List (Marketing)",
    "Recycled",
    "LinkedIn",
    "Inbound",
    "Referral",
)
SOURCE_SHARES: Final = (0.80, 0.05, 0.04, 0.06, 0.03, 0.02)
LEFT_OWNERS: Final = 5
QUEUES: Final = ("Operations queue", "Marketing queue")
CONTACTED: Final = 0.68
NOBODY: Final = -1
STRANGER: Final = -2
"""A person_id that no other table knows."""
DRIFT_DAYS: Final = 150
EMAIL_BY_CONTACT: Final = 0.60
EMAIL_IN_DRIFT: Final = 0.18
LINKEDIN_BY_CONTACT: Final = 0.55
ROUNDS: Final = 2_000

Fits = Callable[[Ints, Ints], Bools]


@dataclass(frozen=True, slots=True)
class Outreach:
    """Leads by index, in order of creation; `day` is the contact, or the creation where there was none."""

    person: Ints
    created: Ints
    contacted: Ints
    day: Ints
    source: Ints
    owner: Ints
    email: Ints
    linkedin: Ints
    do_not_call: Bools

    @property
    def reached(self) -> Bools:
        """Return which leads were contacted."""
        reached: Bools = self.contacted != NEVER
        return reached


def reach_out(
    rng: np.random.Generator, scale: Scale, ledger: Ledger, firms: Firms, as_of: date, drift: bool
) -> Outreach:
    """Return the leads of a world; with `drift` the last months reach small firms only and few e-mails."""
    today = day_number(as_of)
    created, contacted = draw_contacts(rng, scale.leads, as_of)
    order = np.lexsort((contacted, created))
    created, contacted = created[order], contacted[order]
    day = np.where(contacted == NEVER, created, contacted)
    late = drift & (day > today - DRIFT_DAYS)
    person = draw_persons(rng, scale, ledger, day, late)
    email = np.where(late, EMAIL_IN_DRIFT, EMAIL_BY_CONTACT)
    return Outreach(
        person=person,
        created=created,
        contacted=contacted,
        day=day,
        source=rng.choice(len(SOURCES), scale.leads, p=SOURCE_SHARES),
        owner=draw_owners(rng, scale),
        email=known_before(rng, rng.random(scale.leads) < email, day),
        linkedin=known_before(rng, rng.random(scale.leads) < LINKEDIN_BY_CONTACT, day),
        do_not_call=rng.random(scale.leads) < 0.02,
    )


def draw_contacts(rng: np.random.Generator, size: int, as_of: date) -> tuple[Ints, Ints]:
    """Return the days of creation and of contact; contacts fall mostly in the last 21 months."""
    today = day_number(as_of)
    opening = int(month_starts(as_of, 31)[0])
    busy = int(month_starts(as_of, 21)[0])
    reached = rng.random(size) < CONTACTED
    contact = np.where(
        rng.random(size) < 0.93,
        draw_days(rng, busy, today, size, business=True),
        draw_days(rng, opening + 5, busy - 1, size, business=True),
    )
    wait = np.where(rng.random(size) < 0.75, rng.exponential(6, size), rng.exponential(110, size))
    before = np.maximum(opening, contact - wait.astype(np.int64))
    alone = draw_days(rng, opening, today, size, business=False)
    return np.where(reached, before, alone), np.where(reached, contact, NEVER)


def draw_persons(rng: np.random.Generator, scale: Scale, ledger: Ledger, day: Ints, late: Bools) -> Ints:
    """Return the person of each lead: 75 % with a history, 20.7 % without, the rest nobody or a stranger."""
    size = len(day)
    kind = np.searchsorted([0.750, 0.957, 0.978], rng.random(size), side="right")
    person = np.select([kind == 2, kind == 3], [NOBODY, STRANGER], 0)
    unseen = scale.people + rng.permutation(scale.prospects - scale.people)
    person[kind == 1] = unseen[: np.count_nonzero(kind == 1)]
    pool = rng.permutation(scale.people)

    def listed(who: Ints, when: Ints) -> Bools:
        return on_list(rng, ledger, who, when)

    def listed_and_small(who: Ints, when: Ints) -> Bools:
        facts = ledger.facts(who, when)
        return on_list(rng, ledger, who, when) & (facts.heads <= 12)

    for rows, fits in (((kind == 0) & late, listed_and_small), ((kind == 0) & ~late, listed)):
        person[rows] = match(pool, day[rows], fits)
        pool = pool[~np.isin(pool, person[rows])]
    return person


def match(pool: Ints, day: Ints, fits: Fits) -> Ints:
    """Return a person of the pool for each day, each person once, such that all of them fit."""
    found = np.full(len(day), NOBODY)
    open_rows = np.arange(len(day))
    for _ in range(ROUNDS):
        if not len(open_rows):
            return found
        offered = pool[: len(open_rows)]
        rows = open_rows[: len(offered)]
        good = fits(offered, day[rows])
        found[rows[good]] = offered[good]
        pool = np.concatenate([pool[len(offered) :], offered[~good]])
        open_rows = np.concatenate([rows[~good], open_rows[len(offered) :]])
    raise ValueError(f"{len(open_rows)} leads find nobody who fits: the world has too few people for them")


def on_list(rng: np.random.Generator, ledger: Ledger, person: Ints, day: Ints) -> Bools:
    """Return who a bought list would hold: people at work who are not new; it likes veterans and falling firms."""
    facts = ledger.facts(person, day)
    favoured = (facts.experience >= 240) | (facts.change < -10)
    return facts.employed & (facts.experience > 3) & (favoured | (rng.random(len(person)) < 0.7))


def draw_owners(rng: np.random.Generator, scale: Scale) -> Ints:
    """Return the owner of each lead: nine in ten are working people, the rest have left or are queues."""
    chance = rng.random(scale.leads)
    active = rng.integers(0, scale.owners, scale.leads)
    gone = scale.owners + rng.integers(0, LEFT_OWNERS, scale.leads)
    queue = scale.owners + LEFT_OWNERS + rng.integers(0, len(QUEUES), scale.leads)
    return 1 + np.select([chance < 0.9, chance < 0.96], [active, gone], queue)


def known_before(rng: np.random.Generator, known: Bools, day: Ints) -> Ints:
    """Return when something became known that was known before `day`, NEVER for the rest."""
    since = 1 + rng.exponential(45, len(day)).astype(np.int64)
    return np.where(known, day - since, NEVER)


def known_after(rng: np.random.Generator, known: Ints, day: Ints, chance: Floats, today: int) -> Ints:
    """Return `known` with those filled in that became known only after `day`, by their `chance`."""
    filled = (known == NEVER) & (rng.random(len(day)) < chance)
    then = day + rng.integers(0, 60, len(day))
    return np.where(filled & (then <= today), then, known)
