"""Combining: experts weighed by a rule, held against limits, and given intervals; one function past and present."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foregate.cases.prices.settings import PricesSettings
from foregate.cases.prices.tracks import Floats, Track
from foregate.metrics.diebold import diebold_mariano
from foregate.modeling import expert_weights, price_intervals, price_limits

NAIVE = "no_change"
DOUBT = 0.10
LEAST_FLAGS = 30


@dataclass(frozen=True)
class Choice:
    """By which rule a series' horizon is forecast, whether extreme forecasts are pulled back, and why, in words."""

    rule: str
    blends: bool
    words: str


@dataclass(frozen=True)
class Combined:
    """What one rule made of the experts: the weights in force [H, T, K] and the predicted return [H, T]."""

    weights: Floats
    said: Floats


@dataclass(frozen=True)
class Followed:
    """A series as it would have been forecast on each of its days, and is on the last one.

    `weights` [H, T, K]; `said` [H, T], the predicted return, pulled back where `extreme` and the choice says so;
    `lower` and `upper` [L, H, T], bounds of the return for each nominal level; `plain` [H, T] marks bounds from the
    spread alone, before there were outcomes enough to learn from; `incoherent` [T], horizons that contradict another.
    """

    weights: Floats
    said: Floats
    extreme: NDArray[np.bool_]
    incoherent: NDArray[np.bool_]
    lower: Floats
    upper: Floats
    plain: NDArray[np.bool_]


def combined(track: Track, rule: str, settings: PricesSettings) -> Combined:
    """Return the weights and the predicted returns of a rule on every day, from outcomes known on that day."""
    weights = expert_weights.weights(
        rule,
        track.predicted,
        track.realised,
        track.volatility,
        track.horizons,
        track.y,
        track.displacement,
        experts=track.experts,
        regime=np.maximum(track.state, 0),
        table=_table_of(settings),
    )
    return Combined(weights, expert_weights.combined(rule, weights, track.predicted))


def _table_of(settings: PricesSettings) -> dict[int, Mapping[str, float]]:
    return {at: settings.regime_weights[name] for at, name in enumerate(("low", "high")) if settings.regime_weights}


def followed(track: Track, choices: Sequence[Choice], settings: PricesSettings) -> Followed:
    """Return the series as its choices, one for each horizon, forecast it on every day."""
    made = {rule: combined(track, rule, settings) for rule in dict.fromkeys(c.rule for c in choices)}
    weights = np.stack([made[c.rule].weights[row] for row, c in enumerate(choices)])
    said = np.stack([made[c.rule].said[row] for row, c in enumerate(choices)])
    extreme = extremes(track, said, settings)
    blends = np.array([c.blends for c in choices])[:, None]
    said = price_limits.blended(said, extreme & blends)
    found = price_intervals.intervals(track.realised, said, track.spread, track.horizons, settings.levels)
    incoherent = np.asarray(price_limits.incoherent(said, track.spread).any(axis=0))
    return Followed(weights, said, extreme, incoherent, found.lower, found.upper, ~found.taught)


def extremes(track: Track, said: Floats, settings: PricesSettings) -> NDArray[np.bool_]:
    """Return which forecasts [H, T] are extreme, by the limit that is declared."""
    if settings.limit == "level":
        return price_limits.extreme_level(track.price, track.point(said))
    return price_limits.extreme(said, track.spread)


def choose(losses: Mapping[str, Floats], horizon: int) -> tuple[str, str]:
    """Return the rule for a horizon and the reason in words, from the losses of the same origins, rule by rule.

    The first rule stands. Another takes its place when it errs less beyond doubt, and no-change when what stands errs
    more than no-change beyond doubt: one-sided Diebold-Mariano at 10 %, overlapping horizons taken into account.

    >>> ramp = np.arange(40.0)
    >>> choose({"equal": 1 + ramp % 3, "no_change": ramp % 2}, 1)
    ('no_change', 'equal errs 3.95 times as much as no_change (p 0.000): no_change stands in')
    """
    names = [name for name in losses if name != NAIVE]
    stands, told = names[0] if names else NAIVE, ""
    for other in names[1:]:
        doubt = _doubt(losses[other], losses[stands], horizon)
        if doubt < DOUBT:
            stands, told = other, f"{other} errs less than {stands} (p {doubt:.3f}); "
    if stands == NAIVE:
        return NAIVE, "no other rule is declared"
    if np.array_equal(losses[stands], losses[NAIVE]):
        return stands, f"{told}{stands} has said no change all along: no expert has proven better yet"
    worse = _doubt(losses[NAIVE], losses[stands], horizon)
    ratio = float(losses[stands].mean() / losses[NAIVE].mean()) if losses[NAIVE].any() else np.inf
    if worse < DOUBT:
        return NAIVE, f"{told}{stands} errs {ratio:.2f} times as much as no_change (p {worse:.3f}): no_change stands in"
    better = _doubt(losses[stands], losses[NAIVE], horizon)
    verdict = "less than no_change" if better < DOUBT else "not told from no_change"
    return stands, f"{told}{stands} errs {ratio:.3f} times as much as no_change: {verdict} (p {better:.2f})"


def _doubt(one: Floats, other: Floats, horizon: int) -> float:
    """Return the chance of a difference as large if `one` erred no less than `other`; 1 when nothing tells."""
    found = diebold_mariano(one, other, horizon, "less")
    return 1.0 if np.isnan(found.p_value) else found.p_value
