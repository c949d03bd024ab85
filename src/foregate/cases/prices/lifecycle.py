"""The lifecycle of a prices version: its phases in order, with this project's gates."""

from __future__ import annotations

from types import ModuleType

from foregate.cases.prices.phases import (
    experts,
    features,
    intervals,
    issue,
    package,
    preflight,
    quotes,
    race,
    regimes,
    validate,
)
from foregate.cases.prices.settings import PricesSettings
from foregate.cases.prices.tracks import DEFAULT, FITTED
from foregate.cases.prices.work import Work
from foregate.core.errors import ConfigurationError
from foregate.core.phase import Lifecycle
from foregate.lifecycle.phases import bound, refuse_unknown
from foregate.modeling.expert_weights import NO_CHANGE, RULES

MODEL = "prices"
PHASES: dict[str, ModuleType] = {
    "preflight": preflight,
    "quotes": quotes,
    "features": features,
    "experts": experts,
    "race": race,
    "regimes": regimes,
    "intervals": intervals,
    "validate": validate,
    "package": package,
    "issue": issue,
}


def lifecycle(work: Work, window: str) -> Lifecycle:
    """Return the phases bound to one run's work; `window` names the sealed days."""
    check_names(work.settings)
    return bound(MODEL, PHASES, work, work.settings.gates, window)


def check_names(settings: PricesSettings) -> None:
    """Raise ConfigurationError for a gate, an expert or a rule in the file that does not exist, or weighs nothing."""
    refuse_unknown(MODEL, PHASES, settings.gates)
    known = tuple(dict.fromkeys((*DEFAULT, *FITTED)))
    for key, names, there in (("experts", settings.experts, known), ("rules", settings.rules, tuple(RULES))):
        for name in names:
            if name not in there:
                raise ConfigurationError(
                    f"foregate.toml [prices] {key}",
                    found=repr(name),
                    wanted=f"any of {', '.join(there)}",
                    then="Correct the name.",
                )
    _check_weighed(settings)


def _check_weighed(settings: PricesSettings) -> None:
    """Raise ConfigurationError for weights by regime of an expert that does not forecast here."""
    there = tuple(dict.fromkeys((NO_CHANGE, *(settings.experts or DEFAULT))))
    for regime, weights in settings.regime_weights.items():
        for name in weights:
            if name not in there:
                raise ConfigurationError(
                    f"foregate.toml [prices.regime_weights.{regime}]",
                    found=repr(name),
                    wanted=f"any of {', '.join(there)}",
                    then="Correct the name, or say it in `experts`.",
                )
