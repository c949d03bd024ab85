"""Played time: the clock of a demo in which days pass in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from time import monotonic

HOUR = time(7, 0, tzinfo=UTC)


@dataclass
class Calendar:
    """The clock of a compressed half year: the morning of the day being played, and the seconds that really pass."""

    day: date
    since: float = field(default_factory=monotonic)

    def __call__(self) -> datetime:
        """Return the moment being played."""
        return datetime.combine(self.day, HOUR) + timedelta(seconds=monotonic() - self.since)

    def turn(self, day: date) -> None:
        """Go on to a later day, or stay on this one."""
        if day != self.day:
            self.day, self.since = day, monotonic()
