"""How far forecasts are from what came: scores of sample paths, of intervals, of points, and of sums."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foregate.metrics.estimate import Estimate, Floats, bracketed, checked_level, untold
from foregate.metrics.inputs import at_least, finite, same_length

# Sorting goes by slices of about this many numbers, so that a large panel is never copied whole.
SLICE = 1 << 20
# A negative binomial of more than this size differs from the Poisson by less than rounding does.
POISSON_SIZE = 1e8
# The log of a ratio beyond any that sums can give, while its exponential is still a finite number.
FAR = 700.0


def _drawn(samples: ArrayLike, least: int = 1) -> NDArray[Any]:
    found = np.asarray(samples)
    if found.ndim == 0 or found.shape[0] < least:
        raise ValueError(f"the samples have shape {found.shape}; wanted at least {least} draws along the first axis")
    if found.dtype.kind == "f" and np.isnan(found).any():
        raise ValueError("some samples are NaN; wanted a number for every draw")
    return found


def _drawn_for(samples: ArrayLike, actual: ArrayLike, least: int = 1) -> tuple[NDArray[Any], Floats]:
    drawn, seen = _drawn(samples, least), np.asarray(actual, dtype=np.float64)
    if drawn.shape[1:] != seen.shape:
        raise ValueError(
            f"samples of shape {drawn.shape} for outcomes of shape {seen.shape}; wanted [draws, *outcomes]"
        )
    return drawn, seen


def crps(samples: ArrayLike, actual: ArrayLike, *, fair: bool = False) -> Floats:
    """Return the continuous ranked probability score of each outcome, in the outcome's unit; 0 is perfect.

    Samples are [draws, ...] and outcomes [...]; the score is that of the draws' empirical distribution,
    mean |x - y| - mean |x - x'| / 2. A finite number of draws is itself an error, of about
    spread / draws, which `fair` takes out: it may then be negative, and is right for comparing forecasts
    of different numbers of draws. NaN outcomes (not yet known) score NaN. ValueError for shapes that do
    not match, a NaN draw, no draws, or fewer than two where `fair`. Gneiting & Raftery 2007, eq. 21, in the
    sorted form of Jordan, Krueger & Lerch 2019; fair: Ferro 2014.

    >>> crps([[0], [1], [3]], [1]).round(3), crps([[0], [1], [3]], [1], fair=True).round(3)
    (array([0.333]), array([0.]))
    """
    drawn, seen = _drawn_for(samples, actual, 2 if fair else 1)
    draws, outcomes = drawn.shape[0], seen.reshape(-1)
    columns = drawn.reshape(draws, -1)
    weights = (2.0 * np.arange(1, draws + 1) - draws - 1) / (draws * (draws - fair))
    found = np.empty(outcomes.size)
    width = max(1, SLICE // draws)
    for start in range(0, outcomes.size, width):
        part = slice(start, start + width)
        ranked = np.sort(np.ascontiguousarray(columns[:, part].T), axis=1)
        # Measured from the outcome, so that a price far from zero loses no digits.
        gaps = ranked.astype(np.float64) - outcomes[part, None]
        found[part] = np.abs(gaps).mean(axis=1) - np.einsum("ij,j->i", gaps, weights)
    return found.reshape(seen.shape)


def quantiles(samples: ArrayLike, probabilities: ArrayLike) -> NDArray[Any]:
    """Return the quantiles [p, ...] of samples [draws, ...], each of them one of the draws.

    The lower empirical quantile, the least draw that at least a share p of the draws does not exceed
    (Hyndman & Fan 1996, definition 1). Nothing is interpolated and the samples' type is kept: half a
    customer can not come, and an interval of counts from 0 to 2.4 would promise what no outcome tests.
    0 is the least draw and 1 the greatest. ValueError for NaN draws or probabilities outside 0 to 1.

    >>> quantiles([4, 1, 0, 2], [0, 0.5, 0.51, 1])
    array([0, 1, 2, 4])
    """
    drawn = _drawn(samples)
    asked = finite(probabilities, "probabilities")
    if asked.min() < 0 or asked.max() > 1:
        raise ValueError(f"the probabilities run from {asked.min():g} to {asked.max():g}; wanted 0 to 1")
    draws = drawn.shape[0]
    # 0.07 * 100 is a rounding error above 7 and would take the eighth draw.
    places = np.clip(np.ceil(draws * asked - 1e-9).astype(np.int64) - 1, 0, draws - 1)
    found: NDArray[Any] = np.partition(drawn, np.unique(places), axis=0)[places]
    return found


def randomised_pit(samples: ArrayLike, actual: ArrayLike, rng: np.random.Generator) -> Floats:
    """Return where each outcome fell in its forecast distribution, 0 to 1: uniform if the forecast is calibrated.

    Samples are [draws, ...] and outcomes [...]. Drawn evenly between the shares of draws below and not
    above the outcome, F(a - 1) and F(a) for counts, so that atoms (nine days in ten are 0) do not spoil
    uniformity. The outcome counts as one more draw: then the value is uniform exactly, for any number of
    draws, where the outcome comes from the distribution that the draws come from; it differs from the
    plain empirical form by at most 1 / (draws + 1). NaN outcomes give NaN. ValueError for shapes that do
    not match or a NaN draw. Czado, Gneiting & Held 2009, eq. 1; the ranks: Vovk et al. 2005, eq. 2.20.

    >>> found = randomised_pit([[0, 5], [0, 6], [1, 7]], [0, 9], np.random.default_rng(1))
    >>> bool(0 <= found[0] <= 0.75), bool(0.75 <= found[1] <= 1)
    (True, True)
    """
    drawn, seen = _drawn_for(samples, actual)
    below = (drawn < seen).sum(axis=0)
    level_with = (drawn == seen).sum(axis=0)
    found: Floats = (below + rng.random(seen.shape) * (level_with + 1)) / (drawn.shape[0] + 1)
    return np.where(np.isnan(seen), np.nan, found)


def interval_score(low: ArrayLike, high: ArrayLike, actual: ArrayLike, level: float) -> Floats:
    """Return the width of each interval plus 2 / (1 - level) times how far the outcome fell outside it.

    In the outcome's unit, lower is better; the arrays share a shape. The least expected score is that of
    the true central interval. NaN where any of the three is NaN. ValueError for a low bound above its
    high one or a level outside (0, 1). Gneiting & Raftery 2007, eq. 43.

    >>> interval_score([0, 0, 0], [2, 2, 2], [1, 3, -1], 0.5)
    array([2., 6., 6.])
    """
    under, over, seen = (np.asarray(values, dtype=np.float64) for values in (low, high, actual))
    price = 2.0 / (1.0 - checked_level(level))
    if (under > over).any():
        raise ValueError(f"{int((under > over).sum())} low bounds are above their high ones; wanted low <= high")
    found: Floats = over - under + price * (np.maximum(under - seen, 0) + np.maximum(seen - over, 0))
    return found


def pinball(quantile: ArrayLike, actual: ArrayLike, probability: ArrayLike) -> Floats:
    """Return the pinball loss of each quantile forecast, in the outcome's unit; lower is better.

    p (a - q) where the outcome lies above, (1 - p) (q - a) where below; twice its mean over all p is the
    CRPS. The arrays broadcast; NaN gives NaN. ValueError for a probability outside (0, 1). Koenker &
    Bassett 1978.

    >>> pinball(2, [1, 2, 4], 0.75)
    array([0.25, 0.  , 1.5 ])
    """
    told, seen, share = (np.asarray(values, dtype=np.float64) for values in (quantile, actual, probability))
    if not ((share > 0) & (share < 1)).all():
        raise ValueError("some probability is not strictly between 0 and 1; wanted 0 < p < 1")
    found: Floats = np.where(seen > told, share, 1 - share) * np.abs(seen - told)
    return found


def _scaled(forecast: ArrayLike, actual: ArrayLike, history: ArrayLike, season: int, power: int) -> Floats:
    told, seen, past = (np.asarray(values, dtype=np.float64) for values in (forecast, actual, history))
    if told.shape != seen.shape or told.ndim == 0 or past.shape[:-1] != told.shape[:-1]:
        shapes = f"forecasts {told.shape}, outcomes {seen.shape}, history {past.shape}"
        raise ValueError(f"{shapes}; wanted [..., horizon], [..., horizon] and [..., days]")
    lag = at_least(season, 1, "days in a season")
    steps = np.abs(past[..., lag:] - past[..., :-lag]) ** power
    known = ~np.isnan(steps)
    total, count = np.where(known, steps, 0.0).sum(axis=-1), known.sum(axis=-1)
    tellable = (total > 0) & (count > 0)
    scale = np.where(tellable, total, 1.0) / np.where(tellable, count, 1)
    found: Floats = np.where(tellable, (np.abs(told - seen) ** power).mean(axis=-1) / scale, np.nan)
    return found


def mase(forecast: ArrayLike, actual: ArrayLike, history: ArrayLike, season: int = 1) -> Floats:
    """Return the mean absolute error over that of the seasonal naive forecast within the history.

    Forecasts and outcomes are [..., horizon], the history before the origin [..., days], the result
    [...]; below 1 beats the one-step naive forecast's past error. Days of NaN in the history (absence,
    not zero) are left out. NaN where an outcome is NaN or the history never moves. ValueError for shapes
    that do not match or a season below 1. Hyndman & Koehler 2006.

    >>> float(mase([3, 3], [2, 5], [1, 2, 4]))
    1.0
    """
    return _scaled(forecast, actual, history, season, 1)


def rmsse(forecast: ArrayLike, actual: ArrayLike, history: ArrayLike, season: int = 1) -> Floats:
    """Return the root mean squared error over that of the seasonal naive forecast within the history.

    Shapes, missing values and errors as for `mase`; unlike it, the mean is its best point forecast, which
    is what sparse counts need (their median is 0). Makridakis, Spiliotis & Assimakopoulos 2022, M5.

    >>> round(float(rmsse([3, 3], [2, 5], [1, 2, 4])), 6)
    1.0
    """
    found: Floats = np.sqrt(_scaled(forecast, actual, history, season, 2))
    return found


def _log_error(above: Floats, below: Floats, blocks: ArrayLike | None) -> tuple[float, int]:
    """Return the standard error of the log of sum above / sum below, and how many blocks it stands on.

    NaN where it can not be told: one block, one block that holds all, or blocks that do not differ.
    """
    if blocks is not None:
        labels = np.asarray(blocks)
        same_length(outcomes=below, blocks=labels)
        _, places = np.unique(labels, return_inverse=True)
        above, below = (np.bincount(places, part).astype(np.float64) for part in (above, below))
    top, bottom = above.sum(), below.sum()
    shares = below / bottom if bottom > 0 else np.ones(below.size)
    if top == 0 or shares.max() >= 1:
        return math.nan, below.size
    gaps = (above / top - shares) / (1 - shares)
    error = math.sqrt((1 - 1 / below.size) * float(gaps @ gaps))
    return (error if error > 1e-12 else math.nan), below.size


def _around(value: float, error: float, blocks: int, level: float) -> tuple[float, float]:
    from scipy.special import stdtrit

    half = min(FAR, float(stdtrit(blocks - 1, 0.5 + level / 2)) * error)
    return value * math.exp(-half), value * math.exp(half)


def wape(forecast: ArrayLike, actual: ArrayLike, blocks: ArrayLike | None = None, level: float = 0.95) -> Estimate:
    """Return the sum of absolute errors over the sum of absolute outcomes: 0 perfect, 1 as bad as foretelling 0.

    Blocks label rows that err together (the origin of each row; origins whose windows overlap share a
    label: of windows that overlap by half and count apart, a 95 % interval holds the truth 82 times of 100,
    in pairs 92); without them rows count as independent. The interval is Student's on the log of the ratio, its
    error the jackknife over whole blocks in linear form. Outcomes that sum to 0: value NaN, interval
    [0, inf]. One block, or blocks that do not differ, tell no error: interval [0, inf]. `rows` counts
    rows, not blocks. See `poisson_wape_floor` for how low it can get. ValueError for NaN, infinite or
    empty input, unequal lengths. Kolassa & Schuetz 2007; the ratio's error: Cochran 1977, chapter 6.

    >>> round(wape([2, 2, 2, 2], [1, 2, 4, 1]).value, 3), wape([1], [0]).high
    (0.5, inf)
    """
    told, seen = finite(forecast, "forecasts"), finite(actual, "outcomes")
    same_length(forecasts=told, outcomes=seen)
    errors, size, checked = np.abs(told - seen), np.abs(seen), checked_level(level)
    if size.sum() == 0:
        return untold(0, math.inf, seen.size, checked)
    value = float(errors.sum() / size.sum())
    error, count = _log_error(errors, size, blocks)
    bounds = (0.0, math.inf) if math.isnan(error) else _around(value, error, count, checked)
    return bracketed(value, *bounds, seen.size, checked)


def _poisson_noise(forecast: float, actual: float, level: float) -> tuple[float, float]:
    """Return bounds of the forecast over the mean behind a count, by Garwood's exact interval of that mean."""
    from scipy.special import gammaincinv

    tail = (1 - level) / 2
    least = float(gammaincinv(actual, tail)) if actual > 0 else 0.0
    most = float(gammaincinv(actual + 1, 1 - tail))
    if forecast == 0:
        return 0.0, 0.0
    return forecast / most, forecast / least if least > 0 else math.inf


def capture_rate(forecast: ArrayLike, actual: ArrayLike, blocks: ArrayLike | None, level: float = 0.95) -> Estimate:
    """Return the sum of the forecasts over the sum of the outcomes: 1 is right, 0.73 foretold 73 of 100.

    Of counts or amounts of at least 0. Blocks and interval as for `wape`. Where the blocks tell no error
    (one block, or no outcome in all but one), the interval holds the Poisson noise of the summed outcome
    alone, exactly (Garwood 1936): right for counts, too short where they vary more than chance, and
    without meaning for prices. Outcomes that sum to 0: value infinite, or NaN within [0, inf] when
    nothing was foretold either. ValueError for negative, NaN, infinite or empty input, unequal lengths.

    >>> found = capture_rate([65], [89], None)
    >>> [round(x, 2) for x in found[:3]]
    [0.73, 0.59, 0.91]
    """
    told, seen = finite(forecast, "forecasts"), finite(actual, "outcomes")
    same_length(forecasts=told, outcomes=seen)
    if min(told.min(), seen.min()) < 0:
        raise ValueError(f"the least forecast is {told.min():g}, the least outcome {seen.min():g}; wanted at least 0")
    foretold, came, checked = float(told.sum()), float(seen.sum()), checked_level(level)
    if foretold == came == 0:
        return untold(0, math.inf, seen.size, checked)
    value = foretold / came if came else math.inf
    error, count = _log_error(told, seen, blocks)
    if math.isnan(error):
        return bracketed(value, *_poisson_noise(foretold, came, checked), seen.size, checked)
    return bracketed(value, *_around(value, error, count, checked), seen.size, checked)


def bias(forecast: ArrayLike, actual: ArrayLike, blocks: ArrayLike | None, level: float = 0.95) -> Estimate:
    """Return the capture rate minus 1: 0 is right, -0.27 foretold 27 % too few; -1 to infinity.

    Interval, missing values and errors as for `capture_rate`.

    >>> round(bias([65], [89], None).value, 2)
    -0.27
    """
    found = capture_rate(forecast, actual, blocks, level)
    return found._replace(value=found.value - 1, low=found.low - 1, high=found.high - 1)


def _count_cdf(count: Floats, mean: Floats, size: Floats) -> Floats:
    """Return the chance of at most `count` under a negative binomial; 0 below 0, Poisson for a large size."""
    from scipy.special import betainc, pdtr

    at = np.maximum(count, 0.0)
    bounded = np.minimum(size, POISSON_SIZE)
    found = np.where(size < POISSON_SIZE, betainc(bounded, at + 1, bounded / (bounded + mean)), pdtr(at, mean))
    return np.where(count >= 0, found, 0.0)


def _count_median(mean: Floats, size: Floats) -> Floats:
    """Return the least count of which the chance to stay at or below it is one half, by bisection."""
    under, over = np.full(mean.shape, -1.0), np.ceil(2 * mean) + 1
    while (over - under > 1).any():
        middle = np.floor((under + over) / 2)
        short = _count_cdf(middle, mean, size) < 0.5
        under, over = np.where(short, middle, under), np.where(short, over, middle)
    return over


def poisson_wape_floor(mean: ArrayLike, dispersion: ArrayLike | None = None) -> float:
    """Return the WAPE to expect of one who knows the true means and foretells the medians: none does better.

    The sum of E|Y - median| over the sum of the means, in closed form. Means are of the very sums that are
    scored (a window's, not a day's), of any shape. Y is Poisson, or negative binomial of variance
    mean + mean^2 / dispersion; an infinite dispersion is the Poisson. NaN where all means are 0. ValueError
    for a negative, NaN or infinite mean or a dispersion that is not above 0. Closed since k p(k; r) is
    mean p(k - 1; r + 1), of which k p(k) = mean p(k - 1) is the Poisson's case.

    >>> round(poisson_wape_floor([2.7]), 3), round(poisson_wape_floor([2.7], dispersion=4), 3)
    (0.489, 0.599)
    """
    means = finite(np.asarray(mean, dtype=np.float64).reshape(-1), "means")
    shape = np.shape(mean)
    size = np.broadcast_to(np.asarray(math.inf if dispersion is None else dispersion, np.float64), shape).reshape(-1)
    if means.min() < 0 or not (size > 0).all():
        raise ValueError("some mean is below 0 or some dispersion not above 0; wanted means >= 0, dispersions > 0")
    if means.sum() == 0:
        return math.nan
    median = _count_median(means, size)
    # The negative binomial of one more size keeps its share size / (size + mean), so its mean grows in step.
    partial = means * _count_cdf(median - 1, means * np.where(np.isfinite(size), 1 + 1 / size, 1.0), size + 1)
    deviation = means - median + 2 * (median * _count_cdf(median, means, size) - partial)
    return float(deviation.sum() / means.sum())
