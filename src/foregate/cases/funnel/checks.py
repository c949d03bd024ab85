"""Findings about the tables: rows that no count should be made of, and totals that must agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Final

from sqlglot import exp

from foregate.cases.funnel.events import Events, date_of, day_number
from foregate.cases.funnel.panel import panel
from foregate.cases.funnel.settings import FunnelSettings
from foregate.cases.funnel.statements import column, entered, known, rows_of, says_known, text
from foregate.core.evidence import Evidence
from foregate.core.ports import Warehouse
from foregate.modeling.measured import Measured
from foregate.warehouse.days import day, known_day
from foregate.warehouse.profile import ask, literal
from foregate.warehouse.sources import Source

SILENCE: Final = 7.0
"""So many events expected and none seen: a chance of one in a thousand."""
_SHOWN: Final = 5
Sources = Mapping[str, Source]
Months = dict[date, int]


def source_findings(
    made: Measured, warehouse: Warehouse, settings: FunnelSettings, sources: Sources
) -> Iterator[Evidence]:
    """Yield what is wrong with the rows of each stage as known on `made.as_of`; asks the tables and no `Events`.

    `duplicate_events`: ids on several rows. `missing_ids`: events without an id. `undated_events`: rows that `only`
    puts into a stage without a date. `future_dated`: events dated after the day since which they are known.
    `unmapped_share`: the part of events, 0 to 1, whose source is missing or in no segment; `read_events` refuses those.
    `zero_series`: series of which no row ever entered a stage, though by the rate of all seven or more would have. Each
    is an exact number on the rows it was counted on, with the stage as its subject; the words give an example.
    """
    late = future_dated(made, warehouse, settings, sources)
    for name in settings.stages:
        rows = _whole(warehouse, entered(name, settings, sources, made.as_of, exp.Count(this=exp.Star())))
        yield _duplicates(made, warehouse, settings, sources, name, rows)
        yield _missing_ids(made, warehouse, settings, sources, name, rows)
        yield _undated(made, warehouse, settings, sources, name)
        yield next(late)
        yield _unmapped(made, warehouse, settings, sources, name, rows)
    yield _zero_series(made, warehouse, settings, sources)


def future_dated(
    made: Measured, warehouse: Warehouse, settings: FunnelSettings, sources: Sources
) -> Iterator[Evidence]:
    """Yield `future_dated` of each stage, in their order: events dated after the day since which they are known.

    An exact number on the rows that are known on `made.as_of`; 0 on no rows where no column of its own says since when.
    """
    for name in settings.stages:
        yield _future_dated(made, warehouse, settings, sources, name)


def control_findings(
    made: Measured, warehouse: Warehouse, settings: FunnelSettings, sources: Sources, events: Events
) -> Iterator[Evidence]:
    """Yield, for each stage, how far a month's total lies from another count of it, as a part of that count, 0 or more.

    `control_gap`: the panel's total against the different ids that the source itself holds of the month. `label_gap`:
    ids by the stage's own date against ids by the date the reports count by, of whole months; nothing where no
    `reported_on` is declared. The value is that of the worst month, which the words name.
    """
    for name, stage in settings.stages.items():
        history = panel(events, name, events.as_of, settings)
        first = date_of(day_number(history.last) - history.days + 1)
        ours: Months = Counter()
        for place, total in enumerate(history.counts.sum(axis=0)):
            ours[date_of(day_number(first) + place).replace(day=1)] += int(total)
        theirs = _by_month(warehouse, settings, sources, name, stage.on, (first, history.last), made.as_of)
        yield _worst(made, "control_gap", name, ours, theirs, ("in the panel", f"ids in source {stage.source}"))
        yield _label_gap(made, warehouse, settings, sources, name, (first, history.last))


def _label_gap(
    made: Measured,
    warehouse: Warehouse,
    settings: FunnelSettings,
    sources: Sources,
    name: str,
    span: tuple[date, date],
) -> Evidence:
    stage = settings.stages[name]
    if stage.reported_on is None:
        return Evidence("label_gap", 0.0, 0, made.as_of, made.source, subject=name, words="no reported_on is declared")
    whole = [month for month in _months(*span) if span[0] <= month and _following(month) <= _after(span[1])]
    found = [_by_month(warehouse, settings, sources, name, c, span, made.as_of) for c in (stage.on, stage.reported_on)]
    ours, theirs = ({month: one.get(month, 0) for month in whole} for one in found)
    return _worst(made, "label_gap", name, ours, theirs, (f"by {stage.on}", f"by {stage.reported_on}"))


def _worst(made: Measured, evidence: str, name: str, ours: Months, theirs: Months, said: tuple[str, str]) -> Evidence:
    """Return the month of the largest difference, relative to their count."""

    def gap(month: date) -> float:
        return abs(ours.get(month, 0) - theirs.get(month, 0)) / max(1, theirs.get(month, 0))

    months = sorted(set(ours) | set(theirs))
    rows = sum(theirs.values())
    if not months:
        return made.count(evidence, 0, 0, name, "no whole month")
    worst = max(months, key=gap)
    counts = f"{ours.get(worst, 0):,} {said[0]}, {theirs.get(worst, 0):,} {said[1]}"
    off = sum(gap(month) > 0 for month in months)
    words = f"{worst:%Y-%m}: {counts}; {off} of {len(months)} months differ" if off else f"{len(months)} months agree"
    return made.count(evidence, gap(worst), rows, name, words)


def _by_month(
    warehouse: Warehouse,
    settings: FunnelSettings,
    sources: Sources,
    name: str,
    dated_by: str,
    span: tuple[date, date],
    as_of: date,
) -> Months:
    """Return the different ids by month of a date column; a row that does not say since when it is known counts too."""
    stage = settings.stages[name]
    seen = known(stage, sources[stage.source])
    on = day(column(dated_by))
    month = day(exp.TimestampTrunc(this=on.copy(), unit=exp.var("MONTH")))
    tree = (
        rows_of(name, settings, month.as_("month"), exp.Count(this=exp.Distinct(expressions=[text(stage.id)])))
        .where(on >= literal(span[0]), on <= literal(span[1]))
        .where(exp.or_(seen.is_(exp.null()), seen <= literal(as_of)))
        .group_by(exp.column("month"))
    )
    return {row[0]: _number(row[1]) for row in ask(warehouse, tree)}  # type: ignore[misc]


def _months(first: date, last: date) -> Iterator[date]:
    month = first.replace(day=1)
    while month <= last:
        yield month
        month = _following(month)


def _following(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def _after(last: date) -> date:
    return date_of(day_number(last) + 1)


def _duplicates(
    made: Measured, warehouse: Warehouse, settings: FunnelSettings, sources: Sources, name: str, rows: int
) -> Evidence:
    stage = settings.stages[name]
    one = entered(name, settings, sources, made.as_of, text(stage.id).as_("id"), exp.Count(this=exp.Star()).as_("n"))
    several = one.where(column(stage.id).is_(exp.null()).not_()).group_by(column(stage.id))
    several = several.having(exp.Count(this=exp.Star()) > 1)
    asked = exp.select(exp.Count(this=exp.Star()), exp.Min(this=exp.column("id"))).from_(several.subquery("several"))
    found, example = ask(warehouse, asked)[0]
    words = f"{_number(found):,} {stage.id} stand on several rows, as {example}; each counts once, on its first day"
    return made.count("duplicate_events", _number(found), rows, name, words if found else f"every {stage.id} once")


def _missing_ids(
    made: Measured, warehouse: Warehouse, settings: FunnelSettings, sources: Sources, name: str, rows: int
) -> Evidence:
    stage = settings.stages[name]
    asked = entered(name, settings, sources, made.as_of, exp.Count(this=exp.Star()))
    found = _whole(warehouse, asked.where(column(stage.id).is_(exp.null())))
    return made.count("missing_ids", found, rows, name, f"events without {stage.id} are not counted" if found else "")


def _undated(made: Measured, warehouse: Warehouse, settings: FunnelSettings, sources: Sources, name: str) -> Evidence:
    stage = settings.stages[name]
    source = sources[stage.source]
    if stage.only is None:
        words = f"no `only` says who has entered: a row without {stage.on} has not"
        return made.count("undated_events", 0, 0, name, words)
    undated = exp.Sum(this=exp.case().when(column(stage.on).is_(exp.null()), exp.Literal.number(1)).else_("0"))
    asked = rows_of(name, settings, undated, exp.Count(this=exp.Star()))
    if source.has_history:
        asked = asked.where(known_day(source) <= literal(made.as_of))
    found, rows = (_number(one) for one in ask(warehouse, asked)[0])
    words = f"{found:,} rows meet `{stage.only}` and have no {stage.on}"
    return made.count("undated_events", found, rows, name, words if found else "")


def _future_dated(
    made: Measured, warehouse: Warehouse, settings: FunnelSettings, sources: Sources, name: str
) -> Evidence:
    stage = settings.stages[name]
    source = sources[stage.source]
    if not says_known(stage, source):
        words = "no column of its own says since when an event is known"
        return made.count("future_dated", 0, 0, name, words)
    seen, on = known(stage, source), day(column(stage.on))
    late = exp.Sum(this=exp.case().when(on > seen.copy(), exp.Literal.number(1)).else_("0"))
    newest = exp.Max(this=on.copy())
    asked = rows_of(name, settings, late, exp.Count(this=exp.Star()), newest).where(seen <= literal(made.as_of))
    found, rows, last = ask(warehouse, asked)[0]
    words = f"{_number(found):,} dated after the day since which they are known; the newest {last}"
    return made.count("future_dated", _number(found), _number(rows), name, words if found else "")


def _unmapped(
    made: Measured, warehouse: Warehouse, settings: FunnelSettings, sources: Sources, name: str, rows: int
) -> Evidence:
    stage, listed = settings.stages[name], settings.segment_of()
    columns = (text(stage.source_name).as_("source"), exp.Count(this=exp.Star()).as_("n"))
    asked = entered(name, settings, sources, made.as_of, *columns).group_by(exp.column("source"))
    lost = {
        source: _number(count)
        for source, count in ask(warehouse, asked)
        if source is None or settings.renamed.get(str(source), str(source)) not in listed
    }
    worst = sorted(lost.items(), key=lambda one: (-one[1], str(one[0])))[:_SHOWN]
    words = ", ".join(f"{'no source (NULL)' if s is None else repr(s)} on {n:,} events" for s, n in worst)
    share = sum(lost.values()) / max(1, rows)
    then = "; list it in [funnel.segments]"
    return made.count("unmapped_share", share, rows, name, words + then if lost else "every source is in a segment")


def _zero_series(made: Measured, warehouse: Warehouse, settings: FunnelSettings, sources: Sources) -> Evidence:
    rows, events = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for name, stage in settings.stages.items():
        source = sources[stage.source]
        dated = exp.case().when(day(column(stage.on)) <= literal(made.as_of), exp.Literal.number(1)).else_("0")
        pair = (text(stage.channel).as_("channel"), text(stage.source_name).as_("source"))
        asked = rows_of(name, settings, *pair, exp.Count(this=exp.Star()), exp.Sum(this=dated))
        if source.has_history:
            asked = asked.where(known_day(source) <= literal(made.as_of))
        for channel, label, count, entries in ask(warehouse, asked.group_by("channel", "source")):
            series = (str(channel), settings.renamed.get(str(label), str(label)))
            rows[series] += _number(count)
            events[series] += _number(entries)
    usual = sum(events.values()) / max(1, sum(rows.values()))
    silent = sorted(series for series in rows if not events[series] and rows[series] * usual >= SILENCE)
    shown = ", ".join(f"{c} / {s} ({rows[c, s]:,} rows)" for c, s in silent[:_SHOWN])
    words = f"no event in any stage: {shown}" if silent else "no series is silent in every stage"
    return made.count("zero_series", len(silent), len(rows), words=words)


def _whole(warehouse: Warehouse, tree: exp.Query) -> int:
    return _number(ask(warehouse, tree)[0][0])


def _number(value: object) -> int:
    return int(value or 0)  # type: ignore[call-overload, no-any-return]
