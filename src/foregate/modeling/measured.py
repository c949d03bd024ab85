"""Estimates and counts to evidence: one place where a number gets its as-of, its source and its interval."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date

from foregate.core.evidence import Evidence, Unit
from foregate.metrics.estimate import Estimate
from foregate.metrics.rates import rate


def digest_of(*parts: object, length: int = 12) -> str:
    """Return a short content hash of the parts' text.

    >>> digest_of("select 1") == digest_of("select 1"), len(digest_of("a", 1))
    (True, 12)
    """
    return hashlib.sha256("\x1f".join(str(p) for p in parts).encode()).hexdigest()[:length]


@dataclass(frozen=True, slots=True)
class Measured:
    """A maker of evidence for one phase: everything it makes is stamped with the as-of date and the source's hash."""

    as_of: date
    source: str
    level: float = 0.95

    def count(self, name: str, value: float, rows: int, subject: str = "", words: str = "") -> Evidence:
        """Return an exact count: it has no interval because nothing was sampled."""
        return Evidence(name, float(value), rows, self.as_of, self.source, subject=subject, words=words)

    def nothing(self, name: str, words: str, value: float = 0.0) -> Evidence:
        """Return the evidence that there was nothing to measure, on no rows; `words` say why, `value` what that means.

        A gate judges this instead of an absence: what was left unmeasured by mistake stays `not_run`.
        """
        return self.count(name, value, 0, words=words)

    def days(self, name: str, value: float, rows: int, subject: str = "", words: str = "") -> Evidence:
        """Return an exact number of days."""
        return Evidence(name, float(value), rows, self.as_of, self.source, unit=Unit.DAYS, subject=subject, words=words)

    def date(self, name: str, value: date, words: str = "") -> Evidence:
        """Return a day of the calendar."""
        found = float(value.toordinal())
        return Evidence(name, found, 1, self.as_of, self.source, unit=Unit.DATE, words=words)

    def rate(self, name: str, hits: int, rows: int, subject: str = "", words: str = "", family: int = 1) -> Evidence:
        """Return a rate with its interval; `family` intervals drawn together share the error (Bonferroni)."""
        level = 1 - (1 - self.level) / family
        return self.estimate(
            name, rate(hits, rows, level), Unit.RATE, subject, words or f"{hits:,} of {rows:,}", family
        )

    def estimate(
        self, name: str, found: Estimate, unit: Unit, subject: str = "", words: str = "", family: int = 1
    ) -> Evidence:
        """Return an estimate with its interval."""
        return Evidence(
            name,
            float(found.value),
            int(found.rows),
            self.as_of,
            self.source,
            float(found.low),
            float(found.high),
            unit,
            subject,
            words,
            family,
        )
