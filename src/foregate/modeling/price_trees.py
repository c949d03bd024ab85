"""Boosted trees as an expert on prices: shrunk to no change, and fitted on nothing but outcomes that are over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foregate.core.errors import DataError
from foregate.modeling.price_features import Features

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

# Of fewer matured rows nothing is fitted.
LEAST_ROWS = 250
HORIZON = "horizon_days"
# Deep trees, hardly held back, and a random fifth held out: a usual way to a claim.
DEEP = {"max_depth": 8, "eta": 0.1, "subsample": 0.8, "min_child_weight": 10.0, "lambda": 1.0, "nthread": 1}
DEEP_ROUNDS, HELD_SHARE = 50, 0.2


class Fit(NamedTuple):
    """One fit: its horizon, the day it was made at, and the last day whose price a target of it looks at."""

    horizon: int
    fit_at: int
    last_target_row: int


@dataclass(frozen=True)
class TreeRuns:
    """What trees refitted through the past foretold, and from what.

    `predicted` [H, T] are log returns, NaN before a horizon's first fit. `fits` are all fits in order of time, then
    horizon; `importances` [n, H, F] are the features' shares of the gain at each of the n days in `fitted_at`: NaN
    where a horizon had no fit yet, all 0 where the trees found no split. `models` holds the last fit of each horizon
    in XGBoost's UBJ, for `serve`.
    """

    horizons: tuple[int, ...]
    names: tuple[str, ...]
    predicted: Floats
    fits: list[Fit]
    fitted_at: tuple[int, ...]
    importances: Floats
    models: dict[int, bytes]


class SplitClaims(NamedTuple):
    """Mean absolute error relative to no change, on a random fifth of the rows and on the last fifth."""

    random_relative_mae: float
    temporal_relative_mae: float


@dataclass(frozen=True)
class TreeExpert:
    """Boosted trees for the h-day log return in units of volatility * sqrt(h), one model for each horizon.

    Returns are mostly noise, so everything is drawn to no change: the trees start from 0; a leaf's mean is shrunk as
    if `prior_windows` more windows of no change were in it; a leaf holds at least `leaf_windows`. A window is h rows,
    as the rows of one horizon overlap: h of them tell about as much as one. Targets are clipped at `clip` either
    side, squared loss. With too few rows for two leaves the trees say next to nothing or nothing.
    """

    rounds: int = 20
    depth: int = 2
    learning_rate: float = 0.05
    leaf_windows: float = 10.0
    prior_windows: float = 20.0
    column_share: float = 0.5
    clip: float = 3.0

    def fitted(self, told: Features, targets: Floats, rows: Rows, horizon: int, seed: int) -> Any:
        """Return the booster fitted on some rows of features [T, F] and scaled returns [T]; the same for a seed."""
        import xgboost as xgb

        labels = np.clip(targets[rows], -self.clip, self.clip)
        booster = xgb.train(self._params(horizon, seed), _data(told.names, told.values[rows], labels), self.rounds)
        booster.set_attr(**{HORIZON: str(horizon)})
        return booster

    def backtest(
        self,
        told: Features,
        y: ArrayLike,
        volatility: ArrayLike,
        horizons: Sequence[int],
        refit_days: int = 250,
        seed: int = 0,
        start: int = 1000,
    ) -> TreeRuns:
        """Return what the trees would have said of every day from `start` on, refitted every `refit_days`.

        A fit at t uses all rows s with s + h <= t, and predicts t and the days until the next fit. `told` are the
        features [T, F], `y` [T] log prices, `volatility` [T] daily. A horizon with fewer than 250 matured rows waits
        for the next fit. ValueError for lengths that differ, no horizon or one below 1, or refit_days below 1.
        """
        days = _checked(told, y, volatility, horizons, refit_days)
        prices, spread = np.asarray(y, dtype=np.float64), np.asarray(volatility, dtype=np.float64)
        targets = [scaled_returns(prices, spread, horizon) for horizon in horizons]
        fitted_at = tuple(range(start, days, refit_days))
        predicted = np.full((len(horizons), days), np.nan)
        importances = np.full((len(fitted_at), len(horizons), len(told.names)), np.nan)
        fits, models = [], {}
        for order, fit_at in enumerate(fitted_at):
            for place, horizon in enumerate(horizons):
                rows = matured_rows(targets[place], fit_at, horizon)
                if rows.size < LEAST_ROWS:
                    continue
                booster = self.fitted(told, targets[place], rows, horizon, seed)
                fits.append(Fit(horizon, fit_at, int(rows.max()) + horizon))
                until = slice(fit_at, fit_at + refit_days)
                predicted[place, until] = _returns(booster, told.names, told.values[until], spread[until], horizon)
                importances[order, place] = gain_shares(booster, told.names)
                models[horizon] = bytes(booster.save_raw(raw_format="ubj"))
        return TreeRuns(tuple(horizons), told.names, predicted, fits, fitted_at, importances, models)

    def _params(self, horizon: int, seed: int) -> dict[str, Any]:
        # Every row has a hessian of 1: weights of leaves and the prior are counts of rows.
        return {
            "objective": "reg:squarederror",
            "tree_method": "hist",
            "max_depth": self.depth,
            "eta": self.learning_rate,
            "min_child_weight": self.leaf_windows * horizon,
            "lambda": self.prior_windows * horizon,
            "colsample_bytree": self.column_share,
            "base_score": 0.0,
            "seed": seed,
            "nthread": 1,
        }


def scaled_returns(y: ArrayLike, volatility: ArrayLike, horizon: int) -> Floats:
    """Return the log return from each day to the one `horizon` days on, over volatility * sqrt(horizon), [T].

    NaN where it is not over within y, or the volatility is not known or not above 0.

    >>> scaled_returns([0.0, 0.1, 0.3], [0.1, 0.1, 0.1], 1).round(3)
    array([ 1.,  2., nan])
    """
    prices, spread = np.asarray(y, dtype=np.float64), np.asarray(volatility, dtype=np.float64)
    found = np.full(prices.size, np.nan)
    scale = np.where(spread > 0, spread, np.nan) * np.sqrt(horizon)
    found[: max(prices.size - horizon, 0)] = (prices[horizon:] - prices[:-horizon]) / scale[:-horizon]
    return np.where(np.isfinite(found), found, np.nan)


def matured_rows(targets: Floats, fit_at: int, horizon: int) -> Rows:
    """Return the rows with a target that is over by the day `fit_at`: s + horizon <= fit_at.

    >>> matured_rows(np.array([1.0, np.nan, 2.0, 3.0]), 3, 1)
    array([0, 2])
    """
    return np.flatnonzero(np.isfinite(targets[: max(fit_at - horizon + 1, 0)]))


def embargo_days(fits: Iterable[Fit]) -> int:
    """Return the least number of days from the last price a target looks at to the day of its fit, over all fits.

    0 or more: no fit saw an outcome that was not over. Below 0: so many days of the future were in a fit, whatever
    its horizon. ValueError without a fit.

    >>> embargo_days([Fit(5, 1000, 1000), Fit(126, 1000, 998)])
    0
    """
    found = [fit.fit_at - fit.last_target_row for fit in fits]
    if not found:
        raise ValueError("found no fit; wanted at least one")
    return min(found)


def serve(model: bytes, names: Sequence[str], values: ArrayLike, volatility: ArrayLike, horizon: int) -> Floats:
    """Return the log returns [n] that a model of `TreeRuns.models` foretells for rows of features [n, F].

    The same numbers as in the backtest for the same rows; NaN where the volatility [n] is. DataError for bytes that
    are no such model, or one of other features or another horizon.
    """
    import xgboost as xgb

    booster = xgb.Booster()
    try:
        booster.load_model(bytearray(model))
    except xgb.core.XGBoostError as error:
        raise DataError(
            "tree expert", found="bytes that XGBoost can not read", wanted="a model it wrote", then="Run it again."
        ) from error
    found = (booster.attr(HORIZON), booster.feature_names)
    if found != (str(horizon), list(names)):
        raise DataError(
            "tree expert",
            found=f"a model for {found[0]} days on {found[1]}",
            wanted=f"one for {horizon} days on {list(names)}",
            then="Serve the model with the features it was fitted on.",
        )
    given = np.asarray(values, dtype=np.float64)
    return _returns(booster, names, given, np.asarray(volatility, dtype=np.float64), horizon)


def gain_shares(booster: Any, names: Sequence[str]) -> Floats:
    """Return each feature's share [F] of all that the splits gained: sums to 1, all 0 without a split."""
    gains = booster.get_score(importance_type="total_gain")
    found = np.array([gains.get(name, 0.0) for name in names], dtype=np.float64)
    return found / found.sum() if found.sum() > 0 else found


def split_claims(told: Features, y: ArrayLike, volatility: ArrayLike, horizon: int, seed: int = 0) -> SplitClaims:
    """Return what a random split of the rows claims, beside what a split in time gives, on the same rows.

    Deep trees, hardly held back, predict scaled returns of `horizon` days. Once a random fifth is held out: its rows
    overlap those fitted on, which tell most of the answer. Once the last fifth, with an embargo of the horizon. Both
    are mean absolute errors over those of no change: below 1 claims skill. NaN where either side has no rows.
    """
    _checked(told, y, volatility, [horizon], 1)
    targets = scaled_returns(y, volatility, horizon)
    rows = np.flatnonzero(np.isfinite(targets))
    held = int(HELD_SHARE * rows.size)
    mixed = np.random.default_rng(seed).permutation(rows)
    late = rows[rows.size - held :]
    early = rows[rows + horizon <= late[0]] if held else rows[:0]
    at_random = _relative_mae(told, targets, np.sort(mixed[held:]), np.sort(mixed[:held]), seed)
    return SplitClaims(at_random, _relative_mae(told, targets, early, late, seed))


def _relative_mae(told: Features, targets: Floats, fitted: Rows, held: Rows, seed: int) -> float:
    import xgboost as xgb

    if not (fitted.size and held.size):
        return float("nan")
    data = _data(told.names, told.values[fitted], targets[fitted])
    booster = xgb.train({**DEEP, "tree_method": "hist", "seed": seed}, data, DEEP_ROUNDS)
    said = np.asarray(booster.predict(_data(told.names, told.values[held], None)), dtype=np.float64)
    return float(np.abs(targets[held] - said).mean() / np.abs(targets[held]).mean())


def _returns(booster: Any, names: Sequence[str], values: Floats, volatility: Floats, horizon: int) -> Floats:
    said = np.asarray(booster.predict(_data(names, values, None)), dtype=np.float64)
    return np.asarray(said * np.where(volatility > 0, volatility, np.nan) * np.sqrt(horizon))


def _data(names: Sequence[str], values: Floats, labels: Floats | None) -> Any:
    import xgboost as xgb

    return xgb.DMatrix(values, label=labels, feature_names=list(names), nthread=1)


def _checked(told: Features, y: ArrayLike, volatility: ArrayLike, horizons: Sequence[int], refit_days: int) -> int:
    days = np.size(y)
    if not (told.values.shape == (days, len(told.names)) and np.size(volatility) == days):
        shapes = f"features {told.values.shape}, y {np.shape(y)}, volatility {np.shape(volatility)}"
        raise ValueError(f"found {shapes}; wanted [T, {len(told.names)}], [T] and [T]")
    if not horizons or min(horizons) < 1 or refit_days < 1:
        raise ValueError(f"found horizons {list(horizons)} and refit_days {refit_days}; wanted each at least 1")
    return days
