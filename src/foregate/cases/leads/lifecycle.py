"""The lifecycle of a lead-scoring version: its twelve phases in order, with this project's gates."""

from __future__ import annotations

from functools import partial
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
from foregate.core.errors import ConfigurationError
from foregate.core.phase import Lifecycle, Phase

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
    check_gates(work.settings)
    phases = tuple(
        Phase(
            name,
            module.DOES,
            partial(module.measure, work),
            tuple(work.settings.moved(gate) for gate in module.GATES),
            reads_test=module is validate,
        )
        for name, module in PHASES.items()
    )
    return Lifecycle(MODEL, phases, work.calendar.window)


def check_gates(settings: LeadsSettings) -> None:
    """Raise ConfigurationError for a gate in the file that does not exist."""
    known = sorted({gate.evidence for module in PHASES.values() for gate in module.GATES})
    for name in settings.gates:
        if name not in known:
            raise ConfigurationError(
                f"foregate.toml [leads.gates.{name}]",
                found="a gate that no phase has",
                wanted=f"one of {', '.join(known)}",
                then="Correct the name.",
            )
