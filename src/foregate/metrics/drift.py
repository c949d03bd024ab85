"""Whether a column still looks as it did: stability indices beside the noise that their size carries."""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtri

from foregate.metrics.estimate import Estimate, Floats, Integers, bracketed, checked_level, critical, untold
from foregate.metrics.inputs import at_least, codes_of, finite, numbers, outcomes_of, same_length
from foregate.metrics.noncentral import noncentrality_bounds
from foregate.metrics.order import midranks
from foregate.metrics.rates import rate_difference


def _index(expected: Integers, actual: Integers, level: float) -> Estimate:
    """Return the stability index of the two rows of counts over the same cells."""
    used = (expected + actual) > 0
    rows_before, rows_after, cells = int(expected.sum()), int(actual.sum()), int(used.sum())
    before, after = expected[used] + 0.5, actual[used] + 0.5
    p, q = before / before.sum(), after / after.sum()
    unit, freedom = 1 / rows_before + 1 / rows_after, max(1, cells - 1)
    found = float(np.sum((q - p) * np.log(q / p)))
    low, high = noncentrality_bounds(found / unit, freedom, level)
    return bracketed(max(0.0, found - freedom * unit), low * unit, high * unit, rows_after, level)


def cells_of(reference: Floats, values: Floats, bins: int) -> Integers:
    """Return each value's cell, the cells having been cut on the reference.

    A reference of at most `bins` different numbers has one cell for each and one, numbered `bins`, for
    numbers it never held; any other is cut at its quantiles, a number that equals a cut falling below it.
    NaN has a cell of its own, numbered `bins` + 1.

    >>> cells_of(np.array([0.0, 0.0, 1.0]), np.array([1.0, 2.0, np.nan]), bins=10)
    array([ 1, 10, 11])
    """
    known = reference[~np.isnan(reference)]
    distinct = np.unique(known)
    if distinct.size > bins:
        # Quantiles that are values of the column hold for infinite values too, interpolated ones do not.
        inner = np.quantile(known, np.arange(1, bins) / bins, method="inverted_cdf")
        cells = np.searchsorted(np.unique(inner), values, side="left")
    else:
        cells = np.searchsorted(distinct, values, side="left")
        seen = np.isin(values, distinct)
        cells = np.where(seen, cells, bins)
    return np.where(np.isnan(values), bins + 1, cells).astype(np.int64)


def psi(expected: ArrayLike, actual: ArrayLike, bins: int = 10, level: float = 0.95) -> Estimate:
    """Return the population stability index of a column of numbers, 0 for no change, noise taken off.

    The cells are `bins` quantile bins of the expected values (its own values when there are no more of
    them than bins), NaN being a cell; every cell has half a row added. With u = 1/n + 1/m and k used cells the
    plain index over u is nearly noncentral chi-square with k - 1 degrees of freedom and noncentrality
    index / u. So the value is max(0, plain - (k - 1) u), the interval inverts that distribution, and a low
    above 0 means more change than chance gives. At an index above about 0.3 a 95% interval holds the truth
    about 91% to 95% of the time. `rows` counts the actual values. ValueError when a column is empty or
    `bins` is below 2. Yurdakul & Naranjo 2020.

    >>> same = psi(np.arange(1000), np.arange(1000))
    >>> same.value, same.low, round(same.high, 3)
    (0.0, 0.0, 0.028)
    """
    before, after = numbers(expected, "expected values"), numbers(actual, "actual values")
    bins = at_least(bins, 2, "bins")
    counts = [np.bincount(cells_of(before, values, bins), minlength=bins + 2) for values in (before, after)]
    return _index(counts[0], counts[1], level)


def psi_of_categories(expected_codes: ArrayLike, actual_codes: ArrayLike, level: float = 0.95) -> Estimate:
    """Return the population stability index of a column of categories, 0 for no change, noise taken off.

    Every category of either column is a cell, None and NaN together one of their own, and every cell has
    half a row added, so that an unseen category counts and stays finite. Value, interval and rows as in
    `psi`. Many rare categories make the chi-square rough: fold them first. ValueError when a column is
    empty or text meets numbers.

    >>> found = psi_of_categories(["a"] * 50 + ["b"] * 50, ["a"] * 80 + ["c"] * 20)
    >>> found.low > 0, found.rows
    (True, 100)
    """
    before, after, count = codes_of(expected_codes, actual_codes)
    return _index(np.bincount(before, minlength=count), np.bincount(after, minlength=count), level)


def psi_noise(n: int, m: int, bins: int = 10, level: float = 0.95) -> float:
    """Return what the plain index stays below, with probability `level`, when nothing changed.

    The chi-square quantile of bins - 1 degrees of freedom times 1/n + 1/m, n and m being the rows on
    either side; a limit for large counts. ValueError for n or m below 1 or bins below 2. Yurdakul &
    Naranjo 2020.

    >>> [round(psi_noise(n, 28_000), 4) for n in (100, 280, 2800)]
    [0.1698, 0.061, 0.0066]
    """
    n, m = at_least(n, 1, "expected rows"), at_least(m, 1, "actual rows")
    freedom = at_least(bins, 2, "bins") - 1
    return float(chdtri(freedom, 1 - checked_level(level))) * (1 / n + 1 / m)


def share_trend(flags: ArrayLike, age_days: ArrayLike, level: float = 0.95) -> Estimate:
    """Return how much larger the share of flags is in the oldest third of the rows than in the newest.

    In [-1, 1] with Newcombe's interval. Flags are 0 or 1, such as "is missing": a share that grows with
    age says that time itself leaks into the column. Rows of one age stay together, in the third of their
    mid-rank, so the thirds may be unequal; `rows` counts both. No old or no new third (all of one age):
    value NaN, interval [-1, 1]. ValueError for flags not 0 or 1, ages NaN or infinite, unequal lengths.
    Newcombe 1998.

    >>> [round(x, 2) for x in share_trend([0, 0, 0, 1, 0, 1, 1, 1, 1], range(9))[:3]]
    [1.0, 0.21, 1.0]
    """
    flagged, ages = outcomes_of(flags, "flags"), finite(age_days, "ages")
    same_length(flags=flagged, ages=ages)
    places = (midranks(ages) - 0.5) / ages.size
    older, newer = flagged[places > 2 / 3], flagged[places < 1 / 3]
    if older.size == 0 or newer.size == 0:
        return untold(-1, 1, older.size + newer.size, level)
    return rate_difference(float(older.sum()), older.size, float(newer.sum()), newer.size, level)


def _strengths(contributions: ArrayLike, side: str) -> Floats:
    found = np.abs(np.asarray(contributions, dtype=np.float64))
    if found.ndim != 2 or 0 in found.shape or not np.isfinite(found).all():
        raise ValueError(f"contributions {side} have shape {found.shape}; wanted rows of finite numbers, one a feature")
    whole = float(found.sum(axis=1).mean())
    # Shares know no unit, and the half row that is added must not either.
    return found / whole if whole > 0 else found


def _log_shares(strengths: Floats, prior: Floats) -> tuple[Floats, Floats]:
    """Return the log of each feature's share of the strength, half a prior row added, and its variance."""
    rows = strengths.shape[0] + 0.5
    means = (strengths.sum(axis=0) + prior / 2) / rows
    total = means.sum()
    # How far each row moves the log of a share: its own part less what it adds to the whole.
    pulls = strengths / means - strengths.sum(axis=1, keepdims=True) / total
    prior_pull = prior / means - prior.sum() / total
    squares = np.square(pulls).sum(axis=0) + np.square(prior_pull) / 2
    return np.log(means / total), squares / (rows * rows)


def importance_shift(before: ArrayLike, after: ArrayLike, level: float = 0.95) -> list[Estimate]:
    """Return, for each feature, by how much its share of the mean absolute contribution has changed.

    `before` and `after` hold a row for each scored lead and a column for each feature (TreeSHAP values of
    one model). The change is relative, from -1 (gone) to infinity, 0 for none; half a row of the two
    sides' average is added to each, so that a feature of no weight on one side stays finite. The interval
    is the delta method's on the log of the ratio and takes the rows of either side as independent: an
    interval that holds 0 is noise. At 300 rows a 95% interval holds the truth 94% of the time, 88% for a
    feature that moves only 15 of them. With many features choose a level of 1 - 0.05 / features. A feature of
    no weight on either side has not changed: 0 within [0, 0]. `rows` counts those after. ValueError for
    no rows, no features, values NaN or infinite, or a different number of features.

    >>> [round(x, 2) for x in importance_shift([[1, 1]] * 50, [[3, 1]] * 50)[0][:3]]
    [0.49, 0.48, 0.51]
    """
    first, second, z = _strengths(before, "before"), _strengths(after, "after"), critical(level)
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"found {first.shape[1]} features before, {second.shape[1]} after; wanted the same ones")
    prior = (first.mean(axis=0) + second.mean(axis=0)) / 2
    used = prior > 0
    found = [bracketed(0.0, 0.0, 0.0, second.shape[0], level)] * used.size
    if not used.any():
        return found
    (old, doubt_old), (now, doubt_now) = (_log_shares(side[:, used], prior[used]) for side in (first, second))
    gaps, halves = now - old, z * np.sqrt(doubt_old + doubt_now)
    for place, gap, half in zip(np.flatnonzero(used), gaps, halves, strict=True):
        low, value, high = (math.expm1(min(700.0, at)) for at in (gap - half, gap, gap + half))
        found[place] = bracketed(value, low, high, second.shape[0], level)
    return found
