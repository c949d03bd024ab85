"""AutoARIMA, AutoETS and AutoTheta of statsforecast as experts on a log price, fitted again and carried forward."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foregate.core.errors import ConfigurationError
from foregate.modeling.statistical import library

Floats = NDArray[np.float64]


def _arima(models: Any) -> Any:
    # Log prices are near a walk, so the search starts there, by approximate likelihoods, exact in the fit: a third of
    # the time of a search from (2, 2) up to 5, with orders that forecast no worse.
    orders = {"start_p": 1, "start_q": 1, "max_p": 3, "max_q": 3}
    return models.AutoARIMA(season_length=1, seasonal=False, approximation=True, **orders)


def _ets(models: Any) -> Any:
    # Additive errors alone: a logarithm has no size of its own that an error could be a share of.
    return models.AutoETS(season_length=1, model="AZN")


def _theta(models: Any) -> Any:
    return models.AutoTheta(season_length=1, decomposition_type="additive")


STATISTICAL: Mapping[str, Callable[[Any], Any]] = {"arima": _arima, "ets": _ets, "theta": _theta}


class StatisticalRuns(NamedTuple):
    """What a model refitted through the past foretold.

    `predicted` [H, T] are log returns, NaN where nothing was asked or there was no window yet; `fitted_at` the days
    of fits that succeeded; `fallen_back` the days on which it says no change, because the fit or the forecast failed.
    """

    predicted: Floats
    fitted_at: tuple[int, ...]
    fallen_back: tuple[int, ...]


def backtest(
    name: str,
    y: ArrayLike,
    horizons: Sequence[int],
    refit_days: int = 21,
    window: int = 750,
    start: int | None = None,
    since: int | None = None,
) -> StatisticalRuns:
    """Return what "arima", "ets" or "theta" would have said of each day from `start` on, by what was known then.

    `y` [T] are log prices. A fit at t sees the last `window` days, t among them, and is made every `refit_days` from
    `start` on (the first whole window when None). Until the next, its parameters are kept and its state is carried
    forward over the days that came since (`forward`): no origin is foretold from an older level. Days are counted
    from the first price of the window, so a price in cents says what one in dollars says.

    `since` leaves out the days before it and changes no number: fits stay where `start` has them, so a day is served
    as it would have been backtested. A fit or forecast that fails, one that is not finite, and one further off than
    the window's own range is wide (a trend that ran away) say no change; so do all days until the next fit when the
    fit failed. NaN in y fails the windows it is in; the day itself stays NaN.

    ValueError for another name, a horizon, window or refit_days below 1, or a start before the first whole window.
    ConfigurationError without statsforecast.
    """
    prices = np.asarray(y, dtype=np.float64)
    first = window - 1 if start is None else start
    _check(name, horizons, refit_days, window, first)
    build, models = STATISTICAL[name], _models()
    predicted = np.full((len(horizons), prices.size), np.nan)
    fitted_at, fallen_back = [], []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for fit_at, origins in _stretches(first, prices.size, refit_days, first if since is None else since):
            begin = fit_at - window + 1
            model = _fitted(build(models), prices[begin : fit_at + 1])
            fitted_at += [fit_at] if model is not None else []
            for origin in origins:
                said = None if model is None else _carried(model, prices[begin : origin + 1], horizons)
                if said is None:
                    fallen_back.append(origin)
                    said = np.zeros(len(horizons))
                predicted[:, origin] = said if np.isfinite(prices[origin]) else np.nan
    return StatisticalRuns(predicted, tuple(fitted_at), tuple(fallen_back))


def _check(name: str, horizons: Sequence[int], refit_days: int, window: int, start: int) -> None:
    if name not in STATISTICAL:
        raise ValueError(f"found {name!r}; wanted one of {', '.join(STATISTICAL)}")
    if not horizons or min(*horizons, refit_days, window) < 1:
        raise ValueError(f"found horizons {list(horizons)}, refit_days {refit_days}, window {window}; wanted from 1 on")
    if start < window - 1:
        raise ValueError(f"found start {start}; wanted a whole window of {window} days: at least {window - 1}")


def _stretches(start: int, days: int, refit_days: int, since: int) -> Iterator[tuple[int, range]]:
    """Yield the days of fits that are needed, each with the origins it serves."""
    for fit_at in range(start, days, refit_days):
        origins = range(max(fit_at, since), min(fit_at + refit_days, days))
        if origins:
            yield fit_at, origins


def _models() -> Any:
    try:
        return library()
    except ConfigurationError as error:
        raise ConfigurationError(
            f"experts {', '.join(STATISTICAL)}",
            found=error.found,
            wanted=error.wanted,
            then="Install it with `pip install 'foregate[forecast]'`, or leave these experts out.",
        ) from error


def _fitted(model: Any, prices: Floats) -> Any:
    """Return the model fitted, or None where it fails: the library raises all sorts on odd series."""
    if not np.isfinite(prices).all():
        return None
    try:
        return model.fit(prices - prices[0])
    except Exception:
        return None


def _carried(model: Any, prices: Floats, horizons: Sequence[int]) -> Floats | None:
    """Return the log returns [H] foretold from the last price, or None where that fails."""
    if not np.isfinite(prices).all():
        return None
    try:
        path = np.asarray(model.forward(prices - prices[0], max(horizons))["mean"], dtype=np.float64)
    except Exception:
        return None
    said = path[np.array(horizons) - 1] - (prices[-1] - prices[0])
    return said if np.isfinite(said).all() and np.abs(said).max() <= np.ptp(prices) else None
