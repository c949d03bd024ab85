"""What a rollout of a forecast moves: warm packages, the readers' views, and how both versions' issues came true."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from foregate.app.forecaster import issues_needed
from foregate.app.funnel.issuing import compared_issues, stage_again, tables_today
from foregate.app.funnel.today import Today
from foregate.app.readers import CaseService
from foregate.cases.funnel.issuing import stage_tables
from foregate.cases.funnel.views import BI, PERIODS, PRODUCTION, day_columns, views
from foregate.cases.funnel.work import DAYS
from foregate.core.event import Entry
from foregate.core.evidence import Evidence
from foregate.core.rollout import Plan, Rollout
from foregate.modeling.measured import Measured, digest_of

if TYPE_CHECKING:
    from foregate.app.funnel.case import Funnel
    from foregate.warehouse.duckdb import DuckDB


class FunnelService(CaseService):
    """One project's forecasts and their readers, as of a day."""

    view, table = PRODUCTION, DAYS
    app: Funnel

    @property
    def columns(self) -> frozenset[str]:  # type: ignore[override]
        """The columns that readers expect."""
        return frozenset(day_columns(list(self.app.settings.stages)))

    def publish(self, served: Entry) -> None:
        """Make readers see what the entry serves, by the readers' view and the views over it."""
        super().publish(served)
        with self.patiently() as engine:
            for name, text in views(list(self.app.settings.stages)).items():
                if not served.event.split and name in (BI, PERIODS):
                    engine.drop(name)
                elif served.event.split:
                    engine.view(name, text)

    def restage(self, version: str) -> None:
        """Stage the newest issue of the version again; where there is none, issue the day's forecast."""
        with self.patiently() as engine:
            stage_again(self.app, engine, version, self.as_of)

    def decidable(self, version: str, champion: str | None, plan: Plan) -> tuple[Evidence, str]:
        """Return `undecided_days`: by how many days the plan's shadow is shorter than a verdict takes.

        From the spread of the losses of both versions on the sealed origins: as many issues as tell a difference of the
        plan's margin, one a week, and the days until the last is scored.
        """
        made = Measured(self.as_of, digest_of(version, plan.digest))
        if champion is None or not plan.steps:
            words = "no version is in service" if champion is None else "the plan has no shadow"
            return made.nothing("undecided_days", f"{words}: nothing to decide"), plan.criterion
        state = self.app.states()[version]
        ratios = [e for e in state.measured() if e.name == "champion_loss_ratio" and e.rows and e.high is not None]
        window = sum(step.days for step in plan.steps)
        needed = max((_days_needed(e, plan, self.app.settings.score_days) for e in ratios), default=0)
        words = f"{needed:,} days of issues tell a loss {plan.margin:.0%} apart; the plan has {window}"
        return made.count("undecided_days", max(0, needed - window), len(ratios), words=words), plan.criterion

    def parity(self, rollout: Rollout) -> Sequence[Evidence]:
        """Return rows, columns, holes and totals of the day's forecast against the champion's; nothing is left behind.

        Both are made anew and staged apart: what the versions serve and what was issued stay as they are.
        """
        with self.patiently() as engine, self._apart(engine, rollout) as (ours, theirs):
            made = Measured(self.as_of, engine.fingerprint(ours))
            mine, others = engine.columns(ours), engine.columns(theirs)
            keys = "select unit_id, date, time_period_type from"
            apart = f"(({keys} {ours} except {keys} {theirs}) union all ({keys} {theirs} except {keys} {ours}))"
            off = engine.rows(f"select count(*) from {apart}")[0][0]  # noqa: S608 - our own names
            yielded = [made.count("parity_rows_off", off, engine.count(ours))]
            differ = sorted(n for n in {*mine, *others} if mine.get(n) != others.get(n))
            yielded.append(made.count("parity_columns_off", len(differ), len(mine), words=", ".join(differ)))
            for stage in self.app.settings.stages:
                asked = f"sum({stage}_forecast), count(*) - count({stage}_forecast), count(*)"
                rows = [
                    engine.rows(f"select {asked} from {name} where time_period_type <> 'ACTUAL'")[0]  # noqa: S608
                    for name in (ours, theirs)
                ]
                yielded.append(made.count("parity_missing", rows[0][1], rows[0][2], stage))
                ratio = rows[0][0] / rows[1][0] if rows[1][0] else math.inf
                words = f"{rows[0][0]:,.1f} against {rows[1][0]:,.1f} in {self.app.settings.horizon_days} days"
                yielded.append(made.count("parity_total_ratio", round(ratio, 3), 1, stage, words))
            return yielded

    @contextmanager
    def _apart(self, engine: DuckDB, rollout: Rollout) -> Iterator[tuple[str, str]]:
        """Yield the tables of the challenger's and the champion's forecast of the day, in schemas that go after it."""
        assert rollout.champion is not None, "a rollout without a champion has no shadow"
        today = Today(engine, self.app.work(engine, self.as_of))
        ours, theirs = (f"shadow_{rollout.began}_{side}" for side in ("challenger", "champion"))
        try:
            for schema, version in ((ours, rollout.version), (theirs, rollout.champion)):
                told = tables_today(self.app, today, self.app.package(version))
                engine.use(schema)
                stage_tables(engine, told)
            yield f"{ours}.{self.table}", f"{theirs}.{self.table}"
        finally:
            engine.use("main")
            for schema in (ours, theirs):
                engine.drop_schema(schema)

    def field(self, rollout: Rollout) -> Sequence[Evidence]:
        """Return how the issues of both versions since the rollout began have come true."""
        return compared_issues(self.app, rollout, self.as_of)


def _days_needed(found: Evidence, plan: Plan, score_days: int) -> int:
    """Return the days of weekly issues by which a loss ratio a margin apart is told, and the last one's outcomes."""
    issues = issues_needed(found, plan)
    return min(10**4, math.ceil(issues) * 7 + score_days) if math.isfinite(issues) else 10**4
