"""Rival forecasters of a panel of counts, each level by its own fit: statsforecast, Prophet, mlforecast's LightGBM.

Asked by JSON for one rival with one configuration; writes what it foretold from each origin, as samples of four
kinds: a day of a series, and the sums over the horizon of a series, a segment, and all.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np

from bench.timing import job, tell

WEEK = 7
WINDOWS = 10
LEAST_DAYS = 3 * WEEK
# Samples of one series: [draws, horizon] of its days and [draws] of their sum.
Drawn = tuple[Any, Any]


class Panel:
    """The panel's file, cut at one origin: the rows are series, then segments, then all."""

    def __init__(self, file: dict[str, Any], origin: int) -> None:
        kept = origin + 1
        counts, segments = file["counts"][:, :kept], file["segments"]
        self.born = np.minimum(file["born"], kept)
        self.segments, self.series, self.groups = segments, len(counts), int(segments.max()) + 1
        member = np.eye(self.groups, dtype=np.int64)[segments].T
        self.sums = np.concatenate([np.eye(self.series, dtype=np.int64), member, np.ones((1, self.series), np.int64)])
        self.counts = self.sums @ counts
        births = [int(self.born[row > 0].min()) for row in self.sums]
        self.rows = [self.counts[place, first:].astype(np.float64) for place, first in enumerate(births)]
        self.first = int(file["first"])
        self.last = date.fromordinal(self.first + origin)


def by_series(
    fit: Callable[[Any, date, int, int, int], Drawn], levels: str, failures: list[str], samples: int = 0
) -> Any:
    """Return a forecaster that fits every row of a panel by itself; a failed or too short one takes its mean.

    `samples`: how many the fit gives, where not as many as are asked for.
    """

    def forecast(panel: Panel, horizon: int, wanted: int) -> dict[str, Any]:
        draws = samples or wanted
        bottom = range(panel.series) if levels == "all" else ()
        asked = [*bottom, *range(panel.series, len(panel.rows))]
        found: dict[int, Drawn] = {}
        for place in asked:
            row = panel.rows[place]
            try:
                if row.size < LEAST_DAYS or row.min() == row.max():
                    raise ValueError("nothing to fit")
                found[place] = fit(row, panel.last, horizon, draws, place)
            except Exception as error:
                if str(error) != "nothing to fit":
                    failures.append(f"{type(error).__name__}: {error}"[:100])
                mean = float(row.mean()) if row.size else 0.0
                found[place] = np.full((draws, horizon), mean), np.full(draws, mean * horizon)
        return _answer(panel, found, levels)

    return forecast


def _answer(panel: Panel, found: dict[int, Drawn], levels: str) -> dict[str, Any]:
    whole = len(panel.rows) - 1
    groups = range(panel.series, whole)
    told = {
        "segment_sum": np.stack([found[place][1] for place in groups], axis=1),
        "total_sum": found[whole][1][:, None],
    }
    if levels == "all":
        told["series_day"] = np.stack([found[place][0] for place in range(panel.series)], axis=1)
        told["series_sum"] = np.stack([found[place][1] for place in range(panel.series)], axis=1)
    return told


def simulating(make: Callable[[], Any]) -> Callable[[Any, date, int, int, int], Drawn]:
    """Return a fit by a statsforecast model that simulates its own sample paths."""

    def fit(row: Any, _last: date, horizon: int, draws: int, seed: int) -> Drawn:
        paths = make().simulate(horizon, draws, y=row, seed=seed)
        return paths, paths.sum(axis=1)

    return fit


def conformal(make: Callable[[], Any]) -> Callable[[Any, date, int, int, int], Drawn]:
    """Return a fit with split conformal errors of the last windows, as statsforecast's own: the mean -+ each error.

    The sums have errors of their own, of the windows' sums: that flatters, the library has none for sums.
    """

    def fit(row: Any, _last: date, horizon: int, draws: int, seed: int) -> Drawn:
        windows = min(WINDOWS, (row.size - 1) // horizon)
        if windows < 2:
            raise ValueError("too short for conformal errors of two windows")
        errors = []
        for window in range(windows, 0, -1):
            end = row.size - window * horizon
            errors.append(row[end : end + horizon] - make().forecast(row[:end], horizon)["mean"])
        # Of a young series the few windows there are stand for all ten.
        off = np.resize(np.array(errors), (WINDOWS, horizon))
        mean = make().forecast(row, horizon)["mean"]
        days, sums = np.abs(off), np.abs(off.sum(axis=1))
        return np.concatenate([mean - days, mean + days]), np.concatenate([mean.sum() - sums, mean.sum() + sums])

    return fit


def prophet(**settings: Any) -> Callable[[Any, date, int, int, int], Drawn]:
    """Return a fit by Prophet that draws from its own predictive samples."""
    import pandas as pd
    from prophet import Prophet

    def fit(row: Any, last: date, horizon: int, draws: int, seed: int) -> Drawn:
        np.random.seed(seed)
        days = pd.DataFrame({"ds": pd.date_range(end=pd.Timestamp(last), periods=row.size), "y": row})
        model = Prophet(uncertainty_samples=draws, **settings).fit(days, seed=seed)
        ahead = model.make_future_dataframe(horizon, include_history=False)
        paths = model.predictive_samples(ahead)["yhat"].T
        return paths, paths.sum(axis=1)

    return fit


def lightgbm(*, errors: bool, **settings: Any) -> Any:
    """Return a forecaster by one LightGBM of all series: Poisson days around its mean, or its past errors."""
    import lightgbm as lgb
    import pandas as pd
    from mlforecast import MLForecast
    from mlforecast.lag_transforms import RollingMean

    def model() -> Any:
        trees = lgb.LGBMRegressor(objective="poisson", n_jobs=1, verbosity=-1, random_state=1, **settings)
        return MLForecast(
            models=[trees],
            freq="D",
            lags=[1, 7, 14, 28],
            lag_transforms={1: [RollingMean(7), RollingMean(28)]},
            date_features=["dayofweek", "day", "month"],
            num_threads=1,
        )

    def forecast(panel: Panel, horizon: int, draws: int) -> dict[str, Any]:
        rng = np.random.default_rng(panel.last.toordinal())
        able = [place for place in range(panel.series) if panel.rows[place].size > 2 * horizon]
        rows = [(place, panel.rows[place]) for place in able]
        frame = pd.concat(
            pd.DataFrame(
                {"unique_id": place, "ds": pd.date_range(end=pd.Timestamp(panel.last), periods=row.size), "y": row}
            )
            for place, row in rows
        )
        means = np.zeros((panel.series, horizon))
        told = model().fit(frame, static_features=[]).predict(horizon)
        means[able] = np.maximum(told.sort_values(["unique_id", "ds"])["LGBMRegressor"].to_numpy(), 0).reshape(
            -1, horizon
        )
        if not errors:
            return _summed(panel, rng.poisson(means, (draws, *means.shape)))
        windows = int(min(WINDOWS, (min(row.size for _, row in rows) - 2 * horizon) // horizon))
        past = model().cross_validation(
            frame, n_windows=windows, h=horizon, step_size=horizon, static_features=[], refit=False
        )
        past = past.sort_values(["cutoff", "unique_id", "ds"])
        off = np.zeros((windows, panel.series, horizon))
        off[:, able] = (past["y"] - past["LGBMRegressor"]).to_numpy().reshape(windows, -1, horizon)
        return _with_errors(panel, means, off)

    return forecast


def _summed(panel: Panel, paths: Any) -> dict[str, Any]:
    sums = paths.sum(axis=2)
    groups = panel.sums[panel.series : -1]
    whole = sums.sum(axis=1, keepdims=True)
    return {"series_day": paths, "series_sum": sums, "segment_sum": sums @ groups.T, "total_sum": whole}


def _with_errors(panel: Panel, means: Any, off: Any) -> dict[str, Any]:
    told, wrong = _summed(panel, means[None]), _summed(panel, off)
    return {kind: np.concatenate([told[kind] - np.abs(w), told[kind] + np.abs(w)]) for kind, w in wrong.items()}


def rival(name: str, failures: list[str]) -> tuple[Any, list[str]]:
    """Return a forecaster and the libraries whose versions tell it."""
    if name.startswith("Prophet"):
        settings = {"growth": "flat", "yearly_seasonality": False} if "flat" in name else {}
        return by_series(prophet(daily_seasonality=False, **settings), "all", failures), ["prophet"]
    if name.startswith("mlforecast"):
        tuned = {"n_estimators": 200, "learning_rate": 0.05, "num_leaves": 8, "min_child_samples": 100}
        made = lightgbm(errors=True, **tuned) if "conformal" in name else lightgbm(errors=False)
        return made, ["mlforecast", "lightgbm"]
    from statsforecast import models

    fits = {
        "AutoETS": (simulating(lambda: models.AutoETS(season_length=WEEK)), "all"),
        "AutoETS, ANA": (simulating(lambda: models.AutoETS(season_length=WEEK, model="ANA")), "all"),
        "AutoARIMA on segments": (
            simulating(lambda: models.AutoARIMA(season_length=WEEK, approximation=True)),
            "segments",
        ),
        "CrostonSBA + conformal": (conformal(models.CrostonSBA), "all"),
    }
    fit, levels = fits[name]
    return by_series(fit, levels, failures, 2 * WINDOWS if "conformal" in name else 0), ["statsforecast"]


def main() -> None:
    """Forecast from each origin until the seconds are used up; days and sums below 0 are taken as 0."""
    asked = job()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    with np.load(asked["panel"]) as found:
        file = dict(found)
    failures: list[str] = []
    forecast, libraries = rival(asked["rival"], failures)
    told: dict[str, Any] = {}
    wall, cpu = [], []
    for origin in asked["origins"]:
        if sum(cpu) > asked["seconds"]:
            break
        began, spent = time.perf_counter(), time.process_time()
        samples = forecast(Panel(file, origin), asked["horizon"], asked["draws"])
        cpu.append(round(time.process_time() - spent, 3))
        wall.append(round(time.perf_counter() - began, 3))
        for kind, drawn in samples.items():
            told[f"{kind} {origin}"] = np.maximum(drawn, 0).astype(np.float32)
    np.savez(asked["out"], **told)
    done = asked["origins"][: len(cpu)]
    tell({"seconds": wall, "cpu_seconds": cpu}, libraries, done=done, failed=len(failures), failures=failures[:3])


if __name__ == "__main__":
    main()
