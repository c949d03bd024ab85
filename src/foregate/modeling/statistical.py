"""Candidates of statsforecast: ARIMA, ETS and Theta on segments, the intermittent family on bottom series."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foregate.core.errors import ConfigurationError
from foregate.modeling.segment_paths import (
    FLAT_DAYS,
    MOST_LEVEL_VARIANCE,
    Floats,
    Outlook,
    Segment,
    dispersion,
    flat_outlook,
    joint_paths,
    living_segments,
    local_means,
    moved_together,
    scattered,
)
from foregate.modeling.series import History, Indices

SEASON = 7
LEVEL = 90
FIT_DAYS = 730
LEAST_DAYS = 3 * SEASON
# A mean path this much above the busiest day is a trend that ran away, not a forecast.
RUNAWAY = 10.0
PAST_ORIGINS, PAST_WINDOW, PAST_SERIES = 6, 28, 100

Named = Callable[[Any, NDArray[np.float64]], Any]


def _arima(models: Any, totals: Floats) -> Any:
    # Approximate likelihoods in the search, exact in the fit: R's own default for so many days.
    return models.AutoARIMA(season_length=SEASON, approximation=True)


def _ets(models: Any, totals: Floats) -> Any:
    return models.AutoETS(season_length=SEASON)


def _theta(models: Any, totals: Floats) -> Any:
    kind = "multiplicative" if totals.min() > 0 else "additive"
    return models.DynamicOptimizedTheta(season_length=SEASON, decomposition_type=kind)


def _croston(models: Any, totals: Floats) -> Any:
    return models.CrostonSBA()


def _tsb(models: Any, totals: Floats) -> Any:
    return models.TSB(alpha_d=0.1, alpha_p=0.1)


def _adida(models: Any, totals: Floats) -> Any:
    return models.ADIDA()


def _imapa(models: Any, totals: Floats) -> Any:
    return models.IMAPA()


def library() -> Any:
    """Return statsforecast's module of models; ConfigurationError when the package is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from statsforecast import models
        except ImportError as error:
            raise ConfigurationError(
                "candidates auto_arima, auto_ets, theta, croston_sba, tsb, adida and imapa",
                found=f"no package statsforecast ({error})",
                wanted="statsforecast 2 or later",
                then="Install it with `pip install 'foregate[forecast]'`, or leave these candidates out.",
            ) from error
    return models


def _quietly(model: Callable[[], dict[str, Any]]) -> dict[str, Floats] | None:
    """Return what a model of the library says, or None where it fails: it raises all sorts on odd series."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            said = {name: np.asarray(values, dtype=np.float64) for name, values in model().items()}
        except Exception:
            return None
    return said if all(np.isfinite(values).all() for values in said.values()) else None


@dataclass(frozen=True)
class SegmentModel:
    """A model of each segment's daily totals, with a season of a week, shared out to the living series.

    Bottom fits of sparse counts collapse to a mean, so the totals of the last two years are fitted. The model gives
    the mean path; the slope of its variance over the horizon is how fast it loses the level, a walk that all days
    of a draw share. The noise of a day is negative binomial, by the history's moments: the model's own is Gaussian
    and would count half customers and fewer than none. A segment of less than three weeks, or one whose days are
    all alike, or one on which the library fails: the mean of its last 90 days.
    """

    name: str
    complexity: int
    model: Named

    def paths(self, history: History, horizon: int, draws: int, rng: np.random.Generator) -> NDArray[np.int32]:
        """Return [draws, series, horizon] joint integer paths; ConfigurationError without statsforecast."""
        models = library()
        outlooks = {s.index: self._outlook(models, s, horizon) for s in living_segments(history, horizon)}
        return joint_paths(history, outlooks, horizon, draws, rng)

    def _outlook(self, models: Any, segment: Segment, horizon: int) -> Outlook:
        flat = flat_outlook(segment.totals, segment.weekdays, horizon)
        fitted = segment.totals[-FIT_DAYS:].astype(np.float64)
        if fitted.size < LEAST_DAYS or fitted.min() == fitted.max():
            return flat
        model = self.model(models, fitted)
        said = _quietly(lambda: model.forecast(fitted, horizon, level=[LEVEL]))
        if said is None or said["mean"].max() > RUNAWAY * fitted.max():
            return flat
        mean, sigma = np.maximum(said["mean"], 0.0), sigmas(said[f"lo-{LEVEL}"], said[f"hi-{LEVEL}"], LEVEL)
        level, step = level_walk(mean, sigma, min(fitted.size, FLAT_DAYS))
        return Outlook(mean, flat.dispersion, level, step)


def sigmas(low: Floats, high: Floats, level: float) -> Floats:
    """Return the standard deviations of a central normal interval of that level, in per cent.

    >>> sigmas(np.array([-1.645]), np.array([1.645]), 90).round(3), sigmas(np.array([0]), np.array([3.92]), 95).round(3)
    (array([1.]), array([1.]))
    """
    from scipy.special import ndtri

    found: Floats = (high - low) / (2 * float(ndtri(0.5 + level / 200)))
    return found


def level_walk(mean: Floats, sigma: Floats, days: int) -> tuple[float, float]:
    """Return the variance of the log level on the first day and what each further day adds.

    What a model's variance grows by over the horizon is doubt about the level, the rest is a day's own noise, of
    which a level learned from `days` days keeps a share 1 / days. The slope is that of a straight line through the
    squared sigmas (Theta's come from simulated paths and wobble), relative to the squared mean; both at least 0.

    >>> level_walk(np.full(3, 10.0), np.sqrt([4.0, 5.0, 6.0]), 40)
    (0.001, 0.01)
    """
    scale = max(float(mean.mean()), 1e-9) ** 2
    variance = sigma**2
    slope = float(np.polyfit(np.arange(variance.size), variance, 1)[0]) if variance.size > 1 else 0.0
    first = float(variance[0]) / days
    return round(min(first / scale, MOST_LEVEL_VARIANCE), 12), round(max(slope, 0.0) / scale, 12)


@dataclass(frozen=True)
class Doubt:
    """How far off the levels of bottom series were on past origins.

    Of a series of mean x a day the level's squared relative error is `few` / x + `own`; `few`: it was learned from
    few events; `own`: it moved since. `shared` is that of a whole segment, on top. All at least 0.
    """

    few: float
    own: float
    shared: float

    def relative(self, means: Floats) -> Floats:
        """Return the squared relative error of each series' own level; 0 for a mean of 0."""
        found = np.divide(self.few, means, out=np.zeros_like(means), where=means > 0) + self.own * (means > 0)
        return np.asarray(np.minimum(found, MOST_LEVEL_VARIANCE))


@dataclass(frozen=True)
class Intermittent:
    """A flat mean for each bottom series by a method for intermittent demand, negative binomial around it.

    These methods give a point and no distribution. How wrong the level may be is therefore measured: the same
    method is asked at six past origins, four weeks apart, and held against the four weeks that came. A series of
    less than four days, or one on which the library fails: the mean of its last 90 days.
    """

    name: str
    complexity: int
    model: Named

    def paths(self, history: History, horizon: int, draws: int, rng: np.random.Generator) -> NDArray[np.int32]:
        """Return [draws, series, horizon] joint integer paths; ConfigurationError without statsforecast."""
        models = library()
        alive = np.flatnonzero(history.alive)
        paths = np.zeros((draws, history.series, horizon), dtype=np.int32)
        if alive.size == 0:
            return paths
        groups = history.segments[alive]
        means = self._means(models, history, alive, history.days)
        doubt = self._doubt(models, history, alive)
        segments = living_segments(history, horizon)
        sizes = {s.index: _bottom_dispersion(history, s.members) for s in segments}
        shocks = _shocks(doubt.shared, moved_together(segments), int(groups.max()) + 1, draws, rng)[:, groups]
        levels = means * shocks * _mixed(np.broadcast_to(doubt.relative(means), shocks.shape), rng)
        for place, (series, group) in enumerate(zip(alive, groups, strict=True)):
            daily = np.broadcast_to(levels[:, place, None], (draws, horizon))
            paths[:, series] = scattered(daily, sizes[int(group)], rng)
        return paths

    def _means(self, models: Any, history: History, series: Indices, days: int) -> Floats:
        return np.array([self._mean(models, history.counts[i, history.born[i] : days]) for i in series])

    def _mean(self, models: Any, counts: NDArray[np.int64]) -> float:
        fitted = counts.astype(np.float64)
        if fitted.size == 0 or fitted.max() == 0:
            return 0.0
        model = self.model(models, fitted)
        said = _quietly(lambda: model.forecast(fitted, 1)) if fitted.size > 3 else None
        if said is None or not 0 <= said["mean"][0] <= RUNAWAY * fitted.max():
            return float(fitted[-FLAT_DAYS:].mean())
        return float(said["mean"][0])

    def _doubt(self, models: Any, history: History, alive: Indices) -> Doubt:
        """Return the error of the levels at past origins, of at most 100 series, the busiest and the others alike."""
        volume = history.counts[alive].sum(axis=1)
        busiest_first = alive[np.argsort(-volume, kind="stable")]
        asked = busiest_first[np.unique(np.linspace(0, alive.size - 1, PAST_SERIES).astype(np.int64))]
        origins = history.days - PAST_WINDOW * np.arange(1, PAST_ORIGINS + 1)
        rows = []
        for origin in origins[origins > 0]:
            known = asked[history.born[asked] <= origin - PAST_WINDOW]
            told = self._means(models, history, known, int(origin)) * PAST_WINDOW
            came = history.counts[known, origin : origin + PAST_WINDOW].sum(axis=1)
            rows.append((told, came.astype(np.float64), history.segments[known]))
        return doubt_of([told for told, _, _ in rows], [came for _, came, _ in rows], [group for *_, group in rows])


def doubt_of(told: list[Floats], came: list[Floats], groups: list[Indices]) -> Doubt:
    """Return by moments how far off levels were: of each past origin the foretold sums, what came, the segments.

    The squared error of a sum less its Poisson noise is what the level had wrong. Regressed, at least 0 each, on
    the sum (the part of few events) and on its square; errors that a segment's series made together are its own.

    >>> doubt_of([np.full(4, 28.0)], [np.array([56.0, 0.0, 56.0, 0.0])], [np.zeros(4, dtype=np.int64)]).shared
    0.0
    """
    from scipy.optimize import nnls

    sums, seen = np.concatenate([*told, []]), np.concatenate([*came, []])
    known = sums > 0
    if not known.any():
        return Doubt(0.0, 0.0, 0.0)
    sums, seen = sums[known], seen[known]
    weight = 1 / (sums + 1)
    design = np.stack([sums * weight, sums**2 * weight], axis=1)
    (few, moved), _ = nnls(design, ((seen - sums) ** 2 - seen) * weight)
    excess = squares = 0.0
    for foretold, found, group in zip(told, came, groups, strict=True):
        whole, actual = np.bincount(group, foretold), np.bincount(group, found)
        apart = np.bincount(group, few * foretold + moved * foretold**2)
        excess += float(((actual - whole) ** 2 - actual - apart).sum())
        squares += float((whole**2).sum())
    shared = float(np.clip(excess / squares, 0.0, MOST_LEVEL_VARIANCE))
    return Doubt(float(few) / PAST_WINDOW, max(float(moved) - shared, 0.0), shared)


def _bottom_dispersion(history: History, members: Indices) -> float:
    weekdays = history.weekdays(0)
    counts, means = [], []
    for series in members:
        born = int(history.born[series])
        counts.append(history.counts[series, born:])
        means.append(local_means(counts[-1], weekdays[born:]))
    return dispersion(np.concatenate(counts), np.concatenate(means))


def _shocks(variance: float, together: float, groups: int, draws: int, rng: np.random.Generator) -> Floats:
    scale = np.sqrt(np.log1p(variance))
    market, own = rng.standard_normal((draws, 1)), rng.standard_normal((draws, groups))
    steps = np.sqrt(together) * market + np.sqrt(1 - together) * own
    return np.asarray(np.exp(scale * steps - scale**2 / 2))


def _mixed(relative: Floats, rng: np.random.Generator) -> Floats:
    """Return gamma draws of mean 1 and the given variances."""
    shapes = 1 / np.maximum(relative, 1e-9)
    return np.asarray(rng.gamma(shapes, 1 / shapes))


_ALL: tuple[SegmentModel | Intermittent, ...] = (
    SegmentModel("auto_arima", 5, _arima),
    SegmentModel("auto_ets", 4, _ets),
    SegmentModel("theta", 4, _theta),
    Intermittent("croston_sba", 4, _croston),
    Intermittent("tsb", 4, _tsb),
    Intermittent("adida", 4, _adida),
    Intermittent("imapa", 4, _imapa),
)
STATISTICAL: Mapping[str, SegmentModel | Intermittent] = {candidate.name: candidate for candidate in _ALL}
