"""The lifecycle of a lead-scoring version: its twelve phases in order, with this project's gates."""

from __future__ import annotations

from types import ModuleType

from foregate.cases.leads.phases import (
    dates,
    deploy,
    features,
    landscape,
    package,
    preflight,
    select,
    split,
    target,
    tiering,
    train,
    validate,
)
from foregate.cases.leads.settings import LeadsSettings
from foregate.cases.leads.work import Work
from foregate.core.phase import Lifecycle
from foregate.lifecycle.phases import bound, refuse_unknown

MODEL = "leads"
PHASES: dict[str, ModuleType] = {
    "dates": dates,
    "preflight": preflight,
    "landscape": landscape,
    "target": target,
    "features": features,
    "split": split,
    "select": select,
    "tiers": tiering,
    "train": train,
    "validate": validate,
    "package": package,
    "deploy": deploy,
}


def lifecycle(work: Work) -> Lifecycle:
    """Return the phases bound to one run's work; raises ConfigurationError for a gate that no phase has."""
    return bound(MODEL, PHASES, work, work.settings.gates, work.calendar.window)


def check_gates(settings: LeadsSettings) -> None:
    """Raise ConfigurationError for a gate in the file that does not exist."""
    refuse_unknown(MODEL, PHASES, settings.gates)
