"""What a rollout of price forecasts moves: warm packages, the readers' view, and how both versions' issues came out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from foregate.app.forecaster import issues_needed
from foregate.app.prices.issuing import came_of, issues_of, stage_again, today_of
from foregate.app.readers import CaseService
from foregate.cases.prices.issuing import forecast_columns, forecast_rows
from foregate.cases.prices.outcomes import LEAST, Outcomes
from foregate.cases.prices.views import PRODUCTION, WEIGHTS_READ, views
from foregate.cases.prices.work import FORECAST
from foregate.core.event import Entry
from foregate.core.evidence import Evidence, Unit
from foregate.core.rollout import Plan, Rollout
from foregate.metrics.diebold import relative_loss
from foregate.metrics.estimate import untold
from foregate.modeling.measured import Measured, digest_of

if TYPE_CHECKING:
    import pyarrow as pa

    from foregate.app.prices.case import Prices

WEEK_DAYS, WEEK_SESSIONS = 7, 5
_NEVER = 10**4


class PricesService(CaseService):
    """One project's price forecasts and their readers, as of a day."""

    view, table = PRODUCTION, FORECAST
    app: Prices

    @property
    def columns(self) -> frozenset[str]:  # type: ignore[override]
        """The columns that readers expect."""
        return frozenset(forecast_columns(self.app.settings.levels))

    def publish(self, served: Entry) -> None:
        """Make readers see what the entry serves, by the readers' view and the views over it."""
        super().publish(served)
        with self.patiently() as engine:
            for name, text in views().items():
                if not served.event.split and name == WEIGHTS_READ:
                    engine.drop(name)
                elif served.event.split:
                    engine.view(name, text)

    def restage(self, version: str) -> None:
        """Stage the newest issue of the version again; where there is none, issue the day's forecast."""
        with self.patiently() as engine:
            stage_again(self.app, engine, version, self.as_of)

    def decidable(self, version: str, champion: str | None, plan: Plan) -> tuple[Evidence, str]:
        """Return `undecided_days`: by how many days the plan's shadow is shorter than a verdict takes.

        From the spread of both versions' errors on the sealed days, at the shortest horizon of the series that takes
        longest; at the longer ones outcomes come too late for any shadow, and the verdict says nothing of them.
        """
        made = Measured(self.as_of, digest_of(version, plan.digest))
        if champion is None or not plan.steps:
            words = "no version is in service" if champion is None else "the plan has no shadow"
            return made.nothing("undecided_days", f"{words}: nothing to decide"), plan.criterion
        name, ahead = next(iter(self.app.settings.horizons.items()))
        measured = self.app.states()[version].measured()
        ratios = [e for e in measured if e.name == "champion_mae_ratio" and e.rows and e.subject.endswith(f" {name}")]
        window = sum(step.days for step in plan.steps)
        needed = max((_days_needed(e, plan, ahead) for e in ratios), default=0)
        words = f"{needed:,} days of issues tell errors {name} ahead {plan.margin:.0%} apart; the plan has {window}"
        return made.count("undecided_days", max(0, needed - window), len(ratios), words=words), plan.criterion

    def parity(self, rollout: Rollout) -> Sequence[Evidence]:
        """Return rows, columns, holes and levels of the day's forecast against the champion's; nothing is written."""
        assert rollout.champion is not None, "a rollout without a champion has no shadow"
        tables = []
        with self.patiently() as engine:
            today = today_of(self.app, engine, self.as_of)
            for version in (rollout.version, rollout.champion):
                package = self.app.package(version)
                stamp = {"version": version, "issue": "none", "issued_on": self.as_of}
                tables.append(forecast_rows(package.forecast(today.market(package.settings)), package, stamp))
        inputs = sorted(today.work.fingerprints.items())
        made = Measured(self.as_of, digest_of(rollout.version, rollout.champion, *inputs))
        return list(_parity(made, tables[0], tables[1]))

    def field(self, rollout: Rollout) -> Sequence[Evidence]:
        """Return how the issues of both versions since the rollout began have come true, on days both issued."""
        assert rollout.champion is not None, "a rollout without a champion has no field"
        since = rollout.started_at.date()
        made = Measured(self.as_of, digest_of(rollout.version, rollout.champion, self.as_of))
        sides, future, rows = [], 0, 0
        with self.patiently() as engine:
            today = today_of(self.app, engine, self.as_of)
            for version in (rollout.version, rollout.champion):
                settings = self.app.package(version).settings
                market = today.market(settings)
                written = issues_of(self.app, version, self.as_of, since)
                sides.append({one.key: one for one in came_of(market, settings, written)})
                future += sum(quotes.rows.future for quotes in market.quotes.values())
                rows += sum(len(quotes) for quotes in market.quotes.values())
        found = [made.count("future_labels", future, rows)]
        found += [_compared(made, sides[0][key], sides[1][key]) for key in sides[0] if key in sides[1]]
        if len(found) == 1:
            words = f"no day since {since} on which both issued"
            found.append(made.estimate("field_loss_ratio", untold(0, math.inf, 0, made.level), Unit.RATIO, "", words))
        return found


def _parity(made: Measured, ours: pa.Table, theirs: pa.Table) -> list[Evidence]:
    keys = [
        set(zip(*(t.column(n).to_pylist() for n in ("unit_id", "price_day", "target_day")), strict=True))
        for t in (ours, theirs)
    ]
    found = [made.count("parity_rows_off", len(keys[0] ^ keys[1]), ours.num_rows)]
    types = [{field.name: str(field.type) for field in t.schema} for t in (ours, theirs)]
    differ = sorted(n for n in {*types[0], *types[1]} if types[0].get(n) != types[1].get(n))
    found.append(made.count("parity_columns_off", len(differ), len(types[0]), words=", ".join(differ)))
    others = dict(zip(theirs.column("unit_id").to_pylist(), theirs.column("forecast").to_pylist(), strict=True))
    told = zip(ours.column("unit_id").to_pylist(), ours.column("forecast").to_pylist(), strict=True)
    for unit, value in told:
        found.append(made.count("parity_missing", int(value is None), 1, unit))
        other = others.get(unit)
        ratio = value / other if value is not None and other else math.inf
        words = f"{value if value is not None else math.nan:,.2f} against {other or math.nan:,.2f}"
        found.append(made.count("parity_total_ratio", round(ratio, 3), 1, unit, words))
    return found


def _compared(made: Measured, ours: Outcomes, theirs: Outcomes) -> Evidence:
    """Return our error over the champion's on the price days both issued from and that have fallen due."""
    both, mine, others = np.intersect1d(ours.at, theirs.at, return_indices=True)
    due = ours.matured[mine]
    errors = [np.abs(one.forecast - one.came)[at][due] for one, at in ((ours, mine), (theirs, others))]
    words = f"{int(due.sum())} of {both.size} days on which both issued have fallen due"
    told = (
        relative_loss(errors[0], errors[1], ours.overlap, made.level)
        if int(due.sum()) >= LEAST
        else untold(0, math.inf, int(due.sum()), made.level)
    )
    return made.estimate("field_loss_ratio", told, Unit.RATIO, ours.key, words)


def _days_needed(found: Evidence, plan: Plan, ahead: int) -> int:
    """Return the days of daily issues by which an error ratio a margin apart is told, and the last falls due."""
    issues = issues_needed(found, plan)
    days = math.ceil((math.ceil(issues) + ahead) * WEEK_DAYS / WEEK_SESSIONS) if math.isfinite(issues) else _NEVER
    return min(_NEVER, days)
