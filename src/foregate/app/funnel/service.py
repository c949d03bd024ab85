"""What a rollout of a forecast moves: warm packages, the readers' views, and how both versions' issues came true."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from foregate.app.funnel.issuing import compared_issues, stage_today
from foregate.app.readers import CaseService
from foregate.cases.funnel.views import BI, PERIODS, PRODUCTION, day_columns, views
from foregate.cases.funnel.work import DAYS
from foregate.core.event import Entry
from foregate.core.evidence import Evidence
from foregate.core.rollout import Plan, Rollout
from foregate.metrics.estimate import critical
from foregate.modeling.measured import Measured, digest_of

if TYPE_CHECKING:
    from foregate.app.funnel.case import Funnel


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
        """Make today's forecast again with the version's package."""
        with self.patiently() as engine:
            stage_today(self.app, engine, version, self.as_of)

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
        """Return rows, columns, holes and totals of today's forecast against the champion's."""
        assert rollout.champion is not None, "a rollout without a champion has no shadow"
        with self.patiently() as engine:
            for version in (rollout.version, rollout.champion):
                stage_today(self.app, engine, version, self.as_of)
            ours, theirs = (self.staged(v) for v in (rollout.version, rollout.champion))
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

    def field(self, rollout: Rollout) -> Sequence[Evidence]:
        """Return how the issues of both versions since the rollout began have come true."""
        return compared_issues(self.app, rollout, self.as_of)


def _days_needed(found: Evidence, plan: Plan, score_days: int) -> int:
    """Return the days of weekly issues by which a loss ratio a margin apart is told, and the last one's outcomes."""
    assert found.low is not None, "an estimate has its interval"
    assert found.high is not None, "an estimate has its interval"
    if not math.isfinite(found.high - found.low):
        return 10**4
    spread = (found.high - found.low) / (2 * critical(0.95)) * math.sqrt(found.rows)
    issues = ((critical(1 - 2 * plan.alpha) + critical(2 * plan.power - 1)) * spread / plan.margin) ** 2
    return min(10**4, math.ceil(issues) * 7 + score_days)
