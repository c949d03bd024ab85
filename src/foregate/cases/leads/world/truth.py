"""The truth that no model sees: the chance that a contact becomes a call, and what came of it."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from .careers import Facts
from .days import NEVER, Bools, Floats, Ints, call_delay
from .firms import RIA, Firms
from .outreach import Outreach, known_after
from .people import DUAL, IA, People, Snapshots

BASE_RATE: Final = 0.038
WITHIN: Final = 0.9
"""The part of all calls that comes within 43 days."""


@dataclass(frozen=True, slots=True)
class Effects:
    """The size of each effect on the log odds; the first six add up to a push that saturates at `ceiling`."""

    recent: float = 1.0
    moves: float = 0.15
    prime: float = 0.75
    veteran: float = 1.35
    shrinking: float = 1.1
    small: float = 1.0
    ceiling: float = 3.2
    wirehouse: float = -0.5
    email: float = 0.75
    linkedin: float = 0.4
    dual: float = -0.4
    independent: float = 0.5
    webinar: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What came of each lead; `probability` is NaN and `call` NEVER where there was no contact."""

    probability: Floats
    call: Ints

    @property
    def converted(self) -> Bools:
        """Return which leads had a call at any time, after as_of too."""
        converted: Bools = self.call != NEVER
        return converted


def push(facts: Facts, effects: Effects) -> Floats:
    """Return how much a person's own career and firm push for a change."""
    tenure, experience = np.nan_to_num(facts.tenure, nan=999.0), np.nan_to_num(facts.experience)
    recent = np.interp(tenure, [0, 8, 12, 36, 48, 60, 66], [0.1, 0.3, 1.0, 1.0, 0.9, 0.5, 0.0])
    veteran = (experience >= 240) & (tenure <= 48)
    prime = np.interp(experience, [48, 60, 180, 200], [0.0, 1.0, 1.0, 0.3])
    shrinking = np.select([facts.change < -10, facts.change < 0], [1.25, 1.0], 0.0)
    heads = np.where(facts.employed, facts.heads, 999)
    small = np.select([heads <= 10, heads <= 50], [1.0, 0.5], 0.0)
    total = (
        effects.recent * recent
        + effects.moves * np.minimum(facts.moves, 3)
        + effects.prime * prime
        + effects.veteran * veteran
        + effects.shrinking * shrinking
        + effects.small * small
    )
    saturated: Floats = effects.ceiling * np.tanh(total / effects.ceiling)
    return saturated


def log_odds(
    outreach: Outreach, facts: Facts, firms: Firms, people: People, snapshots: Snapshots, effects: Effects
) -> Floats:
    """Return the log odds of each lead up to a constant, from what was true on its day."""
    known = outreach.person >= 0
    who = np.where(known, outreach.person, 0)
    firm = np.where(facts.employed, facts.firm, np.where(known, people.home[who], -1))
    rep = snapshots.rep[snapshots.row(who, outreach.day)]
    wirehouse = (firm >= 0) & firms.wirehouse[firm]
    independent = known & (firm >= 0) & (firms.entity[firm] == RIA) & (rep == IA)
    odds: Floats = (
        push(facts, effects)
        + effects.wirehouse * wirehouse
        + effects.email * (outreach.email < outreach.day)
        + effects.linkedin * (outreach.linkedin < outreach.day)
        + effects.dual * (known & (rep == DUAL))
        + effects.independent * independent
    )
    return odds


def solve_constant(odds: Floats, rate: float) -> float:
    """Return the constant to add to the log odds so that the mean probability is `rate`, by bisection."""
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        if np.mean(probability_of(odds + middle)) < rate:
            low = middle
        else:
            high = middle
    return low


def probability_of(odds: Floats) -> Floats:
    """Return the probability at each log odds."""
    result: Floats = 1 / (1 + np.exp(-odds))
    return result


def decide(rng: np.random.Generator, outreach: Outreach, odds: Floats, signal: bool) -> Outcomes:
    """Return what came of the leads; without `signal` every contact has the same chance."""
    reached = outreach.reached
    probability = np.full(len(odds), np.nan)
    chances = odds[reached]
    probability[reached] = probability_of(chances + solve_constant(chances, BASE_RATE)) if signal else BASE_RATE
    return draw_calls(rng, outreach, probability)


def draw_calls(rng: np.random.Generator, outreach: Outreach, probability: Floats) -> Outcomes:
    """Return which contacts become calls and when; a probability is that of a call within 43 days of the contact."""
    chance = rng.random(len(probability))
    delay = call_delay(rng.random(len(probability)))
    reached = outreach.reached
    called = reached & (chance < np.minimum(1.0, np.nan_to_num(probability) / WITHIN))
    return Outcomes(probability, np.where(called, outreach.contacted + delay, NEVER))


def complete(rng: np.random.Generator, outreach: Outreach, outcomes: Outcomes, today: int) -> Outreach:
    """Return the leads as the CRM of today shows them: e-mails came in after contact, most from those called."""
    called = outcomes.call <= today
    after_email = np.where(called, 0.60, 0.13)
    after_linkedin = np.where(called, 0.30, 0.12)
    return replace(
        outreach,
        email=known_after(rng, outreach.email, outreach.day, after_email, today),
        linkedin=known_after(rng, outreach.linkedin, outreach.day, after_linkedin, today),
    )
