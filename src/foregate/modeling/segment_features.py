"""What the segment trees see: of a past or of the last origin alike, from nothing that came after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foregate.modeling.segment_paths import Floats
from foregate.modeling.series import History, Indices

FEATURES = (
    "horizon",
    "weekday",
    "day_of_month",
    "month",
    "segment",
    "age",
    "level",
    "mean_7",
    "mean_28",
    "mean_365",
    "same_weekday",
    "trend",
    "total_28",
)
LEVEL = FEATURES.index("level")
LEVEL_DAYS, QUARTER, WEEKS = 90, 91, 8
# An age without an end is the day's number, which no day to come has had before: trees can only learn it by heart.
MOST_AGE = 365
UNIX_EPOCH = 719_163


def features(history: History, origin_index: int, horizons: ArrayLike) -> Floats:
    """Return [segments x horizons, features] what is known at the end of an origin's day of days that follow it.

    Segments with a series that lives at the origin, in order, each with all horizons (days ahead, at least 1), in
    the columns `FEATURES`. Of the day itself: `horizon`, `weekday` (0 Monday), `day_of_month`, `month`. Of the
    segment's totals (series that live at the origin) up to the origin: `age` in days, a year at most; `level`, the
    mean of a day in the last 90, above 0; relative to the level: `mean_7`, `mean_28`, `mean_365` of the last so many
    days and `same_weekday` of the last eight days of the day's weekday; `trend`, the log of the last 91 days over the
    91 before. `total_28`: all segments' last 28 days relative to their levels. A window that reaches back beyond the
    birth has the days since. Never NaN. The same function serves training and forecasts, and cuts the history at the
    origin first: what came later can not enter. ValueError for an origin that is no column or a horizon below 1.

    >>> from datetime import date
    >>> steady = History(np.full((1, 40), 3), date(2025, 3, 3), np.zeros(1, int), np.full(1, 40), np.zeros(1, int))
    >>> dict(zip(FEATURES, features(steady, 39, [1])[0].round(1).tolist(), strict=True))["month"]
    3.0
    """
    ahead = np.asarray(horizons, dtype=np.int64).reshape(-1)
    if ahead.size == 0 or ahead.min() < 1:
        raise ValueError(f"the horizons {ahead.tolist()} are not all at least 1 day ahead")
    return Known.at(history.until(origin_index)).features(origin_index, ahead)


@dataclass(frozen=True)
class Known:
    """The totals of each segment's living series, summed up day by day, for one set of living series.

    `through` [segments, days + 1] are the totals before each day, `stepped` [segments, days + 7] the same over days
    of one weekday; `born` [segments] is the first birth, `index` [segments] the super-segments.
    """

    through: Floats
    stepped: Floats
    born: Indices
    index: Indices
    first: int

    @classmethod
    def at(cls, history: History, origin_index: int | None = None) -> Known:
        """Return the totals of the series that live at an origin (None: the last day), over all the days there are."""
        kept = history.days if origin_index is None else origin_index + 1
        alive = (history.born < kept) & (history.died >= kept)
        index = np.unique(history.segments[alive])
        member = (history.segments == index[:, None]) & alive
        totals = member.astype(np.float64) @ (history.counts * history.present())
        born = np.array([history.born[row].min() for row in member], dtype=np.int64)
        through = np.concatenate([np.zeros((index.size, 1)), np.cumsum(totals, axis=1)], axis=1)
        stepped = np.concatenate([np.zeros((index.size, 7)), totals], axis=1)
        for day in range(7, stepped.shape[1]):
            stepped[:, day] += stepped[:, day - 7]
        return cls(through, stepped, born, index, history.last.toordinal() - history.days + 1)

    def totals(self, days: Indices) -> Floats:
        """Return [segments, days] the totals of given days."""
        return np.asarray(self.through[:, days + 1] - self.through[:, days])

    def mean(self, end: int, window: int) -> tuple[Floats, Floats]:
        """Return [segments] the sum and the number of the days in a window that ends before `end`, births heeded."""
        start = np.clip(end - window, np.minimum(self.born, end), None)
        sums = self.through[:, end] - self.through[np.arange(self.born.size), start]
        return sums, (end - start).astype(np.float64)

    def features(self, origin: int, ahead: Indices) -> Floats:
        """Return the matrix of `features`, reading no day after the origin."""
        end = origin + 1
        sums, days = self.mean(end, LEVEL_DAYS)
        level = (sums + 0.5) / (days + 1)
        market, market_days = self.mean(end, 28)
        known = {
            "segment": self.index.astype(np.float64),
            "age": np.minimum(end - self.born, MOST_AGE).astype(np.float64),
            "level": level,
            "trend": self._trend(end),
            "total_28": np.full(level.size, (market.sum() + 1) / ((level * market_days).sum() + 1)),
        }
        for window in (7, 28, 365):
            found, lasted = self.mean(end, window)
            known[f"mean_{window}"] = (found + 1) / (level * lasted + 1)
        matrix = np.empty((level.size, ahead.size, len(FEATURES)))
        for name, values in known.items():
            matrix[:, :, FEATURES.index(name)] = values[:, None]
        for name, row in self._calendar(origin + ahead, ahead).items():
            matrix[:, :, FEATURES.index(name)] = row
        matrix[:, :, FEATURES.index("same_weekday")] = self._same_weekday(origin, ahead, level)
        return matrix.reshape(-1, len(FEATURES))

    def _trend(self, end: int) -> Floats:
        (late, late_days), (both, both_days) = self.mean(end, QUARTER), self.mean(end, 2 * QUARTER)
        early_days = both_days - late_days
        expected = np.divide(late_days * (both - late), early_days, out=late.copy(), where=early_days > 0)
        return np.asarray(np.log((late + 1) / (expected + 1)))

    def _calendar(self, days: Indices, ahead: Indices) -> dict[str, NDArray[np.int64]]:
        ordinals = self.first + days
        dates = (ordinals - UNIX_EPOCH).astype("datetime64[D]")
        months = dates.astype("datetime64[M]")
        return {
            "horizon": ahead,
            "weekday": (ordinals + 6) % 7,
            "day_of_month": (dates - months.astype("datetime64[D]")).astype(np.int64) + 1,
            "month": months.astype(np.int64) % 12 + 1,
        }

    def _same_weekday(self, origin: int, ahead: Indices, level: Floats) -> Floats:
        last = origin + ahead - 7 * -(-ahead // 7)
        weeks = np.clip((last - self.born[:, None]) // 7 + 1, 0, WEEKS)
        before = last - 7 * weeks
        row = np.arange(level.size)[:, None]
        sums = self.stepped[row, np.maximum(last, -7) + 7] - self.stepped[row, np.maximum(before, -7) + 7]
        return np.asarray((sums + 1) / (level[:, None] * weeks + 1))


class Shift(NamedTuple):
    """How a feature differs between two matrices: shares of NaN, and how far quantiles moved.

    `moved` is the largest distance of the 5 %, 50 % and 95 % quantiles over the spread between the first matrix's
    outer two; 0 where both are constant and equal, infinite where a constant changed; NaN where one is all NaN.
    `constant` says that the second has one value only where the first has several.
    """

    feature: str
    null_before: float
    null_after: float
    moved: float
    constant: bool


def feature_shift(train: ArrayLike, serve: ArrayLike, names: Sequence[str] = FEATURES) -> tuple[Shift, ...]:
    """Return each feature's shift from the training to the serving matrix, both [rows, features].

    Some features of a single origin are constant or moved by their nature (segment's level, month); a rise in the
    share of NaN never is natural. ValueError when the shapes do not fit each other or the names, or a matrix is empty.

    >>> found = feature_shift([[1.0], [2.0], [3.0]], [[np.nan], [2.0], [np.nan]], ["lag_7"])[0]
    >>> found.null_before, round(found.null_after, 2), found.constant
    (0.0, 0.67, True)
    """
    before, after = np.asarray(train, dtype=np.float64), np.asarray(serve, dtype=np.float64)
    if before.ndim != 2 or before.shape[1:] != after.shape[1:] or before.shape[1] != len(names):
        raise ValueError(f"matrices of {before.shape} and {after.shape} for {len(names)} features")
    if 0 in (before.shape[0], after.shape[0]):
        raise ValueError("one of the matrices has no row")
    return tuple(_shift(name, before[:, place], after[:, place]) for place, name in enumerate(names))


def _shift(name: str, before: Floats, after: Floats) -> Shift:
    known, found = before[~np.isnan(before)], after[~np.isnan(after)]
    nulls = 1 - known.size / before.size, 1 - found.size / after.size
    if known.size == 0 or found.size == 0:
        return Shift(name, *nulls, float("nan"), False)
    expected, seen = (np.quantile(values, (0.05, 0.5, 0.95)) for values in (known, found))
    farthest, spread = float(np.abs(seen - expected).max()), float(expected[2] - expected[0])
    moved = farthest / spread if spread > 0 else (0.0 if farthest == 0 else float("inf"))
    return Shift(name, *nulls, moved, bool(np.ptp(found) == 0 < np.ptp(known)))
