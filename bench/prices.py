"""`prices`: the price ensemble against no change, equal weights, the seed's formula, statsforecast and Prophet."""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np

from bench import price_intervals, price_peers, price_rules
from bench.price_series import BURN_IN, HORIZONS, quoted, walk
from bench.room import peers_python
from foregate.modeling.price_features import features
from foregate.modeling.price_trees import TreeExpert
from foregate.modeling.volatility import ewma

TARGETS = {
    "relative_mae_week": 1.0,
    "relative_mae_any": 1.01,
    "surely_worse": 0,
    "coverage_95": [0.94, 0.96],
    "cpu_seconds": 3.0,
    "times_cheaper": 20.0,
}
# A model that is refitted at every fourth of the origins that ours forecasts from.
REFIT_EVERY = 4
REFITTED = ("AutoARIMA", "AutoARIMA, approximation")


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    peer_origins: int = 48
    peers: tuple[str, ...] = price_peers.RIVALS
    peer_seconds: float = price_peers.SECONDS
    cost_origins: int = 8_300
    worlds: tuple[str, ...] = price_rules.WORLDS
    world_seeds: int = 12
    world_days: int = price_rules.SIMULATED_DAYS
    simulators: tuple[str, ...] = tuple(price_intervals.SIMULATORS)
    simulator_seeds: int = 6
    simulator_days: int = price_intervals.SIMULATED_DAYS


QUICK = Sizes(
    peer_origins=8,
    peers=("AutoARIMA, approximation",),
    cost_origins=1_000,
    worlds=("walk",),
    world_seeds=1,
    world_days=1_000,
    simulators=("garch_t",),
    simulator_seeds=1,
    simulator_days=1_500,
)


def measure(quick: bool = False) -> dict[str, Any]:
    """Return what rules, intervals and peers lost on every series of this machine, and what the backtest costs.

    `quick` tries the way with one simulated series and small sizes; its numbers tell nothing.
    """
    sizes = QUICK if quick else Sizes()
    if not quick:
        peers_python()  # made before the series are looked for: some are in a package there
    series, missing = ([walk(1_600)], {}) if quick else quoted()
    # First, while nothing else of this bench runs.
    cost = _cost(sizes)
    print(f"  {cost}")
    rules = price_rules.measure(series, sizes.worlds, sizes.world_seeds, sizes.world_days)
    held = price_intervals.measure(series, sizes.simulator_seeds, sizes.simulators, sizes.simulator_days)
    peers = price_peers.measure(series, sizes.peer_origins, sizes.peers, sizes.peer_seconds)
    return {
        "targets": TARGETS,
        "horizons": HORIZONS,
        "series": {one.name: one.told() for one in series},
        "missing": missing,
        "rules": rules,
        "intervals": held,
        "peers": peers,
        "cost": cost | {"refits": refits(peers["summary"], sizes.cost_origins)},
    }


def refits(rows: list[dict[str, Any]], origins: int) -> dict[str, Any]:
    """Return what AutoARIMA would cost at every fourth origin, from the CPU seconds of the fits that were made."""
    count = ceil(origins / REFIT_EVERY)
    return {
        row["name"]: {
            "fits": count,
            "measured_fits": row["origins"],
            "cpu_of_a_fit": row["cpu_seconds"],
            "cpu_seconds": round(row["cpu_seconds"] * count, 1),
        }
        for row in rows
        if row["name"] in REFITTED
    }


def _cost(sizes: Sizes) -> dict[str, Any]:
    """Return the CPU seconds of the whole backtest, and of the boosted trees that a project has besides."""
    found = price_rules.cost(sizes.cost_origins)
    y = np.log(price_rules.simulated("walk", 0, sizes.cost_origins))
    # The first call imports xgboost, which is not the trees' own time.
    _trees(y[: 2 * BURN_IN])
    began = time.process_time()
    _trees(y)
    return found | {"trees_cpu_seconds": round(time.process_time() - began, 3)}


def _trees(y: Any) -> Any:
    volatility = ewma(y)
    return TreeExpert().backtest(features(y, volatility, {}), y, volatility, HORIZONS, start=BURN_IN)
