"""Monitoring: what the field says of the version in service, and whether the people it lists are still the same."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from foregate.cases.leads.field_rows import FieldRows, delay_of, field_rows, price_promise, score_promise
from foregate.cases.leads.listing import owners
from foregate.cases.leads.packages import Package
from foregate.cases.leads.scoring import POPULATION_FEATURES
from foregate.cases.leads.serving import Profile, profile, serving_evidence
from foregate.cases.leads.work import Work
from foregate.cases.source_checks import staleness
from foregate.core.evidence import Evidence, Unit
from foregate.core.phase import Run
from foregate.core.ports import Warehouse
from foregate.metrics.drift import importance_shift, psi, psi_of_categories
from foregate.modeling.boosted import Matrix
from foregate.modeling.field import field_evidence
from foregate.modeling.measured import Measured, digest_of
from foregate.modeling.signature import CATEGORY, encode
from foregate.warehouse.point_in_time import SUBJECT
from foregate.warehouse.profile import row_count

# A list is not called the day it is made: by then most of it should have been reached.
GRACE_DAYS = 14
# About so many people: a stability index whose noise is 0.002, and a weight in the scores known to a few percent.
SAMPLE, EXPLAINED = 10_000, 1_000
TOP_FEATURES = 10


@dataclass(frozen=True)
class Watched:
    """The version in service with its lists, by name and day, and what its validation found.

    `window_days`: its maturity window. `basis`: what its leads are held against. "price": the rates of their tiers and,
    for the best tenth, `top_decile_rate` as measured on `top_decile_rows` test rows (NaN: its tiers' rates). A list
    takes the best scored of each tier, so its leads convert more often than their tiers did. "score": their own scores
    times `calibration`, conversions over those foretold in the test, of which there were `calibration_hits`.
    `converted`: the leads that had a conversion at the reading before, as `FieldRows.converted` gave them; None for no
    reading before.
    """

    package: Package
    lists: Mapping[str, date]
    window_days: int
    top_decile_rate: float = math.nan
    top_decile_rows: int = 0
    basis: Literal["price", "score"] = "price"
    calibration: float = 1.0
    calibration_hits: int = 0
    converted: Collection[str] | None = None


def measure(work: Work, run: Run, watched: Watched, rows: FieldRows | None = None) -> list[Evidence]:
    """Return all that is known of the version in service by the end of the run's day.

    Lists of days to come are left out. `rows` may be handed in where they were read before. A number for which there
    is nothing to measure is NaN, or stands on no rows.
    """
    lists = dict(sorted(((n, on) for n, on in watched.lists.items() if on <= run.as_of), key=lambda one: one[::-1]))
    if rows is None:
        rows = field_rows(run.warehouse, work.settings, lists, watched.package.version)
    leads = work.fingerprints[work.settings.source]
    made = Measured(run.as_of, digest_of(watched.package.version, leads, *lists.items()))
    return [
        *_field(made, work, run, watched, rows),
        *_lists(made, work, run, rows, lists),
        *_population(made, run, watched.package, lists),
        *(
            list(staleness(work.sources, work.fingerprints, run))
            or [made.nothing("stale_days", "no source declares fresh_days")]
        ),
    ]


def _field(made: Measured, work: Work, run: Run, watched: Watched, rows: FieldRows) -> Iterator[Evidence]:
    delay = delay_of(run.warehouse, work.settings, watched.package, watched.window_days)
    if watched.basis == "score":
        leads = rows.leads(watched.calibration)
        promise = score_promise(rows, delay, watched.calibration, watched.calibration_hits)
    else:
        leads = rows.leads()
        promise = price_promise(watched.package, rows, delay, watched.top_decile_rate, watched.top_decile_rows)
    gone = None if watched.converted is None else len(set(watched.converted) - rows.converted())
    yield from field_evidence(made, leads, promise, run.as_of, retracted=gone)
    copies = pc.fill_null(rows.table.column("copies"), 1)
    extra = int(pc.sum(pc.subtract(copies, 1)).as_py() or 0)
    yield made.count("doubled_leads", extra, rows.table.num_rows, words="further rows of listed leads in their source")


def _lists(made: Measured, work: Work, run: Run, rows: FieldRows, lists: Mapping[str, date]) -> Iterator[Evidence]:
    """Yield how the lists are worked, by whom, and how the last one differs from the first."""
    if not lists:
        words = "no list was built"
        yield from (made.nothing(n, words, math.nan) for n in ("list_worked", "ineligible_owners", "mix_shift"))
        return
    yield _worked(made, run.as_of, rows, lists)
    last, first = (rows.of_list(name) for name in (list(lists)[-1], next(iter(lists))))
    eligible = {str(owner) for owner in owners(work.settings, run.warehouse)}
    strange = [o for o in last.column("owner_id").to_pylist() if o not in eligible]
    words = f"owners {', '.join(sorted(set(map(str, strange)))[:5])}" if strange else ""
    yield made.count("ineligible_owners", len(strange), last.num_rows, words=words)
    if len(lists) == 1 or not first.num_rows or not last.num_rows:
        yield made.nothing("mix_shift", "one list so far", math.nan)
        return
    then, now = (np.asarray(t.column("tier").to_pylist(), dtype=str) for t in (first, last))
    words = f"tiers of list {list(lists)[-1]} against {next(iter(lists))}"
    yield made.estimate("mix_shift", psi_of_categories(then, now, made.level), Unit.DIFFERENCE, "tier", words)


def _worked(made: Measured, on: date, rows: FieldRows, lists: Mapping[str, date]) -> Evidence:
    """Return the share of the last list past its grace that has been reached."""
    old = [name for name, day in lists.items() if day <= on - timedelta(days=GRACE_DAYS)]
    if rows.open_leads or not old:
        words = "open leads were contacted before" if rows.open_leads else f"no list is {GRACE_DAYS} days old"
        return made.nothing("list_worked", words, math.nan)
    table = rows.of_list(old[-1])
    reached = int(pc.sum(pc.less_equal(table.column("contacted_on"), pa.scalar(on))).as_py() or 0)
    words = f"{reached:,} of {table.num_rows:,} people of list {old[-1]} were contacted"
    return made.rate("list_worked", reached, table.num_rows, words=words)


def _population(made: Measured, run: Run, package: Package, lists: Mapping[str, date]) -> Iterator[Evidence]:
    """Yield how the people scored for the last list differ from those scored when the version was deployed.

    Training rows are leads somebody chose to contact: everybody scored differs from them on the first day already.
    """
    now = _sample(run.warehouse, f"list_{list(lists)[-1]}") if lists else None
    then = _sample(run.warehouse, f"run_{package.version}")
    if then is None and lists:
        then = _sample(run.warehouse, f"list_{next(iter(lists))}")
    learned = set(package.trees.signature.names) | set(package.profile.categories)
    now, then = (t if t is not None and learned <= set(t.column_names) else None for t in (now, then))
    if now is None or then is None:
        gone = "the people scored are gone from the warehouse, or were scored by another version's features"
        words = gone if lists else "no list was built"
        names = ("psi", "missing_shift", "unseen_category_rate", "importance_shift")
        yield from (made.nothing(name, words, math.nan) for name in names)
        return
    made = dataclasses.replace(made, source=digest_of(made.source, *lists, then.num_rows, now.num_rows))
    signature = package.trees.signature
    seen = profile(then, signature.names, ())
    for one in serving_evidence(made, Profile(seen.rows, seen.missing, package.profile.categories), now):
        yield dataclasses.replace(one, words=one.words.replace("in training", "when the version was deployed"))
    before, after = encode(then, signature), encode(now, signature)
    level = 1 - (1 - made.level) / len(signature.names)
    for at, (name, kind) in enumerate(zip(signature.names, signature.kinds, strict=True)):
        index = psi_of_categories if kind == CATEGORY else psi
        found = index(before[:, at], after[:, at], level=level)
        yield made.estimate("psi", found, Unit.DIFFERENCE, name, family=len(signature.names))
    yield from _importance(made, package, _thinned(before), _thinned(after))


def _importance(made: Measured, package: Package, before: Matrix, after: Matrix) -> Iterator[Evidence]:
    """Yield by which part of itself the weight of the strongest features in the scores has changed."""
    then, now = (package.trees.contributions(matrix)[:, :-1] for matrix in (before, after))
    weight = np.abs(then).mean(axis=0)
    top = np.argsort(-weight, kind="stable")[:TOP_FEATURES]
    found = importance_shift(then, now, 1 - (1 - made.level) / len(top))
    for at in top.tolist():
        words = f"{weight[at] / max(weight.sum(), 1e-12):.1%} of all TreeSHAP weight before"
        yield made.estimate(
            "importance_shift", found[at], Unit.DIFFERENCE, package.trees.signature.names[at], words, len(top)
        )


def _thinned(matrix: Matrix) -> Matrix:
    """Return at most EXPLAINED rows, spread evenly over the matrix."""
    return matrix[:: max(1, -(-len(matrix) // EXPLAINED))]


def _sample(warehouse: Warehouse, schema: str) -> pa.Table | None:
    """Return the features of about SAMPLE people scored, the same people every time; None if they are gone."""
    table = f"{schema}.{POPULATION_FEATURES}"
    people = row_count(warehouse, table) if warehouse.exists(table) else 0
    if not people:
        return None
    part = min(1.0, SAMPLE / people)
    sql = f"select * from {table} where md5(cast({SUBJECT} as varchar)) < $until order by {SUBJECT}"  # noqa: S608
    return warehouse.table(sql, {"until": f"{int(part * 16**8):08x}" if part < 1 else "g"})
