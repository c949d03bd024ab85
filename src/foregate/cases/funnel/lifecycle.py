"""The lifecycle of a funnel version: its phases in order, with this project's gates."""

from __future__ import annotations

from functools import partial
from types import ModuleType

from foregate.cases.funnel.candidates import allowed
from foregate.cases.funnel.phases import calibrate, events, issue, maturity, package, panel, preflight, race, validate
from foregate.cases.funnel.settings import FunnelSettings
from foregate.cases.funnel.work import Work
from foregate.core.errors import ConfigurationError
from foregate.core.phase import Lifecycle, Phase

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
    return Lifecycle(MODEL, phases, window)


def check_names(settings: FunnelSettings) -> None:
    """Raise ConfigurationError for a gate or a candidate in the file that does not exist."""
    known = sorted({gate.evidence for module in PHASES.values() for gate in module.GATES})
    for name in settings.gates:
        if name not in known:
            raise ConfigurationError(
                f"foregate.toml [funnel.gates.{name}]",
                found="a gate that no phase has",
                wanted=f"one of {', '.join(known)}",
                then="Correct the name.",
            )
    for stage in settings.stages:
        allowed(settings, stage)
