"""Preflight: every source is there, of the declared types, unique in its keys, fresh; the warehouse can be written."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from foregate.cases.leads.scoring import own_columns
from foregate.cases.leads.statements import create, leads_table
from foregate.cases.leads.work import Work
from foregate.core.errors import DataError
from foregate.core.evidence import Evidence
from foregate.core.gate import Effect, Gate
from foregate.core.phase import Run
from foregate.modeling.measured import Measured, digest_of
from foregate.warehouse.features import FeatureFile
from foregate.warehouse.point_in_time import kind
from foregate.warehouse.profile import duplicates, newest_known, row_count
from foregate.warehouse.sources import MEASURED, Source, view_name

DOES = (
    "Checks that sources can be read, have the declared types, unique keys and fresh rows; that tables can be written."
)
GATES = (
    Gate("rows", at_least=1, why="an empty table makes every feature a constant"),
    Gate("type_mismatches", at_most=0, why="a changed type changes what joins and compares"),
    Gate("key_type_mismatches", at_most=0, why="text and numbers join to nothing, or to the wrong rows"),
    Gate("duplicate_keys", at_most=0, why="a doubled key doubles every count over it"),
    Gate("unstable_queries", at_most=0, why="a query with ties and no full order makes every run another version"),
    Gate("serving_lacks", at_most=0, why="a column that serving does not have: what is trained could not be served"),
    Gate(
        "stale_days", at_most=0, effect=Effect.SIGN_OFF, why="a source that stopped arriving looks like a quiet month"
    ),
    Gate("writable", at_least=1, why="a run that can not write can not publish"),
)


def measure(work: Work, run: Run) -> Iterator[Evidence]:
    """Yield one set of findings per source."""
    for name, source in work.sources.items():
        made = Measured(run.as_of, work.fingerprints[name])
        yield made.count("rows", rows := row_count(run.warehouse, view_name(name)), rows, name)
        yield _types(made, name, source, work)
        yield from _unique(made, name, source, work, run, rows)
    made = Measured(run.as_of, digest_of(work.columns))
    yield from _or_nothing(made, "stale_days", staleness(work, run), "no source declares fresh_days")
    yield from _or_nothing(made, "unstable_queries", _stability(made, work), "no source is a query")
    yield from _or_nothing(made, "key_type_mismatches", _key_types(made, work), "no feature joins another source")
    yield _serving(made, work)
    run.warehouse.load("write_probe", pa.table({"written": [1]}))
    yield Measured(run.as_of, "write_probe").count("writable", row_count(run.warehouse, "write_probe"), 1)
    run.warehouse.drop("write_probe")
    create(run.warehouse, "lead_all", leads_table(work.settings))
    create(run.warehouse, "lead", leads_table(work.settings, run.as_of))


def _or_nothing(made: Measured, name: str, found: Iterator[Evidence], words: str) -> Iterator[Evidence]:
    """Yield what was found, or that there was nothing to check."""
    listed = list(found)
    yield from listed or [made.nothing(name, words)]


def staleness(work: Work, run: Run) -> Iterator[Evidence]:
    """Yield, for each source that declares how fresh it must be, by how many days it is staler."""
    for name, source in work.sources.items():
        if source.fresh_days is not None:
            made = Measured(run.as_of, work.fingerprints[name])
            yield _stale(made, name, source, run, row_count(run.warehouse, view_name(name)))


def _stability(made: Measured, work: Work) -> Iterator[Evidence]:
    for name in (n for n, s in work.sources.items() if s.query is not None):
        words = "asked twice, it gave other rows: order its ties fully" if name in work.unstable else "asked twice"
        yield made.count("unstable_queries", int(name in work.unstable), 1, name, words)


def _types(made: Measured, name: str, source: Source, work: Work) -> Evidence:
    there = work.columns[name]
    wrong = [
        f"{column} is {there[column]}, declared {declared.type}"
        for column, declared in source.columns.items()
        if declared.type and declared.type.upper() != there[column].upper()
    ]
    return made.count("type_mismatches", len(wrong), len(there), name, "; ".join(wrong))


def _unique(made: Measured, name: str, source: Source, work: Work, run: Run, rows: int) -> Iterator[Evidence]:
    key = (work.settings.lead,) if name == work.settings.source else source.unique
    if key:
        found, example = duplicates(run.warehouse, view_name(name), key)
        words = f"{', '.join(key)}: {found:,} keys stand on several rows, as {example}" if found else ", ".join(key)
        yield made.count("duplicate_keys", found, rows, name, words)


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


def _serving(made: Measured, work: Work) -> Evidence:
    """Return how many of the leads' own columns the people to score do not have."""
    settings, population = work.settings, work.settings.population
    if population is None:
        return made.count("serving_lacks", 0, 1, words="open leads are scored: they have the leads' own columns")
    own = [c for c in own_columns(settings) if c != settings.person]
    lacking = [c for c in own if c not in work.columns[population.source]]
    words = f"{population.source} lacks {', '.join(lacking)}" if lacking else f"{population.source} has them all"
    return made.count("serving_lacks", len(lacking), len(own), population.source, words)


def _key_types(made: Measured, work: Work) -> Iterator[Evidence]:
    """Yield, for each source that features join, whether its key is of the type of the column it is joined to."""
    for file in work.files:
        if file.source in work.sources and file.source != work.settings.source:
            wrong = _mismatch(file, work)
            yield made.count("key_type_mismatches", 1 if wrong else 0, 1, file.name, wrong)


def _mismatch(file: FeatureFile, work: Work) -> str:
    source = work.sources[str(file.source)]
    there, of = work.columns[str(file.source)], file.of or source.key
    theirs = there.get(of, there[source.key])
    mine = work.columns[work.settings.source].get(of)
    if mine is None or kind(mine) == kind(theirs):
        return ""
    return f"{of} of the leads is {mine}, {of if of in there else source.key} of {file.source} is {theirs}"
