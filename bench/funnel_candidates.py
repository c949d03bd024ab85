"""Foregate's own forecasts of a panel, in the peers' form: a candidate by name, or a pool that learns its weights.

Such a pool's weights at an origin are learned from what its members lost at earlier origins whose outcomes were
complete by then: those before the bench's own, and those of the bench as they come due.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.count_models import HORIZON
from bench.timing import job, tell
from foregate.metrics.forecast import crps
from foregate.modeling.counts import COUNT_FILTER
from foregate.modeling.naive import MEAN_90, SEASONAL_NAIVE, Candidate
from foregate.modeling.pools import POOL, Pool, pool_weights
from foregate.modeling.segment_trees import TREES
from foregate.modeling.series import History, grouped
from foregate.modeling.statistical import STATISTICAL
from foregate.modeling.top_down import TOP_DOWN

KINDS = ("series_day", "series_sum", "segment_sum", "total_sum")
MEMBERS: tuple[Candidate, ...] = (MEAN_90, SEASONAL_NAIVE, COUNT_FILTER, TREES["segment_trees"], STATISTICAL["theta"])
OWN: Mapping[str, Candidate] = {one.name: one for one in (*MEMBERS, POOL, TOP_DOWN)}
LEARNED = "pool of five, weights learned"
SEED = 1
PAST_ORIGINS, FIRST_ORIGIN = 6, 60


def sums_of(paths: NDArray[Any], segments: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Return samples [draws, ...] of the four kinds from paths [draws, series, horizon]."""
    sums = paths.astype(np.int64).sum(axis=2)
    groups = grouped(sums, segments, int(segments.max()) + 1, 1)
    whole = sums.sum(axis=1, keepdims=True)
    return {"series_day": paths, "series_sum": sums, "segment_sum": groups, "total_sum": whole}


def drawn(candidate: Candidate, history: History, origin: int, draws: int) -> NDArray[np.int32]:
    """Return the candidate's paths from an origin, by what was known then."""
    return candidate.paths(history.until(origin), HORIZON, draws, np.random.default_rng([SEED, origin]))


def losses(paths: NDArray[Any], history: History, origin: int) -> NDArray[np.float64]:
    """Return [kinds] the mean CRPS of paths from an origin against what came."""
    came = sums_of(history.counts[None, :, origin + 1 : origin + 1 + HORIZON], history.segments)
    told = sums_of(paths, history.segments)
    return np.array([float(crps(told[kind], came[kind][0], fair=True).mean()) for kind in KINDS])


def pooled(history: History, origins: list[int], draws: int) -> Callable[[int], NDArray[np.int32]]:
    """Return how the pool forecasts from an origin."""
    step = min(HORIZON, int(np.diff(origins).min()))
    known = [o for o in range(origins[0] - step * PAST_ORIGINS, origins[0], step) if o >= FIRST_ORIGIN]
    lost: dict[int, NDArray[np.float64]] = {}

    def forecast(origin: int) -> NDArray[np.int32]:
        due = [o for o in (*known, *origins) if o + HORIZON <= origin]
        for past in due:
            if past not in lost:
                lost[past] = np.array([losses(drawn(m, history, past, draws), history, past) for m in MEMBERS])
        rng = np.random.default_rng([SEED, origin])
        table = np.array([lost[past] for past in due])
        relative = (table / table[:, :1].mean(axis=0)).mean(axis=2).T
        weights = pool_weights(relative, rng, overlap=-(-HORIZON // step))
        return drawn(Pool(MEMBERS, weights), history, origin, draws)

    return forecast


def _panel(path: Path) -> tuple[History, list[int]]:
    with np.load(path) as file:
        counts, days = file["counts"], file["counts"].shape[1]
        last = date.fromordinal(int(file["first"]) + days - 1)
        dead = np.full(len(counts), days)
        return History(counts, last, file["born"], dead, file["segments"]), file["origins"].tolist()


def main() -> None:
    """Forecast from each origin by the one that was asked for, and write samples of the four kinds."""
    asked = job()
    history, origins = _panel(Path(asked["panel"]))
    for module in ("xgboost", "statsforecast.models", "scipy.optimize"):
        import_module(module)  # as the peers' are: before the clock runs
    draws = int(asked["draws"])
    forecast = (
        pooled(history, origins, draws)
        if asked["rival"] == LEARNED
        else lambda origin: drawn(OWN[asked["rival"]], history, origin, draws)
    )
    told, wall, cpu = {}, [], []
    for origin in asked["origins"]:
        began, spent = time.perf_counter(), time.process_time()
        paths = forecast(origin)
        cpu.append(round(time.process_time() - spent, 3))
        wall.append(round(time.perf_counter() - began, 3))
        told |= {f"{kind} {origin}": samples for kind, samples in sums_of(paths, history.segments).items()}
    np.savez(asked["out"], **told)
    tell({"seconds": wall, "cpu_seconds": cpu}, ["foregate"], done=asked["origins"], failed=0, failures=[])


if __name__ == "__main__":
    main()
