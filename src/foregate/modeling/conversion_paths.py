"""Paths of the next stage: entities still open, and those that the upstream paths bring, convert day by day."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from foregate.metrics.estimate import Floats, Integers
from foregate.modeling.cohorts import Cohorts
from foregate.modeling.conversion import Conversion, Drawn

Paths = NDArray[np.int32]
# Cells drawn at once: what bounds the memory, about 100 bytes each.
AT_ONCE = 500_000


class _Cells(NamedTuple):
    """So many `entities` of a `series` in one `draw`, of an `age` at the origin (negative: to come) may convert."""

    draw: Integers
    series: Integers
    age: Integers
    entities: Integers


def conversion_paths(
    conversion: Conversion,
    cohorts: Cohorts,
    upstream: NDArray[np.integer],
    rng: np.random.Generator,
    moves: Floats | None = None,
) -> Paths:
    """Return joint integer paths of conversions on the days after the origin [draws, series, horizon].

    `upstream` [draws, series, horizon] are paths of entries on the same days. Each draw has rates and a delay of its
    own, so sums over days or series hold the error of both. An entity open at age a converts at age a + j with
    p f(a + j) / (1 - p F(a)), one that enters later with p f(j); every entity converts once at most, and never beyond
    the delay's limit. `moves` [series, next series], with rows of shares that sum to 1, is where the conversions of a
    series are counted in the next stage: by default where they came from. ValueError when shapes disagree, an entry is
    negative, moves are no shares, or the cohorts have other series than the conversion.
    """
    _refuse_strange(conversion, cohorts, upstream)
    draws, series, horizon = upstream.shape
    drawn = conversion.draw(rng, draws, ahead=horizon / 2)
    share = None if moves is None else _running(moves, series)
    landed = np.zeros((draws, series if share is None else share.shape[1], horizon), dtype=np.int32)
    cell, count = _open(cohorts, conversion.delay.limit)
    at_once = max(1, AT_ONCE // (cell.size + series * horizon))
    for first in range(0, draws, at_once):
        part = slice(first, first + at_once)
        there = landed[part]
        cells = _joined(_still_open(cell, count, there.shape[0], conversion.delay.limit), _to_come(upstream[part]))
        _convert(cells, Drawn(drawn.rates[part], drawn.shown[part]), share, there, rng)
    return landed


def _refuse_strange(conversion: Conversion, cohorts: Cohorts, upstream: NDArray[np.integer]) -> None:
    series = int(conversion.channel.size)
    if upstream.ndim != 3 or 0 in upstream.shape or not {upstream.shape[1], cohorts.n_series} == {series}:
        raise ValueError(
            f"the upstream paths have shape {upstream.shape}, the cohorts {cohorts.n_series} series and the conversion "
            f"{series}; wanted [draws, series, horizon] and the same series"
        )
    if upstream.dtype.kind not in "iu" or upstream.min() < 0:
        raise ValueError("the upstream paths are no counts; wanted whole numbers of at least 0")


def _running(moves: Floats, series: int) -> Floats:
    """Return the running shares of each row of the moves, the last exactly 1."""
    found = np.asarray(moves, dtype=np.float64)
    if found.ndim != 2 or found.shape[0] != series or not (found >= 0).all():
        raise ValueError(
            f"the moves have shape {found.shape}; wanted shares of at least 0, a row for each of {series} series"
        )
    if not np.allclose(found.sum(axis=1), 1.0, atol=1e-9):
        raise ValueError("some row of the moves does not sum to 1; wanted each conversion counted once")
    running = np.cumsum(found, axis=1)
    running[running >= 1 - 1e-9] = 1.0
    return running


def _open(cohorts: Cohorts, limit: int) -> tuple[Integers, Integers]:
    """Return the cells, series times limit plus age, of entities that may still convert, and how many are in each."""
    there = ~cohorts.is_converted & (cohorts.ages < limit)
    return np.unique(cohorts.series[there] * limit + cohorts.ages[there], return_counts=True)


def _still_open(cell: Integers, count: Integers, draws: int, limit: int) -> _Cells:
    draw = np.repeat(np.arange(draws), cell.size)
    return _Cells(draw, *(np.tile(part, draws) for part in (cell // limit, cell % limit, count)))


def _to_come(upstream: NDArray[np.integer]) -> _Cells:
    draw, series, day = np.nonzero(upstream)
    return _Cells(draw, series, -1 - day, upstream[draw, series, day].astype(np.int64))


def _joined(first: _Cells, second: _Cells) -> _Cells:
    return _Cells(*(np.concatenate(parts) for parts in zip(first, second, strict=True)))


def _convert(cells: _Cells, drawn: Drawn, share: Floats | None, landed: Paths, rng: np.random.Generator) -> None:
    """Add the conversions of the cells to `landed`: how many within the horizon, then on which day, then where."""
    horizon = landed.shape[2]
    draws, days = drawn.shown.shape
    # Shares shown at ages -horizon .. limit + horizon: none before the entry, all beyond the limit.
    shown = np.concatenate([np.zeros((draws, horizon)), drawn.shown, np.ones((draws, horizon))], axis=1)
    before = shown[cells.draw, cells.age + horizon]
    within = shown[cells.draw, cells.age + 2 * horizon] - before
    rate = drawn.rates[cells.draw, cells.series]
    chance = np.clip(rate * within / np.maximum(1 - rate * before, 1e-12), 0.0, 1.0)
    each = np.repeat(np.arange(cells.entities.size), rng.binomial(cells.entities, chance))
    # Adding its number to each draw's curve makes one rising row of them all, in which one search finds every day.
    rising = (shown + np.arange(draws)[:, None]).ravel()
    reached = before[each] + rng.random(each.size) * within[each] + cells.draw[each]
    place = np.searchsorted(rising, reached, side="right") - cells.draw[each] * shown.shape[1]
    first = np.maximum(cells.age[each], -1) + 1
    day = np.clip(place - horizon, first, cells.age[each] + horizon) - cells.age[each] - 1
    np.add.at(landed, (cells.draw[each], _moved(cells.series[each], share, rng), day), 1)


def _moved(series: Integers, share: Floats | None, rng: np.random.Generator) -> Integers:
    if share is None:
        return series
    rising = (share + np.arange(share.shape[0])[:, None]).ravel()
    place = np.searchsorted(rising, series + rng.random(series.size), side="right")
    return np.asarray(place - series * share.shape[1], dtype=np.int64)
