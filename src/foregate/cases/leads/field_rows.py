"""Rows of the field: who stood on a version's lists, when they were reached, and when they converted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlglot
from sqlglot import exp

from foregate.cases.leads.listing import PEOPLE
from foregate.cases.leads.packages import Package
from foregate.cases.leads.settings import LeadsSettings
from foregate.cases.leads.statements import leads_table, statement
from foregate.core.errors import DataError
from foregate.core.ports import Warehouse
from foregate.metrics.estimate import Floats, Integers
from foregate.metrics.maturity import Delay, delay_curve
from foregate.modeling.contacted import Contacted, Promise
from foregate.modeling.field import ArmRows

# Whoever is reached later than this was hardly reached because of the list.
CYCLE_DAYS = 45
ARMS = "list_arms"
_EPOCH = date(1970, 1, 1).toordinal()
_COLUMNS = {
    "list": pa.string(),
    "listed_on": pa.date32(),
    "tier": pa.string(),
    "score": pa.float64(),
    "expected_rate": pa.float64(),
    "decile": pa.int64(),
    "lead_id": pa.string(),
    "contacted_on": pa.date32(),
    "converted_on": pa.date32(),
    "copies": pa.int64(),
}


@dataclass(frozen=True)
class FieldRows:
    """Everybody on a version's lists, a row for each list they stand on, and how they were reached.

    `table`: list, listed_on, person_id, owner_id, tier, score, expected_rate, decile (1 the best tenth of the list by
    score) and, where they were reached, lead_id as text, contacted_on, converted_on and copies: how many rows the lead
    has in its source. `open_leads`: the lists hold leads that were contacted before, and are only followed up.
    """

    table: pa.Table
    open_leads: bool

    def leads(self, calibration: float | None = None) -> Contacted:
        """Return the leads that were contacted, in the order of the table.

        Promised of each is its tier's price; with a `calibration`, its own score times that, at most 1.
        """
        reached = self.table.filter(pc.is_valid(self.table.column("contacted_on")))
        score = _numbers(reached, "score")
        own = None if calibration is None else np.minimum(1.0, calibration * score)
        return Contacted(
            contacted=ordinals(reached, "contacted_on"),
            converted=ordinals(reached, "converted_on"),
            score=score,
            expected=_numbers(reached, "expected_rate") if own is None else own,
            decile=_numbers(reached, "decile").astype(np.int64),
            group=reached.column("tier").to_pylist(),
            listed=ordinals(reached, "listed_on") if self.open_leads else None,
        )

    def converted(self) -> frozenset[str]:
        """Return the ids of the leads that have a conversion, as text: what a later reading is compared with."""
        found = self.table.filter(pc.is_valid(self.table.column("converted_on")))
        return frozenset(found.column("lead_id").to_pylist())

    def of_list(self, name: str) -> pa.Table:
        """Return the rows of one list."""
        return self.table.filter(pc.equal(self.table.column("list"), name))


def field_rows(
    warehouse: Warehouse, settings: LeadsSettings, lists: Mapping[str, date], version: str = ""
) -> FieldRows:
    """Return everybody on the lists, given by name with their days, and how each was reached since.

    A person counts as reached by the first lead of theirs that was contacted on the list's day or up to 44 days later;
    a contact that follows two lists of the person belongs to the later one. Leads contacted before the list, where no
    population is declared, belong to the first list they stand on. With a `version`, people whom only another version
    had listed (a canary's other arm) are left out. Contacts and conversions of days to come are in it: who reads a day
    decides what they mean.
    """
    open_leads = settings.population is None
    if not lists:
        return FieldRows(_COLUMNS_ONLY, open_leads)
    listed = [_people(warehouse, name, on, version) for name, on in lists.items()]
    return FieldRows(_reached(warehouse, settings, listed), open_leads)


def arm_rows(warehouse: Warehouse, settings: LeadsSettings, lists: Mapping[str, date], as_of: date) -> ArmRows:
    """Return the listed people whom only one of two versions chose, of the lists up to a day, by list and person.

    Reached as in `field_rows`. Lists without arms have nobody to compare.
    """
    names = {n: on for n, on in lists.items() if on <= as_of and warehouse.exists(f"list_{n}.{ARMS}")}
    if not names:
        nobody, nothing = np.zeros(0, np.int64), np.zeros(0)
        return ArmRows(nobody, nobody, nobody.astype(np.bool_), nothing, nothing)
    table = _reached(
        warehouse, settings, [_of_list("arms", ARMS, name, on, warehouse.dialect) for name, on in names.items()]
    )
    challenger = table.column("is_challenger").to_numpy(zero_copy_only=False).astype(np.bool_)
    return ArmRows(
        ordinals(table, "contacted_on"),
        ordinals(table, "converted_on"),
        challenger,
        _numbers(table, "propensity"),
        _numbers(table, "share"),
    )


def price_promise(
    package: Package, rows: FieldRows, delay: Delay, top_decile_rate: float, top_decile_rows: float
) -> Promise:
    """Return what a version promised of its lists by tier: the mean of the prices, as sure as those together are."""
    tiers = rows.table.column("tier").value_counts().to_pylist()
    people = max(1, rows.table.num_rows)
    priced = [(t["counts"] / people, package.prices[t["values"]]) for t in tiers if t["values"] in package.prices]
    means = [(share, p.a / (p.a + p.b), p.a + p.b + 1) for share, p in priced]
    rate = sum(share * mean for share, mean, _ in means)
    spread = sum(share**2 * mean * (1 - mean) / strength for share, mean, strength in means)
    worth = rate * (1 - rate) / spread if spread else 0.0
    return Promise(rate, top_decile_rate, delay, delay.window, worth, top_decile_rows, _tiers(rows))


def score_promise(rows: FieldRows, delay: Delay, calibration: float, hits: float) -> Promise:
    """Return what a version foretold of its lists' people: their mean score, corrected by its calibration in the test.

    `hits`: the conversions that the calibration was measured on, 0 to take it as exact.
    """
    scores = _numbers(rows.table, "score")
    rate = float(np.minimum(1.0, calibration * scores).mean()) if scores.size else 0.0
    # The relative error of a rate is nearly one over the root of its hits; so many rows at this rate have it.
    worth = hits * (1 - rate) / rate if rate else 0.0
    return Promise(rate, math.nan, delay, delay.window, worth, worth, _tiers(rows))


def _tiers(rows: FieldRows) -> tuple[str, ...]:
    return tuple(dict.fromkeys(rows.table.column("tier").to_pylist()))


def delay_of(warehouse: Warehouse, settings: LeadsSettings, package: Package, window_days: int) -> Delay:
    """Return when conversions show, from the leads contacted by the version's training end, as known on its day.

    Raises DataError when no conversion of theirs is left.
    """
    tree = leads_table(settings, package.train_end)
    table = warehouse.table(tree.sql(dialect=warehouse.dialect))
    contacted, converted = ordinals(table, "contacted_on"), ordinals(table, "converted_on")
    age = package.as_of.toordinal() - contacted
    delay = converted - contacted
    seen = (converted > 0) & (delay >= 0) & (delay <= age)
    try:
        return delay_curve(np.where(seen, delay, age), seen, max(1, window_days))
    except ValueError as error:
        raise DataError(
            f"source {settings.source}",
            found=str(error),
            wanted=f"the conversions that {package.version} was trained on",
            then="Look for leads or outcomes that were removed: without them nobody knows when conversions are due.",
        ) from error


def ordinals(table: pa.Table, name: str) -> Integers:
    """Return a column of days as proleptic ordinals, 0 where there is none."""
    days = pc.cast(table.column(name), pa.int32())
    there = pc.is_valid(days).to_numpy(zero_copy_only=False)
    numbers = pc.fill_null(days, 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return np.where(there, numbers + _EPOCH, 0)


def _numbers(table: pa.Table, name: str) -> Floats:
    """Return a column as floats, NaN where there is none."""
    return np.asarray(pc.cast(table.column(name), pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


_COLUMNS_ONLY = pa.table({name: pa.array([], kind) for name, kind in _COLUMNS.items()})


def _reached(warehouse: Warehouse, settings: LeadsSettings, listed: list[exp.Select]) -> pa.Table:
    """Return the listed with how they were reached, by one statement."""
    together: exp.Query = listed[0]
    for one in listed[1:]:
        together = together.union(one, distinct=False, copy=False)
    leads = leads_table(settings).subquery("leads")
    key = "lead_id" if settings.population is None else "person"
    contact = (
        exp.select(exp.column(key).as_("person"), exp.cast(exp.column("lead_id"), "varchar").as_("lead_id"))
        .select("contacted_on", "converted_on")
        .from_(leads)
        .where(exp.column("contacted_on").is_(exp.null()).not_())
    )
    tree = _parsed("field", warehouse.dialect).with_("listed", as_=together).with_("contact", as_=contact, copy=False)
    values = {"open_leads": settings.population is None, "cycle_days": CYCLE_DAYS}
    return warehouse.table(tree.sql(dialect=warehouse.dialect), values)


def _people(warehouse: Warehouse, name: str, on: date, version: str) -> exp.Select:
    """Return everybody of a list, without those whom only another version had listed."""
    tree = _of_list("listed", PEOPLE, name, on, warehouse.dialect)
    arms = f"list_{name}.{ARMS}"
    if not version or not warehouse.exists(arms):
        return tree
    others = exp.and_(exp.column("arm").neq("both"), exp.column("version").neq(version))
    theirs = exp.select("person_id").from_(exp.to_table(arms)).where(others)
    return tree.where(exp.column("person_id").isin(query=theirs).not_())


@cache
def _parsed(text: str, dialect: str) -> exp.Select:
    """Return the tree of a statement; whoever changes it changes a copy."""
    tree = sqlglot.parse_one(statement(text, dialect), dialect=dialect)
    assert isinstance(tree, exp.Select), f"{text}.sql is one SELECT"
    return tree


def _of_list(text: str, table: str, name: str, on: date, dialect: str) -> exp.Select:
    """Return a statement about one list, its name and day filled in."""
    tree = exp.replace_tables(_parsed(text, dialect), {table: f"list_{name}.{table}"}, dialect=dialect)
    filled = exp.replace_placeholders(tree, list=name, listed_on=on.isoformat())
    assert isinstance(filled, exp.Select), f"{text}.sql is one SELECT"
    return filled
