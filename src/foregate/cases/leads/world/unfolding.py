"""A world that goes on: its files on any day of a span, and a desk whose contacts come true in them."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import numpy as np

from . import tables
from .careers import Ledger, live
from .days import NEVER, Floats, Ints, day_number, weekday
from .employment import register
from .firms import Firms, Hiring, found_firms, open_hiring
from .genesis import gather_people
from .outreach import EMAIL_BY_CONTACT, LINKEDIN_BY_CONTACT, SOURCES, Outreach, known_before, reach_out
from .people import record_people
from .recorded import Course, as_recorded, by_day, kept
from .scale import Scale, stream
from .sheets import Table, write
from .tables import World, draw_kinds, draw_tasks, type_entries
from .truth import Effects, Outcomes, complete, draw_calls, log_odds, probability_of, solve_constant
from .webinars import hold_webinars, webinars

RATE: Final = 0.03
"""The mean chance of a call within 43 days among the contacts up to the start."""
TRUSTED: Final = math.log(5)
DISTRUSTED: Final = math.log(0.2)
EFFECTS: Final = Effects(email=0.85, linkedin=0.6, dual=-0.5, webinar=TRUSTED)
"""What moves the chances of the history: more than in a world of one day hangs on what a CRM knows of a lead."""
WEBINAR_DAYS: Final = 3_000
"""Days before the end from which webinars are held."""
PROVIDED: Final = SOURCES.index("Provided List")
RECYCLED: Final = SOURCES.index("Recycled")


@dataclass(frozen=True, slots=True)
class Regime:
    """What moves the chances of contacts from a day on; the constant keeps the mean of the history at its rate."""

    since: int
    effects: Effects
    constant: float


class Unfolding:
    """One world of people, firms and records up to `end`, in which only what the desk does after `start` is open.

    Leads contacted up to `start` are its history. Whoever works a list calls `contact`; what comes of it is drawn by
    the same truth as the history, from what is true of each person on the day of contact. A file of a day is honest
    as long as no contact is added later that falls on it or before. The same seed and the same calls give the same
    bytes. Raises ValueError for a start that is not before the end.
    """

    def __init__(self, scale: Scale, seed: int, start: date, end: date) -> None:
        if not start < end:
            raise ValueError(f"a world can not go on from {start} to {end}")
        self.start, self.end = start, end
        self._seed, self._calls, self._busy_until = seed, 0, day_number(start)
        firms = found_firms(stream(seed, "firms"), scale.firms, end)
        # The list of firms is whole from the start: jobs at a firm that is not on it would lead nowhere.
        firms = replace(firms, seen=np.minimum(firms.seen, day_number(start)))
        hiring = open_hiring(firms, end)
        self._ledger = Ledger(live(stream(seed, "careers"), firms, hiring, scale.people, end), firms)
        self._world = self._settle(scale, firms, hiring)
        self._place = np.argsort(self._world.people.number)
        self._since = np.full(scale.prospects, -NEVER)
        self._since[: scale.people] = self._ledger.careers.entry
        opened = self._world.today - WEBINAR_DAYS
        self._webinars = hold_webinars(stream(seed, "webinars"), self._since, opened, self._world.today)
        self._email, self._linkedin = self._reachable()
        outreach = reach_out(stream(seed, "outreach"), scale, self._ledger, firms, start, drift=False)
        self._history = outreach
        self._regimes = [Regime(int(-NEVER), EFFECTS, self._constant(EFFECTS))]
        self._course = self._follow(outreach, "history")
        self._months = self._firm_months()

    def write(self, folder: Path, day: date, only: Collection[str] = ()) -> dict[str, int]:
        """Return the rows of each table after writing the files as recorded by `day` as `folder`/<table>.parquet.

        `only` names the tables to write, none of them for all. Raises ValueError for a day outside the span and for a
        table that the world does not have.
        """
        self._check_day(day)
        makers = self._makers(day)
        strange = sorted(set(only) - set(makers))
        if strange:
            raise ValueError(f"no table {', '.join(strange)}: there are {', '.join(makers)}")
        return write(folder, {name: make() for name, make in makers.items() if not only or name in only})

    def contact(self, people: Sequence[int], owners: Sequence[int], first: date, last: date) -> int:
        """Return the number of leads contacted, spread evenly over the working days from `first` to `last`.

        `people` are person_ids of the prospects, each with the `owner_id` who works it; who comes first is drawn by
        chance. Each becomes a lead of its own, created on the day of contact: a person who was a lead before (source
        "Recycled") has two. Raises ValueError for somebody unknown or named twice, and for days outside the span.
        """
        days = self._working_days(first, last)
        persons = self._persons(people)
        if len(owners) != len(persons):
            raise ValueError(f"{len(persons)} people but {len(owners)} owners")
        self._calls += 1
        name = f"contacts {self._calls}"
        rng = stream(self._seed, name)
        day = days[rng.permutation(len(persons)) * len(days) // max(1, len(persons))]
        order = np.lexsort((persons, day))
        again = np.isin(persons, self._course.outreach.person)
        outreach = Outreach(
            person=persons[order],
            created=day[order],
            contacted=day[order],
            day=day[order],
            source=np.where(again, RECYCLED, PROVIDED)[order],
            owner=np.asarray(owners, np.int64)[order],
            email=self._email[persons][order],
            linkedin=self._linkedin[persons][order],
            do_not_call=rng.random(len(persons)) < 0.02,
        )
        self._course = self._course.then(self._follow(outreach, name))
        self._busy_until = max(self._busy_until, int(days[-1]))
        return len(persons)

    def chances(self, people: Sequence[int], day: date) -> Floats:
        """Return the true chance of each person to have a call within 43 days of a contact on `day`.

        Raises ValueError for somebody unknown and for a day outside the span.
        """
        self._check_day(day)
        persons = self._persons(people)
        days = np.full(len(persons), day_number(day))
        nothing = np.zeros(len(persons), np.int64)
        outreach = Outreach(
            person=persons,
            created=days,
            contacted=days,
            day=days,
            source=nothing,
            owner=nothing,
            email=self._email[persons],
            linkedin=self._linkedin[persons],
            do_not_call=nothing > 0,
        )
        return self._probability(outreach)

    def shift(self, since: date, effects: Effects) -> None:
        """Plant a change: other effects move the chances of contacts from `since` on; none of the files shows it.

        The change is of who converts, not of how many: over the people of the history the mean chance stays as it was.
        Raises ValueError for a day that is not after all contacts so far.
        """
        if not day_number(since) > self._busy_until:
            raise ValueError(f"contacts up to {day_of(self._busy_until)} have had their outcomes: no shift on {since}")
        self._check_day(since)
        self._regimes.append(Regime(day_number(since), effects, self._constant(effects)))

    def lose_trust(self, since: date) -> None:
        """Plant the shift that webinars work against whoever attended: the odds are a fifth, not fivefold."""
        self.shift(since, replace(self._regimes[-1].effects, webinar=DISTRUSTED))

    def _settle(self, scale: Scale, firms: Firms, hiring: Hiring) -> World:
        """Return the world without its leads."""
        seed, last = self._seed, day_number(self.end)
        people = gather_people(seed, scale, firms, hiring, self._ledger, last)
        none, days = np.empty(0), np.empty(0, np.int64)
        return World(
            scale=scale,
            as_of=self.end,
            today=last,
            firms=firms,
            people=people,
            snapshots=record_people(stream(seed, "snapshots"), people, last),
            registrations=register(stream(seed, "employment"), scale, self._ledger.careers, self.end),
            outreach=Outreach(days, days, days, days, days, days, days, days, days > 0),
            outcomes=Outcomes(none, days),
            lead_firm=days,
            status=days,
            task_lead=days,
            task_day=days,
        )

    def _reachable(self) -> tuple[Ints, Ints]:
        """Return since when e-mail and LinkedIn are known of everybody, before they become leads."""
        rng, size = stream(self._seed, "reachable"), self._world.scale.prospects
        day = day_number(self.start) - rng.integers(0, 500, size)
        return (
            known_before(rng, rng.random(size) < EMAIL_BY_CONTACT, day),
            known_before(rng, rng.random(size) < LINKEDIN_BY_CONTACT, day),
        )

    def _odds(self, outreach: Outreach, effects: Effects) -> Floats:
        world, known = self._world, outreach.person >= 0
        facts = self._ledger.facts(outreach.person, outreach.day)
        odds = log_odds(outreach, facts, world.firms, world.people, world.snapshots, effects)
        return odds + effects.webinar * (known & self._webinars.attended(outreach.person, outreach.day))

    def _constant(self, effects: Effects) -> float:
        reached = self._history.reached
        return solve_constant(self._odds(self._history, effects)[reached], RATE)

    def _probability(self, outreach: Outreach) -> Floats:
        """Return the true chance of each lead if it is contacted on its day."""
        chance = np.full(len(outreach.person), np.nan)
        for regime in self._regimes:
            chance = np.where(
                outreach.day >= regime.since,
                probability_of(self._odds(outreach, regime.effects) + regime.constant),
                chance,
            )
        return chance

    def _follow(self, outreach: Outreach, name: str) -> Course:
        """Return how leads go on to the end of the world; what the CRM learns of a person is remembered."""
        world, last, rng = self._world, self._world.today, stream(self._seed, f"{name}: course")
        facts = self._ledger.facts(outreach.person, outreach.day)
        home = np.where(outreach.person >= 0, world.people.home[np.maximum(outreach.person, 0)], -1)
        firm = np.where(facts.employed, facts.firm, home)
        probability = np.where(outreach.reached, self._probability(outreach), np.nan)
        outcomes = draw_calls(rng, outreach, probability)
        outreach = complete(rng, outreach, outcomes, last)
        known = outreach.person >= 0
        self._email[outreach.person[known]] = outreach.email[known]
        self._linkedin[outreach.person[known]] = outreach.linkedin[known]
        task_lead, task_day = draw_tasks(rng, outreach, last)
        return Course(
            outreach=outreach,
            outcomes=outcomes,
            entries=type_entries(replace(world, outreach=outreach, lead_firm=firm), rng),
            firm=firm,
            chance=rng.random(len(firm)),
            task_lead=task_lead,
            task_day=task_day,
            task_kind=draw_kinds(rng, len(task_lead)),
        )

    def _firm_months(self) -> tuple[Table, Ints]:
        """Return the assets and accounts by firm and month, and the day from which each row is known: a month later."""
        beyond = (self.end.year - self.start.year) * 12 + self.end.month - self.start.month
        scale = replace(self._world.scale, months=self._world.scale.months + beyond)
        table = tables.firm_month(replace(self._world, scale=scale), stream(self._seed, "firm_month"))
        month = table["month"].to_numpy(zero_copy_only=False).astype("datetime64[M]")
        return table, (month + 1).astype("datetime64[D]").astype(np.int64)

    def _makers(self, day: date) -> dict[str, Callable[[], Table]]:
        """Return what makes each table as recorded by `day`."""
        course, today = self._course, day_number(day)
        world = as_recorded(self._world, course, day)
        whole = replace(world, task_lead=course.task_lead, task_day=course.task_day)
        there, shots = self._since <= today, self._world.snapshots
        months, known = self._months
        email, linkedin = by_day(self._email, today), by_day(self._linkedin, today)
        return {
            "leads": lambda: kept(tables.leads(world, course.entries), course.outreach.created <= today),
            "employment": lambda: tables.employment(world),
            "firms": lambda: tables.firms(world),
            "firm_month": lambda: kept(months, known <= today),
            "person_snapshot": lambda: kept(tables.person_snapshot(world), (shots.day <= today) & there[shots.person]),
            "webinars": lambda: webinars(self._webinars, self._world.people, today),
            "tasks": lambda: kept(tables.tasks(whole, course.task_kind), course.task_day <= today),
            "owners": lambda: tables.owners(world),
            "prospects": lambda: kept(tables.prospects(world, email, linkedin), there),
            "truth": lambda: tables.truth(world),
        }

    def _persons(self, people: Sequence[int]) -> Ints:
        """Return the place of each person_id among the people."""
        asked, number = np.asarray(people, np.int64), self._world.people.number
        found = np.searchsorted(number, asked, sorter=self._place)
        place: Ints = self._place[np.minimum(found, len(number) - 1)]
        strangers = asked[number[place] != asked]
        if len(strangers) or len(np.unique(asked)) < len(asked):
            raise ValueError(f"wanted known people, each once; unknown are {strangers[:5].tolist()}")
        return place

    def _working_days(self, first: date, last: date) -> Ints:
        if not self.start < first <= last <= self.end:
            raise ValueError(f"contacts from {first} to {last} are outside {self.start} to {self.end}")
        days = np.arange(day_number(first), day_number(last) + 1)
        days = days[weekday(days) < 5]
        if not len(days):
            raise ValueError(f"no working day from {first} to {last}")
        return days

    def _check_day(self, day: date) -> None:
        if not self.start <= day <= self.end:
            raise ValueError(f"{day} is outside {self.start} to {self.end}")


def day_of(number: int) -> date:
    """Return the date of a day number."""
    return date(1970, 1, 1) + timedelta(days=number)
