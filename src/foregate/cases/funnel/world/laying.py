"""From a world to the files a company would have of it on one day, honest or with one fault planted on purpose."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from .catalogue import END, SERIES, START
from .truth import NEVER, Ints, Truth, index_of, stream, unfold

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FIRST_LEAD: Final = 1_000_001
FIRST_PERSON: Final = 7_000_001
FIRST_OPPORTUNITY: Final = 300_001
LEADS_FOR_AN_MQL: Final = 3

RENAMED: Final = ("Website", "Contact Us", date(2025, 4, 1))
"""What a source was called, what it is called from a day on, and that day."""
UNMAPPED: Final = ("Podcast", 60)
"""A source nobody has mapped, and in how many last days it is used."""
MISSING_MONTH: Final = (date(2024, 11, 1), date(2024, 12, 1))
SILENT_SOURCE: Final = "Webinar"


class Trap(StrEnum):
    """One fault of the data.

    - DUPLICATE_EVENTS: three in a hundred opportunities stand twice, the second a few days later.
    - NEGATIVE_DELAY: two in a hundred SQOs are dated up to twenty days before their SQL.
    - UNMAPPED_SOURCE: in the last 60 days one lead in twenty comes from "Podcast".
    - RENAMED_SOURCE: what was "Website" is "Contact Us" from 2025-04-01 on, so one series dies and another is born.
    - MISSING_MONTH: the SQOs of November 2024 have lost their date.
    - ZERO_SERIES: "Webinar" brings leads, and none of them ever enters a stage.
    - WRONG_DATE: an SQO is dated by the day its opportunity was created; `reported_on` still holds the true one.
    """

    DUPLICATE_EVENTS = "duplicate-events"
    NEGATIVE_DELAY = "negative-delay"
    UNMAPPED_SOURCE = "unmapped-source"
    RENAMED_SOURCE = "renamed-source"
    MISSING_MONTH = "missing-month"
    ZERO_SERIES = "zero-series"
    WRONG_DATE = "wrong-date"


@dataclass(frozen=True)
class Books:
    """What a company has written down of everybody, by place of the day: the lead and, once there is one, the rest.

    `label` is the place of the source's name in `labels`; `sqo` is the date in the opportunity, `reported` that of the
    reports.
    """

    labels: tuple[str, ...]
    label: Ints
    series: Ints
    created: Ints
    mql: Ints
    sql: Ints
    sqo: Ints
    reported: Ints


def lay(folder: Path, seed: int, until: date, trap: Trap | None = None) -> dict[str, int]:
    """Return the rows of each file after writing `leads.csv` and `opportunities.csv` of a day to a folder.

    What happens after `until` is not in them. The same arguments give the same bytes; without a trap a later day has
    these rows with more dates filled in, and more rows. ValueError for a day outside the world.
    """
    return lay_world(folder, unfold(seed), until, trap)


def lay_world(folder: Path, truth: Truth, until: date, trap: Trap | None = None) -> dict[str, int]:
    """Return the rows of each file after writing a world that has been unfolded already."""
    if not START <= until <= END:
        raise ValueError(f"the world knows {START} to {END}, not {until}")
    books = _books(truth)
    if trap in _IN_BOOKS:
        books = _IN_BOOKS[trap](books, index_of(until), stream(truth.seed, "trap"))
    leads = _leads(books, index_of(until))
    opportunities = _opportunities(books, index_of(until))
    if trap is Trap.DUPLICATE_EVENTS:
        opportunities = _doubled(opportunities, index_of(until), stream(truth.seed, "trap"))
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "leads": _write(folder / "leads.csv", leads),
        "opportunities": _write(folder / "opportunities.csv", opportunities),
    }


def _books(truth: Truth) -> Books:
    """Return everybody with a lead: those who become MQLs, and for each two who never do."""
    rng = stream(truth.seed, "leads")
    mql, sql, sqo = truth.reached
    created = mql - rng.geometric(0.1, len(mql)) + 1
    idle = (LEADS_FOR_AN_MQL - 1) * len(mql)
    others = np.repeat(created, LEADS_FOR_AN_MQL - 1) + rng.integers(-15, 16, idle)
    never = np.full(idle, NEVER)
    order = np.argsort(np.concatenate([created, others]), kind="stable")
    series = np.concatenate([truth.series, np.repeat(truth.series, LEADS_FOR_AN_MQL - 1)])[order]

    def everybody(reached: Ints) -> Ints:
        return np.concatenate([reached, never])[order]

    return Books(
        tuple(kind.source for kind in SERIES),
        series,
        series,
        np.concatenate([created, others])[order],
        everybody(mql),
        everybody(sql),
        everybody(sqo),
        everybody(sqo),
    )


def _leads(books: Books, until: int) -> dict[str, Any]:
    there = np.flatnonzero(books.created <= until)
    return {
        "lead_id": FIRST_LEAD + there,
        "person_id": _persons(len(books.created))[there],
        **_named(books, there),
        "created_on": _dates(books.created[there], until),
        "mql_on": _dates(books.mql[there], until),
        "converted_on": _dates(books.sql[there], until),
    }


def _opportunities(books: Books, until: int) -> dict[str, Any]:
    """Return the opportunities: one is created when a lead is converted."""
    order = np.lexsort((np.arange(len(books.sql)), books.sql))
    there = order[books.sql[order] <= until]
    return {
        "opportunity_id": FIRST_OPPORTUNITY + np.arange(len(there)),
        "person_id": _persons(len(books.created))[there],
        **_named(books, there),
        "created_on": _dates(books.sql[there], until),
        "became_sqo_on": _dates(books.sqo[there], until),
        "reported_on": _dates(books.reported[there], until),
    }


def _persons(size: int) -> Ints:
    """Return a number for each person that tells nothing of when their lead came."""
    found: Ints = FIRST_PERSON + np.random.default_rng(size).permutation(size)
    return found


def _named(books: Books, there: Ints) -> dict[str, Any]:
    channels = np.array([kind.channel for kind in SERIES], dtype=object)
    return {
        "channel": channels[books.series[there]],
        "original_source": np.array(books.labels, dtype=object)[books.label[there]],
    }


def _dates(days: Ints, until: int) -> Any:
    """Return days as dates, missing where they are later than a day."""
    found = np.datetime64(START, "D") + np.where(days <= until, days, 0)
    found[days > until] = np.datetime64("NaT")
    return found


def _write(file: Path, columns: dict[str, Any]) -> int:
    import pyarrow as pa
    from pyarrow import csv

    table = pa.table(columns)
    csv.write_csv(table, file)
    return int(table.num_rows)


def _before_their_sql(books: Books, until: int, rng: np.random.Generator) -> Books:
    planted = (books.sqo <= until) & (rng.random(len(books.sqo)) < 0.02)
    sqo = np.where(planted, books.sql - rng.integers(1, 21, len(books.sqo)), books.sqo)
    return replace(books, sqo=sqo, reported=sqo)


def _from_nowhere(books: Books, until: int, rng: np.random.Generator) -> Books:
    planted = (books.created > until - UNMAPPED[1]) & (rng.random(len(books.created)) < 0.05)
    return replace(books, labels=(*books.labels, UNMAPPED[0]), label=np.where(planted, len(books.labels), books.label))


def _renamed(books: Books, until: int, rng: np.random.Generator) -> Books:
    entered = np.where(books.mql != NEVER, books.mql, books.created)
    planted = (books.label == books.labels.index(RENAMED[0])) & (entered >= index_of(RENAMED[2]))
    return replace(books, labels=(*books.labels, RENAMED[1]), label=np.where(planted, len(books.labels), books.label))


def _without_a_month(books: Books, until: int, rng: np.random.Generator) -> Books:
    lost = (books.sqo >= index_of(MISSING_MONTH[0])) & (books.sqo < index_of(MISSING_MONTH[1]))
    sqo = np.where(lost, NEVER, books.sqo)
    return replace(books, sqo=sqo, reported=sqo)


def _silenced(books: Books, until: int, rng: np.random.Generator) -> Books:
    silent = books.label == books.labels.index(SILENT_SOURCE)
    mql, sql, sqo = (np.where(silent, NEVER, one) for one in (books.mql, books.sql, books.sqo))
    return replace(books, mql=mql, sql=sql, sqo=sqo, reported=sqo)


def _misdated(books: Books, until: int, rng: np.random.Generator) -> Books:
    return replace(books, sqo=np.where(books.sqo <= until, books.sql, NEVER))


_IN_BOOKS: Final[dict[Trap | None, Callable[[Books, int, np.random.Generator], Books]]] = {
    Trap.NEGATIVE_DELAY: _before_their_sql,
    Trap.UNMAPPED_SOURCE: _from_nowhere,
    Trap.RENAMED_SOURCE: _renamed,
    Trap.MISSING_MONTH: _without_a_month,
    Trap.ZERO_SERIES: _silenced,
    Trap.WRONG_DATE: _misdated,
}


def _doubled(opportunities: dict[str, Any], until: int, rng: np.random.Generator) -> dict[str, Any]:
    """Return the opportunities with three in a hundred SQOs written once more, up to four days later."""
    on = opportunities["became_sqo_on"]
    again = np.flatnonzero(~np.isnat(on) & (rng.random(len(on)) < 0.03))
    rows: Sequence[int] = np.concatenate([np.arange(len(on)), again]).tolist()
    doubled = {name: column[rows] for name, column in opportunities.items()}
    limit = np.datetime64(START, "D") + until
    doubled["became_sqo_on"][len(on) :] = np.minimum(on[again] + rng.integers(0, 5, len(again)), limit)
    return doubled
