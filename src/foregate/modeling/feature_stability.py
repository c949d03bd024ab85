"""Whether what a model leans on has shifted between two fits, by more than refitting on like rows shifts it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foregate.modeling.price_features import Features
from foregate.modeling.price_trees import TreeExpert, gain_shares, matured_rows, scaled_returns

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

TOP = 10
MOST_CHANGE = 0.20
LEVEL = 0.95
RESAMPLES = 99
# Of fewer, none is beyond 2.5 % on either side.
LEAST_RESAMPLES = 39
# A quarter: long beside what daily returns remember, short enough that a few years hold many sets of pieces.
PIECE_DAYS = 63


class Shift(NamedTuple):
    """How one feature's importance changed, relative to what it was, and how far chance alone moves it.

    `shifted`: the change is above 0.20 and above its own `noise_floor`.
    """

    feature: str
    change: float
    noise_floor: float
    shifted: bool


def relative_change(now: ArrayLike, before: ArrayLike) -> Floats:
    """Return (now - before) / before; 0 where both are 0, infinite where only before is, NaN where one is NaN.

    >>> relative_change([0.3, 0.1, 0.0], [0.2, 0.0, 0.0]).round(3)
    array([0.5, inf, 0. ])
    """
    after, earlier = np.asarray(now, dtype=np.float64), np.asarray(before, dtype=np.float64)
    gap = after - earlier
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where(gap == 0, 0.0, gap / earlier)


def importance_noise(
    expert: TreeExpert,
    told: Features,
    y: ArrayLike,
    volatility: ArrayLike,
    horizon: int,
    fitted_at: tuple[int, int],
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Floats:
    """Return [resamples, F] signed relative changes of importance that so many more days bring on like rows.

    `fitted_at` are the days of the last two fits, whose change of importance is in question: that of adding the days
    between them. In its place as many days before, in pieces of a quarter (of the horizon where that is longer)
    drawn at random, are left out of the last fit's rows, and the change from the fit without them to the last fit is
    taken: a delete-a-group jackknife in blocks, on the same rows (Kuensch 1989; Shao & Wu 1989). Where the days in
    question are like those before, their change is about one more draw of these. A row is left out when its outcome
    touches a piece, so that as little is known of it as was of the days to come. `y`, `volatility`, `told` and `seed`
    as given to `TreeExpert.backtest`; the same for a seed. ValueError for less than 39 resamples, fits not in order
    of time, or an earlier fit that looks back on less than twice the days between the fits.
    """
    before, now = fitted_at
    if resamples < LEAST_RESAMPLES or not 0 < before < now:
        raise ValueError(f"found {resamples} resamples, fits at {fitted_at}; wanted from {LEAST_RESAMPLES}, in order")
    # Out of the last fit, not of the earlier one: the earlier one's greatest shares are in part luck, which any more
    # days take away. Resamples that end in it rise where the change in question falls.
    targets = scaled_returns(y, volatility, horizon)
    rows = matured_rows(targets, now, horizon)
    if rows.size == 0 or before - rows[0] < 2 * (now - before):
        wanted = f"twice the {now - before} days between the fits before the earlier one"
        raise ValueError(f"found {rows.size} rows by day {now}; wanted {wanted}")
    rng, piece = np.random.default_rng(seed), min(max(PIECE_DAYS, horizon), now - before)
    shares = []
    for order in range(resamples + 1):
        begins = _drawn(int(rows[0]), before, now - before, piece, rng) if order else rows[:0]
        kept = rows[~_touching(rows, horizon, begins, piece)]
        shares.append(gain_shares(expert.fitted(told, targets, kept, horizon, seed), told.names))
    whole, *without = _of_splits(np.stack(shares))
    return relative_change(whole, without)


def _of_splits(shares: Floats) -> Floats:
    """Return the shares [n, F], NaN in a fit that found no split: nothing can be told of what it leans on."""
    return np.where(shares.sum(axis=1, keepdims=True) > 0, shares, np.nan)


def _drawn(first: int, last: int, days: int, piece: int, rng: np.random.Generator) -> Rows:
    """Return the first days of so many days' worth of pieces between two days, none over another."""
    begins = np.arange(first + int(rng.integers(min(piece, last - first - days))), last - piece + 1, piece)
    return np.asarray(rng.choice(begins, min(max(1, round(days / piece)), begins.size), replace=False))


def _touching(rows: Rows, horizon: int, begins: Rows, piece: int) -> NDArray[np.bool_]:
    """Return which rows have an outcome, from the row's day to `horizon` later, that runs into a piece.

    >>> _touching(np.arange(8), 2, np.array([4]), 2).astype(int)
    array([0, 0, 0, 1, 1, 1, 0, 0])
    """
    return np.asarray(((rows[:, None] + horizon > begins) & (rows[:, None] < begins + piece)).any(axis=1))


def importance_shift(names: Sequence[str], importances: ArrayLike, noise: ArrayLike) -> list[Shift]:
    """Return how the ten features of most importance changed between the last two fits, the most important first.

    `importances` [n, F] are the shares of one horizon by fit (`TreeRuns.importances[:, place]`), `noise` [m, F] the
    signed changes that chance brings (`importance_noise`). The change is |now - before| / before. Its floor is the
    least that at most 2.5 % of m + 1 changes of that direction's kind go beyond, rises held against rises and falls
    against falls: a fall ends at 1 and a rise nowhere, so one quantile of both would let no fall count. Features are
    ranked by the greater of their two shares, as one that came to matter and one that ceased to are both of interest.
    A fit without a split, and any NaN, flags nothing. ValueError for less than two fits, fewer than 39 rows of noise,
    or other features than names.

    >>> shares = [[0.5, 0.5], [0.8, 0.2]]
    >>> [one.shifted for one in importance_shift(["vix", "carry"], shares, np.tile([0.7, -0.1], (39, 1)))]
    [False, True]
    """
    shares, moved = np.asarray(importances, dtype=np.float64), np.asarray(noise, dtype=np.float64)
    wanted = (len(names),)
    if shares.ndim != 2 or moved.ndim != 2 or not shares.shape[1:] == moved.shape[1:] == wanted:
        raise ValueError(
            f"found importances {shares.shape}, noise {moved.shape}; wanted [fits, {len(names)}] and alike"
        )
    if len(shares) < 2 or len(moved) < LEAST_RESAMPLES:
        raise ValueError(f"found {len(shares)} fits, {len(moved)} of noise; wanted from 2 and {LEAST_RESAMPLES} on")
    before, now = _of_splits(shares[-2:])
    changes = relative_change(now, before)
    rising = changes > 0
    sizes, floors = np.abs(changes), _floors(np.where(rising, moved, -moved))
    order = np.argsort(-np.fmax(before, now), kind="stable")[:TOP]
    return [
        Shift(names[i], float(sizes[i]), float(floors[i]), bool(sizes[i] > MOST_CHANGE and sizes[i] > floors[i]))
        for i in order.tolist()
    ]


def _floors(noise: Floats) -> Floats:
    """Return [F] the rank of the changes beyond which one side's share of 1 - LEVEL lies; at least 0."""
    rank = int(np.ceil((1 + LEVEL) / 2 * (len(noise) + 1) - 1e-9))
    # NaN sorts last, as the greatest: what could not be measured raises the floor.
    return np.asarray(np.maximum(np.sort(noise, axis=0)[rank - 1], 0.0))
