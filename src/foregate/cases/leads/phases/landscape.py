"""Landscape: volumes, funnel, match of keys, coverage, dates out of range, and how completely each source fills."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import date

from sqlglot import exp

from foregate.cases.leads.completeness import Completeness, completeness
from foregate.cases.leads.statements import statement
from foregate.cases.leads.work import Work
from foregate.core.errors import DataError
from foregate.core.evidence import Evidence, Unit
from foregate.core.gate import Effect, Gate
from foregate.core.phase import Run
from foregate.modeling.measured import Measured, digest_of
from foregate.warehouse.point_in_time import kind
from foregate.warehouse.profile import ask, out_of_range
from foregate.warehouse.sources import MEASURED, Source, view_name

DOES = "Counts the funnel, how many leads each source knows, dates out of range, and how late each source fills."
FIRST_DAY = date(1950, 1, 1)
GATES = (
    Gate("leads", at_least=1000, effect=Effect.SIGN_OFF, why="fewer leads can not carry a model"),
    Gate("contacted", at_least=1, why="nobody was contacted by the as-of date: there is nothing to learn from"),
    Gate(
        "impossible_contacts",
        at_most=0,
        why="a contact before 1950 or a year after the as-of date",
    ),
    Gate(
        "contacted_in_future",
        at_most=0,
        effect=Effect.INFORM,
        why="after the as-of date: left out, not known then",
    ),
    Gate(
        "converted_before_contact",
        at_most=0.02,
        effect=Effect.INFORM,
        why="an outcome before its cause is a data error",
    ),
    Gate("match_rate", at_least=0.6, effect=Effect.SIGN_OFF, why="features of unmatched leads are missing together"),
    Gate("dates_out_of_range", at_most=0.05, effect=Effect.SIGN_OFF, why="dirty dates become extreme features"),
    Gate("shortfall", at_most=0.15, why="a source that fills later than declared is empty when it is served"),
)


def measure(work: Work, run: Run) -> Iterator[Evidence]:
    """Yield the funnel, then each source's match, range and completeness; a lag to be measured is set here."""
    sql = statement("funnel", run.warehouse.dialect)
    made = Measured(run.as_of, digest_of(sql, run.version))
    leads, contacted, converted, early, future, impossible = run.warehouse.rows(sql, {"as_of": run.as_of})[0]
    yield made.count("leads", leads, leads)
    yield made.count("contacted", contacted, leads)
    yield made.rate("contacted_rate", contacted, leads)
    yield made.rate(
        "converted_ever_rate",
        converted,
        contacted,
        words=f"{converted:,} of {contacted:,} contacted, unmatured leads among them",
    )
    yield made.rate("converted_before_contact", early, max(contacted, 1))
    yield made.count("contacted_in_future", future, leads)
    yield made.count("impossible_contacts", impossible, leads)
    found = [e for name, source in list(work.sources.items()) for e in _source(made, name, source, work, run)]
    yield from found
    measured = {e.name for e in found}
    if "match_rate" not in measured:
        yield made.nothing("match_rate", "no other source is keyed by a column of the leads", 1.0)
    if "dates_out_of_range" not in measured:
        yield made.nothing("dates_out_of_range", "no source declares when its rows happened")
    if "shortfall" not in measured:
        yield made.nothing("shortfall", "no source declares both when rows happened and when they became known")


def _source(made: Measured, name: str, source: Source, work: Work, run: Run) -> Iterator[Evidence]:
    if name != work.settings.source:
        yield from _match(made, name, source, work, run)
    yield from _range(made, name, source, run)
    yield from _fill(made, name, source, work, run)


def _match(made: Measured, name: str, source: Source, work: Work, run: Run) -> Iterator[Evidence]:
    own = work.columns[work.settings.source]
    if source.key != work.settings.person and source.key not in work.settings.keys:
        return
    column = source.key if source.key in own else work.settings.person
    if kind(own[column]) != kind(work.columns[name][source.key]):
        return
    theirs = exp.select(exp.column(source.key)).from_(view_name(name))
    matched = exp.Count(this=exp.case().when(exp.column(column).isin(query=theirs), exp.Literal.number(1)))
    found = ask(run.warehouse, exp.select(matched, exp.Count(this=exp.Star())).from_(view_name(work.settings.source)))[
        0
    ]
    yield made.rate(
        "match_rate", int(str(found[0])), int(str(found[1])), name, f"{found[0]:,} of {found[1]:,} leads are in {name}"
    )


def _range(made: Measured, name: str, source: Source, run: Run) -> Iterator[Evidence]:
    dated = [source.happened] if source.happened else []
    dated += [c for c in source.late() if c.endswith(("_on", "_at"))]
    if dated:
        strange, rows = out_of_range(run.warehouse, view_name(name), dated, FIRST_DAY, run.as_of)
        words = f"{strange:,} rows with {' or '.join(dated)} before {FIRST_DAY} or after {run.as_of}"
        yield made.rate("dates_out_of_range", strange, max(rows, 1), name, words)


def _fill(made: Measured, name: str, source: Source, work: Work, run: Run) -> Iterator[Evidence]:
    """Yield how completely a source's newest days are filled against what its declaration claims."""
    if not source.happened or source.current_state or not source.has_history:
        return
    found = completeness(run.warehouse, name, source, run.as_of)
    if source.known_after == MEASURED:
        if not found.rows:
            raise DataError(
                f"foregate.toml [sources.{name}] known_after",
                found="too few rows to measure how late they come",
                wanted="at least 200 rows that happened half a year to one and a half years before the as-of date",
                then='Declare the lag, as in known_after = "60 days": no lag at all would let later knowledge in.',
            )
        work.sources[name] = source.with_lag(found.lag_days)
        words = f"measured and applied: {found.words()}"
        yield made.days("lag_applied", found.lag_days, found.rows, name, words)
        return
    yield made.days("lag_measured", found.lag_days, found.rows, name, found.words())
    yield from _shortfall(made, name, found)


def _shortfall(made: Measured, name: str, found: Completeness) -> Iterator[Evidence]:
    if found.rows:
        evidence = made.estimate("shortfall", found.shortfall, Unit.DIFFERENCE, name, found.words())
        yield dataclasses.replace(evidence, rows=found.rows)
    else:
        yield dataclasses.replace(made.nothing("shortfall", found.words()), subject=name)
