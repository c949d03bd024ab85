"""Evidence: one measured number and what is needed to trust it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class Unit(StrEnum):
    """What kind of number it is; estimates must carry an interval."""

    COUNT = "count"
    DAYS = "days"
    DATE = "date"
    FLAG = "flag"
    RATE = "rate"
    RATIO = "ratio"
    SCORE = "score"
    DIFFERENCE = "difference"


EXACT = frozenset({Unit.COUNT, Unit.DAYS, Unit.DATE, Unit.FLAG})


@dataclass(frozen=True, slots=True)
class Evidence:
    """One measured number: its rows, its interval, its as-of date and the hash of what produced it.

    `subject` names the tier, feature or table the number is about; empty means the whole model. `family` says how many
    intervals of the kind were drawn together (each then holds at 1 - alpha/family). Raises ValueError for an estimate
    without interval, or an interval that does not hold its value.

    >>> Evidence("auc_roc", 0.62, 3393, date(2025, 10, 31), "9f2c", unit=Unit.SCORE)
    Traceback (most recent call last):
    ValueError: auc_roc: a score needs its interval
    """

    name: str
    value: float
    rows: int
    as_of: date
    source: str
    low: float | None = None
    high: float | None = None
    unit: Unit = Unit.COUNT
    subject: str = ""
    words: str = ""
    family: int = 1

    def __post_init__(self) -> None:
        if self.unit not in EXACT and (self.low is None or self.high is None):
            raise ValueError(f"{self.name}: a {self.unit} needs its interval")
        if not math.isnan(self.value):
            slack = 1e-9 * (1 + abs(self.value)) if math.isfinite(self.value) else 0.0
            low = -math.inf if self.low is None else self.low
            high = math.inf if self.high is None else self.high
            if not low - slack <= self.value <= high + slack:
                raise ValueError(f"{self.name}: {self.value} lies outside [{self.low}, {self.high}]")

    @property
    def label(self) -> str:
        """The name with its subject, as written in gates and logs."""
        return f"{self.name}[{self.subject}]" if self.subject else self.name
