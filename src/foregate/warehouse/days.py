"""Days: the one meaning of a date, a shift and a known-at in compiled SQL."""

from __future__ import annotations

from sqlglot import exp

from foregate.warehouse.sources import Source


def day(value: exp.Expr) -> exp.Expr:
    """Return the value as a calendar day."""
    return exp.cast(value.copy(), "date")


def known_day(source: Source, table: str | None = None) -> exp.Expr:
    """Return the day a row of the source became known: its own column, or the declared lag behind the event."""
    if source.known:
        return day(exp.column(source.known, table=table))
    count, unit = source.lag()
    happened = day(exp.column(source.happened or "", table=table))
    return day(exp.Add(this=happened, expression=exp.Interval(this=exp.Literal.string(count), unit=exp.var(unit))))


def plus_days(value: exp.Expr, days: int) -> exp.Expr:
    """Return the value as a day, shifted by whole days."""
    if days == 0:
        return day(value)
    interval = exp.Interval(this=exp.Literal.string(abs(days)), unit=exp.var("day"))
    shift = exp.Add if days > 0 else exp.Sub
    return day(shift(this=day(value), expression=interval))
