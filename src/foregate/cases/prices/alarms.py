"""Alarms: what only a leak explains, skill that no market leaves and errors that do not grow with the horizon."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from foregate.cases.prices.scoring import Flags, naive_errors
from foregate.cases.prices.tracks import Floats, Track
from foregate.core.evidence import Evidence
from foregate.modeling.measured import Measured

MONTH_DAYS = 21
PLAUSIBLE, REVIEWED = 0.30, 0.15


def alarms(made: Measured, track: Track, names: Sequence[str], said: Floats, rows: Flags) -> Iterator[Evidence]:
    """Yield the counts of horizons at which the forecast, or an expert, is too good, and at which errors stay flat.

    `said` [H, T] is the forecast, `rows` [H, T] the origins that count; names are those of the horizons.
    """
    naive, ours = naive_errors(track), track.errors(said)
    each = [ours, *(track.errors(track.predicted[..., k]) for k in range(len(track.experts)))]
    best = [max(saved(one[r], naive[r], rows[r]) for one in each) for r in range(len(names))]
    count, what = int(rows.sum()), "saved of no-change's error, by the forecast or an expert"
    far = [h >= MONTH_DAYS for h in track.horizons]
    wild = [f"{n} {b:.0%}" for n, b, long in zip(names, best, far, strict=True) if long and b > PLAUSIBLE]
    yield made.count("implausible_skill", len(wild), count, track.name, _named(what, wild))
    doubtful = [f"{n} {b:.0%}" for n, b in zip(names, best, strict=True) if b > REVIEWED]
    yield made.count("doubtful_skill", len(doubtful), count, track.name, _named(what, doubtful))
    yield _flat(made, track, names, ours, rows)


def saved(ours: Floats, naive: Floats, rows: Flags) -> float:
    """Return the share of no-change's mean absolute error that is saved on some origins; 0 where nothing is known.

    >>> saved(np.array([1.0, 1.0]), np.array([2.0, 2.0]), np.array([True, True]))
    0.5
    """
    known = rows & np.isfinite(ours) & np.isfinite(naive)
    return float(1 - ours[known].mean() / naive[known].mean()) if known.any() and naive[known].any() else 0.0


def _flat(made: Measured, track: Track, names: Sequence[str], ours: Floats, rows: Flags) -> Evidence:
    known = rows & np.isfinite(ours)
    maes = [float(one[kept].mean()) if kept.any() else np.nan for one, kept in zip(ours, known, strict=True)]
    flat = [
        f"{names[at]} {maes[at]:.3g} after {maes[at - 1]:.3g}"
        for at in range(1, len(names))
        if maes[at] <= maes[at - 1]
    ]
    return made.count("flat_errors", len(flat), int(rows.sum()), track.name, _named("mean absolute error", flat))


def _named(what: str, found: Sequence[str]) -> str:
    return f"{what}: {', '.join(found)}" if found else ""
