"""Experts: every expert's forecast from every past day, the fitted ones fitted on outcomes known by then."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from foregate.cases.prices.experts import EXPERT, TREES, Fitted, features_of, fit
from foregate.cases.prices.origins import split
from foregate.cases.prices.scoring import naive_errors, relative_mae
from foregate.cases.prices.tracks import Track, track_of
from foregate.cases.prices.work import Work
from foregate.core.evidence import Evidence, Unit
from foregate.core.gate import Effect, Gate
from foregate.core.phase import Run
from foregate.modeling.feature_stability import importance_noise, importance_shift
from foregate.modeling.measured import Measured, digest_of
from foregate.modeling.price_trees import embargo_days, split_claims

DOES = "Lets every expert forecast from every past day; a fit uses only outcomes that had come by its day."
INFORM = Effect.INFORM
MONTH_DAYS = 21
GATES = (
    Gate("embargo_days", at_least=0, why="a model fitted on outcomes that had not come yet"),
    Gate("rows_per_feature", at_least=20, effect=Effect.SIGN_OFF, why="columns enough to fit any past"),
    Gate("shifted_features", at_most=0, effect=INFORM, why="an importance that moved beyond what refits move"),
)


def measure(work: Work, run: Run) -> Iterator[Evidence]:
    """Yield the embargo, what a random split would have claimed, and every expert alone, on the open origins."""
    made = Measured(run.as_of, digest_of(*sorted(work.fingerprints.items())))
    for series in work.settings.series:
        fitted = fit(work.market, work.settings, series, work.seed)
        work.fitted[series] = fitted
        track = track_of(work.market, work.settings, series, fitted.said)
        work.tracks[series] = track
        yield from _of_trees(made, work, fitted, series)
        yield from _alone(made, work, track)


def _of_trees(made: Measured, work: Work, fitted: Fitted, series: str) -> Iterator[Evidence]:
    if fitted.runs is None:
        words = f"{TREES} are not among the experts"
        for gate in GATES:
            yield made.nothing(gate.evidence, words, gate.at_least or 0.0)
        return
    fits = fitted.runs.fits
    if not fits:
        words = f"{TREES} were never fitted: no day after burn_in_days had outcomes enough"
        for gate in GATES:
            yield made.nothing(gate.evidence, words, gate.at_least or 0.0)
        return
    words = f"{len(fits)} fits; the newest outcome each used had come so many days before its day, at least"
    yield made.days("embargo_days", embargo_days(fits), len(fits), series, words)
    y, volatility, found = features_of(work.market, work.settings, series)
    rows = int(np.isfinite(volatility).sum())
    words = f"{rows:,} days, {len(found.names)} columns"
    yield made.count("rows_per_feature", rows / max(1, len(found.names)), rows, series, words)
    for name, ahead in work.settings.horizons.items():
        claims = split_claims(found, y, volatility, ahead, work.seed)
        apart = claims.temporal_relative_mae / claims.random_relative_mae
        words = (
            f"deep trees on a random split would have claimed {claims.random_relative_mae:.2f} of no-change's error; "
            f"in order of time it is {claims.temporal_relative_mae:.2f}"
        )
        yield made.count("overlap_gap", round(apart, 3), rows, f"{series} {name}", words)
    yield _shifted(made, work, fitted, series)


def _shifted(made: Measured, work: Work, fitted: Fitted, series: str) -> Evidence:
    """Return how many of the ten features of most importance moved, at about a month, beyond what refits move them."""
    assert fitted.runs is not None, "there are trees"
    horizons = list(work.settings.horizons.values())
    place = int(np.argmin([abs(ahead - MONTH_DAYS) for ahead in horizons]))
    if len(fitted.runs.fitted_at) < 2:
        return made.nothing("shifted_features", "fewer than two fits")
    y, volatility, found = features_of(work.market, work.settings, series)
    last = (fitted.runs.fitted_at[-2], fitted.runs.fitted_at[-1])
    if last[0] - int(np.argmax(np.isfinite(volatility))) < 2 * (last[1] - last[0]):
        words = f"too few days before the last two fits, {last[1] - last[0]} days apart, to tell a shift from chance"
        return made.nothing("shifted_features", words)
    noise = importance_noise(EXPERT, found, y, volatility, horizons[place], last, work.seed)
    shifted = [one for one in importance_shift(found.names, fitted.runs.importances[:, place], noise) if one.shifted]
    words = "; ".join(f"{one.feature} by {one.change:.0%}, of itself {one.noise_floor:.0%}" for one in shifted)
    return made.count("shifted_features", len(shifted), len(found.names), series, words)


def _alone(made: Measured, work: Work, track: Track) -> Iterator[Evidence]:
    """Yield each expert's mean absolute error over no-change's, by horizon, on the open origins."""
    opened, naive = split(track, work.settings).open, naive_errors(track)
    for at, expert in enumerate(track.experts):
        errors = track.errors(track.predicted[..., at])
        for row, (name, ahead) in enumerate(work.settings.horizons.items()):
            ratio = relative_mae(errors[row], naive[row], opened[row], ahead, made.level)
            yield made.estimate("expert_mae_ratio", ratio, Unit.RATIO, f"{track.name} {name} {expert}")
