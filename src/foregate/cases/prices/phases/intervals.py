"""Intervals: how often outcomes came inside, over the whole past, by year, by regime, and in the worst window."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from foregate.cases.prices.combining import Followed
from foregate.cases.prices.scoring import covered, inside
from foregate.cases.prices.settings import REGIMES, WIDE
from foregate.cases.prices.tracks import Floats, Track
from foregate.cases.prices.work import Work
from foregate.core.evidence import Evidence, Unit
from foregate.core.gate import Effect, Gate
from foregate.core.phase import Run
from foregate.metrics.diebold import relative_loss
from foregate.metrics.estimate import Estimate, untold
from foregate.metrics.forecast import interval_score
from foregate.modeling.measured import Measured, digest_of
from foregate.modeling.price_intervals import by_year, gaussian, worst_window

DOES = "Holds past intervals, each from what was known on its day, against what came, worst window included."
WINDOW_DAYS = 250
GATES = (
    Gate("long_run_95", at_least=0.85, at_most=0.99, effect=Effect.SIGN_OFF, why="nineteen of twenty must lie inside"),
    Gate(
        "interval_score_ratio", at_most=1.02, effect=Effect.INFORM, why="a normal interval by volatility does as well"
    ),
)


def measure(work: Work, run: Run) -> Iterator[Evidence]:
    """Yield coverage of every level, the worst window beside that of a normal interval, and the interval scores."""
    made = Measured(run.as_of, digest_of(*sorted(work.fingerprints.items())))
    for track in work.tracks.values():
        found = work.followed[track.name]
        low, high = gaussian(np.zeros_like(found.said), track.y, track.horizons, work.settings.levels)
        plain = Followed(
            found.weights, np.zeros_like(found.said), found.extreme, found.incoherent, low, high, found.plain
        )
        for row, name in enumerate(work.settings.horizons):
            key = f"{track.name} {name}"
            yield from _long_run(made, work, track, found, row, key)
            wide = work.settings.levels.index(WIDE)
            flags = [np.where(found.plain[row], np.nan, inside(track, one, wide, row)) for one in (found, plain)]
            yield _worst(made, track, flags[0], flags[1], row, key)
            yield _scored(made, track, found, plain, wide, row, key)


def _long_run(made: Measured, work: Work, track: Track, found: Followed, row: int, key: str) -> Iterator[Evidence]:
    ahead = track.horizons[row]
    everywhere = ~found.plain[row]
    for at, nominal in enumerate(work.settings.levels):
        flags = np.where(found.plain[row], np.nan, inside(track, found, at, row))
        told = covered(flags, nominal, everywhere, ahead, made.level)
        words = f"{told.rows:,} origins, {told.rows // ahead:,} of them independent"
        if nominal == WIDE:
            years = by_year(flags, track.days, nominal, ahead)
            words += "; " + ", ".join(f"{year} {one.value:.0%}" for year, one in years.items())
        yield made.estimate(f"long_run_{round(100 * nominal)}", told, Unit.RATE, key, words)
        for state, regime in enumerate(REGIMES):
            rows = everywhere & (track.state == state)
            one = covered(flags, nominal, rows, ahead, made.level)
            yield made.estimate(f"regime_coverage_{round(100 * nominal)}", one, Unit.RATE, f"{key} {regime}")


def _worst(made: Measured, track: Track, flags: Floats, plain: Floats, row: int, key: str) -> Evidence:
    """Return the least share inside of any year of days in a row; its interval says how little one year tells."""
    share, first = worst_window(flags, WINDOW_DAYS)
    other = worst_window(plain, WINDOW_DAYS).share
    if math.isnan(share):
        told = untold(0, 1, 0, made.level)
        return made.estimate("worst_window_95", told, Unit.RATE, key, f"fewer than {WINDOW_DAYS} outcomes")
    rows = np.zeros(flags.size, dtype=np.bool_)
    rows[first + np.flatnonzero(np.isfinite(flags[first:]))[:WINDOW_DAYS]] = True
    found = covered(flags, WIDE, rows, track.horizons[row], made.level)
    words = f"{WINDOW_DAYS} days from {track.days[first]}; a normal interval by volatility had {other:.0%} in its worst"
    return made.estimate("worst_window_95", found, Unit.RATE, key, words)


def _scored(made: Measured, track: Track, found: Followed, plain: Followed, level: int, row: int, key: str) -> Evidence:
    """Return the mean interval score, in returns, over that of the normal interval, on days both have one."""
    scores = []
    came = track.realised[row]
    known = np.isfinite(came) & np.isfinite(found.lower[level, row]) & np.isfinite(plain.lower[level, row])
    for one in (found, plain):
        scores.append(interval_score(one.lower[level, row][known], one.upper[level, row][known], came[known], WIDE))
    ratio: Estimate = (
        relative_loss(scores[0], scores[1], track.horizons[row], made.level)
        if known.any()
        else untold(0, math.inf, 0, made.level)
    )
    return made.estimate("interval_score_ratio", ratio, Unit.RATIO, key, "width and misses, over a normal interval's")
