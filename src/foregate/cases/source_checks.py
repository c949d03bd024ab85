"""Checks of declared sources that every case makes: rows, types, keys, freshness, and whether tables can be written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import pyarrow as pa

from foregate.core.errors import DataError
from foregate.core.evidence import Evidence
from foregate.core.gate import Effect, Gate
from foregate.core.phase import Run
from foregate.modeling.measured import Measured
from foregate.warehouse.profile import duplicates, newest_known, row_count
from foregate.warehouse.sources import MEASURED, Source, view_name

GATES = (
    Gate("rows", at_least=1, why="an empty table makes every feature a constant"),
    Gate("type_mismatches", at_most=0, why="a changed type changes what joins and compares"),
    Gate("duplicate_keys", at_most=0, why="a doubled key doubles every count over it"),
    Gate("unstable_queries", at_most=0, why="a query with ties and no full order makes every run another version"),
    Gate("writable", at_least=1, why="a run that can not write can not publish"),
)
STALE = Gate(
    "stale_days", at_most=0, effect=Effect.SIGN_OFF, why="a source that stopped arriving looks like a quiet month"
)
Columns = Mapping[str, Mapping[str, str]]


def or_nothing(made: Measured, name: str, found: Iterable[Evidence], words: str) -> Iterator[Evidence]:
    """Yield what was found, or that there was nothing to check."""
    listed = list(found)
    yield from listed or [made.nothing(name, words)]


def stability(made: Measured, sources: Mapping[str, Source], unstable: Iterable[str]) -> Iterator[Evidence]:
    """Yield, for each query source, whether it gave other rows when it was asked twice."""
    for name in (n for n, s in sources.items() if s.query is not None):
        words = "asked twice, it gave other rows: order its ties fully" if name in unstable else "asked twice"
        yield made.count("unstable_queries", int(name in unstable), 1, name, words)


def types(made: Measured, name: str, source: Source, there: Mapping[str, str]) -> Evidence:
    """Return how many columns of a source are of another type than declared."""
    wrong = [
        f"{column} is {there[column]}, declared {declared.type}"
        for column, declared in source.columns.items()
        if declared.type and declared.type.upper() != there[column].upper()
    ]
    return made.count("type_mismatches", len(wrong), len(there), name, "; ".join(wrong))


def unique(made: Measured, name: str, key: tuple[str, ...], run: Run, rows: int) -> Iterator[Evidence]:
    """Yield how many keys of a source stand on several rows; nothing for no key."""
    if key:
        found, example = duplicates(run.warehouse, view_name(name), key)
        words = f"{', '.join(key)}: {found:,} keys stand on several rows, as {example}" if found else ", ".join(key)
        yield made.count("duplicate_keys", found, rows, name, words)


def staleness(sources: Mapping[str, Source], fingerprints: Mapping[str, str], run: Run) -> Iterator[Evidence]:
    """Yield, for each source that declares how fresh it must be, by how many days it is staler."""
    for name, source in sources.items():
        if source.fresh_days is not None:
            made = Measured(run.as_of, fingerprints[name])
            yield _stale(made, name, source, run, row_count(run.warehouse, view_name(name)))


def writable(run: Run) -> Evidence:
    """Return whether a table can be written, read and dropped."""
    run.warehouse.load("write_probe", pa.table({"written": [1]}))
    found = Measured(run.as_of, "write_probe").count("writable", row_count(run.warehouse, "write_probe"), 1)
    run.warehouse.drop("write_probe")
    return found


def _stale(made: Measured, name: str, source: Source, run: Run, rows: int) -> Evidence:
    allowed = source.fresh_days or 0
    if not source.has_history or source.known_after == MEASURED:
        raise DataError(
            f"foregate.toml [sources.{name}] fresh_days",
            found="a source that does not say when its rows became known",
            wanted="known = ... or known_after = ... beside fresh_days",
            then="Declare it, or remove fresh_days.",
        )
    newest = newest_known(run.warehouse, name, source, run.as_of)
    age = (run.as_of - newest).days if newest else 10**6
    words = f"newest row known on {newest}, {age} days before the as-of date; {allowed} allowed"
    return made.count("stale_days", max(0, age - allowed), rows, name, words)
