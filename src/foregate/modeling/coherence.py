"""Sums of joint sample paths, and children that sum to totals drawn from another model: exactly, in integers."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foregate.modeling.series import Indices, grouped

Paths = NDArray[np.int32]
Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
STEADIEST = 1e6


def aggregate(paths: Paths, groups: Indices) -> Counts:
    """Return [draws, groups, horizon] the sums of paths [draws, series, horizon] over each group's series, per draw.

    `groups` [series] are indices from 0. A sum of a draw is a draw of the sum: take quantiles of this, never sums of
    quantiles. ValueError when there is not one group for each series.

    >>> aggregate(np.array([[[1, 0], [2, 5], [4, 1]]], dtype=np.int32), np.array([0, 1, 0])).tolist()
    [[[5, 1], [2, 5]]]
    """
    if paths.ndim != 3 or groups.shape != paths.shape[1:2]:
        raise ValueError(f"paths {paths.shape} and groups {groups.shape}; wanted [draws, series, horizon] and [series]")
    return grouped(paths.astype(np.int64), groups, int(groups.max()) + 1, axis=1)


def sums_by_period(paths: NDArray[np.integer], period_index: Indices) -> Counts:
    """Return [..., periods] the sums of paths [..., horizon] over the days of each period, indices from 0.

    ValueError when there is not one period for each day.

    >>> sums_by_period(np.array([[1, 2, 3, 4]]), np.array([0, 0, 1, 1])).tolist()
    [[3, 7]]
    """
    if period_index.shape != paths.shape[-1:]:
        raise ValueError(f"{period_index.shape} periods for {paths.shape[-1:]} days; wanted one for each")
    return grouped(paths.astype(np.int64), period_index, int(period_index.max()) + 1, axis=-1)


def mixed_draws(weights: ArrayLike, draws: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return [draws, segments] which draws take their total from the other model: a share `weights` of them, exactly.

    Rounded to whole draws. A segment of less weight takes a subset of the draws of one of more, so that what the
    other model draws together stays together. ValueError for a weight outside 0 to 1.

    >>> mixed_draws([0.0, 0.5, 1.0], 4, np.random.default_rng(1)).sum(axis=0).tolist()
    [0, 2, 4]
    """
    wanted = np.atleast_1d(np.asarray(weights, dtype=np.float64))
    if not ((wanted >= 0) & (wanted <= 1)).all():
        raise ValueError(f"the weights are {wanted}; wanted shares from 0 to 1")
    return np.asarray(rng.permutation(draws)[:, None] < np.rint(wanted * draws))


def conditioned(
    paths: Paths,
    totals: NDArray[np.integer],
    segments: Indices,
    weights: ArrayLike,
    rng: np.random.Generator,
    alive: NDArray[np.bool_] | None = None,
) -> Paths:
    """Return bottom paths [draws, series, horizon] whose segment sums are the drawn totals on a share of the draws.

    `totals` [draws, segments, horizon] are the segments' own model's joint draws of each day; `weights` (one, or one
    for each segment) is the share of draws that take them (`mixed_draws`), the rest keep their bottom-up sums: so a
    segment's distribution is the mixture of the two. On the draws taken, a day with too many events loses some of
    them, each event as likely as another (hypergeometric), and a day with too few gains some by the draw's own
    shares (Dirichlet-multinomial: the path's own events on top of the usual shares). Both are exact for Poisson
    children given their rates: given their sum they are multinomial, and thinned or filled up they stay so.

    Series that are not `alive` (none given: those with no event in any draw) stay 0; a total of a segment without a
    living series has nowhere to go and is not used. ValueError for shapes that disagree, a negative total, or weights
    outside 0 to 1. After the top-down conditioning of Zambon, Azzimonti & Corani 2024, by other means.

    >>> bottom = np.array([[[1, 0], [2, 5]]], dtype=np.int32)
    >>> found = conditioned(bottom, np.array([[[7, 3]]]), np.array([0, 0]), 1.0, np.random.default_rng(1))
    >>> found.sum(axis=1).tolist(), found.dtype
    ([[7, 3]], dtype('int32'))
    """
    draws, series, horizon = paths.shape
    count = totals.shape[1]
    if totals.shape != (draws, count, horizon) or segments.shape != (series,) or int(segments.max()) >= count:
        raise ValueError(
            f"paths {paths.shape}, totals {totals.shape} and {segments.shape} segments do not fit together"
        )
    if totals.size and int(totals.min()) < 0:
        raise ValueError("a total is negative")
    living = np.asarray(paths.any(axis=(0, 2)) if alive is None else alive, dtype=np.bool_)
    taken = mixed_draws(np.broadcast_to(np.asarray(weights, dtype=np.float64), (count,)), draws, rng)
    found = paths * living[:, None]
    for segment in range(count):
        members, chosen = np.flatnonzero((segments == segment) & living), np.flatnonzero(taken[:, segment])
        if members.size and chosen.size:
            place = np.ix_(chosen, members)
            found[place] = _fitted(found[place], totals[chosen, segment].astype(np.int64), rng)
    return found


def _fitted(paths: Paths, totals: Counts, rng: np.random.Generator) -> Paths:
    """Return [draws, members, horizon] the paths thinned or filled up to the totals [draws, horizon]."""
    shares = _shares(paths, rng)
    missing = totals - paths.sum(axis=1, dtype=np.int64)
    found = _thinned(paths.astype(np.int64), np.maximum(-missing, 0), rng)
    draw, day = np.nonzero(missing > 0)
    if draw.size:
        found[draw, :, day] += rng.multinomial(missing[draw, day], shares[draw])
    return found.astype(np.int32)


def _thinned(paths: Counts, surplus: Counts, rng: np.random.Generator) -> Counts:
    """Return the paths without `surplus` [draws, horizon] events a day, each event as likely to go as another."""
    found = paths.copy()
    draw, day = np.nonzero(surplus > 0)
    if not draw.size:
        return found
    there, gone = paths[draw, :, day], surplus[draw, day].copy()
    rest = there.sum(axis=1)
    for member in range(there.shape[1]):
        own = there[:, member].copy()
        rest -= own
        lost = rng.hypergeometric(own, rest, gone)
        there[:, member] = own - lost
        gone -= lost
    found[draw, :, day] = there
    return found


def _shares(paths: Paths, rng: np.random.Generator) -> Floats:
    """Return [draws, members] each draw's shares: Dirichlet, of its own events on top of the usual shares."""
    events = paths.sum(axis=2, dtype=np.int64).astype(np.float64)
    usual = events.mean(axis=0)
    usual = usual / usual.sum() if usual.sum() > 0 else np.full(usual.size, 1 / usual.size)
    drawn = rng.standard_gamma(events + _steadiness(events, usual) * usual)
    whole = drawn.sum(axis=1, keepdims=True)
    return np.asarray(np.where(whole > 0, drawn / np.where(whole > 0, whole, 1.0), usual))


def _steadiness(events: Floats, usual: Floats) -> float:
    """Return how many events the usual shares are worth: the Dirichlet concentration of [draws, members], by moments.

    Shares that differ between draws no more than chance makes them are the usual ones; Mosimann 1962.

    >>> same = np.array([[50.0, 50.0], [48.0, 52.0], [52.0, 48.0]])
    >>> round(_steadiness(same, np.array([0.5, 0.5]))), _steadiness(np.eye(2) * 100, np.array([0.5, 0.5]))
    (1000000, 1e-06)
    """
    whole = events.sum(axis=1)
    apart, pairs = 1 - (usual**2).sum(), (whole * (whole - 1)).sum()
    if not (apart > 0 and pairs > 0):
        return STEADIEST
    spread = ((events - whole[:, None] * usual) ** 2).sum() / apart
    alike = min(max((spread - whole.sum()) / pairs, 1 / (1 + STEADIEST)), 1.0)
    return float(min(max(1 / alike - 1, 1 / STEADIEST), STEADIEST))
