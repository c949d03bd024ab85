"""The lifecycle of a funnel version: its phases in order, with this project's gates."""

from __future__ import annotations

from types import ModuleType

from foregate.cases.funnel.candidates import allowed
from foregate.cases.funnel.phases import calibrate, events, issue, maturity, package, panel, preflight, race, validate
from foregate.cases.funnel.settings import FunnelSettings
from foregate.cases.funnel.work import Work
from foregate.core.phase import Lifecycle
from foregate.lifecycle.phases import bound, refuse_unknown

MODEL = "funnel"
PHASES: dict[str, ModuleType] = {
    "preflight": preflight,
    "events": events,
    "panel": panel,
    "maturity": maturity,
    "race": race,
    "calibrate": calibrate,
    "validate": validate,
    "package": package,
    "issue": issue,
}


def lifecycle(work: Work, window: str) -> Lifecycle:
    """Return the phases bound to one run's work; `window` names the sealed outcomes."""
    check_names(work.settings)
    return bound(MODEL, PHASES, work, work.settings.gates, window)


def check_names(settings: FunnelSettings) -> None:
    """Raise ConfigurationError for a gate or a candidate in the file that does not exist."""
    refuse_unknown(MODEL, PHASES, settings.gates)
    for stage in settings.stages:
        allowed(settings, stage)
