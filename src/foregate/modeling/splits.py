"""Splits in time: every window counted back from one as-of date, with an embargo wherever labels could touch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta


@dataclass(frozen=True, slots=True)
class Period:
    """One rolling-origin backtest: train on contacts up to `train_end`, judge on [start, end]."""

    name: str
    train_end: date
    start: date
    end: date


@dataclass(frozen=True, slots=True)
class Calendar:
    """All dates of a run; every window is inclusive at both ends."""

    train_start: date
    train_end: date
    test_start: date
    test_end: date
    analysis_on: date
    periods: tuple[Period, ...]

    @property
    def window(self) -> str:
        """The name of the test rows: two candidates with the same window read the same labels."""
        return f"{self.test_start}..{self.test_end}"

    def disorder(self) -> list[str]:
        """Return what is out of order, in words; empty when every window stands where it should."""
        points = [
            ("train start", self.train_start),
            ("train end", self.train_end),
            ("test start", self.test_start),
            ("test end", self.test_end),
            ("analysis date", self.analysis_on),
        ]
        pairs = zip(points, points[1:], strict=False)
        found = [f"{b} {on} is not after {a} {before}" for (a, before), (b, on) in pairs if not before < on]
        return found + [
            f"backtest {p.name} trains from before the data" for p in self.periods if p.train_end <= self.train_start
        ]


def calendar(
    as_of: date,
    *,
    train_days: int,
    test_days: int,
    embargo_days: int,
    periods: int,
    period_days: int,
    train_start: date | None = None,
) -> Calendar:
    """Return the windows: as-of, back over the embargo to the test's end, to the training's end, to its start.

    The embargo stands twice: before the as-of date, so that every test label has matured, and between training and
    test, so that no training label was decided inside the test window.

    >>> found = calendar(date(2025, 10, 31), train_days=540, test_days=60, embargo_days=60, periods=4, period_days=60)
    >>> found.test_end.isoformat(), found.test_start.isoformat(), found.train_end.isoformat()
    ('2025-09-01', '2025-07-04', '2025-05-04')
    """
    test_end = as_of - timedelta(days=embargo_days)
    test_start = test_end - timedelta(days=test_days - 1)
    train_end = test_start - timedelta(days=embargo_days + 1)
    start = train_start or train_end - timedelta(days=train_days - 1)
    rolled = []
    for back in range(periods, 0, -1):
        begin = train_end - timedelta(days=back * period_days - 1)
        end = begin + timedelta(days=period_days - 1)
        rolled.append(Period(f"{begin:%Y-%m-%d}", begin - timedelta(days=embargo_days + 1), begin, end))
    return Calendar(start, train_end, test_start, test_end, as_of, tuple(rolled))
