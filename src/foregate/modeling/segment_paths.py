"""What is foretold of a segment's daily totals, as joint integer paths of the living series within it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foregate.modeling.series import MOST, History, Indices, arrivals

Floats = NDArray[np.float64]

SHARE_DAYS = 180
BLOCK, BLOCKS, LEAST_BLOCKS = 28, 6, 7
MOST_SHARE_SPREAD = 0.999
FLAT_DAYS = 90
# A log level with more variance than this says "anything from a seventh to seven times".
MOST_LEVEL_VARIANCE = 1.0
# So many draws of so many series and days are split at a time.
CELLS = 1 << 24


@dataclass(frozen=True)
class Outlook:
    """What a model foretells of one segment's daily totals.

    `mean` [horizon] are the expected totals, at least 0. `dispersion` is the size of the negative binomial around
    them, above 0; infinite is the Poisson. The model may have the whole level wrong: that error is a random walk in
    the log, shared by all days of a draw, of variance `level` on the first day and `step` more with each further one.
    """

    mean: Floats
    dispersion: float
    level: float = 0.0
    step: float = 0.0


@dataclass(frozen=True)
class Segment:
    """A super-segment's living series (indices) and their daily totals, from the day on which the first was born."""

    index: int
    members: Indices
    totals: Indices
    weekdays: Indices


def living_segments(history: History, horizon: int) -> tuple[Segment, ...]:
    """Return the segments that have a living series, in order of their index.

    Totals are of the series that live at the origin: what has died yields no more, and would raise the level.
    `weekdays` has the days of the totals and then the horizon's.

    >>> from datetime import date
    >>> past = History(np.array([[0, 1, 2], [0, 0, 5], [9, 9, 0]]), date(2025, 3, 3), np.array([1, 2, 0]),
    ...                np.array([3, 3, 2]), np.array([1, 1, 0]))
    >>> [(s.index, s.members.tolist(), s.totals.tolist(), s.weekdays.tolist()) for s in living_segments(past, 1)]
    [(1, [0, 1], [1, 7], [6, 0, 1])]
    """
    alive, weekdays = history.alive, history.weekdays(horizon)
    found = []
    for index in np.unique(history.segments[alive]):
        members = np.flatnonzero(alive & (history.segments == index))
        first = int(history.born[members].min())
        totals = (history.counts[members] * history.present()[members]).sum(axis=0)[first:]
        found.append(Segment(int(index), members, totals, weekdays[first:]))
    return tuple(found)


def dispersion(counts: NDArray[np.int64], means: Floats) -> float:
    """Return the size r of a negative binomial of variance mean + mean^2 / r, by moments; infinite for the Poisson.

    Arrays of one shape. Infinite too where the counts vary less than the Poisson or all means are 0.

    >>> dispersion(np.array([0, 4, 0, 4]), np.full(4, 2.0)), dispersion(np.array([2, 2]), np.full(2, 2.0))
    (2.0, inf)
    """
    excess = float(((counts - means) ** 2 - means).sum())
    return float((means**2).sum()) / excess if excess > 0 else float("inf")


def local_means(totals: NDArray[np.int64], weekdays: Indices, reach: int = 28) -> Floats:
    """Return what to expect on each past day: the mean of the days around it times its weekday's factor.

    `reach` is how many days count on either side. A factor is the weekday's counts over those of its days' means.

    >>> local_means(np.array([4, 0, 4, 0]), np.array([0, 1, 0, 1]))
    array([4., 0., 4., 0.])
    """
    days = totals.size
    through = np.concatenate([[0.0], np.cumsum(totals, dtype=np.float64)])
    low, high = np.maximum(np.arange(days) - reach, 0), np.minimum(np.arange(days) + reach + 1, days)
    level = (through[high] - through[low]) / (high - low)
    seen, expected = (np.bincount(weekdays, weights, minlength=7) for weights in (totals, level))
    factors = np.divide(seen, expected, out=np.ones(7), where=expected > 0)
    return np.asarray(level * factors[weekdays])


def flat_outlook(totals: NDArray[np.int64], weekdays: Indices, horizon: int) -> Outlook:
    """Return the mean of the last 90 days on every day to come, the level as uncertain as its events are few.

    `weekdays` are those of the totals, later ones are not read.

    >>> flat_outlook(np.array([1, 3]), np.array([0, 1]), 2).mean
    array([2., 2.])
    """
    recent = totals[-FLAT_DAYS:]
    size = dispersion(totals, local_means(totals, weekdays[: totals.size]))
    return Outlook(np.full(horizon, float(recent.mean())), size, level=1 / (float(recent.sum()) + 0.5))


def draw_totals(outlook: Outlook, steps: Floats, rng: np.random.Generator) -> NDArray[np.int32]:
    """Return [draws, horizon] non-negative integer totals, whose means over the draws are the outlook's.

    `steps` [draws, horizon] are standard normal: each day's step of the level's walk.

    >>> found = draw_totals(Outlook(np.array([0.0, 1e6]), float("inf")), np.zeros((1, 2)), np.random.default_rng(3))
    >>> np.round(found, -5)
    array([[      0, 1000000]], dtype=int32)
    """
    horizon = outlook.mean.size
    variance = np.minimum(outlook.level + outlook.step * np.arange(horizon), MOST_LEVEL_VARIANCE)
    walk = np.cumsum(steps * np.sqrt(np.diff(variance, prepend=0.0)), axis=1)
    return scattered(outlook.mean * np.exp(walk - variance / 2), outlook.dispersion, rng)


def scattered(means: Floats, size: float, rng: np.random.Generator) -> NDArray[np.int32]:
    """Return negative binomial counts around means, of their shape; an infinite size is the Poisson.

    >>> scattered(np.zeros((1, 2)), 0.5, np.random.default_rng(1))
    array([[0, 0]], dtype=int32)
    """
    bounded = np.minimum(means, MOST)
    return arrivals(rng.gamma(size, bounded / size) if np.isfinite(size) else bounded, rng)


def share_spread(counts: Floats, shares: Floats) -> float:
    """Return by moments how far shares were off, as the Dirichlet's 1 / (concentration + 1), in [0, 1).

    `counts` and `shares` [blocks, members]: what came in each block of days and the shares foretold for it, of sum 1.
    Sums of the squared errors beyond a multinomial's over what wholly uncertain shares would add; 0 is certainty.

    >>> float(share_spread(np.array([[8.0, 0.0]]), np.array([[0.5, 0.5]])).__round__(3))
    0.999
    >>> share_spread(np.array([[4.0, 4.0]]), np.array([[0.5, 0.5]]))
    0.0
    """
    whole = counts.sum(axis=1, keepdims=True)
    noise = whole * shares * (1 - shares)
    excess = float(((counts - whole * shares) ** 2 - noise).sum())
    most = float((np.maximum(whole - 1, 0) * noise).sum())
    return float(np.clip(excess / most, 0.0, MOST_SHARE_SPREAD)) if most > 0 else 0.0


def _shares(counts: Floats, days: Indices) -> tuple[Floats, float]:
    """Return each member's share and how many events they rest on, from counts in so many days of its life.

    A member's rate is its own, shrunk to its siblings' as far as they are alike (gamma prior, by moments): one with
    no event yet keeps a share, and one born last week is judged by its own days.
    """
    known = np.maximum(days, 0)
    rate = (counts.sum() + 0.5) / max(known.sum(), 1)
    expected = rate * known
    excess = float(((counts - expected) ** 2 - expected).sum())
    prior = float(np.clip((expected**2).sum() / excess, 0.05, 20.0)) if excess > 0 else 20.0
    rates = (counts + prior) / (known + prior / rate)
    return rates / rates.sum(), float(counts.sum() + prior * counts.size)


def _drawn_shares(history: History, members: Indices, draws: int, rng: np.random.Generator) -> Floats:
    """Return [draws, members] shares of a segment, each row of sum 1, around those of the last 180 days.

    As uncertain as the shares of the 180 days before each of the last blocks of 28 days were wrong about it, and at
    least as the events behind them are few.
    """
    through = np.concatenate(
        [np.zeros((members.size, 1)), np.cumsum((history.counts * history.present())[members], axis=1)], axis=1
    )
    born = history.born[members]

    def shares_at(end: int) -> tuple[Floats, float]:
        first = max(0, end - SHARE_DAYS)
        return _shares(through[:, end] - through[:, first], end - np.maximum(born, first))

    ends = [end for end in history.days - BLOCK * np.arange(1, BLOCKS + 1) if end >= BLOCK]
    told = np.array([shares_at(int(end))[0] for end in ends]).reshape(-1, members.size)
    came = np.array([through[:, end + BLOCK] - through[:, end] for end in ends]).reshape(-1, members.size)
    share, events = shares_at(history.days)
    spread = max(share_spread(came, told), 1 / (events + 1))
    rates = rng.gamma(share * (1 / spread - 1), 1.0, (draws, members.size))
    # Of tiny shapes all members' draws may underflow to 0 together.
    rates = np.maximum(rates, np.finfo(np.float64).tiny)
    found: Floats = rates / rates.sum(axis=1, keepdims=True)
    return found


def moved_together(segments: Sequence[Segment]) -> float:
    """Return how far segments' levels move as one, 0 to 1: the mean correlation of the steps of 28-day sums.

    The noise of the sums makes it rather too small. 0 for one segment, or less than six steps that all have.
    """
    blocks = min((s.totals.size // BLOCK for s in segments), default=0)
    if len(segments) < 2 or blocks < LEAST_BLOCKS:
        return 0.0
    sums = np.array([s.totals[-blocks * BLOCK :].reshape(blocks, BLOCK).sum(axis=1) for s in segments])
    steps = np.diff(np.log(sums + 0.5), axis=1)
    steps -= steps.mean(axis=1, keepdims=True)
    products = steps @ steps.T
    sizes = np.sqrt(np.diag(products))
    apart = float(sizes.sum() ** 2 - np.trace(products))
    return float(np.clip((products.sum() - np.trace(products)) / apart, 0.0, 1.0)) if apart > 0 else 0.0


def joint_paths(
    history: History, outlooks: Mapping[int, Outlook], horizon: int, draws: int, rng: np.random.Generator
) -> NDArray[np.int32]:
    """Return [draws, series, horizon] integer paths: each segment's drawn totals, split over its living series.

    `outlooks` by segment index; one for every segment with a living series (KeyError otherwise). Series of a
    segment sum to its drawn total exactly, on every day of every draw; dead and unborn series have 0. The split
    is multinomial with shares drawn once for each draw (Dirichlet-multinomial): who is wrong about a source's
    share today is so all month. Levels err together over segments as far as they used to move together.
    """
    paths = np.zeros((draws, history.series, horizon), dtype=np.int32)
    segments = living_segments(history, horizon)
    together = moved_together(segments)
    market = rng.standard_normal((draws, horizon))
    for segment in segments:
        own = rng.standard_normal((draws, horizon))
        walk = np.sqrt(together) * market + np.sqrt(1 - together) * own
        totals = draw_totals(outlooks[segment.index], walk, rng)
        shares = _drawn_shares(history, segment.members, draws, rng)
        # A multinomial draw is done once the total is: those who get most first.
        order = np.argsort(-shares.mean(axis=0), kind="stable")
        rows = max(1, CELLS // (horizon * order.size))
        for start in range(0, draws, rows):
            part = slice(start, start + rows)
            split = rng.multinomial(totals[part], shares[part, None, order])
            paths[part, segment.members[order]] = split.transpose(0, 2, 1)
    return paths
