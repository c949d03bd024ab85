"""Preflight: the series' sources are there, of the declared types, with unique keys; tables can be written."""

from __future__ import annotations

from collections.abc import Iterator

from foregate.cases.prices.work import Work
from foregate.cases.source_checks import GATES as SOURCE_GATES
from foregate.cases.source_checks import or_nothing, stability, types, unique, writable
from foregate.core.evidence import Evidence
from foregate.core.phase import Run
from foregate.modeling.measured import Measured, digest_of
from foregate.warehouse.profile import row_count
from foregate.warehouse.sources import view_name

DOES = (
    "Checks that the series' sources can be read, have the declared types and unique keys; that tables can be written."
)
GATES = SOURCE_GATES


def measure(work: Work, run: Run) -> Iterator[Evidence]:
    """Yield one set of findings per source."""
    keys = []
    for name, source in work.sources.items():
        made = Measured(run.as_of, work.fingerprints[name])
        yield made.count("rows", rows := row_count(run.warehouse, view_name(name)), rows, name)
        yield types(made, name, source, work.columns[name])
        keys += list(unique(made, name, source.unique, run, rows))
    made = Measured(run.as_of, digest_of(work.columns))
    yield from or_nothing(made, "duplicate_keys", keys, "no source declares `unique`; days are checked per series")
    found = stability(made, work.sources, work.unstable)
    yield from or_nothing(made, "unstable_queries", found, "no source is a query")
    yield writable(run)
