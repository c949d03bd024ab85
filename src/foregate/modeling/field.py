"""The field: what a version's leads say by the end of a day, against its promise and against another version's."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from foregate.core.evidence import Evidence, Unit
from foregate.metrics.estimate import Estimate, Floats, Integers, untold
from foregate.metrics.inputs import same_length
from foregate.metrics.maturity import adjusted_rate
from foregate.metrics.rates import rate, rate_difference, rate_ratio
from foregate.metrics.sequential import arm_e_process, sample_ratio_e_value
from foregate.modeling.contacted import DECILES, RECENT_DAYS, TOP, Cells, Contacted, Promise, Sums, sums_on
from foregate.modeling.measured import Measured

ARMS = ("champion", "challenger")


def field_evidence(
    made: Measured,
    leads: Contacted,
    promise: Promise,
    on: date,
    *,
    recent_days: int = RECENT_DAYS,
    retracted: int | None = None,
) -> Iterator[Evidence]:
    """Yield what the leads say by the end of a day: rates adjusted for age, lifts, calibration, shortfalls.

    A conversion counts when it came within the window after its contact, by `on`; a lead has matured when the window
    is over. Rates and lifts are of the leads contacted in the last `window_days + recent_days` days, shortfalls of all.
    A label dated after `on` or before its contact is counted in `future_labels` and used nowhere; the lead stays in
    every denominator. `retracted`: how many leads had a conversion at the reading before and have none now, None if
    there was no reading. Where there is nothing to measure the value is NaN within the whole range of the number, or
    on no rows. The three numbers named daily_ and weekly_ are conversions so far of the last seven days' leads: too
    young to say much. ValueError for `recent_days` below 1.

    >>> from foregate.metrics.maturity import Delay
    >>> promise, on = Promise(0.2, 0.4, Delay(np.array([0.0, 0.5, 1.0]), 100), 2), date(2025, 10, 31)
    >>> contacted, told = on.toordinal() - np.array([2, 1]), np.array([0.2, 0.2])
    >>> leads = Contacted(contacted, np.array([on.toordinal(), 0]), told, told, np.array([1, 2]))
    >>> found = field_evidence(Measured(on, "x"), leads, promise, on)
    >>> next(e.words for e in found if e.name == "listed_rate_ratio")
    '1 conversions, 0.3 promised by now'
    """
    yield from evidence_of(made, sums_on(leads, promise, on.toordinal(), recent_days), promise, retracted)


def evidence_of(
    made: Measured,
    sums: Sums,
    promise: Promise,
    retracted: int | None = None,
    only: Collection[str] = (),
) -> Iterator[Evidence]:
    """Yield the evidence that a day's sums give: `field_evidence` without the leads.

    With `only`, numbers of other names may be left out: a simulation need not make what no rule reads.
    """
    yield made.count("future_labels", sums.refused, sums.known, words="dated after the day read, or before the contact")
    if retracted is None:
        yield made.nothing("labels_retracted", "no reading before this one", math.nan)
    else:
        yield made.count("labels_retracted", retracted, sums.known, words="converted at the reading before")
    for names, part in _PARTS:
        if not only or not names.isdisjoint(only):
            yield from part(made, sums, promise)


def _rates(made: Measured, sums: Sums, promise: Promise) -> Iterator[Evidence]:
    hits, rows, due = int(sums.deciles.hits.sum()), int(sums.deciles.rows.sum()), float(sums.deciles.due.sum())
    yield from _rate(made, "listed", (hits, rows, due), float(sums.deciles.promised.sum()), promise.rows, sums.error)
    hits, rows, due = int(sums.deciles.hits[TOP]), int(sums.deciles.rows[TOP]), float(sums.deciles.due[TOP])
    best = promise.top_decile_rate
    told = float(sums.deciles.promised[TOP]) if math.isnan(best) else best * due
    yield from _rate(made, "top_decile", (hits, rows, due), told, promise.top_decile_rows, sums.error)


def _rate(
    made: Measured, name: str, seen: tuple[int, int, float], promised: float, promise_rows: float, error: float
) -> Iterator[Evidence]:
    hits, rows, due = seen
    words = f"{hits:,} of {rows:,} leads so far, which count as {due:,.0f} matured ones"
    found = adjusted_rate(hits, due, made.level, error)
    yield made.estimate(f"{name}_rate", found._replace(rows=rows), Unit.RATE, words=words)
    ratio = _over_promise(hits, due, promised, promise_rows, made.level, error)
    words = f"{hits:,} conversions, {promised:.1f} promised by now"
    yield made.estimate(f"{name}_rate_ratio", ratio._replace(rows=rows), Unit.RATIO, words=words)


def _over_promise(hits: int, due: float, promised: float, promise_rows: float, level: float, error: float) -> Estimate:
    """Return the conversions over those promised; the error of the promise is squared and added to its own."""
    if not promised > 0:
        return untold(0, math.inf, 0, level)
    mean = promised / due
    doubt = math.sqrt(max(0.0, 1 - mean) / (mean * promise_rows)) if promise_rows else 0.0
    found = adjusted_rate(hits, due, level, math.hypot(error, doubt))
    high = math.inf if math.isnan(found.value) else found.high / mean
    return Estimate(found.value / mean, found.low / mean, high, found.rows, level)


def _lift(hits: int, due: float, all_hits: int, all_due: float, level: float) -> Estimate:
    """Return the rate of a part over that of the whole: its share of the conversions over its share of what is due.

    Given how many conversions there are, those of the part are binomial (Przyborowski & Wilenski 1940).
    """
    if not due > 0:
        return untold(0, math.inf, 0, level)
    found, by = rate(hits, all_hits, level), all_due / due
    return Estimate(found.value * by, found.low * by, found.high * by, found.rows, level)


def _top_lift(made: Measured, sums: Sums, _promise: Promise) -> Iterator[Evidence]:
    yield made.estimate("top_decile_lift", *_lift_of(sums.deciles, TOP, made.level))


def _decile_lifts(made: Measured, sums: Sums, _promise: Promise) -> Iterator[Evidence]:
    level = 1 - (1 - made.level) / DECILES
    for place in range(1, DECILES + 1):
        lift, unit, _, words = _lift_of(sums.deciles, place, level)
        yield made.estimate("decile_lift", lift, unit, str(place), words, DECILES)


def _lift_of(cells: Cells, place: int, level: float) -> tuple[Estimate, Unit, str, str]:
    hits, rows, all_hits = int(cells.hits[place]), int(cells.rows[place]), int(cells.hits.sum())
    lift = _lift(hits, float(cells.due[place]), all_hits, float(cells.due.sum()), level)._replace(rows=rows)
    return lift, Unit.RATIO, "", f"{hits:,} of {all_hits:,} conversions, {rows:,} leads"


def _of_matured(made: Measured, sums: Sums, promise: Promise) -> Iterator[Evidence]:
    """Yield calibration, and how much faster (above 0) or slower the conversions came than the delay says."""
    old = sums.matured
    found = untold(0, math.inf, old.rows, made.level)
    if old.foretold > 0:
        seen, by = rate(old.hits, old.rows, made.level), old.rows / old.foretold
        found = Estimate(seen.value * by, seen.low * by, seen.high * by, old.rows, made.level)
    words = f"{old.hits:,} of {old.rows:,} matured leads, {old.foretold:.1f} foretold by their scores"
    yield made.estimate("calibration_ratio", found, Unit.RATIO, words=words)
    part = float(promise.delay.shown[promise.half_day])
    events = promise.delay.events
    drift = rate_difference(old.early, old.watched_hits, part * events, events, made.level)
    drift = drift._replace(rows=old.watched_hits)
    words = f"{old.early:,} of {old.watched_hits:,} conversions within {promise.half_day} days, {part:.0%} promised"
    yield made.estimate("delay_drift", drift, Unit.DIFFERENCE, words=words)


def _shortfalls(made: Measured, sums: Sums, _promise: Promise) -> Iterator[Evidence]:
    for name, log_value in (("conversion_shortfall", sums.shortfall), ("top_decile_shortfall", sums.top_shortfall)):
        if math.isnan(log_value):
            yield made.nothing(name, "nothing is due yet", math.nan)
        else:
            words = "log e-detector: conversions so far against those promised by now"
            yield made.count(name, log_value, sums.known, words=words)


def _so_far(made: Measured, sums: Sums, _promise: Promise) -> Iterator[Evidence]:
    """Yield the conversions so far of the last seven days' leads, which say little of leads that take weeks."""
    rows, hits = sums.week
    here, there, hit, all_hits = int(rows[TOP]), int(rows.sum()), int(hits[TOP]), int(hits.sum())
    yield made.rate("daily_listed_rate", all_hits, there)
    yield made.rate("daily_top_decile_rate", hit, here)
    lift = _lift(hit, here, all_hits, there, made.level)._replace(rows=here)
    yield made.estimate("weekly_top_decile_lift", lift, Unit.RATIO, words=f"{hit:,} of {all_hits:,} conversions")


def _by_tier(made: Measured, sums: Sums, promise: Promise) -> Iterator[Evidence]:
    family = max(1, len(sums.groups))
    level = 1 - (1 - made.level) / family
    for name, (rows, hits, due, promised) in sums.groups.items():
        kept = _over_promise(hits, due, promised, promise.rows, level, sums.error)._replace(rows=rows)
        words = f"{hits:,} of {rows:,}, {promised:.1f} promised by now"
        yield made.estimate("tier_rate_ratio", kept, Unit.RATIO, name, words, family)


_PARTS: tuple[tuple[frozenset[str], Callable[[Measured, Sums, Promise], Iterator[Evidence]]], ...] = (
    (frozenset({"listed_rate", "listed_rate_ratio", "top_decile_rate", "top_decile_rate_ratio"}), _rates),
    (frozenset({"top_decile_lift"}), _top_lift),
    (frozenset({"decile_lift"}), _decile_lifts),
    (frozenset({"calibration_ratio", "delay_drift"}), _of_matured),
    (frozenset({"conversion_shortfall", "top_decile_shortfall"}), _shortfalls),
    (frozenset({"daily_listed_rate", "daily_top_decile_rate", "weekly_top_decile_lift"}), _so_far),
    (frozenset({"tier_rate_ratio"}), _by_tier),
)


@dataclass(frozen=True)
class ArmRows:
    """Listed leads that only one version chose: one entry a lead, in an order that does not depend on the arm.

    `contacted`, `converted`: proleptic ordinal days, 0 for not so far. `propensity`: the chance, above 0, that the lead
    was listed given that only its version chose it. `share`: the challenger's part of such leads on the lead's own
    list. Raises ValueError for unequal lengths, propensities outside (0, 1] and shares outside [0, 1].
    """

    contacted: Integers
    converted: Integers
    is_challenger: NDArray[np.bool_]
    propensity: Floats
    share: Floats

    def __post_init__(self) -> None:
        same_length(**{f.name: getattr(self, f.name) for f in dataclasses.fields(self)})
        if not ((self.propensity > 0) & (self.propensity <= 1)).all():
            raise ValueError("some listed leads had no chance of being listed; wanted propensities above 0, at most 1")
        if not ((self.share >= 0) & (self.share <= 1)).all():
            raise ValueError("some shares of the challenger are outside 0 to 1; wanted its part of the lead's list")


def arm_evidence(made: Measured, arms: ArmRows, on: date, window_days: int, margin: float = 0.0) -> Iterator[Evidence]:
    """Yield what the leads of one arm say against those of the other by the end of a day.

    `sample_ratio_e_value`: log e-value that leads were not contacted in the parts they were listed in. `harm_e_value`:
    the largest log e-value so far that the challenger's leads convert at less than (1 - margin) times the champion's
    rate; each conversion is held against its arm's part of the leads contacted on the same day that were still open,
    so ages match and no delay is assumed. A challenger whose leads only take longer looks harmful too: it may stop a
    rollout and never speaks for one. `field_rate_ratio`: challenger over champion, leads whose window is over, each
    weighted by 1 / propensity. `field_rows`, `field_matured_rows`: leads contacted and matured, by arm.
    `first_verdict_on`: when all leads contacted so far have matured. `future_labels`: dates after `on`, or conversions
    before the contact, used nowhere. Where there is nothing the value is NaN. ValueError for a margin outside [0, 1).

    >>> on = date(2025, 10, 31)
    >>> contacted, half = np.full(4, on.toordinal() - 9), np.full(4, 0.5)
    >>> rows = ArmRows(contacted, contacted * [1, 0, 0, 0], np.array([True, True, False, False]), half, half)
    >>> found = {e.label: e.value for e in arm_evidence(Measured(on, "x"), rows, on, window_days=7)}
    >>> found["field_matured_rows[challenger]"], found["field_rate_ratio"]
    (2.0, inf)
    """
    if not 0 <= margin < 1:
        raise ValueError(f"the margin is {margin}; wanted a share of the champion's rate, from 0 to below 1")
    day = on.toordinal()
    reached = (arms.contacted > 0) & (arms.contacted <= day)
    delay = arms.converted - arms.contacted
    hit = reached & (arms.converted > 0) & (arms.converted <= day) & (delay >= 0) & (delay <= window_days)
    strange = (arms.contacted > day) | (arms.converted > day) | ((arms.converted > 0) & (delay < 0))
    rows = int(np.count_nonzero(reached))
    yield made.count("future_labels", int(np.count_nonzero(strange)), rows, words="after the day read, or too early")
    old = reached & (day - arms.contacted >= window_days)
    for arm, flags in zip(ARMS, (~arms.is_challenger, arms.is_challenger), strict=True):
        listed, count = int(np.count_nonzero(flags)), int(np.count_nonzero(flags & reached))
        yield made.count("field_rows", count, listed, arm, f"contacted, of {listed:,} listed")
        yield made.count("field_matured_rows", int(np.count_nonzero(flags & old)), count, arm)
    yield _sample_ratio(made, arms, reached)
    yield _harm(made, arms, reached, hit, margin)
    yield _rate_ratio(made, arms, old, hit)
    yield _first_verdict(made, arms.contacted[reached], window_days)


def _sample_ratio(made: Measured, arms: ArmRows, reached: NDArray[np.bool_]) -> Evidence:
    name, rows = "sample_ratio_e_value", int(np.count_nonzero(reached))
    planned = float(arms.share[reached].mean()) if rows else 0.0
    if not 0 < planned < 1:
        return made.nothing(name, "no leads of two arms were contacted", math.nan)
    ours = int(np.count_nonzero(arms.is_challenger & reached))
    found = sample_ratio_e_value([ours, rows - ours], [planned, 1 - planned])
    return made.count(name, found, rows, words=f"{ours:,} of {rows:,} are the challenger's, {planned:.1%} planned")


def _harm(made: Measured, arms: ArmRows, reached: NDArray[np.bool_], hit: NDArray[np.bool_], margin: float) -> Evidence:
    rows = int(np.count_nonzero(reached))
    if not rows:
        return made.nothing("harm_e_value", "nobody was contacted", math.nan)
    flags, shares = _conversions(arms, reached, hit)
    allowed = (1 - margin) * shares / (1 - margin * shares)
    path = arm_e_process(flags, allowed, "worse")
    words = f"{int(flags.sum()):,} of {flags.size:,} conversions are the challenger's, {shares.sum():.1f} if as good"
    return made.count("harm_e_value", float(path.max()), rows, words=f"{words}; {path[-1]:.2f} now")


def _conversions(arms: ArmRows, reached: NDArray[np.bool_], hit: NDArray[np.bool_]) -> tuple[NDArray[np.int64], Floats]:
    """Return, by day of conversion, whose each was, and the challenger's part of the leads it could have come from.

    Those are the leads contacted on the same day and not converted before.
    """
    left = [Counter(arms.contacted[reached & flags].tolist()) for flags in (~arms.is_challenger, arms.is_challenger)]
    at = np.flatnonzero(hit)
    at = at[np.lexsort((arms.contacted[at], arms.converted[at]))]
    flags, shares = arms.is_challenger[at].astype(np.int64), np.empty(at.size)
    for place, (day, ours) in enumerate(zip(arms.contacted[at].tolist(), flags.tolist(), strict=True)):
        shares[place] = left[1][day] / (left[0][day] + left[1][day])
        left[ours][day] -= 1
    return flags, shares


def _rate_ratio(made: Measured, arms: ArmRows, old: NDArray[np.bool_], hit: NDArray[np.bool_]) -> Evidence:
    counts, words = [], []
    for flags in (arms.is_challenger & old, ~arms.is_challenger & old):
        weights = 1 / arms.propensity[flags]
        # Unequal weights are worth fewer rows (Kish 1965); equal ones are worth what they count.
        worth = float(weights.sum() ** 2 / (weights**2).sum()) if weights.size else 0.0
        part = float(weights[hit[flags]].sum() / weights.sum()) if weights.size else 0.0
        counts += [part * worth, worth]
        words.append(f"{int(np.count_nonzero(hit & flags)):,} of {int(np.count_nonzero(flags)):,}")
    found = rate_ratio(counts[0], counts[1], counts[2], counts[3], made.level)
    found = found._replace(rows=int(np.count_nonzero(old)))
    said = f"challenger {words[0]} matured leads converted, champion {words[1]}"
    return made.estimate("field_rate_ratio", found, Unit.RATIO, words=said)


def _first_verdict(made: Measured, contacted: Integers, window_days: int) -> Evidence:
    if not contacted.size:
        return made.nothing("first_verdict_on", "nobody was contacted", math.nan)
    last = int(contacted.max())
    words = f"{window_days} days after {date.fromordinal(last)}, the last contact so far"
    return made.date("first_verdict_on", date.fromordinal(last + window_days), words)
