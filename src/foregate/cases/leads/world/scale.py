"""How big a world is, which fault is planted in it, and where its chance comes from."""

from dataclasses import dataclass
from enum import StrEnum
from zlib import crc32

import numpy as np


class Trap(StrEnum):
    """A fault planted in the data on purpose; what is planted stands in `planted.py`."""

    LEAK = "leak"
    DRIFT = "drift"
    FANOUT = "fanout"
    TYPE = "type"
    SKEW = "skew"
    LATE_SOURCE = "late-source"


@dataclass(frozen=True, slots=True)
class Scale:
    """The number of each thing in a world; `people` have an employment history, other prospects have none."""

    leads: int
    people: int
    employment: int
    firms: int
    months: int
    prospects: int
    owners: int

    def __post_init__(self) -> None:
        if self.prospects < self.people + 0.22 * self.leads:
            raise ValueError("prospects must exceed people by a fifth of the leads: those have no history")
        if self.people < 2.3 * self.leads:
            raise ValueError("people must be at least 2.3 times the leads: a person is contacted once")


DEMO = Scale(leads=60_000, people=150_000, employment=650_000, firms=9_000, months=23, prospects=200_000, owners=14)
HALF_YEAR = Scale(
    leads=40_000, people=140_000, employment=600_000, firms=8_000, months=23, prospects=185_000, owners=14
)
"""The least at which six lists of 2,800 can be filled one after the other while their versions pass their gates."""
SEEDS = Scale(
    leads=76_859,
    people=456_647,
    employment=2_204_074,
    firms=33_807,
    months=23,
    prospects=1_570_000,
    owners=14,
)


def stream(seed: int, name: str) -> np.random.Generator:
    """Return the source of chance of one part, so that a change in one part leaves the others as they were."""
    return np.random.default_rng([seed, crc32(name.encode())])
