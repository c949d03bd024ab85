"""A case that forecasts, opened: what the funnel and prices do alike with their settings, days and versions."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from foregate.app.opened import App, code_digest, libraries
from foregate.core.errors import ConfigurationError
from foregate.lifecycle.alerts import rules_of
from foregate.lifecycle.forecast_crossings import crossing_gates
from foregate.metrics.estimate import critical
from foregate.modeling.measured import Measured, digest_of

if TYPE_CHECKING:
    from foregate.core.evidence import Evidence
    from foregate.core.gate import Gate
    from foregate.core.rollout import Plan
    from foregate.core.rule import Rule
    from foregate.lifecycle.alerts import AlertSettings

POLICY_KEYS = {"gates", "rollout", "alerts"}


class Forecaster(App):
    """One case of a project whose versions issue forecasts."""

    forecasts = True

    @property
    @abstractmethod
    def settings(self) -> Any:
        """The case's own table of the project's file."""

    @property
    def alerts(self) -> AlertSettings:
        """The case's alert settings."""
        found: AlertSettings = self.settings.alerts
        return found

    def rules(self) -> tuple[Rule, ...]:
        """Return the alert rules in force."""
        return rules_of(self.alerts, str(self.project.file), self.model)

    def plan(self) -> Plan:
        """Return the rollout plan as the file declares it today."""
        found: Plan = self.settings.rollout.plan()
        return found

    def crossing_gates(self, plan: Plan, criterion: str = "") -> Mapping[str, tuple[Gate, ...]]:
        """Return the gates of every step of a plan, by phase: forecasts have no arms, but issues of the same days."""
        return crossing_gates(plan, criterion)

    def day(self, as_of: date | None) -> date:
        """Return the day whose knowledge counts: the one given, else the file's; ConfigurationError for one to come."""
        on, today = self.project.day(as_of), self.clock().date()
        if on > today:
            then = "Nothing is known of a day to come: leave it out, or correct it."
            raise ConfigurationError("as_of", found=str(on), wanted=f"a day up to {today}", then=then)
        return on

    def _version_of(self, work: Any) -> str:
        """Return the content hash of all that makes a version: declarations, data, code, libraries, as-of and seed."""
        settings = work.settings.model_dump_json(exclude=POLICY_KEYS)
        sources = [(n, s.model_dump_json()) for n, s in sorted(work.sources.items())]
        queries = [self.project.path(s.query).read_text() for s in work.sources.values() if s.query]
        inputs = sorted(work.fingerprints.items())
        about = (work.as_of, work.seed, code_digest(self.model), libraries())
        return digest_of(self.model, settings, sources, queries, inputs, *about, length=10)

    def replayed(self, version: str, on: date) -> Sequence[Evidence]:
        """Return what the monitor would have measured on a past day; leaves nothing behind."""
        return self.measured(version, on)


def issues_needed(found: Evidence, plan: Plan) -> float:
    """Return how many issues of both versions tell a loss ratio a plan's margin apart; infinity where nothing tells.

    From the spread of the ratio on the sealed origins, at the plan's alpha and power.
    """
    assert found.low is not None, "an estimate has its interval"
    assert found.high is not None, "an estimate has its interval"
    if not math.isfinite(found.high - found.low):
        return math.inf
    spread = (found.high - found.low) / (2 * critical(0.95)) * math.sqrt(found.rows)
    return float(((critical(1 - 2 * plan.alpha) + critical(2 * plan.power - 1)) * spread / plan.margin) ** 2)


def issue_age(made: Measured, newest: date | None, issued: int, on: date, damaged: int) -> Evidence:
    """Return `days_since_issue`: how old the newest forecast is that is as it was written."""
    if newest is None:
        words = f"{damaged} were issued, none is as it was written" if damaged else "nothing was issued"
        return made.nothing("days_since_issue", words, float("nan"))
    return made.days("days_since_issue", (on - newest).days, issued, words=f"the newest was issued on {newest}")
