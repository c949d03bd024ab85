"""Regimes: low and high volatility as known on each day, how often they change, and whether they tell anything."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from foregate.cases.prices.settings import HIDDEN, OWN, REGIMES
from foregate.cases.prices.tracks import Floats, Track
from foregate.cases.prices.work import Work
from foregate.core.evidence import Evidence, Unit
from foregate.core.gate import Effect, Gate
from foregate.core.phase import Run
from foregate.metrics.diebold import diebold_mariano
from foregate.metrics.estimate import Estimate, bracketed, critical, untold
from foregate.modeling.measured import Measured, digest_of
from foregate.modeling.regimes import hidden_regime, transitions
from foregate.modeling.volatility import ewma, qlike

DOES = "Tells calm days from wild ones by what was known then, counts the changes, and asks what they foretell."
YEAR_DAYS, LAGS = 252, 20
GATES = (
    Gate("regime_changes_a_year", at_most=12, effect=Effect.SIGN_OFF, why="a regime that flickers moves weights daily"),
    Gate(
        "regime_volatility_ratio",
        at_least=1.0,
        effect=Effect.INFORM,
        why="days called wild that are followed by no wilder month",
    ),
)


def measure(work: Work, run: Run) -> Iterator[Evidence]:
    """Yield the changes of regime, and the size of the next month's moves in one over that in the other."""
    made = Measured(run.as_of, digest_of(*sorted(work.fingerprints.items())))
    for series, track in work.tracks.items():
        state = track.state
        years = max(1.0, state.size / YEAR_DAYS)
        changes = transitions(state)
        share, now = float((state == 1).mean()), REGIMES[int(state[-1])]
        words = f"{changes} in {years:.0f} years; wild on {share:.0%} of days, {now} now, by {_by(work, track)}"
        yield made.count("regime_changes_a_year", round(changes / years, 2), state.size, series, words)
        yield _foretold(made, work, track)
        yield _agreed(made, work, track)
        yield _volatility(made, work, track)


def _agreed(made: Measured, work: Work, track: Track) -> Evidence:
    """Return on which share of days a filtered two-state model calls the regime the same."""
    hidden = hidden_regime(track.y, work.settings.refit_days).state
    known = (hidden >= 0) & (track.state >= 0)
    agreed, rows = int((hidden == track.state)[known].sum()), int(known.sum())
    words = f"a filtered two-state model calls {agreed:,} of {rows:,} days the same"
    return made.rate("regime_agreement", agreed, rows, track.name, words)


def _volatility(made: Measured, work: Work, track: Track) -> Evidence:
    """Return the quasi-likelihood loss of the declared volatility less that of the plain one; below 0 it is better."""
    if work.settings.volatility == "ewma":
        return made.nothing("volatility_loss_gap", 'the plain moving volatility; volatility = "garch" tries another')
    ours, plain = qlike(track.volatility, track.y), qlike(ewma(track.y), track.y)
    known = np.isfinite(ours) & np.isfinite(plain)
    found = diebold_mariano(ours[known], plain[known], 1, lags=LAGS, level=made.level)
    words = f"{work.settings.volatility} less ewma, QLIKE a day (p {found.p_value:.3f})"
    return made.estimate("volatility_loss_gap", found.difference, Unit.DIFFERENCE, track.name, words)


def _by(work: Work, track: Track) -> str:
    fallen = int(track.fell_back.sum())
    if work.settings.regime == OWN:
        return "its own volatility"
    if work.settings.regime == HIDDEN:
        return "a filtered two-state model"
    return f"{work.settings.regime}, on {fallen:,} days without it by its own volatility"


def _foretold(made: Measured, work: Work, track: Track) -> Evidence:
    """Return the mean absolute move of the next horizon nearest to a month on wild days over that on calm days."""
    row = int(np.argmin([abs(h - 21) for h in track.horizons]))
    ahead = track.horizons[row]
    moves = np.abs(track.realised[row])[::ahead]
    state = track.state[::ahead]
    known = np.isfinite(moves)
    wild, calm = moves[known & (state == 1)], moves[known & (state == 0)]
    words = f"{ahead}-day moves after {wild.size} wild and {calm.size} calm days, none overlapping"
    size = min(wild.size, calm.size)
    found = untold(0, math.inf, size, made.level) if size < 8 else _ratio(wild, calm, made.level)
    return made.estimate("regime_volatility_ratio", found, Unit.RATIO, track.name, words)


def _ratio(wild: Floats, calm: Floats, level: float) -> Estimate:
    """Return the ratio of two means of independent moves, by the delta method on its logarithm."""
    ours, theirs = float(wild.mean()), float(calm.mean())
    if min(ours, theirs) <= 0:
        return untold(0, math.inf, min(wild.size, calm.size), level)
    error = math.sqrt(sum(float(one.var(ddof=1)) / one.size / float(one.mean()) ** 2 for one in (wild, calm)))
    half = critical(level) * error
    value = ours / theirs
    return bracketed(value, value * math.exp(-half), value * math.exp(half), wild.size + calm.size, level)
