"""A healthy year: what the monitor would measure of a version whose intervals hold and that errs as no-change does."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from foregate.app.opened import Healthy
from foregate.app.prices.issuing import issues_of
from foregate.cases.prices.forecasting import Told
from foregate.cases.prices.outcomes import Outcomes, daily, estimates
from foregate.core.errors import NotAllowedError
from foregate.core.evidence import Evidence
from foregate.modeling.measured import Measured

if TYPE_CHECKING:
    from foregate.app.prices.case import Prices

Floats = NDArray[np.float64]
SESSIONS, FIRST_DAY = 252, date(2025, 1, 1)
NOISE = 0.05
"""A simulated forecast strays from no-change by so many standard deviations of the return: it knows nothing."""
ESTIMATED = frozenset({"issued_mae_ratio", "issued_coverage_50", "issued_coverage_80", "issued_coverage_95"})


def healthy(app: Prices, version: str, only: set[str], multiplier: float = 1.0) -> Healthy:
    """Return a year of the monitor's readings of a version whose forecasts hold, moves times `multiplier`.

    Prices are drawn as a random walk with each series' volatility of the newest issue; the version issues on every
    trading day, with intervals as wide as the walk. Readings are daily; intervals and ratios are estimated weekly.
    """
    written = issues_of(app, version, app.clock().date())
    if not written:
        raise NotAllowedError(
            f"volume of {version}",
            found="nothing issued",
            wanted="one forecast at least",
            then="`foregate forecast prices`",
        )
    newest = written[-1]
    promised = {key: one.get("mape", math.nan) for key, one in app.package(version).errors.items()}

    def year(seed: int) -> Iterator[tuple[date, Sequence[Evidence]]]:
        rng = np.random.default_rng(seed)
        paths = {one.key: _path(one, rng, multiplier) for one in newest.told}
        for session in range(SESSIONS):
            day = FIRST_DAY + timedelta(days=session * 7 // 5)
            made = Measured(day, "simulated")
            found: list[Evidence] = []
            for key, whole in paths.items():
                one = _until(whole, SESSIONS + session)
                found += daily(made, one, promised.get(key, math.nan))
                if only & ESTIMATED and session % 5 == 0:
                    found += estimates(made, one)
            yield day, found

    told = ", ".join(f"{one.key} {one.spread:.1%}" for one in newest.told)
    return Healthy(year, f"a standard deviation of {told}, issued every trading day")


def _path(one: Told, rng: np.random.Generator, multiplier: float) -> Outcomes:
    """Return two years of issues of one horizon over a random walk, and what came of all of them."""
    count = 2 * SESSIONS
    daily_deviation = one.spread / math.sqrt(one.days)
    steps = rng.normal(0, daily_deviation * multiplier, count + one.days)
    price = one.price * np.exp(np.cumsum(steps) - steps[0])
    levels = tuple(one.bounds)
    wide = np.array([_quantile(level) for level in levels])[:, None] * one.spread
    start = price[:count]
    return Outcomes(
        key=one.key,
        days=one.days,
        levels=levels,
        at=np.arange(count),
        price=start,
        forecast=start * np.exp(NOISE * one.spread * rng.normal(size=count)),
        spread=np.full(count, one.spread),
        lower=start * np.exp(-wide),
        upper=start * np.exp(wide),
        came=price[one.days :],
    )


def _quantile(level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(0.5 + level / 2))


def _until(whole: Outcomes, session: int) -> Outcomes:
    """Return what of a path is known on a session: issues of the year before it, those that have fallen due by then."""
    first = max(0, session - SESSIONS - whole.days)
    kept = slice(first, session)
    due = whole.at[kept] + whole.days <= session
    return Outcomes(
        whole.key,
        whole.days,
        whole.levels,
        whole.at[kept],
        whole.price[kept],
        whole.forecast[kept],
        whole.spread[kept],
        whole.lower[:, kept],
        whole.upper[:, kept],
        np.where(due, whole.came[kept], np.nan),
    )
