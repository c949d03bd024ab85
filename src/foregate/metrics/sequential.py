"""Evidence that may be looked at every day: e-values of two arms, of their sizes, and of a fallen rate."""

import math
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtrc, gammaln

from foregate.metrics.estimate import Floats
from foregate.metrics.inputs import finite, outcomes_of, probabilities_of, same_length

Alternative = Literal["worse", "better", "different"]

# A Beta(10, 10) for the challenger's part of the conversions at equal exposure: most of it within odds of
# 0.4 to 2.5, the changes which a release brings. Forty Gauss-Legendre points give
# its integral to 0.001 up to 4,500 conversions, and whatever they miss costs power, never validity.
PRIOR = 10.0
POINTS = 40
# A Dirichlet worth this many leads, centred on the shares that were planned.
CONCENTRATION = 100.0

# What a fallen rate may have fallen to, as parts of what was promised; each counts alike.
MULTIPLIERS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
# A promise is itself an estimate: a rate this part below it is still called healthy.
SLACK = 0.1
# Against this threshold a healthy rate gives on average no more than one page in a year of daily looks.
YEARLY_THRESHOLD = math.log(365)


def _log_sum(logs: Floats, axis: int) -> Floats:
    """Return the log of the sum of the exponentials along the axis."""
    most = logs.max(axis=axis, keepdims=True)
    return np.asarray(np.log(np.exp(logs - most).sum(axis=axis)) + most.squeeze(axis), dtype=np.float64)


@cache
def _odds_prior(alternative: Alternative) -> tuple[Floats, Floats]:
    """Return the odds multipliers of the alternative and the log of the weight of each."""
    nodes, widths = np.polynomial.legendre.leggauss(POINTS)
    part = (1 + nodes) / 4
    odds, weight = part / (1 - part), widths * (part * (1 - part)) ** (PRIOR - 1)
    if alternative == "worse":
        return odds, np.log(weight / weight.sum())
    if alternative == "better":
        return 1 / odds, np.log(weight / weight.sum())
    if alternative == "different":
        both = np.concatenate([weight, weight])
        return np.concatenate([odds, 1 / odds]), np.log(both / both.sum())
    raise ValueError(f"the alternative is {alternative!r}; wanted 'worse', 'better' or 'different'")


def arm_e_process(is_challenger: ArrayLike, null_share: ArrayLike, alternative: Alternative = "worse") -> Floats:
    """Return the log e-value that the challenger converts worse, before and after each conversion.

    One entry more than there are conversions: the first is 0 (log 1), so that the last is today's value
    even when nothing has converted. Conversions come in order of their days and `is_challenger` (0 or 1)
    says whose each was; `null_share`, in [0, 1], is the chance of that were the arms equally good, known
    before the conversion: the challenger's part of what was expected on that day, simply its part of the
    leads when both arms enrol in step. If the arms differ, the odds of each are multiplied by one number,
    over which the e-value is a mixture. The chance that it ever reaches log(1 / alpha) though the arms are
    equally good is at most alpha, however often one looks (at the end of days: conversions of one day have
    no order to choose from). With 46 leads an arm and day at 4.56%, alpha 5% and a look on each of 60 days
    (seeded simulations): 1.6% false alarms; a halved rate is found in 98% (median day 20), a rate of zero on
    day 7; half as much again, as `better`, in 86% (median day 30). Conversions that come late are seen late: with 90%
    of them within 43 days a halved rate is found in 94% (median day 34).

    ValueError for flags not 0 or 1, shares outside [0, 1], unequal lengths, an unknown alternative, or a
    conversion of an arm whose share was zero. Robbins 1970; Lindon, Sanden & Shirikian 2022 (arXiv
    2205.14762); Ville 1939.

    >>> [round(float(x), 2) for x in arm_e_process([0, 0, 1, 0], [0.5] * 4)]
    [0.0, 0.16, 0.34, 0.11, 0.27]
    >>> arm_e_process([], [])
    array([0.])
    """
    odds, log_weights = _odds_prior(alternative)
    if len(np.atleast_1d(np.asarray(is_challenger))) == len(np.atleast_1d(np.asarray(null_share))) == 0:
        return np.zeros(1)
    ours, share = outcomes_of(is_challenger, "challenger flags"), probabilities_of(null_share, "null shares")
    same_length(is_challenger=ours, null_share=share)
    if ((ours == 1) & (share == 0) | (ours == 0) & (share == 1)).any():
        raise ValueError(
            "a conversion came from an arm that had a null share of 0; wanted shares of the arms with leads"
        )
    steps = ours[:, None] * np.log(odds) - np.log(share[:, None] * odds + (1 - share[:, None]))
    after = _log_sum(np.cumsum(steps, axis=0) + log_weights, axis=1)
    return np.concatenate([np.zeros(1), after])


def _arms(counts: ArrayLike, shares: ArrayLike) -> tuple[Floats, Floats]:
    found, planned = finite(counts, "counts"), finite(shares, "shares")
    same_length(counts=found, shares=planned)
    if found.size < 2 or found.min() < 0 or (found != np.floor(found)).any():
        raise ValueError(f"the counts are {found.tolist()}; wanted whole numbers of at least 0 for two arms or more")
    if planned.min() <= 0 or abs(planned.sum() - 1) > 1e-9:
        raise ValueError(f"the shares are {planned.tolist()}; wanted shares above 0 that add up to 1")
    return found, planned / planned.sum()


def sample_ratio_e_value(counts: ArrayLike, shares: ArrayLike) -> float:
    """Return the log e-value that the arms were not filled in the planned shares.

    `counts` are all leads of each arm so far, `shares` the planned parts, which add up to 1. No leads: 0.
    Looked at after every lead or every day, the chance that it ever reaches log(1 / alpha) though the
    shares hold is at most alpha. ValueError for fewer than two arms, counts negative or not whole, shares
    not above 0 or not adding up to 1, unequal lengths. Lindon & Malek 2022, multinomial counts under a
    Dirichlet mixture, here worth 100 leads around the plan.

    >>> round(sample_ratio_e_value([560, 440], [0.5, 0.5]), 2), sample_ratio_e_value([0, 0], [0.5, 0.5])
    (5.36, 0.0)
    """
    found, planned = _arms(counts, shares)
    prior = CONCENTRATION * planned
    total = gammaln(CONCENTRATION) - gammaln(CONCENTRATION + found.sum())
    return float(total + np.sum(gammaln(prior + found) - gammaln(prior) - found * np.log(planned)))


def sample_ratio(counts: ArrayLike, shares: ArrayLike) -> float:
    """Return the chi-square p-value, in [0, 1], that the arms were filled in the planned shares.

    For one look at the end only; `sample_ratio_e_value` may be looked at daily. No leads: 1. ValueError as
    there. Pearson 1900; Fabijan et al. 2019 (sample ratio mismatch).

    >>> round(sample_ratio([560, 440], [0.5, 0.5]), 5)
    0.00015
    """
    found, planned = _arms(counts, shares)
    expected = planned * found.sum()
    if found.sum() == 0:
        return 1.0
    return float(chdtrc(found.size - 1, np.sum((found - expected) ** 2 / expected)))


def _counted_and_promised(observed: ArrayLike, expected: ArrayLike) -> tuple[Floats, Floats]:
    counted, promised = np.asarray(observed, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    if counted.ndim == 0 or promised.ndim == 0 or counted.shape[-1] != promised.shape[-1] or counted.shape[-1] == 0:
        raise ValueError(
            f"observed has shape {counted.shape}, expected {promised.shape}; wanted a number of each a day"
        )
    for column, name in ((counted, "observed"), (promised, "expected")):
        if not (np.isfinite(column) & (column >= 0)).all():
            raise ValueError(f"some {name} counts are negative, NaN or infinite; wanted counts of at least 0")
    return counted, promised


def shortfall_e_detector(
    observed: ArrayLike,
    expected: ArrayLike,
    multipliers: tuple[float, ...] = MULTIPLIERS,
    slack: float = SLACK,
) -> Floats:
    """Return the log e-detector, one entry a day, that conversions have fallen below what was expected.

    It adds up, over every day on which the fall may have begun and every multiplier it may have brought,
    the likelihood ratio of the counts since. Days run along the last axis; other axes are separate series.
    Two readings of the same sum:

    * an entry for each calendar day, with the conversions of that day and those expected on it from all
      leads by age: entry d is the statistic on day d;
    * an entry for each day of contact, with the conversions so far of the leads contacted on it and those
      expected of them by their age: the last entry is the statistic today, of a fall that begins with the
      leads contacted on some day. This finds a change of version or list sooner, for leads contacted
      before do not dilute it. Leave out days without contacts, or a pause fills the sum with starts.

    Observed counts are Poisson around the expected, or sums of rare yes and no. While the mean is at
    least (1 - slack) of the expected, the average number of days until it reaches log(days) is no less
    than `days`. With `YEARLY_THRESHOLD`, by day of contact, 93 leads a day at 4.56% of whom 90% convert
    within 43 days (2,000 seeded years): 0.20 false pages a healthy year; 0.54 when the promise is 10% too
    high, 1.01 at 15%; 0.69 when months vary by 15%; 0.9 when conversions come 1.2 times as late, 4.5 at 1.5
    times, so watch the delay too (`delay_shift`). Halved for the leads contacted from some day on: found
    in the median 21 days later, 23 from the first day of all (10 for a rate of zero, 50 for one of 70%).
    Nine leads a day at 9.65%: 0.33 false pages (0.73 at a promise 10% too high), 46 days.

    ValueError for negative, NaN or infinite counts, unequal lengths, no day, multipliers outside (0, 1) or
    a slack outside [0, 1). Shin, Ramdas & Rinaldo 2024, e-detectors of Shiryaev-Roberts type; Roberts 1966.

    >>> [round(float(x), 2) for x in shortfall_e_detector([4, 1, 0, 0], [4, 4, 4, 4])]
    [-1.55, 1.33, 4.02, 6.79]
    """
    counted, promised = _counted_and_promised(observed, expected)
    kept = np.asarray(multipliers, dtype=np.float64)
    if kept.ndim != 1 or kept.size == 0 or not ((kept > 0) & (kept < 1)).all() or not 0 <= slack < 1:
        raise ValueError(f"multipliers {multipliers} and slack {slack}; wanted parts strictly within (0, 1), [0, 1)")
    healthy = (1 - slack) * promised
    steps = counted[..., None, :] * np.log(kept)[:, None] + healthy[..., None, :] * (1 - kept)[:, None]
    summed = np.cumsum(steps, axis=-1)
    # The sum over first days k of exp(summed[t] - summed[k - 1]) is a running sum once summed[t] is taken out.
    starts = np.logaddexp.accumulate(steps - summed, axis=-1)
    return np.asarray(_log_sum(summed + starts, axis=-2) - math.log(kept.size), dtype=np.float64)
