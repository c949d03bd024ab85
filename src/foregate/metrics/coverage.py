"""Whether intervals hold what they promise: coverage with its error, tests of it, uniformity of the PIT."""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtrc, stdtrit, xlogy

from foregate.metrics.estimate import Estimate, Floats, Integers, bracketed, critical
from foregate.metrics.inputs import at_least, outcomes_of, probabilities_of
from foregate.metrics.rates import wilson

CELLS = 10
# With ten cells, fewer rows leave less than two to expect in each, where chi-square no longer holds.
LEAST_ROWS = 20
# Of fewer blocks, no choice of signs is rarer than one in twenty: such a test could never object.
LEAST_BLOCKS = 6


def _checked_nominal(nominal: float) -> float:
    if not 0.0 < nominal < 1.0:
        raise ValueError(f"the nominal coverage is {nominal}; wanted a share strictly between 0 and 1")
    return float(nominal)


def _block_places(rows: int, blocks: ArrayLike) -> Integers:
    labels = np.asarray(blocks)
    if labels.shape != (rows,):
        raise ValueError(f"{rows} rows for blocks of shape {labels.shape}; wanted one label for each row")
    _, places = np.unique(labels, return_inverse=True)
    return places.astype(np.int64)


def effective_rows(inside: ArrayLike, blocks: ArrayLike) -> float:
    """Return how many independent rows would tell the share inside as well as these rows in blocks do.

    From 1 to the number of rows: the binomial variance over the jackknife's variance over whole blocks,
    never more than the rows, since blocks that seem to help do so by luck. Rows that are all inside or
    all outside do not show whether they hang together: all of them count. One block counts as 1. ValueError
    for flags not 0 or 1, empty input, unequal lengths. Kish 1965, design effect.

    >>> effective_rows([1, 1, 0, 0], ["a", "a", "b", "b"]), effective_rows([1, 0, 1, 0], ["a", "a", "b", "b"])
    (1.0, 4.0)
    """
    known = outcomes_of(inside, "flags")
    places = _block_places(known.size, blocks)
    sizes = np.bincount(places).astype(np.float64)
    share = float(known.mean())
    if sizes.size == 1:
        return 1.0
    if share in (0.0, 1.0):
        return float(known.size)
    gaps = (np.bincount(places, known) - share * sizes) / (known.size - sizes)
    variance = (1 - 1 / sizes.size) * float(gaps @ gaps)
    worth = share * (1 - share) / variance if variance > 0 else math.inf
    return min(max(1.0, worth), float(known.size))


def coverage(
    inside: ArrayLike,
    nominal: float,
    blocks: ArrayLike | None = None,
    level: float = 0.95,
    most: float = math.inf,
) -> Estimate:
    """Return the share of outcomes inside their intervals, in [0, 1], to be held against the nominal one.

    Without blocks rows are independent and the interval is Wilson's. Blocks label rows that hang together
    (the origin of each row; origins whose windows overlap share a label): then Wilson's interval of the
    effective rows, these made fewer still where few blocks tell them (Student's quantile of blocks - 1),
    which always holds the independent one. One block: interval [0, 1]. `nominal` is checked and moves
    nothing; of small counts even a right interval covers more than it says, see `pit_coverage`. Where few
    rows are outside, flags hardly show how rows hang together: with 12 blocks that all but fall as one, the
    interval of a nominal 95 % held it 79 times of 100, that of `pit_coverage` 97. Where all or none are inside
    flags show nothing of it: `most` says how many independent rows there can be at all, as windows that overlap
    are no more than their days over the horizon. `rows` counts rows, not effective rows. ValueError for flags
    not 0 or 1, empty input, unequal lengths, a nominal outside (0, 1). Wilson 1927; Korn & Graubard 1998.

    >>> [round(x, 3) for x in coverage([1, 1, 0, 1], 0.8)[:3]]
    [0.75, 0.301, 0.954]
    >>> blocks = [at // 63 for at in range(504)]
    >>> [round(coverage([1] * 504, 0.95, blocks, most=most).low, 2) for most in (504, 8)]
    [0.99, 0.59]
    """
    known = outcomes_of(inside, "flags")
    _checked_nominal(nominal)
    if blocks is None:
        return wilson(float(known.sum()), known.size, level)
    return _in_blocks(known, min(effective_rows(known, blocks), max(1.0, most)), blocks, level)


def _in_blocks(known: Floats, effective: float, blocks: ArrayLike, level: float) -> Estimate:
    share, normal = float(known.mean()), critical(level)
    count = int(_block_places(known.size, blocks).max()) + 1
    if count == 1:
        return bracketed(share, 0.0, 1.0, known.size, level)
    rows = effective * (normal / float(stdtrit(count - 1, 0.5 + level / 2))) ** 2
    found = wilson(share * rows, rows, level)
    return bracketed(share, found.low, found.high, known.size, level)


def _central(pit: Floats, nominal: float) -> Floats:
    return (np.abs(pit - 0.5) <= _checked_nominal(nominal) / 2).astype(np.float64)


def pit_coverage(pit: ArrayLike, nominal: float, blocks: ArrayLike | None = None, level: float = 0.95) -> Estimate:
    """Return the share of randomised PIT values in the central nominal region, in [0, 1].

    What coverage means for small counts: where nine days in ten are 0, the right 50 % interval is [0, 0]
    and covers 90 %, while half of the randomised PIT values of a calibrated forecast lie in the central
    half. Blocks and interval as for `coverage`, save that the effective rows are those of the central half
    where these are fewer: there misses are many, and show how rows hang together. ValueError for a PIT
    value NaN or outside 0 to 1 and as there. Czado, Gneiting & Held 2009.

    >>> pit_coverage([0.1, 0.3, 0.5, 0.9], 0.5).value
    0.5
    """
    told = probabilities_of(pit, "PIT values")
    known = _central(told, nominal)
    if blocks is None:
        return coverage(known, nominal, level=level)
    effective = min(effective_rows(_central(told, share), blocks) for share in (nominal, 0.5))
    return _in_blocks(known, effective, blocks, level)


def _tail_of(ratio: float) -> float:
    # Two equal likelihoods may differ by a rounding error below zero.
    return float(chdtrc(1, max(0.0, ratio)))


def kupiec(inside: ArrayLike, nominal: float) -> float:
    """Return the p-value that outcomes fall inside with the nominal chance, each on its own.

    Likelihood ratio of the unconditional coverage against chi-square with one degree of freedom. Rows must
    be independent; overlapping windows make it object too often (thin them, or read `coverage` with
    blocks). It takes some 800 rows to tell 92 % from 95 %. ValueError for flags not 0 or 1, empty input, a
    nominal outside (0, 1). Kupiec 1995, LR uc.

    >>> round(kupiec([1] * 90 + [0] * 10, 0.95), 4)
    0.0421
    """
    known, promised = outcomes_of(inside, "flags"), _checked_nominal(nominal)
    hits, rows = float(known.sum()), known.size
    found = xlogy(hits, hits / rows) + xlogy(rows - hits, 1 - hits / rows)
    told = xlogy(hits, promised) + xlogy(rows - hits, 1 - promised)
    return _tail_of(2 * float(found - told))


def christoffersen(inside: ArrayLike) -> float:
    """Return the p-value that a miss makes the next miss neither likelier nor rarer.

    Likelihood ratio of independence against a first-order Markov chain, chi-square with one degree of
    freedom, of one series of rows in order of time whose windows do not overlap. No miss, or nothing but
    misses, or none that is followed by a row: NaN, for it can not be told. With few misses (a 95 % interval
    of 100 rows) it has little power and its p-values are coarse. ValueError for flags not 0 or 1 or empty
    input. Christoffersen 1998, LR ind.

    >>> round(christoffersen([1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 0, 0]), 4)
    0.1307
    """
    missed = 1 - outcomes_of(inside, "flags").astype(np.int64)
    pairs = np.bincount(2 * missed[:-1] + missed[1:], minlength=4).reshape(2, 2).astype(np.float64)
    before, after = pairs.sum(axis=1), pairs.sum(axis=0)
    if min(before.min(), after.min()) == 0:
        return math.nan
    chained = xlogy(pairs, pairs / before[:, None]).sum()
    free = xlogy(after, after / after.sum()).sum()
    return _tail_of(2 * float(chained - free))


def pit_uniformity(pit: ArrayLike, blocks: ArrayLike | None = None, seed: int = 0, flips: int = 1999) -> float:
    """Return the p-value that PIT values are uniform, as those of a calibrated forecast are.

    The statistic is Pearson's over ten equal cells: unlike Cramer-von Mises it sees too narrow forecasts
    (heavy end cells) as well as shifted ones. Without blocks rows are independent and the p-value is that
    of chi-square with nine degrees of freedom; fewer than 20 rows: NaN. With blocks (see `coverage`), each
    block's departures from uniformity keep or turn their sign together, at random: the share of such
    flips that depart as far. Any dependence within blocks is allowed; fewer than six blocks could never
    reach 1 in 20: NaN. `seed` fixes the flips. ValueError for values NaN or outside 0 to 1, empty input,
    unequal lengths. Pearson 1900; the flips: wild cluster bootstrap with the null imposed, Cameron, Gelbach
    & Miller 2008.

    >>> pit_uniformity((np.arange(100) + 0.5) / 100), pit_uniformity(np.full(100, 0.95)) < 1e-9
    (1.0, True)
    """
    told = probabilities_of(pit, "PIT values")
    cells = np.minimum((told * CELLS).astype(np.int64), CELLS - 1)
    if told.size < LEAST_ROWS:
        return math.nan
    expected = told.size / CELLS
    if blocks is None:
        gaps = np.bincount(cells, minlength=CELLS) - expected
        return float(chdtrc(CELLS - 1, float(gaps @ gaps) / expected))
    places = _block_places(told.size, blocks)
    count = int(places.max()) + 1
    if count < LEAST_BLOCKS:
        return math.nan
    departures = np.bincount(places * CELLS + cells, minlength=count * CELLS).reshape(count, CELLS).astype(np.float64)
    departures -= departures.mean(axis=1, keepdims=True)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(at_least(flips, 1, "flips"), count))
    flipped = ((signs @ departures) ** 2).sum(axis=1)
    reached = float((departures.sum(axis=0) ** 2).sum()) * (1 - 1e-12)
    return float((1 + (flipped >= reached).sum()) / (1 + flipped.size))
