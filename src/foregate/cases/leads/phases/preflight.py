"""Preflight: every source is there, of the declared types, unique in its keys, fresh; the warehouse can be written."""

from __future__ import annotations

from collections.abc import Iterator

from foregate.cases.leads.scoring import own_columns
from foregate.cases.leads.statements import create, leads_table
from foregate.cases.leads.work import Work
from foregate.cases.source_checks import GATES as SOURCE_GATES
from foregate.cases.source_checks import STALE, or_nothing, stability, staleness, types, unique, writable
from foregate.core.evidence import Evidence
from foregate.core.gate import Gate
from foregate.core.phase import Run
from foregate.modeling.measured import Measured, digest_of
from foregate.warehouse.features import FeatureFile
from foregate.warehouse.point_in_time import kind
from foregate.warehouse.profile import row_count
from foregate.warehouse.sources import view_name

DOES = (
    "Checks that sources can be read, have the declared types, unique keys and fresh rows; that tables can be written."
)
GATES = (
    *SOURCE_GATES,
    Gate("key_type_mismatches", at_most=0, why="text and numbers join to nothing, or to the wrong rows"),
    Gate("serving_lacks", at_most=0, why="a column that serving does not have: what is trained could not be served"),
    STALE,
)


def measure(work: Work, run: Run) -> Iterator[Evidence]:
    """Yield one set of findings per source."""
    for name, source in work.sources.items():
        made = Measured(run.as_of, work.fingerprints[name])
        yield made.count("rows", rows := row_count(run.warehouse, view_name(name)), rows, name)
        yield types(made, name, source, work.columns[name])
        key = (work.settings.lead,) if name == work.settings.source else source.unique
        yield from unique(made, name, key, run, rows)
    made = Measured(run.as_of, digest_of(work.columns))
    yield from or_nothing(
        made, "stale_days", staleness(work.sources, work.fingerprints, run), "no source declares fresh_days"
    )
    yield from or_nothing(
        made, "unstable_queries", stability(made, work.sources, work.unstable), "no source is a query"
    )
    yield from or_nothing(made, "key_type_mismatches", _key_types(made, work), "no feature joins another source")
    yield _serving(made, work)
    yield writable(run)
    create(run.warehouse, "lead_all", leads_table(work.settings))
    create(run.warehouse, "lead", leads_table(work.settings, run.as_of))


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
