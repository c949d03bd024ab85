"""Whether a column still looks as it did: stability indices beside the noise that their size carries."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtri

from foregate.metrics.estimate import Estimate, Floats, Integers, bracketed, checked_level, untold
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
