"""Firms: a few giants, many small ones, and those that lose their people for a while."""

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from .days import MONTH, YEAR, Bools, Floats, Ints, day_number, month_starts

RIA: Final = 0
ENTITIES: Final = ("Independent RIA", "Broker Dealer", "Hybrid", "Bank", "Insurance")
WIREHOUSES: Final = 10
WIREHOUSE_SHARE: Final = 0.20
RIA_SHARE: Final = 0.27
BIG: Final = 0.008
"""The share of all hiring from which a firm is too big for a bad spell that a demo could not bear."""
RECENT_MONTHS: Final = 75
"""Months before as_of in which firms have their bad spells; before them every firm hires at its usual rate."""


@dataclass(frozen=True, slots=True)
class Firms:
    """The firms by index: how strongly each hires, what it is, and its bad spell (empty if from > to)."""

    pull: Floats
    wirehouse: Bools
    entity: Ints
    bleeds_from: Ints
    bleeds_to: Ints
    protocol: Ints
    custodian: Ints
    seen: Ints

    def __len__(self) -> int:
        return len(self.pull)

    def numbers(self) -> Ints:
        """Return the firm_id of each firm."""
        return np.arange(1, len(self) + 1, dtype=np.int64) + 10_000

    def names(self) -> list[str]:
        """Return the proper name of each firm."""
        kind = np.where(self.wirehouse, "Wirehouse", "Firm")
        return [f"{word} {number:05d}" for number, word in enumerate(kind.tolist(), start=1)]


def found_firms(rng: np.random.Generator, count: int, as_of: date) -> Firms:
    """Return `count` firms of Pareto size; one in three that is not huge has a bad spell in the last years."""
    today = day_number(as_of)
    wirehouse = np.arange(count) < WIREHOUSES
    pull = draw_pull(rng, count)
    chance = np.where(pull > 0.0006, 0.62, 0.30)
    spell = (rng.random(count) < chance) & (pull < BIG)
    begins = today - rng.integers(0, round(5.2 * YEAR), count)
    lasts = rng.uniform(15, 28, count) * MONTH
    never = today + 1
    joined = today - rng.integers(0, round(15 * YEAR), count)
    older = today - rng.integers(round(4 * YEAR), round(25 * YEAR), count)
    newer = today - rng.integers(30, round(2 * YEAR), count)
    return Firms(
        pull=pull,
        wirehouse=wirehouse,
        entity=draw_entities(rng, pull),
        bleeds_from=np.where(spell, begins, never),
        bleeds_to=np.where(spell, begins + lasts.astype(np.int64), never - 1),
        protocol=np.where(rng.random(count) < 0.3, joined, never),
        custodian=rng.integers(0, 6, count),
        seen=np.where((rng.random(count) < 0.02) & ~wirehouse, newer, older),
    )


def draw_pull(rng: np.random.Generator, count: int) -> Floats:
    """Return each firm's share of all hiring: the wirehouses first, then a power law without a monopolist."""
    giants = rng.uniform(0.6, 1.4, WIREHOUSES)
    others: Floats = (1 - rng.random(count - WIREHOUSES)) ** (-1 / 0.98)
    for _ in range(3):
        others = np.minimum(others / others.sum(), 0.025)
    others *= (1 - WIREHOUSE_SHARE) / others.sum()
    return np.concatenate([WIREHOUSE_SHARE * giants / giants.sum(), others])


def draw_entities(rng: np.random.Generator, pull: Floats) -> Ints:
    """Return the class of each firm; the big ones are not independent, and 27 % of people work at those that are."""
    small = pull < BIG
    independent = small & (rng.random(len(pull)) < RIA_SHARE / pull[small].sum())
    others = rng.choice([1, 2, 3, 4], len(pull), p=[0.42, 0.30, 0.14, 0.14])
    kinds = np.where(independent, RIA, others)
    kinds[:WIREHOUSES] = 1
    return kinds.astype(np.int64)


@dataclass(frozen=True, slots=True)
class Hiring:
    """Where people go, by month: a bad firm hires at a fraction of its usual rate."""

    starts: Ints
    edges: Floats
    firms: int

    def pick(self, rng: np.random.Generator, day: Ints) -> Ints:
        """Return the firm that hires each person who starts on `day`."""
        period = np.searchsorted(self.starts, day, side="right")
        place = np.searchsorted(self.edges, period + rng.random(len(day)), side="right")
        firm: Ints = np.clip(place - period * self.firms, 0, self.firms - 1)
        return firm


def open_hiring(firms: Firms, as_of: date) -> Hiring:
    """Return the hiring shares: one period for the far past, then the recent months one by one."""
    starts = month_starts(as_of, RECENT_MONTHS)
    shares = np.tile(firms.pull, (len(starts) + 1, 1))
    for period, start in enumerate(starts, start=1):
        bleeding = (firms.bleeds_from <= start) & (start <= firms.bleeds_to)
        shares[period, bleeding] *= 0.2
    edges = np.cumsum(shares, axis=1)
    edges /= edges[:, -1:]
    edges += np.arange(len(edges))[:, None]
    return Hiring(starts, edges.ravel(), len(firms))
