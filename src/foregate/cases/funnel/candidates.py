"""Candidates: who may forecast a stage, by name, from the plainest to the most elaborate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from foregate.cases.funnel.settings import FunnelSettings
from foregate.core.errors import ConfigurationError
from foregate.modeling.cohorts import Cohorts

if TYPE_CHECKING:
    from foregate.modeling.series import History

Paths = NDArray[np.int32]
Linked = Callable[["Link", Paths, np.random.Generator], Paths]


class Link(NamedTuple):
    """What is known of the way from one stage to the next: who entered and converted, where to, and on which days.

    `fitted` keeps what was fitted to these cohorts, by name, for whoever asks again.
    """

    cohorts: Cohorts
    moves: NDArray[np.float64] | None
    downstream: History
    fitted: dict[str, Any]


class Candidate(Protocol):
    """A forecaster of a stage's own counts."""

    def paths(self, history: History, horizon: int, draws: int, rng: np.random.Generator) -> Paths:
        """Return joint integer paths [draws, series, horizon] of the days after the history."""


NAIVE = ("zero", "mean_all", "mean_28", "mean_90", "seasonal_naive")
FLAT = frozenset({"mean_all", "mean_28", "mean_90"})
STATISTICAL = ("theta", "croston_sba", "tsb", "adida", "imapa", "auto_ets", "auto_arima")
LIBRARY = "statsforecast"
_MODULES: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(NAIVE, ("naive", "NAIVE")),
    "count_filter": ("counts", "COUNT_FILTER"),
    "segment_trees": ("segment_trees", "TREES"),
    "top_down": ("top_down", "TOP_DOWN"),
    "pool": ("pools", "POOL"),
    **dict.fromkeys(STATISTICAL, ("statistical", "STATISTICAL")),
}
COMPLEXITY: Mapping[str, int] = {
    "zero": 0,
    "mean_all": 1,
    "mean_28": 1,
    "mean_90": 1,
    "trailing_rate": 1,
    "seasonal_naive": 2,
    "count_filter": 3,
    "conversion": 3,
    "croston_sba": 4,
    "tsb": 4,
    "adida": 4,
    "imapa": 4,
    "theta": 4,
    "auto_ets": 5,
    "auto_arima": 5,
    "segment_trees": 6,
    "top_down": 7,
    "pool": 7,
}


def candidate_of(name: str) -> Candidate:
    """Return a candidate by its name; raises ConfigurationError for an unknown one, or one without its library."""
    if name not in _MODULES:
        raise _unknown(name)
    module, attribute = _MODULES[name]
    found: Any = getattr(import_module(f"foregate.modeling.{module}"), attribute)
    several = found.values() if isinstance(found, Mapping) else found if isinstance(found, tuple) else (found,)
    one: Candidate = next(candidate for candidate in several if candidate.name == name)
    return one


def allowed(settings: FunnelSettings, stage: str) -> tuple[str, ...]:
    """Return who may forecast a stage: those the project lists, and always the naive ones.

    Without a list: the count filter and those that convert. Raises ConfigurationError
    for a name that nobody has, one that converts the stage before the first, or a library that is not installed.
    """
    first = stage == next(iter(settings.stages))
    asked = settings.candidates_of(stage) or ("count_filter", *(() if first else LINKED))
    for name in asked:
        if name not in COMPLEXITY:
            raise _unknown(name)
        if name in LINKED and first and settings.stages[stage].candidates is not None:
            raise ConfigurationError(
                f"foregate.toml [funnel.stages.{stage}] candidates",
                found=f"{name!r}, which converts the stage before",
                wanted="candidates of its own counts: it is the first stage",
                then="Leave it out.",
            )
        if name in STATISTICAL and find_spec(LIBRARY) is None:
            raise ConfigurationError(
                "foregate.toml [funnel] candidates",
                found=f"{name!r}, and no package {LIBRARY}",
                wanted="the package that fits it",
                then='Install it: pip install "foregate[forecast]".',
            )
    return tuple(dict.fromkeys((*NAIVE, *(name for name in asked if not (first and name in LINKED)))))


def _unknown(name: str) -> ConfigurationError:
    return ConfigurationError(
        "foregate.toml [funnel] candidates",
        found=repr(name),
        wanted=f"one of {', '.join(COMPLEXITY)}",
        then="Correct the name.",
    )


def _by_conversion(link: Link, upstream: Paths, rng: np.random.Generator) -> Paths:
    from foregate.modeling.conversion import fit_conversion
    from foregate.modeling.conversion_paths import conversion_paths

    if "conversion" not in link.fitted:
        link.fitted["conversion"] = fit_conversion(link.cohorts)
    found = conversion_paths(link.fitted["conversion"], link.cohorts, upstream, rng, link.moves)
    return on_its_weekdays(link.downstream, found, rng)


def _by_trailing_rate(link: Link, upstream: Paths, rng: np.random.Generator) -> Paths:
    from foregate.modeling.trailing_rate import trailing_rate_paths

    return trailing_rate_paths(link.cohorts, upstream, rng)


def on_its_weekdays(history: History, found: Paths, rng: np.random.Generator) -> Paths:
    """Return paths with their weeks dealt to days as the stage's past was: a delay or a mean knows no weekday."""
    from foregate.modeling.weekdays import spread_over_weekdays, weekday_shares

    return spread_over_weekdays(found, int(history.weekdays(1)[-1]), weekday_shares(history), rng)


LINKED: Mapping[str, Linked] = {"conversion": _by_conversion, "trailing_rate": _by_trailing_rate}
