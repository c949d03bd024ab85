"""Boosted trees at day x super-segment: direct for every horizon, from nothing but what was known at the origin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from foregate.modeling.segment_features import FEATURES, LEVEL, Known, feature_shift, features
from foregate.modeling.segment_paths import (
    MOST_LEVEL_VARIANCE,
    Floats,
    Outlook,
    flat_outlook,
    joint_paths,
    living_segments,
)
from foregate.modeling.series import History, Indices

__all__ = ["FEATURES", "TREES", "SegmentTrees", "feature_shift", "features", "training_rows"]

# Of fewer days nothing is learned of a week beside a trend.
LEAST_DAYS = 120
FIRST_ORIGIN = 28
ORIGINS, HORIZONS, ROWS = 240, 14, 16_000
LEAST_HELD, MOST_HELD, HELD_STEP = 42, 180, 9
ROUNDS, STOP_AFTER = 300, 20
# Three standard deviations, squared.
REWEIGHTED, FAR = 4, 9.0
LENGTHS, BEHIND = (1, 7, 28), 12
SETTINGS: Mapping[str, Any] = {
    "objective": "count:poisson",
    "eval_metric": "poisson-nloglik",
    "tree_method": "hist",
    "max_depth": 3,
    "eta": 0.05,
    "min_child_weight": 30.0,
    "subsample": 0.8,
    "colsample_bytree": 0.8,
    "lambda": 5.0,
    "nthread": 1,
}


class Rows(NamedTuple):
    """Pairs of an origin and a later day: features [rows, features], the day's count, the origin's and day's column."""

    matrix: Floats
    counts: Floats
    origins: Indices
    days: Indices

    def where(self, kept: NDArray[np.bool_]) -> Rows:
        """Return some of the rows."""
        return Rows(self.matrix[kept], self.counts[kept], self.origins[kept], self.days[kept])


def training_rows(history: History, horizon: int, rng: np.random.Generator) -> Rows:
    """Return pairs of a past origin and a day after it that is over too, for every segment with a living series.

    Up to 240 origins spread over the past, for each up to 14 of the days ahead, drawn one from each stretch of the
    horizon. The count is that of the series that lived at the origin, as a forecast from there would be judged.
    """
    origins = np.unique(np.linspace(FIRST_ORIGIN, history.days - 2, ORIGINS).astype(np.int64))
    segments = np.unique(history.segments).size
    wanted = int(np.clip(ROWS // (origins.size * segments), 4, HORIZONS))
    edges = np.linspace(0, horizon, min(wanted, horizon) + 1)
    drawn = np.floor(edges[:-1] + rng.random((origins.size, edges.size - 1)) * np.diff(edges)).astype(np.int64) + 1
    return _rows(history, {int(origin): ahead for origin, ahead in zip(origins, drawn, strict=True)})


def _rows(history: History, asked: Mapping[int, Indices]) -> Rows:
    """Return the rows of some days ahead of some origins, the days beyond the last one left out."""
    kept: dict[bytes, Known] = {}
    parts = []
    for origin, ahead in asked.items():
        over = ahead[origin + ahead < history.days]
        living = ((history.born <= origin) & (history.died > origin)).tobytes()
        if living not in kept:
            kept[living] = Known.at(history, origin)
        known = kept[living]
        days = np.tile(origin + over, known.index.size)
        counts = known.totals(origin + over).reshape(-1)
        parts.append(Rows(known.features(origin, over), counts, np.full(days.size, origin), days))
    return Rows(*(np.concatenate(column) for column in zip(*parts, strict=True)))


class Errors(NamedTuple):
    """How wrong trees were about a segment on late origins they had not seen, in the terms of `Outlook`."""

    dispersion: float
    level: float
    step: float


@dataclass(frozen=True)
class SegmentTrees:
    """Poisson trees for the daily totals of all segments, shared out to the living series.

    A row is a past origin and a day ahead of it, so training asks exactly what a forecast asks and nothing is fed
    back. The trees say by what factor the day will differ from the segment's level, the mean of its last 90 days.
    They stop early on late origins; dispersion and the level's doubt are those of the same late origins; then all
    rows are fitted with as many trees. Less than 120 days, or a past without events: the mean of the last 90 days.
    """

    name: str = "segment_trees"
    complexity: int = 6

    def paths(self, history: History, horizon: int, draws: int, rng: np.random.Generator) -> NDArray[np.int32]:
        """Return [draws, series, horizon] joint integer paths, the same for the same state of the generator."""
        segments = living_segments(history, horizon)
        outlooks = {s.index: flat_outlook(s.totals, s.weekdays, horizon) for s in segments}
        young = {s.index for s in segments if s.totals.size < FIRST_ORIGIN}
        if history.days >= LEAST_DAYS and len(young) < len(segments):
            learned = self._learned(history, horizon, rng)
            outlooks |= {index: outlook for index, outlook in learned.items() if index not in young}
        return joint_paths(history, outlooks, horizon, draws, rng)

    def _learned(self, history: History, horizon: int, rng: np.random.Generator) -> dict[int, Outlook]:
        rows = training_rows(history, horizon, rng)
        held = int(np.clip(history.days // 4, LEAST_HELD, MOST_HELD))
        cut = history.days - 1 - held
        early = rows.where(rows.days <= cut)
        late = _rows(history, {o: np.arange(1, horizon + 1) for o in range(cut, history.days - 1, HELD_STEP)})
        if early.counts.sum() == 0 or late.counts.sum() == 0:
            return {}
        seed = int(rng.integers(2**31))
        stopped = _fit(early, seed, ROUNDS, late)
        errors = measured_errors(late, stopped.means(late.matrix))
        trees = _fit(rows, seed, stopped.trees, None)
        asked = features(history, history.days - 1, np.arange(1, horizon + 1))
        told = zip(asked[::horizon], trees.means(asked).reshape(-1, horizon), strict=True)
        found = {int(row[FEATURES.index("segment")]): (float(row[LEVEL]), means) for row, means in told}
        return {index: _outlook(*one, errors[index]) for index, one in found.items() if index in errors}


def _outlook(level: float, means: Floats, errors: Errors) -> Outlook:
    # Ninety days of counts do not tell a level any better than this, whatever a few late origins say.
    least = 1 / (90 * level + 0.5)
    return Outlook(means, errors.dispersion, max(errors.level, least), errors.step)


class _Fitted(NamedTuple):
    booster: Any
    trees: int

    def means(self, matrix: Floats) -> Floats:
        found = self.booster.predict(_data(matrix, None), iteration_range=(0, self.trees))
        return np.asarray(found, dtype=np.float64)


def _fit(rows: Rows, seed: int, rounds: int, late: Rows | None) -> _Fitted:
    import xgboost as xgb

    watched = [] if late is None else [(_data(late.matrix, late), "late")]
    stopper = [] if late is None else [xgb.callback.EarlyStopping(rounds=STOP_AFTER)]
    booster = xgb.train(
        {**SETTINGS, "seed": seed},
        _data(rows.matrix, rows),
        num_boost_round=rounds,
        evals=watched,
        callbacks=stopper,
        verbose_eval=False,
    )
    return _Fitted(booster, rounds if late is None else int(booster.best_iteration) + 1)


def _data(matrix: Floats, told: Rows | None) -> Any:
    import xgboost as xgb

    found = xgb.DMatrix(matrix, base_margin=np.log(matrix[:, LEVEL]), feature_names=list(FEATURES))
    if told is not None:
        found.set_label(told.counts)
        found.set_weight(_weights(told))
    return found


def _weights(rows: Rows) -> Floats:
    """Return [rows] the Poisson's variance over the counts' own in each segment, at most 1: a quasi-likelihood.

    Without it a segment that books by the busload would speak for all.
    """
    groups = rows.matrix[:, FEATURES.index("segment")].astype(np.int64)
    levels = rows.matrix[:, LEVEL]
    spread, noise = np.bincount(groups, (rows.counts - levels) ** 2), np.bincount(groups, levels)
    return np.asarray((noise / np.maximum(np.maximum(spread, noise), 1e-9))[groups])


def measured_errors(rows: Rows, means: Floats) -> dict[int, Errors]:
    """Return by moments how wrong means were of each segment: dispersion, the level's variance, its growth a day.

    `rows` have whole stretches of days ahead of each origin. The relative squared error of a day, and of the sums
    of 7 and of 28 days, less its Poisson noise, is regressed (at least 0 each) on what one dispersion would give it,
    on 1, and on the days ahead: a dispersion fades in sums, a wrong level does not. Each weighs by what it should
    vary, by the fit before: a sum of many days tells more of the level than a day. A segment's level is drawn to the
    segments' median, each of the weight of its events, by as much as twelve sums of 28 days.
    """
    groups = rows.matrix[:, FEATURES.index("segment")].astype(np.int64)
    parts = [_moments(rows, means, groups, length) for length in LENGTHS]
    design, side, noise, group, months = (np.concatenate(part) for part in zip(*parts, strict=True))
    indices = np.unique(groups)
    own = np.array([_weighted(design[group == i], side[group == i], noise[group == i]) for i in indices])
    events = np.bincount(groups, means)[indices].astype(np.float64)
    pooled = np.array([_middle(column, events) for column in own.T])
    found = {}
    for place, index in enumerate(indices):
        told = float(months[group == index].sum())
        level, step = ((told * own[place] + BEHIND * pooled) / (told + BEHIND))[1:].tolist()
        level = min(level, MOST_LEVEL_VARIANCE)
        days = groups == index
        ahead = (rows.days - rows.origins)[days].astype(np.float64)
        mean, came = means[days], rows.counts[days]
        excess = float(((came - mean) ** 2 - mean - mean**2 * (level + step * (ahead - 1))).sum())
        size = float((mean**2).sum()) / excess if excess > 0 else float("inf")
        found[int(index)] = Errors(size, level, step)
    return found


def _middle(values: Floats, weights: Floats) -> float:
    """Return the least value that values of half the weight do not exceed."""
    order = np.argsort(values, kind="stable")
    through = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(through, through[-1] / 2)])


def _weighted(design: Floats, side: Floats, noise: Floats) -> Floats:
    from scipy.optimize import nnls

    # The squared error of a sum varies as its own expectation does; one event's worth keeps rare sums quiet.
    expected = noise + 1
    for _ in range(REWEIGHTED):
        # A segment that was next to nothing and then came alive is no measure of how well levels are known.
        told = np.minimum(side, FAR * expected)
        found, _ = nnls(design / expected[:, None], told / expected)
        expected = noise + design @ found
    return np.asarray(found)


def _moments(
    rows: Rows, means: Floats, groups: Indices, length: int
) -> tuple[Floats, Floats, Floats, Indices, NDArray[np.bool_]]:
    """Return of sums of so many days: the regressors [sums, 3], what they are to explain, and the Poisson's part.

    Then the segment of each, and whether it is one of 28 days with an event to expect.
    """
    ahead = rows.days - rows.origins
    keys = np.stack([rows.origins, groups, (ahead - 1) // length], axis=1)
    named, place, size = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    place = place.reshape(-1)
    foretold, came, squares, days = (np.bincount(place, x) for x in (means, rows.counts, means**2, ahead))
    # The mean of a walk over some days varies less than the walk on their middle day does.
    walked = days / length - (length + 1) / 2 + (length - 1) * (2 * length - 1) / (6 * length)
    whole = (size == length) & (foretold > 0)
    mean, found = foretold[whole], came[whole]
    regressors = np.stack([squares[whole] / mean**2, np.ones(mean.size), walked[whole]], axis=1)
    told = (mean > 1) & (length == LENGTHS[-1])
    return regressors, ((found - mean) ** 2 - mean) / mean**2, 1 / mean, named[whole, 1], told


TREES: Mapping[str, SegmentTrees] = {"segment_trees": SegmentTrees()}
