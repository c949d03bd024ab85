"""How much each expert counts: rules from equal weights to learnt ones, at every origin from matured outcomes alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foregate.metrics.estimate import Floats
from foregate.modeling import online_weights

Table = Mapping[int, Mapping[str, float]]

NO_CHANGE = "no_change"
DEFAULT_RULE = "ml_poly_shared"
SEED_DAYS, SEED_LEAST_PERCENT, SEED_CAP, SEED_FLOOR = 30, 0.1, 0.6, 0.02
EWA_RATE, EWA_DISCOUNT = 0.05, 0.998
# Of scaled squared errors, which are about 1: below it errors are rounding, and one lucky expert would take all.
LEAST_MSE = 1e-6
# One absurd forecast must not swamp the sums that later windows are cut from.
MOST_PERCENT = 1e6


@dataclass(frozen=True)
class Past:
    """Forecasts and what came of them, as every rule reads them; shapes and NaN as for `weights`.

    `scale` [H, T] is volatility * sqrt(h), NaN where there is none; `there` [H, T, K] where an expert forecast.
    """

    predicted: Floats
    realised: Floats
    scale: Floats
    horizons: tuple[int, ...]
    y: Floats
    displacement: float
    experts: tuple[str, ...]
    regime: NDArray[np.int64] | None
    table: Table | None

    @property
    def there(self) -> NDArray[np.bool_]:
        """Return [H, T, K] whether the expert forecast."""
        return np.isfinite(self.predicted)

    def scaled_errors(self) -> Floats:
        """Return [H, T, K] absolute errors over volatility * sqrt(h) by origin; NaN unmatured or not there."""
        return np.abs(self.predicted - self.realised[:, :, None]) / self.scale[:, :, None]

    def percent_errors(self) -> Floats:
        """Return [H, T, K] absolute errors in percent of the price that came, by origin; NaN where it was 0."""
        came = np.exp(self.y + self.realised) - self.displacement
        with np.errstate(over="ignore"):
            forecast = np.exp(self.y[:, None] + self.predicted) - self.displacement
        base = np.where(came == 0, np.nan, np.abs(came))[:, :, None]
        return np.minimum(100 * np.abs(forecast - came[:, :, None]) / base, MOST_PERCENT)


Rule = Callable[[Past], Floats]


def weights(
    rule: str,
    predicted: ArrayLike,
    realised: ArrayLike,
    volatility: ArrayLike,
    horizons: Sequence[int],
    y: ArrayLike,
    displacement: float = 0.0,
    *,
    experts: Sequence[str],
    regime: ArrayLike | None = None,
    table: Table | None = None,
) -> Floats:
    """Return [H, T, K] the weights in force at each origin t, from outcomes matured at t: those of s with s + h <= t.

    Non-negative; 0 for an expert that is not there (NaN in predicted); they sum to 1, or are all NaN where nobody is
    there and no_change is not among the experts (it takes all where it is). `predicted` [H, T, K] and `realised`
    [H, T] are log returns, NaN where not there or not known; `volatility` [T] the daily one known at t, an origin
    without one (NaN or not above 0) teaches nothing; `horizons` H counts of trading days; `y` [T] log(price +
    displacement); `experts` K names. `regime` [T], 0 or 1 as known at t and -1 where it is not, is for the rules that
    ask for it, and `table` ({0: {name: weight}, 1: {...}}) for regime_table. ValueError for a rule, expert or regime
    that is not known, shapes that do not fit and infinite forecasts.

    The rules, errors being absolute errors of the log return over volatility * sqrt(h) unless said otherwise:

    * no_change: all on it. equal: the same for everybody there. median: as equal; `combined` takes the median.
    * inverse_mse_60: 1 / mean squared error of the last 60 matured. inverse_mse_250_half: of the last 250, half of
      that and half equal.
    * seed_mape: exp(1 / max(MAPE, 0.1)), MAPE in percent of the price over the last 30 matured errors, at most 0.6 and
      at least 0.02. seed_mape_unguarded: the same of up to 30 errors without bounds, for comparison alone.
    * best_recent_30, best_recent_250: all on the least mean error of the last so many; ties share.
    * exponential: exp(-0.05 * sum of matured errors discounted by 0.998 a day); an expert that was not there is taken
      to have erred as those there did on average.
    * ml_poly, boa: `online_weights`. ml_poly_shared (the default): ML-Poly with 2 % dealt out equally, and of its
      forecast only `online_weights.proven_share` is taken, the rest is no change. ml_poly_by_regime: the same with
      doubles of the experts that learn in one regime alone.
    * regime_table: the caller's weights of the regime of t, over the experts there; no change while it is not known.

    In the rules with a window an expert with fewer matured errors than the window has an equal part and the others
    share theirs by the rule; for the best recent it can not be the best.

    >>> two = np.array([[[0.0, 0.1]] * 3])
    >>> weights("equal", two, [[0, 0, np.nan]], [0.1] * 3, [1], [3.0] * 3, experts=["no_change", "ses"])[0, 2]
    array([0.5, 0.5])
    """
    if rule not in _RULES:
        raise ValueError(f"found the rule {rule!r}; wanted one of {', '.join(RULES)}")
    past = _past(predicted, realised, volatility, horizons, y, displacement, experts, regime, table)
    return _shared_out(_RULES[rule](past), past)


def combined(rule: str, weights: Floats, predicted: Floats) -> Floats:
    """Return [H, T] the forecast log return: the mean weighted so, for the rule median the median of those there.

    NaN where nobody is there. ValueError for a rule that is not known.

    >>> combined("equal", np.array([[[0.5, 0.5, 0.0]]]), np.array([[[0.0, 0.2, np.nan]]]))
    array([[0.1]])
    """
    if rule not in _RULES:
        raise ValueError(f"found the rule {rule!r}; wanted one of {', '.join(RULES)}")
    if rule == "median":
        return _median(predicted)
    found: Floats = (weights * np.where(weights == 0, 0.0, predicted)).sum(axis=2)
    return found


def _median(predicted: Floats) -> Floats:
    """Return [H, T] the median of what is not NaN; numpy's own warns where there is nothing, and is slow."""
    ranked = np.sort(predicted, axis=2)
    count = np.isfinite(predicted).sum(axis=2, keepdims=True)
    middle = [np.take_along_axis(ranked, np.maximum(at, 0), axis=2) for at in ((count - 1) // 2, count // 2)]
    found: Floats = np.where(count > 0, (middle[0] + middle[1]) / 2, np.nan)[:, :, 0]
    return found


def _past(
    predicted: ArrayLike,
    realised: ArrayLike,
    volatility: ArrayLike,
    horizons: Sequence[int],
    y: ArrayLike,
    displacement: float,
    experts: Sequence[str],
    regime: ArrayLike | None,
    table: Table | None,
) -> Past:
    forecasts, came = np.asarray(predicted, dtype=np.float64), np.asarray(realised, dtype=np.float64)
    daily, logs = np.asarray(volatility, dtype=np.float64), np.asarray(y, dtype=np.float64)
    days, states = np.asarray(horizons, dtype=np.int64), None if regime is None else np.asarray(regime)
    shape = (days.size, logs.size, len(experts))
    fits = forecasts.shape == shape and came.shape == shape[:2] and daily.shape == logs.shape == shape[1:2]
    if not fits or min(shape) == 0 or days.min() < 1:
        found = (
            f"predicted {forecasts.shape}, realised {came.shape}, volatility {daily.shape}, horizons {days.tolist()}"
        )
        raise ValueError(f"found {found}; wanted [H, T, K], [H, T], [T] and H days of at least 1, here {shape}")
    if np.isinf(forecasts).any():
        raise ValueError("some forecasts are infinite; wanted finite log returns, or NaN where there is none")
    if states is not None and (states.shape != logs.shape or not np.isin(states, (-1, 0, 1)).all()):
        raise ValueError(f"found regimes of shape {states.shape}; wanted 0, 1 or -1 for each of {logs.size} days")
    scale = np.where(daily > 0, daily, np.nan) * np.sqrt(days)[:, None]
    known = None if states is None else states.astype(np.int64)
    return Past(forecasts, came, scale, tuple(days.tolist()), logs, displacement, tuple(experts), known, table)


def _shared_out(scores: Floats, past: Past) -> Floats:
    """Return the scores as weights of those there: equal without any score, all on no change where nobody is there."""
    there = past.there
    scores = np.where(there, scores, 0.0)
    scores = np.where(scores.any(axis=2, keepdims=True), scores, there)
    total = scores.sum(axis=2, keepdims=True)
    alone = np.array([float(name == NO_CHANGE) for name in past.experts])
    nobody = alone if alone.any() else np.full(alone.size, np.nan)
    found: Floats = np.where(total > 0, scores / np.where(total > 0, total, 1.0), nobody)
    return found


def _on_no_change(past: Past) -> Floats:
    if NO_CHANGE not in past.experts:
        raise ValueError(f"found the experts {', '.join(past.experts)}; the rule no_change wants it among them")
    return np.broadcast_to(np.array([float(name == NO_CHANGE) for name in past.experts]), past.predicted.shape)


def _equal(past: Past) -> Floats:
    return np.ones(past.predicted.shape)


def _recent_means(losses: Floats, horizons: Sequence[int], window: int) -> tuple[Floats, NDArray[np.int64]]:
    """Return [H, T, K] the mean of each expert's last `window` losses matured at t, and of how many (0: mean is 0)."""
    means, rows = np.zeros(losses.shape), np.zeros(losses.shape, dtype=np.int64)
    for (at, expert), days in ((key, horizons[key[0]]) for key in np.ndindex(losses.shape[0], losses.shape[2])):
        own = losses[at, :, expert]
        told = np.isfinite(own)
        sums = np.concatenate([[0.0], np.cumsum(own[told])])
        known = np.zeros(own.size, dtype=np.int64)
        known[days:] = np.cumsum(told)[:-days]
        rows[at, :, expert] = np.minimum(known, window)
        means[at, :, expert] = (sums[known] - sums[np.maximum(known - window, 0)]) / np.maximum(rows[at, :, expert], 1)
    return means, rows


def _with_newcomers(scores: Floats, judged: NDArray[np.bool_], there: NDArray[np.bool_]) -> Floats:
    """Return weights: an equal part for each there and not judged, the rest among the judged by score."""
    judged = judged & there
    scores = np.where(judged, scores, 0.0)
    total, equal = scores.sum(axis=2, keepdims=True), 1 / np.maximum(there.sum(axis=2, keepdims=True), 1)
    part = judged.sum(axis=2, keepdims=True) * equal
    found: Floats = np.where(judged, part * scores / np.where(total > 0, total, 1.0), equal * there)
    return found


def _inverse_mse(window: int, to_equal: float) -> Rule:
    def rule(past: Past) -> Floats:
        means, rows = _recent_means(past.scaled_errors() ** 2, past.horizons, window)
        there = past.there
        own = _with_newcomers(1 / np.maximum(means, LEAST_MSE), rows == window, there)
        equal = there / np.maximum(there.sum(axis=2, keepdims=True), 1)
        found: Floats = (1 - to_equal) * own + to_equal * equal
        return found

    return rule


def _seed(guarded: bool) -> Rule:
    def rule(past: Past) -> Floats:
        means, rows = _recent_means(past.percent_errors(), past.horizons, SEED_DAYS)
        there = past.there
        power = 1 / np.maximum(means, SEED_LEAST_PERCENT)
        if not guarded:
            return _with_newcomers(np.exp(power), rows > 0, there)
        judged = (rows == SEED_DAYS) & there
        power = np.where(judged, power, -np.inf)
        best = power.max(axis=2, keepdims=True)
        scores = np.exp(power - np.where(np.isfinite(best), best, 0.0))
        return _bounded(_with_newcomers(scores, judged, there), there)

    return rule


def _bounded(own: Floats, there: NDArray[np.bool_]) -> Floats:
    """Return the weights at least 0.02 for all there and at most 0.6, what is above shared by the others in proportion.

    With a cap above one half only one can be above it, and a floor mixed in is not broken by what the others gain.
    """
    count = np.maximum(there.sum(axis=2, keepdims=True), 1)
    floor = np.minimum(SEED_FLOOR, 1 / count)
    mixed = floor * there + (1 - floor * count) * own
    above = (mixed > SEED_CAP) & (count > 1)
    rest = np.where(above, 0.0, mixed).sum(axis=2, keepdims=True)
    capped = above.any(axis=2, keepdims=True) & (rest > 0)
    raised = mixed * (1 - SEED_CAP) / np.where(rest > 0, rest, 1.0)
    return np.where(capped, np.where(above, SEED_CAP, raised), mixed)


def _best_recent(window: int) -> Rule:
    def rule(past: Past) -> Floats:
        means, rows = _recent_means(past.scaled_errors(), past.horizons, window)
        means = np.where((rows == window) & past.there, means, np.inf)
        best = means.min(axis=2, keepdims=True)
        found: Floats = ((means == best) & np.isfinite(best)).astype(np.float64)
        return found

    return rule


def _exponential(past: Past) -> Floats:
    # Half a second of import that other commands must not wait for.
    from scipy.signal import lfilter

    errors = past.scaled_errors()
    told = np.isfinite(errors)
    count = told.sum(axis=2, keepdims=True)
    errors = np.where(told, errors, 0.0)
    errors = np.where(told, errors, errors.sum(axis=2, keepdims=True) / np.maximum(count, 1))
    sums = np.asarray(lfilter([1.0], [1.0, -EWA_DISCOUNT], errors, axis=1), dtype=np.float64)
    matured = np.zeros(sums.shape)
    for to, of, days in zip(matured, sums, past.horizons, strict=True):
        to[days:] = of[:-days]
    matured = np.where(past.there, matured, np.inf)
    least = matured.min(axis=2, keepdims=True)
    return np.exp(-EWA_RATE * (matured - np.where(np.isfinite(least), least, 0.0)))


def _ml_poly(past: Past) -> Floats:
    return online_weights.ml_poly(past.predicted, past.realised, past.scale, past.horizons)


def _boa(past: Past) -> Floats:
    return online_weights.boa(past.predicted, past.realised, past.scale, past.horizons)


def _ml_poly_shared(past: Past) -> Floats:
    share = online_weights.SHARE
    return _proven(online_weights.ml_poly(past.predicted, past.realised, past.scale, past.horizons, share), past)


def _ml_poly_by_regime(past: Past) -> Floats:
    found = online_weights.ml_poly_by_regime(
        past.predicted, past.realised, past.scale, past.horizons, _regime_of(past), online_weights.SHARE
    )
    return _proven(found, past)


def _proven(learnt: Floats, past: Past) -> Floats:
    """Return the part of the weights that the past bears out, the rest on no change; as given where it is not there."""
    if NO_CHANGE not in past.experts:
        return learnt
    at = past.experts.index(NO_CHANGE)
    mixed = np.where(learnt == 0, 0.0, past.predicted * learnt).sum(axis=2)
    share = online_weights.proven_share(mixed, past.realised, past.scale, past.horizons)
    found = learnt * np.where(past.there[:, :, at], share, 1.0)[:, :, None]
    found[:, :, at] += np.where(past.there[:, :, at], 1 - share, 0.0)
    return found


def _regime_table(past: Past) -> Floats:
    table = past.table or {}
    unknown = sorted({name for row in table.values() for name in row} - set(past.experts))
    if set(table) != {0, 1} or unknown or min(w for row in table.values() for w in (0, *row.values())) < 0:
        raise ValueError(f"found the table {table}; wanted weights of at least 0 for {past.experts} in regimes 0 and 1")
    by_state = {**table, -1: {NO_CHANGE: 1.0}}
    rows = np.array([[by_state[state].get(name, 0.0) for name in past.experts] for state in (0, 1, -1)])
    return np.broadcast_to(rows[_regime_of(past)], past.predicted.shape)


def _regime_of(past: Past) -> NDArray[np.int64]:
    if past.regime is None:
        raise ValueError("found no regime; the rule wants 0, 1 or -1 for each day")
    return past.regime


_RULES: dict[str, Rule] = {
    "no_change": _on_no_change,
    "equal": _equal,
    "median": _equal,
    "inverse_mse_60": _inverse_mse(60, 0.0),
    "inverse_mse_250_half": _inverse_mse(250, 0.5),
    "seed_mape": _seed(guarded=True),
    "seed_mape_unguarded": _seed(guarded=False),
    "best_recent_30": _best_recent(30),
    "best_recent_250": _best_recent(250),
    "exponential": _exponential,
    "ml_poly": _ml_poly,
    "ml_poly_shared": _ml_poly_shared,
    "boa": _boa,
    "ml_poly_by_regime": _ml_poly_by_regime,
    "regime_table": _regime_table,
}
RULES = tuple(_RULES)
