"""Validate: the sealed days, opened once: error beside no-change's and the champion's, alarms, and intervals."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from foregate.cases.prices.alarms import alarms
from foregate.cases.prices.combining import Followed
from foregate.cases.prices.origins import split
from foregate.cases.prices.scoring import Flags, covered, inside, naive_errors, percentage_error, relative_mae
from foregate.cases.prices.tracks import Floats, Track
from foregate.cases.prices.work import InService, Work
from foregate.core.evidence import Evidence, Unit
from foregate.core.gate import Effect, Gate
from foregate.core.phase import Run
from foregate.metrics.diebold import diebold_mariano
from foregate.metrics.estimate import Estimate, untold
from foregate.modeling.measured import Measured, digest_of

DOES = "Opens the sealed days once: error over no-change's and the champion's, alarms for leaks, and coverage."
SIGN = Effect.SIGN_OFF
LEAST_WINDOWS = 8
Theirs = tuple[str, Track | str, Floats]
SLACK = 0.05
GATES = (
    Gate("mae_ratio", at_most=1.05, effect=SIGN, why="no-change, which costs nothing, errs less"),
    Gate("champion_mae_ratio", at_most=1.05, effect=SIGN, why="worse than what is in service"),
    Gate(
        "independent_windows",
        at_least=LEAST_WINDOWS,
        effect=SIGN,
        why="outcomes that overlap are not as many as their days",
    ),
    Gate("implausible_skill", at_most=0, why="no market is that easy a month ahead: look for the future in the data"),
    Gate("doubtful_skill", at_most=0, effect=SIGN, why="more than a sixth of no-change's error saved: look for a leak"),
    Gate("flat_errors", at_most=0, effect=SIGN, why="an error that does not grow with the horizon is a leak's mark"),
    Gate("broken_intervals", at_most=0, effect=SIGN, why="sealed outcomes lie inside otherwise than was said"),
)


def measure(work: Work, run: Run) -> Iterator[Evidence]:
    """Yield all findings on the sealed days; intervals widen with every candidate that has read the same ones."""
    level = 1 - 0.05 / (run.reading * (run.reading + 1))
    made = Measured(run.as_of, digest_of(work.window, run.version), level)
    words = f"candidate number {run.reading} to read {work.window}; intervals at {level:.2%}"
    yield made.count("test_reading", run.reading, work.settings.test_days, words=words)
    champion = work.champion()
    for series, track in work.tracks.items():
        found = work.followed[series]
        sealed = split(track, work.settings).sealed
        ours, naive = track.errors(found.said), naive_errors(track)
        theirs = _champion(series, champion)
        for row, (name, ahead) in enumerate(work.settings.horizons.items()):
            key, count = f"{series} {name}", int(sealed[row].sum())
            words = f"{count:,} sealed origins, {ahead} days ahead each"
            yield made.count("independent_windows", count // ahead, count, key, words)
            ratio = relative_mae(ours[row], naive[row], sealed[row], ahead, made.level)
            yield made.estimate("mae_ratio", ratio, Unit.RATIO, key, _verdict(work, track, found, sealed, row))
            yield _against(made, work, track, found, theirs, row)
        yield from _coverage(made, work, track, found, sealed)
        yield from alarms(made, track, list(work.settings.horizons), found.said, sealed)


def _verdict(work: Work, track: Track, found: Followed, sealed: Flags, row: int) -> str:
    """Return in plain words whether the forecast can be told from no-change, and the percentage error nobody asks."""
    ours, naive = track.errors(found.said)[row], naive_errors(track)[row]
    rule = work.choices[track.name][row].rule
    both = sealed[row] & np.isfinite(ours)
    percent = percentage_error(track, found.said, sealed[row], row)
    plain = percentage_error(track, np.zeros_like(found.said), sealed[row], row)
    below = int((track.came()[row][sealed[row]] <= 0).sum())
    told = f"MAPE {percent:.2f} %, no-change {plain:.2f} %{f', without {below} prices not above 0' if below else ''}"
    if not both.any() or np.array_equal(ours[both], naive[both]):
        return f"{rule} says no change; {told}"
    test = diebold_mariano(ours[both], naive[both], track.horizons[row])
    verdict = "cannot tell" if not test.p_value < 0.05 else ("better" if test.difference.value < 0 else "worse")
    return f"{rule} against no-change: {verdict} (Diebold-Mariano p {test.p_value:.2f}); {told}"


def _against(made: Measured, work: Work, track: Track, found: Followed, theirs: Theirs | None, row: int) -> Evidence:
    """Return our error over the champion's on the sealed days both foretold, the champion as it would be followed."""
    name, ahead = list(work.settings.horizons)[row], track.horizons[row]
    key = f"{track.name} {name}"
    if theirs is None or (isinstance(theirs[1], Track) and ahead not in theirs[1].horizons):
        words = "no version is in service that forecasts it"
        return made.estimate("champion_mae_ratio", Estimate(1.0, 1.0, 1.0, 0), Unit.RATIO, key, words)
    version, other, said = theirs
    if isinstance(other, str):
        none = untold(0, math.inf, 0, made.level)
        return made.estimate("champion_mae_ratio", none, Unit.RATIO, key, f"{version} can not be followed: {other}")
    errors = np.full(track.days.size, np.nan)
    _, mine, others = np.intersect1d(track.days, other.days, return_indices=True)
    place = other.horizons.index(ahead)
    # Of another column or unit nothing can be compared: both must have seen the same price come.
    same = np.isclose(track.came()[row][mine], other.came()[place][others], rtol=1e-9, atol=0)
    errors[mine] = np.where(same, other.errors(said)[place][others], np.nan)
    rows = split(track, work.settings).sealed[row]
    ratio = relative_mae(track.errors(found.said)[row], errors, rows, ahead, made.level)
    return made.estimate("champion_mae_ratio", ratio, Unit.RATIO, key, f"over {version}'s error")


def _champion(series: str, champion: InService | None) -> Theirs | None:
    """Return the champion's version, its track of a series, and what it would have said on each day; None without.

    Where its data are gone the track is the words that say so.
    """
    if champion is None or series not in champion.package.settings.series:
        return None
    if champion.market is None:
        return champion.package.version, champion.gone, np.zeros(0)
    track, found = champion.package.follow(champion.market, series)
    return champion.package.version, track, found.said


def _coverage(made: Measured, work: Work, track: Track, found: Followed, sealed: Flags) -> Iterator[Evidence]:
    """Yield the share inside of every level, and how many are told apart from what they say by more than the slack.

    Eight windows can not prove a coverage; they can refute one.
    """
    broken = []
    for row, (name, ahead) in enumerate(work.settings.horizons.items()):
        for at, nominal in enumerate(work.settings.levels):
            told = covered(inside(track, found, at, row), nominal, sealed[row], ahead, made.level)
            words = f"{told.rows:,} origins, {told.rows // ahead:,} of them independent"
            yield made.estimate(f"coverage_{round(100 * nominal)}", told, Unit.RATE, f"{track.name} {name}", words)
            if told.high < nominal - SLACK or told.low > nominal + min(SLACK, (1 - nominal) / 2):
                broken.append(f"{name} {nominal:.0%} held {told.value:.0%}")
    count = len(work.settings.horizons) * len(work.settings.levels)
    yield made.count("broken_intervals", len(broken), count, track.name, ", ".join(broken))
