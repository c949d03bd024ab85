"""Dates: every window derived from the one as-of date, and their order."""

from __future__ import annotations

from collections.abc import Iterator

from foregate.cases.leads.work import Work
from foregate.core.evidence import Evidence
from foregate.core.gate import Gate
from foregate.core.phase import Run
from foregate.modeling.measured import Measured, digest_of

DOES = "Derives the training, embargo and test windows from the one as-of date and checks their order."
GATES = (
    Gate("dates_out_of_order", at_most=0, why="a test that overlaps training measures memory"),
    Gate("train_days", at_least=90, why="a shorter training window sees no season"),
)


def measure(work: Work, run: Run) -> Iterator[Evidence]:
    """Yield the dates, and how many of them are out of order."""
    found = work.calendar
    made = Measured(run.as_of, digest_of(found))
    for name in ("train_start", "train_end", "test_start", "test_end", "analysis_on"):
        yield made.date(name, getattr(found, name))
    disorder = found.disorder()
    yield made.count(
        "dates_out_of_order", len(disorder), 5, words="; ".join(disorder) or "every window follows the one before"
    )
    yield made.days("train_days", (found.train_end - found.train_start).days + 1, 1)
    yield made.days("test_days", (found.test_end - found.test_start).days + 1, 1)
    yield made.days("embargo_days", (found.test_start - found.train_end).days - 1, 1)
