"""What a rollout of lead scores moves: warm packages, the readers' view, and what the field says of both arms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from foregate.app.leads.case import VIEW
from foregate.app.leads.field import decidable, field_of_arms
from foregate.app.leads.parity import compared
from foregate.app.opened import schema_of
from foregate.app.readers import CaseService
from foregate.cases.leads.scoring import SCORE_COLUMNS, score_population
from foregate.cases.leads.work import SCORES
from foregate.core.evidence import Evidence
from foregate.core.rollout import Plan, Rollout

if TYPE_CHECKING:
    from foregate.app.leads.case import Leads


class LeadsService(CaseService):
    """One project's scores and their readers, as of a day."""

    view, table, columns = VIEW, SCORES, SCORE_COLUMNS
    app: Leads

    def restage(self, version: str) -> None:
        """Score everybody again with the version's package."""
        package = self.app.package(version)
        with self.patiently() as engine:
            work = self.app.work(engine, self.as_of)
            engine.use(schema_of(version))
            columns = {name: dict(types) for name, types in work.columns.items()}
            score_population(package, engine, columns, work.spine("spine"), self.as_of, SCORES)

    def decidable(self, version: str, champion: str | None, plan: Plan) -> tuple[Evidence, str]:
        """Return `undecided_days`, and the criterion that the plan's window can decide."""
        return decidable(self.app, version, champion, plan, self.as_of)

    def parity(self, rollout: Rollout) -> Sequence[Evidence]:
        """Return how the challenger's scores of today compare with the champion's."""
        return compared(self.app, rollout, self.as_of)

    def field(self, rollout: Rollout) -> Sequence[Evidence]:
        """Return what the leads of both arms say by now."""
        return field_of_arms(self.app, rollout, self.as_of)
