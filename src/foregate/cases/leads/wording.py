"""Words of a tier over the columns of a row: a template that names columns, filled for one person."""

import math
from collections.abc import Mapping
from datetime import date, datetime
from string import Formatter
from typing import Any

from foregate.cases.leads.refusals import RefusalError

UNKNOWN = "unknown"


class WordsWrongError(RefusalError):
    """A words template that is not plain text with {column} or {column:.0%} in it."""


def fields(words: str, where: str) -> list[tuple[str, str, str]]:
    """Return (text before, column in lower case, format) for each gap, and a last one with column "".

    Raises WordsWrongError, naming `where`, for gaps that are not one column with an optional number format.

    >>> fields("{tenure_months} months", "tiers.toml")
    [('', 'tenure_months', ''), (' months', '', '')]
    """
    try:
        gaps = [
            (text, name if name is None else name.strip().lower(), spec or "", conversion)
            for text, name, spec, conversion in Formatter().parse(words)
        ]
    except ValueError as error:
        raise _wrong(words, str(error), where) from error
    for _, name, spec, conversion in gaps:
        fault = None if name is None else _fault(name, spec, conversion)
        if fault:
            raise _wrong(words, fault, where)
    return [(text, name or "", spec) for text, name, spec, _ in gaps]


def columns_in(words: str, where: str) -> set[str]:
    """Return the columns a template names, in lower case.

    >>> columns_in("a firm of {firm_reps}", "tiers.toml")
    {'firm_reps'}
    """
    return {name for _, name, _ in fields(words, where) if name}


def fill(words: str, row: Mapping[str, Any]) -> str:
    """Return the template with the row's values in its gaps; a value that is missing becomes "unknown".

    Numbers get at most two decimals, and thousands separators from 10,000; booleans are yes or no.

    >>> fill("{months} months at {firm}, {reps} people", {"months": 14, "firm": None, "reps": 12500.0})
    '14 months at unknown, 12,500 people'
    >>> fill("lost {share:.0%} of its people", {"share": 0.125})
    'lost 12% of its people'
    """
    lowered = {name.lower(): value for name, value in row.items()}
    parts = []
    for text, name, spec in fields(words, "words"):
        parts.append(text)
        if name:
            parts.append(said(lowered.get(name), spec))
    return "".join(parts)


def said(value: Any, spec: str = "") -> str:
    """Return one value as a person would write it.

    >>> said(None), said(float("nan")), said(True), said(3.0), said(2.456), said("  ")
    ('unknown', 'unknown', 'yes', '3', '2.46', 'unknown')
    """
    is_missing = value is None or (isinstance(value, float) and math.isnan(value))
    if is_missing or (isinstance(value, str) and not value.strip()):
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime | date):
        return value.isoformat()[:10]
    if isinstance(value, str):
        return value.strip()
    return format(value, spec) if spec else _number(float(value))


def _number(value: float) -> str:
    if math.isinf(value):
        return "more than can be counted" if value > 0 else "less than can be counted"
    text = f"{value:,.2f}" if abs(value) >= 10_000 else f"{value:.2f}"
    text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _fault(name: str, spec: str, conversion: str | None) -> str | None:
    if not name.isidentifier():
        return f"'{{{name}}}' is not the name of a column"
    if conversion:
        return f"'!{conversion}' is not allowed"
    try:
        format(0.5, spec)
    except ValueError:
        return f"':{spec}' is not a number format"
    return None


def _wrong(words: str, fault: str, where: str) -> WordsWrongError:
    return WordsWrongError(
        where,
        found=f"{words!r} ({fault})",
        wanted="text with {column} or {column:.0%} in it",
        then="Write {{ and }} where braces themselves are meant.",
    )
