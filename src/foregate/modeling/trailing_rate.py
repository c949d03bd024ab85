"""The trailing-window conversion rate: recent conversions over recent entries, the formula to beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from foregate.metrics.estimate import Floats, Integers
from foregate.modeling.cohorts import Cohorts


class Trailed(NamedTuple):
    """The rate of each series [series], and whose window it was taken from: its own, its channel's or the total's."""

    rates: Floats
    window: tuple[str, ...]


@dataclass(frozen=True)
class TrailingRate:
    """Rate = (conversions dated in the last `days` + `hits`) / (entries in the last `days` + `rows`), at most 1.

    A series with fewer than `least` entries in the window takes its channel's rate, and a channel with fewer the
    total's. ValueError for a window below a day, pseudo-hits not above 0 or above the pseudo-rows.

    Known to be weak: numerator and denominator are different cohorts, so the rate follows a growing or shrinking stream
    of entries and not only the rate; it can pass 1, which is cut; what is open at the origin never converts in its
    paths; every conversion falls on the day of its entry; the 6 of 10 weigh most where the data are fewest; and the
    paths know nothing of the rate's error.
    """

    days: int = 60
    hits: float = 6.0
    rows: float = 10.0
    least: int = 10

    def __post_init__(self) -> None:
        if not (self.days >= 1 and 0 < self.hits <= self.rows):
            raise ValueError(
                f"found {self}; wanted at least a day, and pseudo-hits above 0 and at most the pseudo-rows"
            )


SEED_FORMULA = TrailingRate()


def trailing_rates(cohorts: Cohorts, formula: TrailingRate = SEED_FORMULA) -> Trailed:
    """Return the rate of each series, in (0, 1], and whose window it was taken from.

    >>> trailing_rates(Cohorts([0] * 10, [0] * 10, [3] * 4 + [-1] * 6, 20, [0, 0, 1]))
    Trailed(rates=array([0.5, 0.5, 0.5]), window=('series', 'channel', 'total'))
    """
    start = cohorts.origin - formula.days
    series, total = np.arange(cohorts.n_series), np.zeros(cohorts.n_series, np.int64)
    entries = np.bincount(cohorts.series[cohorts.entered > start], minlength=series.size)
    converted = np.bincount(cohorts.series[cohorts.converted > max(start, -1)], minlength=series.size)
    rates, window = np.zeros(series.size), np.full(series.size, "total", dtype=object)
    for name, group in (("total", total), ("channel", cohorts.channel), ("series", series)):
        hits, rows = (np.bincount(group, counts)[group].astype(np.int64) for counts in (converted, entries))
        # The total has no parent to fall back on, however thin it is.
        enough = (rows >= formula.least) | (name == "total")
        rates[enough], window[enough] = _smoothed(hits, rows, formula)[enough], name
    return Trailed(rates, tuple(window.tolist()))


def _smoothed(hits: Integers, rows: Integers, formula: TrailingRate) -> Floats:
    return np.asarray(np.minimum((hits + formula.hits) / (rows + formula.rows), 1.0), dtype=np.float64)


def trailing_rate_paths(
    cohorts: Cohorts, upstream: NDArray[np.integer], rng: np.random.Generator, formula: TrailingRate = SEED_FORMULA
) -> NDArray[np.int32]:
    """Return paths of conversions [draws, series, horizon]: of each day's entries a binomial share, on the same day.

    `upstream` [draws, series, horizon] are entries on the days after the origin. ValueError when its series are not the
    cohorts', or an entry is negative.

    >>> seen = Cohorts([0] * 10, [0] * 10, [3] * 4 + [-1] * 6, 20, [0])
    >>> trailing_rate_paths(seen, np.full((500, 1, 2), 40), np.random.default_rng(1)).mean(axis=0).round()
    array([[20., 20.]])
    """
    if upstream.ndim != 3 or upstream.shape[1] != cohorts.n_series:
        raise ValueError(
            f"the upstream paths have shape {upstream.shape}; wanted [draws, {cohorts.n_series} series, horizon]"
        )
    return rng.binomial(upstream, trailing_rates(cohorts, formula).rates[None, :, None]).astype(np.int32)
