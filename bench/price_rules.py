"""Every rule that weighs price experts against no change, on real prices and on simulated ones.

Constants (2 % share, the price of evidence) were chosen on the simulated worlds, whose truth is known; the real
series were scored with them. Each race is run three times: by the eight experts, with a ninth that is wrong on purpose,
always 5 % above the price, and with the boosted trees that a project has besides.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bench.price_series import BURN_IN, HORIZONS, Quoted
from foregate.metrics.diebold import diebold_mariano, relative_loss
from foregate.metrics.estimate import Floats
from foregate.modeling import expert_weights, online_weights
from foregate.modeling.expert_weights import DEFAULT_RULE, RULES
from foregate.modeling.price_experts import COMPLEXITY, predicted, realised
from foregate.modeling.price_features import features
from foregate.modeling.price_trees import TreeExpert
from foregate.modeling.regimes import threshold_regime
from foregate.modeling.volatility import ewma

BIASED, TREES = "biased_5_percent", "trees"
UNPROVEN = "ml_poly"
# What a hand-set table looks like; no claim is made for it.
TABLE = {0: {"no_change": 0.5, "drift_1y": 0.25, "ses": 0.25}, 1: {"no_change": 0.8, "ses": 0.2}}
TWELVE = tuple(r for r in RULES if r not in ("seed_mape_unguarded", "ml_poly_by_regime", "regime_table"))
COMPARED = (DEFAULT_RULE, UNPROVEN, "equal", "seed_mape")
WORLDS = ("walk", "stock", "drifts", "reverting", "spikes")
SIMULATED_DAYS = 8_000
SHARES = (0.0, 0.01, 0.02, 0.05)
PRICES_OF_EVIDENCE = (0.0, 1.0, 2.0, 3.0)


@dataclass(frozen=True)
class Race:
    """One series with what its experts said, what came and what was known of its volatility."""

    y: Floats
    displacement: float
    experts: tuple[str, ...]
    said: Floats
    came: Floats
    volatility: Floats

    @classmethod
    def of(cls, quoted: Quoted) -> Race:
        """Return the race of the eight experts."""
        y = quoted.y
        return cls(y, quoted.displacement, COMPLEXITY, predicted(y, HORIZONS), realised(y, HORIZONS), ewma(y))

    def with_biased(self) -> Race:
        """Return the race with one more, who is always 5 % too high."""
        price = np.maximum(np.exp(self.y) - self.displacement, 0)
        high = np.log(price * 1.05 + self.displacement) - np.log(price + self.displacement)
        return self._with(BIASED, np.broadcast_to(high, self.came.shape))

    def with_trees(self) -> Race:
        """Return the race with boosted trees, refitted yearly from the burn-in on; they see no other series."""
        told = features(self.y, self.volatility, {})
        return self._with(
            TREES, TreeExpert().backtest(told, self.y, self.volatility, HORIZONS, start=BURN_IN).predicted
        )

    def _with(self, name: str, said: Floats) -> Race:
        return replace(self, experts=(*self.experts, name), said=np.concatenate([self.said, said[:, :, None]], axis=2))

    def made(self, rule: str) -> Floats:
        """Return [H, T] the log returns that the rule forecasts."""
        found = expert_weights.weights(
            rule,
            self.said,
            self.came,
            self.volatility,
            HORIZONS,
            self.y,
            self.displacement,
            experts=self.experts,
            regime=threshold_regime(self.volatility).state if rule in ("ml_poly_by_regime", "regime_table") else None,
            table=TABLE,
        )
        return expert_weights.combined(rule, found, self.said)

    def unproven(self, share: float = online_weights.SHARE) -> Floats:
        """Return [H, T] what the default would forecast if it asked for no evidence."""
        scale = self.volatility * np.sqrt(HORIZONS)[:, None]
        found = online_weights.ml_poly(self.said, self.came, scale, HORIZONS, share)
        return np.where(found == 0, 0.0, found * self.said).sum(axis=2)

    def losses(self, made: Floats, at: int) -> tuple[Floats, Floats]:
        """Return the absolute errors in units of the price, of the forecast and of no change, from the burn-in on."""
        known = np.isfinite(self.came[at]) & np.isfinite(made[at]) & (np.arange(self.y.size) >= BURN_IN)
        y = self.y[known]
        actual = np.exp(y + self.came[at, known])
        return np.abs(np.exp(y + made[at, known]) - actual), np.abs(np.exp(y) - actual)


def simulated(world: str, seed: int, days: int = SIMULATED_DAYS) -> Floats:
    """Return prices whose truth is known; daily volatility 1.8 % (stock 1.1 %) changes by regime and slowly.

    walk: nothing to know. stock: 10 % a year. drifts: -35, 0 or 35 % a year, for about three years each. reverting:
    a distance from the mean is halved in 400 days. spikes: a walk, and jumps that are gone within weeks.
    """
    rng = np.random.default_rng([seed, WORLDS.index(world)])
    returns = _volatility(rng, days, 0.011 if world == "stock" else 0.018) * rng.standard_t(5, days) / np.sqrt(5 / 3)
    if world == "stock":
        returns = returns + 0.1 / 250
    if world == "drifts":
        returns = returns + _drifts(rng, days)
    if world == "reverting":
        return np.exp(3.5 + _decaying(returns, 0.5 ** (1 / 400)))
    if world == "spikes":
        jumps = returns * rng.normal(0, 0.9, days) + (rng.random(days) < 0.004) * rng.exponential(0.35, days)
        return np.exp(3.5 + np.cumsum(0.8 * returns) + _decaying(jumps, 0.85))
    return np.exp(3.5 + np.cumsum(returns))


def _volatility(rng: np.random.Generator, days: int, base: float) -> Floats:
    chance, slow = rng.random(days), _decaying(rng.normal(0, 0.04, days), 0.995)
    state = np.zeros(days, dtype=int)
    for day in range(1, days):
        state[day] = state[day - 1] ^ int(chance[day] < (0.012 if state[day - 1] else 0.004))
    return np.asarray(base * np.where(state == 1, 2.2, 0.9) * np.exp(slow))


def _drifts(rng: np.random.Generator, days: int) -> Floats:
    found, first = np.zeros(days), 0
    while first < days:
        last = first + 60 + int(rng.exponential(700))
        found[first:last] = rng.choice([-0.35, 0.0, 0.35]) / 250
        first = last
    return found


def _decaying(shocks: Floats, keep: float) -> Floats:
    found = np.zeros(shocks.size)
    for day in range(1, shocks.size):
        found[day] = keep * found[day - 1] + shocks[day]
    return found


def measure(
    series: Sequence[Quoted], worlds: Sequence[str] = WORLDS, seeds: int = 12, days: int = SIMULATED_DAYS
) -> dict[str, Any]:
    """Return the losses over no change's of every rule and expert on every series, and on simulated worlds."""
    races = {one.name: Race.of(one) for one in series}
    nine = {name: race.with_biased() for name, race in races.items()}
    boosted = {name: race.with_trees() for name, race in races.items()}
    tables = {
        "eight": {name: _judged(name, race, RULES, COMPLEXITY) for name, race in races.items()},
        "with_biased": {name: _judged(f"{name} +5 %", race, RULES, [BIASED]) for name, race in nine.items()},
        "with_trees": {name: _judged(f"{name} + trees", race, COMPARED, [TREES]) for name, race in boosted.items()},
    }
    return {
        "default": DEFAULT_RULE,
        "unproven": UNPROVEN,
        "burn_in": BURN_IN,
        "real": tables["eight"],
        "summary": {kind: summary(table) for kind, table in tables.items()},
        "moved": {name: moved(race.made(DEFAULT_RULE)) for name, race in races.items()},
        "simulated": {world: _simulated(world, seeds, days) for world in worlds},
        "seeds": seeds,
    }


def moved(made: Floats) -> list[float]:
    """Return by horizon on which share of the days after the burn-in the forecast is not exactly no change."""
    return [round(float(share), 4) for share in (made[:, BURN_IN:] != 0).mean(axis=1)]


def _simulated(world: str, seeds: int, days: int) -> dict[str, list[list[float]]]:
    """Return by forecaster the mean and the greatest loss over no change's, of all seeds at each horizon."""
    prices = [simulated(world, seed, days) for seed in range(seeds)]
    dates = np.busday_offset("1990-01-01", np.arange(prices[0].size))
    races = [Race.of(Quoted(world, world, dates, price)).with_biased() for price in prices]
    makers: dict[str, Callable[[Race], Floats]] = {rule: lambda race, rule=rule: race.made(rule) for rule in COMPARED}
    makers |= {
        f"price of evidence {price:g}": lambda race, price=price: _priced(race, price) for price in PRICES_OF_EVIDENCE
    }
    makers |= {f"share {share:g} unproven": lambda race, share=share: race.unproven(share) for share in SHARES}
    found = {}
    for name, maker in makers.items():
        ratios = np.array([_ratios(race, maker(race)) for race in races])
        found[name] = [ratios.mean(axis=0).round(4).tolist(), ratios.max(axis=0).round(4).tolist()]
        print(f"  {world:10s} {name:22s} mean {found[name][0]} greatest {found[name][1]}")
    return found


def _priced(race: Race, price: float) -> Floats:
    """Return the default's forecasts with another price of evidence; 0 takes all that gained anything at all."""
    mixed, scale = race.unproven(), race.volatility * np.sqrt(HORIZONS)[:, None]
    return mixed * online_weights.proven_share(mixed, race.came, scale, HORIZONS, price)


def _ratios(race: Race, made: Floats) -> list[float]:
    pairs = [race.losses(made, at) for at in range(len(HORIZONS))]
    return [float(ours.mean() / theirs.mean()) for ours, theirs in pairs]


def _judged(name: str, race: Race, rules: Sequence[str], alone: Sequence[str]) -> dict[str, list[list[float | None]]]:
    """Return for rules and experts `alone`, at each horizon: loss over no change's, low, high (95 %), DM statistic."""
    made = {rule: race.made(rule) for rule in rules} | {f"{DEFAULT_RULE} unproven": race.unproven()}
    made |= {f"expert {expert}": race.said[:, :, race.experts.index(expert)] for expert in alone}
    found = {}
    for forecaster, forecasts in made.items():
        found[forecaster] = [_compared(*race.losses(forecasts, at), days) for at, days in enumerate(HORIZONS)]
        cells = (f"{r} [{low}, {high}] {'' if t is None else t}" for r, low, high, t in found[forecaster])
        print(f"  {name:20s} {forecaster:24s}", " | ".join(cells))
    return found


def _compared(ours: Floats, theirs: Floats, days: int) -> list[float | None]:
    ratio, told = relative_loss(ours, theirs, days), diebold_mariano(ours, theirs, days).statistic
    return [*(finite(x) for x in (ratio.value, ratio.low, ratio.high)), finite(told, 2)]


def finite(number: float, digits: int = 4) -> float | None:
    """Return the number rounded for the results, None where it is not finite."""
    return round(float(number), digits) if math.isfinite(number) else None


def summary(real: Mapping[str, Mapping[str, list[list[Any]]]]) -> dict[str, dict[str, Any]]:
    """Return of each rule: mean, greatest and greatest one-week ratio, and in how many cells it is surely worse."""
    found = {}
    for rule in next(iter(real.values()), {}):
        cells = [cell for table in real.values() for cell in table[rule]]
        found[rule] = {
            "mean": round(float(np.mean([cell[0] for cell in cells])), 4),
            "greatest": max(cell[0] for cell in cells),
            "greatest_week": max(table[rule][0][0] for table in real.values()),
            "surely_worse": sum(cell[1] is not None and cell[1] > 1 for cell in cells),
            "surely_better": sum(cell[2] is not None and cell[2] < 1 for cell in cells),
            "cells": len(cells),
        }
    return found


def cost(days: int = 8300, repeats: int = 3) -> dict[str, Any]:
    """Return the CPU seconds of eight experts, 12 rules and their forecasts at each of so many origins, 4 horizons."""
    price = simulated("walk", 0, days)
    y, volatility = np.log(price), ewma(np.log(price))
    # The first call imports scipy.signal, which is not the rules' own time.
    predicted(y[:30], HORIZONS)
    totals = []
    for _ in range(repeats):
        began = time.process_time()
        said, came = predicted(y, HORIZONS), realised(y, HORIZONS)
        each = {"experts": round(time.process_time() - began, 3)}
        for rule in TWELVE:
            since = time.process_time()
            made = expert_weights.weights(rule, said, came, volatility, HORIZONS, y, experts=COMPLEXITY)
            expert_weights.combined(rule, made, said)
            each[rule] = round(time.process_time() - since, 3)
        totals.append(round(time.process_time() - began, 3))
    sizes = {"origins": days, "experts": len(COMPLEXITY), "horizons": len(HORIZONS), "rules": len(TWELVE)}
    return {**sizes, "cpu_seconds": totals, "each": each}
