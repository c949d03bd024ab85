"""What the vendor knows of each person: registration, licences, title, age band, as a history of snapshots."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from .careers import Careers
from .days import YEAR, Bools, Floats, Ints
from .firms import RIA, Firms

IA: Final = 0
DUAL: Final = 1
REP_TYPES: Final = ("IA", "DR", "BD")
LICENCES: Final = ("65", "66", "7,66", "7,63,65", "7,63", "6,63")
AGE_BANDS: Final = ("<35", "35-49", "50-64", "65-69", "70+")
TITLES: Final = (
    "Financial Adviser",
    "Wealth Manager",
    "Partner",
    "Founder",
    "Senior Vice President",
    "Associate Adviser",
    "Branch Manager",
    "Operations Manager",
    "Client Associate",
    "Portfolio Analyst",
)
TITLE_SHARES: Final = (0.38, 0.2, 0.08, 0.05, 0.07, 0.07, 0.04, 0.03, 0.05, 0.03)


@dataclass(frozen=True, slots=True)
class People:
    """Everybody by index, those with a history first; `home` is the firm today, -1 for those out of work."""

    number: Ints
    home: Ints
    rep: Ints
    born: Ints
    disclosure: Bools
    age_known: Bools


@dataclass(frozen=True, slots=True)
class Snapshots:
    """Rows sorted by person and day; each holds from its day on. `age` is -1 where the vendor has none."""

    person: Ints
    day: Ints
    rep: Ints
    licence: Ints
    title: Ints
    producing: Bools
    age: Ints

    def row(self, person: Ints, day: Ints) -> Ints:
        """Return the row of each person last recorded before `day`."""
        keys = (self.person << 20) | (self.day + (1 << 18))
        return np.searchsorted(keys, (person << 20) | (day + (1 << 18)), side="left") - 1


def gather(rng: np.random.Generator, firms: Firms, careers: Careers, home: Ints, size: int, today: int) -> People:
    """Return `size` people; the registration goes with the kind of firm they are at."""
    ages_at_entry = np.minimum(40, 22 + rng.exponential(4.5, careers.people))
    born = today - (rng.uniform(25, 73, size) * YEAR).astype(np.int64)
    born[: careers.people] = careers.entry - (ages_at_entry * YEAR).astype(np.int64)
    independent = (home >= 0) & (firms.entity[home] == RIA)
    chance = rng.random(size)
    rep = np.where(independent, pick(chance, [0.48, 0.40]), pick(chance, [0.14, 0.60]))
    return People(
        number=1_000_000 + rng.permutation(size).astype(np.int64),
        home=home,
        rep=rep,
        born=born,
        disclosure=rng.random(size) < 0.24,
        age_known=rng.random(size) < 0.605,
    )


def pick(chance: Floats, shares: list[float]) -> Ints:
    """Return the place of each chance among the shares; what they leave over is the last place."""
    return np.searchsorted(np.cumsum(shares), chance, side="right").astype(np.int64)


def record_people(rng: np.random.Generator, people: People, today: int) -> Snapshots:
    """Return one to three snapshots a person, the first at least three years old."""
    size = len(people.number)
    counts = 1 + pick(rng.random(size), [0.62, 0.28])
    person = np.repeat(np.arange(size), counts)
    nth = np.arange(len(person)) - np.repeat(np.cumsum(counts) - counts, counts)
    opened = today - rng.integers(round(3.1 * YEAR), 9 * 365, size)
    later = opened[person] + ((today - opened[person]) * rng.random(len(person))).astype(np.int64)
    day = np.where(nth == 0, opened[person], later)
    order = np.lexsort((day, person))
    day = day[order]
    rep = people.rep[person]
    moved_on = (nth > 0) & (rng.random(len(person)) < 0.12)
    rep = np.where(moved_on, DUAL, rep)
    title = rng.choice(len(TITLES), size, p=TITLE_SHARES)[person]
    promoted = (nth > 0) & (rng.random(len(person)) < 0.3)
    title = np.where(promoted, rng.choice(len(TITLES), len(person), p=TITLE_SHARES), title)
    working = (people.home >= 0)[person] | (nth + 1 < counts[person])
    years = (day - people.born[person]) / YEAR
    age = np.searchsorted([35, 50, 65, 70], years, side="right")
    return Snapshots(
        person=person,
        day=day,
        rep=rep,
        licence=2 * rep + (rng.random(len(person)) < 0.3),
        title=title,
        producing=working & (rng.random(len(person)) < 0.88),
        age=np.where(people.age_known[person], age, -1),
    )
