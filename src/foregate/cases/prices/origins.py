"""Origins: on which past days rules are chosen, and which are sealed until they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foregate.cases.prices.quotes import Market
from foregate.cases.prices.settings import PricesSettings
from foregate.cases.prices.tracks import Track

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Split:
    """Which origins [H, T] of a track are open, to choose on, and which are sealed; both have their outcome by now.

    An origin is open when its outcome came before the first sealed day: an embargo as long as the horizon lies between.
    """

    open: Flags
    sealed: Flags


def split(track: Track, settings: PricesSettings) -> Split:
    """Return the open and the sealed origins of a track: the last `test_days` days are sealed, burn-in is neither.

    >>> from types import SimpleNamespace
    >>> some = SimpleNamespace(price=np.ones(10), horizons=(1, 3), realised=np.zeros((2, 10)))
    >>> found = split(some, SimpleNamespace(test_days=4, burn_in_days=2))
    >>> found.open.sum(axis=1), found.sealed.sum(axis=1)
    (array([3, 1]), array([4, 4]))
    """
    at = np.arange(track.price.size)
    ahead = np.array(track.horizons)[:, None]
    first_sealed = track.price.size - settings.test_days
    matured = np.isfinite(track.realised)
    opened = (at >= settings.burn_in_days) & (at + ahead < first_sealed) & matured
    return Split(np.asarray(opened), np.asarray((at >= first_sealed) & matured))


def sealed_window(market: Market, settings: PricesSettings) -> str:
    """Return the sealed days of all series as `first..last`: windows that overlap have rows in common.

    >>> from types import SimpleNamespace
    >>> days = np.datetime64("2025-01-01") + np.arange(9)
    >>> some = SimpleNamespace(quotes={"oil": SimpleNamespace(days=days)})
    >>> sealed_window(some, SimpleNamespace(test_days=3))
    '2025-01-07..2025-01-09'
    """
    first = min(one.days[max(0, one.days.size - settings.test_days)] for one in market.quotes.values())
    last = max(one.days[-1] for one in market.quotes.values())
    return f"{first}..{last}"
