"""Rival forecasters of a log price, fitted again at each origin: statsforecast's automatic ones, and Prophet.

Asked by JSON for one rival and one series; writes what it foretold from each origin, as log returns with the bounds
of its own 95 % interval.
"""

from __future__ import annotations

import logging
import resource
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.timing import job, tell

LEVEL = 95
# The last log prices and their days, to the mean, lower and upper path of so many days to come.
Fit = Callable[[Any, Any, int], tuple[Any, Any, Any]]


def statistical(make: Callable[[], Any]) -> Fit:
    """Return a fit by a statsforecast model, with the model's own interval."""

    def fit(row: Any, _days: Any, longest: int) -> tuple[Any, Any, Any]:
        found = make().forecast(row, longest, level=[LEVEL])
        return tuple(np.asarray(found[key]) for key in ("mean", f"lo-{LEVEL}", f"hi-{LEVEL}"))

    return fit


def prophet(**settings: Any) -> Fit:
    """Return a fit by Prophet on the real dates; the days to come are the next ones from Monday to Friday."""
    import pandas as pd
    from prophet import Prophet

    def fit(row: Any, days: Any, longest: int) -> tuple[Any, Any, Any]:
        np.random.seed(1)
        model = Prophet(interval_width=LEVEL / 100, **settings).fit(pd.DataFrame({"ds": days, "y": row}), seed=1)
        ahead = np.busday_offset(days[-1], np.arange(1, longest + 1), roll="backward")
        found = model.predict(pd.DataFrame({"ds": ahead}))
        return tuple(found[key].to_numpy() for key in ("yhat", "yhat_lower", "yhat_upper"))

    return fit


def rival(name: str) -> tuple[Fit, list[str]]:
    """Return a fit and the libraries whose versions tell it."""
    if name == "Prophet":
        return prophet(), ["prophet"]
    if name.startswith("Prophet, trend"):
        # Of the range that its documentation tells to search, 0.001 to 0.5, the end that is closest to a random walk.
        return prophet(yearly_seasonality=False, weekly_seasonality=False, changepoint_prior_scale=0.5), ["prophet"]
    from statsforecast import models

    makers = {
        "AutoARIMA": models.AutoARIMA,
        "AutoARIMA, approximation": lambda: models.AutoARIMA(approximation=True),
        "AutoETS": models.AutoETS,
        "AutoETS, damped": lambda: models.AutoETS(model="AAN", damped=True),
        "AutoTheta": models.AutoTheta,
        "AutoTheta, DOTM": lambda: models.AutoTheta(model="DOTM"),
    }
    return statistical(makers[name]), ["statsforecast"]


def foretold(fit: Fit, row: Any, days: Any, horizons: Any, failures: list[str]) -> Any:
    """Return [3, H] log returns from the last price: point, lower, upper; no change without bounds where it fails."""
    try:
        found = np.stack(fit(row, days, int(max(horizons)))).astype(np.float64)[:, np.asarray(horizons) - 1] - row[-1]
        if not np.isfinite(found).all():
            raise ValueError("not finite")
    except Exception as error:
        failures.append(f"{type(error).__name__}: {error}"[:100])
        return np.array([[0.0], [np.nan], [np.nan]]).repeat(len(horizons), axis=1)
    return found


def followed(
    fit: Fit, y: Any, days: Any, asked: dict[str, Any], failures: list[str]
) -> tuple[Any, dict[str, list[float]]]:
    """Return [n, 3, H] what was foretold from each origin by its last `window` prices, until the seconds are used up.

    Also the wall and CPU seconds of each.
    """
    told, wall, cpu = [], [], []
    for origin in asked["origins"]:
        if sum(cpu) > asked["seconds"]:
            break
        began, spent = time.perf_counter(), _cpu()
        seen = slice(origin + 1 - asked["window"], origin + 1)
        told.append(foretold(fit, y[seen], days[seen], asked["horizons"], failures))
        cpu.append(round(_cpu() - spent, 4))
        wall.append(round(time.perf_counter() - began, 4))
    return np.array(told), {"seconds": wall, "cpu_seconds": cpu}


def main() -> None:
    """Forecast by the rival asked for, and tell how long each origin took."""
    asked = job()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    with np.load(asked["series"]) as file:
        y, days = file["y"], file["days"].astype("datetime64[D]")
    fit, libraries = rival(asked["rival"])
    window, failures = asked["window"], []
    foretold(fit, y[:window], days[:window], asked["horizons"], [])  # what is loaded at first use is not the fit's
    told, times = followed(fit, y, days, asked, failures)
    np.save(asked["out"], told)
    done = asked["origins"][: len(told)]
    tell(times, libraries, done=done, failed=len(failures), failures=failures[:3])


def _cpu() -> float:
    """Return CPU seconds with those of children that have ended: Prophet's optimiser is a program of its own."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    main()
