"""From one stage of a funnel to the next: a share that converts, hierarchical, times how late conversions show."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from foregate.metrics.estimate import Estimate, Floats, Integers
from foregate.metrics.inputs import share_of
from foregate.metrics.rates import rate
from foregate.modeling.cohorts import Cohorts
from foregate.modeling.conversion_delay import ENOUGH, LIMIT, ConversionDelay, fit_delay
from foregate.modeling.conversion_rates import (
    Betas,
    Family,
    Standing,
    Strengths,
    evidence_of,
    family_of,
    mean_of,
    mixed,
    standing_of,
    strengths_of,
)

HALF_LIVES = (math.inf, 240.0, 120.0, 60.0)
BLOCK_DAYS = 28
BLOCKS = 12
MATURE = 0.9
# Draws behind an interval of a rate, and their seed: the same conversion always tells the same interval.
DRAWS, SEED = 400, 1
# Cells times draws at once: what bounds the memory, about 50 bytes each.
AT_ONCE = 4_000_000


class Drawn(NamedTuple):
    """Joint draws of what is not known: `rates` [draws, series] and `shown`, the delay curves [draws, limit + 1]."""

    rates: Floats
    shown: Floats


class Published(NamedTuple):
    """A rate fit to be shown: what was counted when `completeness` allows it, else completed by the model.

    `completeness` is the expected share of the conversions of these entries that has shown; `words` says which it is.
    """

    estimate: Estimate
    completeness: float
    is_completed: bool
    words: str


@dataclass(frozen=True)
class Conversion:
    """P(converted by age a) = p F(a): F, the `delay`, one for all; p of each series, shrunk to channel and total.

    `channel` [series]; `known`: conversions and open entities by series, weighted 2^(-age / half_life); `strengths`:
    what the parents' rates are worth; `half_life` in days, infinite for a rate taken as constant; `entries`, `hits` and
    `exposure` [series]: entries, conversions, and entries times the completeness of their ages, none of them weighted.
    `words` say which fallbacks were taken.
    """

    delay: ConversionDelay
    channel: Integers
    known: Standing
    strengths: Strengths
    half_life: float
    entries: Integers
    hits: Integers
    exposure: Floats
    words: tuple[str, ...] = ()

    @cached_property
    def _family(self) -> Family:
        return family_of(self.known, self.channel, self.strengths, self.delay.delay.shown[None], mean_of)

    @cached_property
    def _mixture(self) -> Betas:
        rng = np.random.default_rng(SEED)
        return self._betas(self.known, self.delay.draw(rng, DRAWS), rng)

    @property
    def rates(self) -> Floats:
        """Return the expected share of each series' entries that ever converts, in (0, 1) [series]."""
        return np.asarray(mean_of(*self._family.series)[0], dtype=np.float64)

    @property
    def parents(self) -> Floats:
        """Return the expected rate of each series' channel [series]: what its own is shrunk to."""
        return np.asarray(self._family.channels[0][self.channel], dtype=np.float64)

    @property
    def own(self) -> Betas:
        """Return what each series' own data say, as hits and misses of mature entities [1, series]; 0 for nothing."""
        return evidence_of(self.known, self.delay.delay.shown[None])

    def rate(self, series: int, level: float = 0.95) -> Estimate:
        """Return the share of the series' entries that ever converts, in [0, 1], with its posterior interval.

        The interval holds the error of the counts, of the parents' rates and of the delay. `rows` counts the series'
        entries: none gives the channel's rate, with an interval as wide as series differ.
        """
        only = slice(series, series + 1)
        mixture = Betas(self._mixture.hits[:, only], self._mixture.misses[:, only])
        return mixed(self.rates[only], mixture, self.entries[only], level)[0]

    def published(self, series: int, level: float = 0.95) -> Published:
        """Return the counted rate where at least 0.9 of the conversions have shown, else the completed one, flagged."""
        entries, hits = int(self.entries[series]), int(self.hits[series])
        share = float(self.exposure[series]) / entries if entries else 0.0
        if share >= MATURE:
            return Published(rate(hits, entries, level), share, False, f"{hits:,} of {entries:,}, counted")
        words = f"{hits:,} of {entries:,} so far, completed: {share:.0%} of conversions have shown"
        return Published(self.rate(series, level), share, True, words if entries else "no entries: its channel's rate")

    def completeness(self, age: ArrayLike) -> Floats:
        """Return the expected share of conversions that has shown by ages in whole days [ages], 1 beyond the limit.

        ValueError for ages that are negative or not finite.
        """
        return self.delay.delay.shown_by(np.atleast_1d(np.asarray(age)))

    def mature_days(self, share: float = MATURE) -> int:
        """Return the first age in days by which that share of conversions has shown; ValueError outside (0, 1]."""
        return int(np.argmax(self.delay.delay.shown >= share_of(share) * (1 - 1e-12)))

    def draw(self, rng: np.random.Generator, draws: int, ahead: float = 0.0) -> Drawn:
        """Return joint draws of rates and delay: the error of a channel, of the total and of the delay is shared.

        `ahead` days after the origin the evidence has aged by as much: a rate that drifts is less known later. It
        changes nothing where the half-life is infinite.
        """
        shown = self.delay.draw(rng, draws)
        known = self.known.times(2.0 ** (-ahead / self.half_life))
        return Drawn(rng.beta(*self._betas(known, shown, rng)), shown)

    def _betas(self, known: Standing, shown: Floats, rng: np.random.Generator) -> Betas:
        """Return the posteriors of the series' rates, one for each delay curve and drawn parents [draws, series]."""
        parts = np.array_split(shown, -(-shown.shape[0] * max(1, known.age.size) // AT_ONCE))
        found = [family_of(known, self.channel, self.strengths, part, rng.beta).series for part in parts]
        return Betas(*(np.concatenate(side) for side in zip(*found, strict=True)))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "delay": self.delay.to_json(),
            "channel": self.channel.tolist(),
            "known": {name: values.tolist() for name, values in self.known._asdict().items()},
            "strengths": list(self.strengths),
            "half_life": self.half_life if math.isfinite(self.half_life) else None,
            "entries": self.entries.tolist(),
            "hits": self.hits.tolist(),
            "exposure": self.exposure.tolist(),
            "words": list(self.words),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Conversion:
        """Return the conversion that `to_json` wrote."""
        known = raw["known"]
        return cls(
            ConversionDelay.from_json(raw["delay"]),
            np.array(raw["channel"], np.int64),
            Standing(
                np.array(known["converted"], np.float64),
                np.array(known["group"], np.int64),
                np.array(known["age"], np.int64),
                np.array(known["entities"], np.float64),
            ),
            Strengths(*raw["strengths"]),
            math.inf if raw["half_life"] is None else float(raw["half_life"]),
            np.array(raw["entries"], np.int64),
            np.array(raw["hits"], np.int64),
            np.array(raw["exposure"], np.float64),
            tuple(raw["words"]),
        )


def fit_conversion(cohorts: Cohorts, half_life: float | None = None, limit: int = LIMIT) -> Conversion:
    """Return the conversion of the cohorts: the delay pooled over all, the rates by series, channel and total.

    `half_life`: days after which an entity counts half; None chooses by the log score of past forecasts. `limit`: the
    longest delay in days. Zero conversions or zero entries give wide rates and say so in `words`; nothing is NaN.
    ValueError for a half-life or limit that is not above 0. Boag 1949 (cure model); Chapelle 2014 (delayed feedback).

    >>> told = fit_conversion(Cohorts([0] * 200, [0] * 100 + [90] * 100, [5] * 60 + [-1] * 140, 92, [0]), half_life=60)
    >>> round(told.rate(0).value, 2), told.mature_days(), told.completeness([2, 9]).round(2)
    (0.59, 5, array([0.01, 1.  ]))
    """
    if half_life is not None and not half_life > 0:
        raise ValueError(f"the half-life is {half_life} days; wanted a number above 0")
    delay = fit_delay(cohorts, limit)
    shown = delay.delay.shown
    words = delay.words
    if half_life is None:
        half_life, why = _half_life(cohorts, shown)
        words = (*words, why)
    known = standing_of(cohorts, shown, half_life)
    return Conversion(
        delay,
        cohorts.channel,
        known,
        strengths_of(known, cohorts.channel, shown[None]),
        half_life,
        np.bincount(cohorts.series, minlength=cohorts.n_series),
        np.bincount(cohorts.series[cohorts.is_converted], minlength=cohorts.n_series),
        np.bincount(cohorts.series, shown[np.minimum(cohorts.ages, limit)], cohorts.n_series).astype(np.float64),
        words + _empty(cohorts),
    )


def _empty(cohorts: Cohorts) -> tuple[str, ...]:
    if not cohorts.series.size:
        return ("no entries: rates are a guess between 0 and 1",)
    return () if cohorts.is_converted.any() else ("no conversions: rates are known from above only",)


def _half_life(cohorts: Cohorts, shown: Floats) -> tuple[float, str]:
    """Return the half-life under which past days would have foretold the conversions of the days after them best.

    Entries of 28 days after each of up to 12 past origins, scored as far as they are known now. A finite one must beat
    "constant" by more than the standard error of its gain, and by a unit of log score: it costs evidence.
    """
    origins = [cohorts.origin - BLOCK_DAYS * back for back in range(1, BLOCKS + 1)]
    pasts = [past for past in map(cohorts.known_at, origins) if np.count_nonzero(past.is_converted) >= ENOUGH]
    if len(pasts) < 3:
        return math.inf, "too few past days to tell whether the rate drifts: every day counts the same"
    strengths = strengths_of(standing_of(cohorts, shown), cohorts.channel, shown[None])
    scores = np.array([[_score(cohorts, past, shown, h, strengths) for past in pasts] for h in HALF_LIVES])
    gains = scores - scores[0]
    errors = np.std(gains, axis=1, ddof=1) * math.sqrt(len(pasts))
    best = int(np.argmax(gains.sum(axis=1)))
    if gains[best].sum() <= max(1.0, float(errors[best])):
        best = 0
    said = (
        f"every day counts the same, by {len(pasts)} past forecasts"
        if best == 0
        else (f"an entry counts half after {HALF_LIVES[best]:g} days, by {len(pasts)} past forecasts")
    )
    return HALF_LIVES[best], said


def _score(cohorts: Cohorts, past: Cohorts, shown: Floats, half_life: float, strengths: Strengths) -> float:
    known = standing_of(past, shown, half_life)
    rates = mean_of(*family_of(known, cohorts.channel, strengths, shown[None], mean_of).series)[0]
    seen = standing_of(cohorts.entered_within(past.origin + 1, past.origin + BLOCK_DAYS), shown)
    open_yet = 1 - rates[seen.group] * shown[seen.age]
    return float(seen.converted @ np.log(rates) + seen.entities @ np.log(np.maximum(open_yet, 1e-12)))
