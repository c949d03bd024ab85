"""Validate: the sealed origins, opened once: loss beside the naive and the champion, bias, and what intervals held."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from foregate.cases.funnel.backtest import SCALE, Past, Race
from foregate.cases.funnel.levels import by_name, grain_of
from foregate.cases.funnel.packages import Package
from foregate.cases.funnel.reading import NOMINAL, PLAIN
from foregate.cases.funnel.work import Work
from foregate.core.evidence import Evidence, Unit
from foregate.core.gate import Effect, Gate
from foregate.core.phase import Run
from foregate.metrics.coverage import pit_coverage, pit_uniformity
from foregate.metrics.diebold import forecast_verdict, relative_loss
from foregate.metrics.estimate import Estimate
from foregate.metrics.forecast import bias, capture_rate, interval_score, poisson_wape_floor, quantiles, wape
from foregate.modeling.measured import Measured, digest_of

DOES = "Opens the sealed origins once: loss against the best naive and the champion, capture, bias and coverage."
SIGN = Effect.SIGN_OFF
MARGIN = 0.05
LEAST_ROWS = 100
GATES = (
    Gate("naive_loss_ratio", at_most=1.5, effect=SIGN, why="one line of arithmetic does as well"),
    Gate("champion_loss_ratio", at_most=1.5, effect=SIGN, why="worse than what is in service"),
    Gate(
        "implausible_skill",
        at_most=0.6,
        effect=SIGN,
        why="far better than counts allow: look for the future in the data",
    ),
    Gate("bias", at_least=-0.4, at_most=0.5, effect=SIGN, why="too high or too low on the whole: plans are made on it"),
    Gate("coverage_50", at_least=0.25, at_most=0.75, min_rows=LEAST_ROWS, effect=SIGN, why="half must lie inside"),
    Gate("coverage_95", at_least=0.75, min_rows=LEAST_ROWS, effect=SIGN, why="nineteen of twenty must lie inside"),
)


def measure(work: Work, run: Run) -> Iterator[Evidence]:
    """Yield all findings on the sealed origins; intervals widen with every candidate that has read the same ones."""
    level = 1 - 0.05 / (run.reading * (run.reading + 1))
    found = work.origins()
    made = Measured(run.as_of, digest_of(found.window, run.version), level)
    words = f"candidate number {run.reading} to read {found.window}; intervals at {level:.2%}"
    yield made.count("test_reading", run.reading, len(found.sealed), words=words)
    sealed = Past(work.events, work.settings, found.sealed, work.seed)
    champion = work.champion()
    for stage in work.settings.stages:
        choice = work.choices[stage]
        raced = sealed.race(
            stage, work.candidates, found.overlap, dict.fromkeys((choice.candidate, choice.naive, SCALE))
        )
        yield from _against_naive(made, work, raced, stage)
        yield _against_champion(made, work, sealed, raced, stage, champion)
        yield from _sums(made, sealed, work, stage)
        yield from _coverage(made, sealed, work, stage)
        yield from _interval_scores(made, sealed, work, stage)


def _against_naive(made: Measured, work: Work, raced: Race, stage: str) -> Iterator[Evidence]:
    choice = work.choices[stage]
    scale = _scale(work, stage)
    ours, naive = (raced.relative(scale)[raced.candidates.index(c)] for c in (choice.candidate, choice.naive))
    if choice.candidate == choice.naive:
        ratio, words = Estimate(1.0, 1.0, 1.0, len(ours)), f"{choice.naive} is the forecast"
    else:
        ratio = relative_loss(ours, naive, raced.overlap, made.level)
        told = forecast_verdict(ours, naive, raced.overlap, MARGIN, made.level)
        words = (
            f"{choice.candidate} against {choice.naive} on {len(ours)} sealed origins: {told.value.replace('_', ' ')}"
        )
    yield made.estimate("naive_loss_ratio", ratio, Unit.RATIO, stage, words)
    skill = Estimate(1 - ratio.value, 1 - ratio.high, 1 - ratio.low, ratio.rows)
    yield made.estimate("implausible_skill", skill, Unit.DIFFERENCE, stage, "share of the naive loss that is saved")


def _scale(work: Work, stage: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return what components are weighed by: the 90-day mean's losses on the open origins."""
    raced = work.races[stage]
    return np.asarray(raced.losses[raced.candidates.index(SCALE)].mean(axis=0))


def _against_champion(
    made: Measured, work: Work, sealed: Past, raced: Race, stage: str, champion: Package | None
) -> Evidence:
    if champion is None or stage not in champion.choices:
        return Evidence(
            "champion_loss_ratio", 1.0, 0, made.as_of, made.source, 1.0, 1.0, Unit.RATIO, stage, "no champion"
        )
    theirs = champion.candidates
    held = Past(sealed.events, sealed.settings, sealed.days, champion.seed)
    against = held.race(stage, theirs, raced.overlap, [theirs[stage]])
    scale = _scale(work, stage)
    ours = raced.relative(scale)[raced.candidates.index(work.choices[stage].candidate)]
    other = against.relative(scale)[0]
    told = forecast_verdict(ours, other, raced.overlap, MARGIN, made.level)
    same = theirs == work.candidates and champion.seed == work.seed
    words = f"{work.choices[stage].candidate} against {theirs[stage]} of {champion.version}: "
    words += "the same forecasts" if same else told.value.replace("_", " ")
    ratio = Estimate(1.0, 1.0, 1.0, len(ours)) if same else relative_loss(ours, other, raced.overlap, made.level)
    return made.estimate("champion_loss_ratio", ratio, Unit.RATIO, stage, words)


def _sums(made: Measured, sealed: Past, work: Work, stage: str) -> Iterator[Evidence]:
    """Yield capture, bias and error of the sums over the days scored, each origin a block."""
    days = work.settings.score_days
    drawn = [sealed.paths(day, stage, work.candidates)[..., :days].sum(axis=-1) for day in sealed.days]
    came = [sealed.actual(day, stage, days).sum(axis=-1) for day in sealed.days]
    means = np.array([one.sum(axis=1).mean() for one in drawn])
    totals = np.array([int(one.sum()) for one in came])
    # Origins whose outcomes overlap hang together: they are one block.
    blocks = np.arange(len(totals)) // work.origins().overlap
    words = f"{means.sum():,.1f} forecast, {totals.sum():,} came, in sums of {days} days"
    yield made.estimate("capture_rate", capture_rate(means, totals, blocks, made.level), Unit.RATIO, stage, words)
    yield made.estimate("bias", bias(means, totals, blocks, made.level), Unit.DIFFERENCE, stage, words)
    middle = np.array([np.median(one, axis=0) for one in drawn])
    outcome, at = np.array(came), np.repeat(blocks, len(came[0]))
    floor = poisson_wape_floor(np.array([one.mean(axis=0) for one in drawn]).ravel())
    words = f"by source over {days} days; pure chance leaves {floor:.2f}"
    found = wape(middle.ravel(), outcome.ravel(), at, made.level)
    yield made.estimate("wape", found, Unit.RATIO, f"{stage} source", words)
    total = wape(np.array([np.median(one.sum(axis=1)) for one in drawn]), totals, blocks, made.level)
    words = f"of the total over {days} days; pure chance leaves {poisson_wape_floor(means):.2f}"
    yield made.estimate("wape", total, Unit.RATIO, f"{stage} total", words)


def _coverage(made: Measured, sealed: Past, work: Work, stage: str) -> Iterator[Evidence]:
    """Yield the share of outcomes inside the intervals as they are read, by level; days judge, longer sums inform.

    A count has atoms: where in its own distribution it came is drawn between them, so that half means half.
    """
    named = by_name(sealed.levels)
    for (level, grain), pit in sealed.pits(stage, work.candidates).items():
        label = f"{stage} {level} {grain}"
        read = work.recalibrations[stage].get((level, grain), PLAIN).recalibrated(pit.values)
        blocks = pit.origins // work.origins().overlap
        if grain == "day":
            words = "chance of PITs as far from uniform if intervals held; unknown for too few blocks"
            yield made.count("pit_uniformity", pit_uniformity(read, blocks), read.size, label, words)
        of = f"{len(named[level].names)} {level}{'s' if len(named[level].names) > 1 else ''}"
        for nominal in NOMINAL:
            told = pit_coverage(read, nominal, blocks, made.level)
            words = f"{round(told.value * read.size):,} of {read.size:,} {grain}s of {of}"
            name = f"{'' if grain == 'day' else 'sum_'}coverage_{round(100 * nominal)}"
            yield made.estimate(name, told, Unit.RATE, label, words)


def _interval_scores(made: Measured, sealed: Past, work: Work, stage: str) -> Iterator[Evidence]:
    """Yield the mean interval score of the 95 % interval of sums, by level: width, and what came outside of it."""
    days, how = work.settings.score_days, work.recalibrations[stage]
    for level in sealed.levels:
        low, high = how.get((level.name, grain_of(days)), PLAIN).probabilities(0.95)
        scores, widths = [], []
        for day in sealed.days:
            drawn = level.sums(sealed.paths(day, stage, work.candidates)[..., :days]).sum(axis=-1)
            bounds = quantiles(drawn, [low, high]).astype(np.float64)
            came = level.sums(sealed.actual(day, stage, days)).sum(axis=-1)
            scores.append(float(interval_score(bounds[0], bounds[1], came, 0.95).mean()))
            widths.append(float((bounds[1] - bounds[0]).mean()))
        words = f"mean width {np.mean(widths):,.1f} events, sums of {days} days"
        yield made.count("interval_score_95", float(np.mean(scores)), len(scores), f"{stage} {level.name}", words)
