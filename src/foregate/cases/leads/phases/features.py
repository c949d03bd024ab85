"""Features: compiled to point in time, computed once for all leads, poisoned to prove it, and checked against age."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from foregate.cases.leads.statements import create, spine_of_leads
from foregate.cases.leads.work import FEATURES, SPINE, Work
from foregate.core.evidence import Evidence, Unit
from foregate.core.gate import Effect, Gate
from foregate.core.phase import Run
from foregate.metrics.drift import share_trend
from foregate.modeling.measured import Measured, digest_of
from foregate.warehouse.point_in_time import SUBJECT, compile_features
from foregate.warehouse.poison import poisoned_changes
from foregate.warehouse.profile import duplicates, row_count

DOES = "Compiles the features to what was known at each contact, computes them, and proves it by poisoning the unknown."
POISON_DAYS, POISON_LEADS = 3, 400
SENTINEL_SHARE = 0.01
GATES = (
    Gate("lost_or_doubled_leads", at_most=0, why="a join that multiplies or loses leads"),
    Gate("poisoned_changes", at_most=0, why="a feature that changes with rows unknown at contact sees the future"),
    Gate(
        "missing_trend",
        at_least=-0.35,
        at_most=0.10,
        effect=Effect.SIGN_OFF,
        why="missing more often the older the lead: later knowledge leaked in",
    ),
    Gate(
        "sentinel_trend",
        at_least=-0.35,
        at_most=0.10,
        effect=Effect.SIGN_OFF,
        why="a stand-in value that grows with age hides a leak",
    ),
)


def measure(work: Work, run: Run) -> Iterator[Evidence]:
    """Yield the audits; the spine and feature tables are made here."""
    settings = work.settings
    spine = work.spine(SPINE)
    create(run.warehouse, SPINE, spine_of_leads(settings, tuple(spine.columns)))
    work.compiled = compile_features(work.files, work.sources, work.columns, spine)
    sql = work.compiled.sql(run.warehouse.dialect)
    run.warehouse.create(FEATURES, sql, in_order=work.compiled.sums_floats)
    made = Measured(run.as_of, digest_of(sql, run.version))
    leads, rows = row_count(run.warehouse, "lead"), row_count(run.warehouse, FEATURES)
    doubled, _ = duplicates(run.warehouse, FEATURES, [SUBJECT])
    words = f"{leads:,} leads in, {rows:,} rows out, {doubled:,} of them on several rows"
    yield made.count("lost_or_doubled_leads", abs(leads - rows) + doubled, rows, words=words)
    yield made.count("features", len(work.compiled.features), rows, words=", ".join(work.compiled.features))
    changed, compared, which = poisoned_changes(
        run.warehouse, work.files, work.sources, work.columns, spine, days=POISON_DAYS, leads=POISON_LEADS
    )
    words = f"{compared:,} leads recomputed after rewriting every row they could not know{which and ': ' + which}"
    yield made.count("poisoned_changes", changed, compared, words=words)
    yield from _trends(made, work, run)


_AGED = """
select f.*, date_diff('day', f.as_of, cast($as_of as date)) as age__
from lead_features as f where f.as_of >= cast($start as date) order by f.as_of, f.subject_id
"""


def _trends(made: Measured, work: Work, run: Run) -> Iterator[Evidence]:
    """Yield, per feature, how its missing share and its stand-in value's share differ between old and recent leads."""
    assert work.compiled is not None, "compiled above"
    table = run.warehouse.table(_AGED, {"as_of": run.as_of, "start": work.calendar.train_start})
    if not table.num_rows:
        for name in ("missing_trend", "sentinel_trend"):
            yield made.nothing(name, f"no lead was contacted from {work.calendar.train_start} on")
        return
    ages = table.column("age__").to_numpy(zero_copy_only=False).astype(float)
    for kind_of, subject, flags, what in _flags(table, work.compiled.features):
        trend = share_trend(flags, ages)
        yield made.estimate(kind_of, trend, Unit.DIFFERENCE, subject, _trend_words(flags, ages, what))


def _flags(table: Any, names: Sequence[str]) -> Iterator[tuple[str, str, Any, str]]:
    """Yield (evidence, feature, flags, words) for every missing share and stand-in value worth comparing with age."""
    found = {"missing_trend": 0, "sentinel_trend": 0}
    for name in names:
        column = table.column(name)
        missing = column.is_null().to_numpy(zero_copy_only=False).astype(float)
        sentinel = _sentinel(column)
        if 0 < missing.sum() < len(missing):
            found["missing_trend"] += 1
            yield "missing_trend", name, missing, "missing"
        if sentinel is not None:
            found["sentinel_trend"] += 1
            yield "sentinel_trend", name, sentinel[1], f"= {sentinel[0]:g}"
    for kind_of, count in found.items():
        if not count:
            yield kind_of, "", np.zeros(table.num_rows), "missing or a stand-in value (no feature has any)"


def _trend_words(flags: Any, ages: Any, what: str) -> str:
    order = np.argsort(-ages, kind="stable")
    third = len(flags) // 3
    old, recent = flags[order[:third]].mean(), flags[order[-third:]].mean()
    return f"{what} in {old:.1%} of the oldest third of the leads, {recent:.1%} of the newest"


def _sentinel(column: Any) -> tuple[float, Any] | None:
    """Return a value that stands far outside all others on many rows (as 9999 for "never"), and where it stands."""
    import pyarrow as pa

    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        return None
    values = column.to_numpy(zero_copy_only=False).astype(float)
    known = np.unique(values[np.isfinite(values)])
    if len(known) < 4:
        return None
    for value, rest in ((known[-1], known[:-1]), (known[0], known[1:])):
        flags = (values == value).astype(float)
        far = abs(value - (rest[-1] if value > rest[0] else rest[0])) > (rest[-1] - rest[0])
        if far and flags.mean() >= SENTINEL_SHARE:
            return float(value), flags
    return None
