"""Intervals that hold what they say: read at other probabilities, as past outcomes teach."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from foregate.metrics.coverage import effective_rows
from foregate.metrics.estimate import Floats
from foregate.metrics.inputs import probabilities_of

# Every nominal level in whole percent has both its probabilities on this grid of 0.005.
STEPS = 200
LEAST_ROWS = 20
PRIOR_ROWS = 50.0


def _least_reaching(pit: Floats, weight: float, prior: float, wanted: Floats) -> Floats:
    """Return, for each wanted, the least u whose weight * (values up to u) + prior * u reaches it; 1 where none."""
    first = np.searchsorted(weight * np.arange(1, pit.size + 1) + prior * pit, wanted - 1e-9)
    missing = np.maximum(0.0, wanted - weight * first)
    by_prior = missing / prior if prior > 1e-9 else np.ones(wanted.size)
    found: Floats = np.minimum(np.minimum(by_prior, np.append(pit, 1.0)[first]), 1.0)
    return found


def _effective(pit: Floats, blocks: ArrayLike | None) -> float:
    if blocks is None:
        return float(pit.size)
    regions = (pit <= 0.5, np.abs(pit - 0.5) <= 0.25, np.abs(pit - 0.5) <= 0.475)
    return min(effective_rows(region, blocks) for region in regions)


@dataclass(frozen=True, slots=True)
class Recalibration:
    """The probabilities at which to read sample paths so that their quantiles hold what they say.

    One for each level of the hierarchy and bucket of horizons. `reads` are the probabilities to read at for
    0, 0.005, ... 1; none means to read at the probability asked for. `rows` is how many past outcomes
    taught it, `effective` how many independent ones they are worth.
    """

    rows: int = 0
    effective: float = 0.0
    prior_rows: float = PRIOR_ROWS
    reads: tuple[float, ...] = ()

    @classmethod
    def fit(cls, pit: ArrayLike, prior_rows: float = PRIOR_ROWS, blocks: ArrayLike | None = None) -> Recalibration:
        """Return the recalibration that past randomised PIT values teach; fewer than 20 teach nothing.

        The values' empirical distribution shrunk to the uniform as by a Beta prior of `prior_rows` rows at
        each point, inverted: an upper quantile p reads at the least u that (n + 1) p of n values do not
        exceed, a lower one at its mirror image, the median midway. Rounding so outwards gives at least the
        nominal coverage for exchangeable outcomes where prior_rows is 0; the extra row fades as the prior
        outweighs the data. `blocks` (the origin of each value) count the values as their effective rows. Values
        must be of origins before those it will serve. ValueError for values NaN or outside 0 to 1 or a
        negative prior. Kuleshov, Fenner & Ermon 2018; ranks as in Vovk, Gammerman & Shafer 2005.

        >>> narrow = Recalibration.fit(np.repeat([0.01, 0.5, 0.99], 40), prior_rows=0)
        >>> narrow.probabilities(0.5), narrow.probabilities(0.2)
        ((0.01, 0.99), (0.5, 0.5))
        """
        if not 0 <= prior_rows < math.inf:
            raise ValueError(f"the prior counts {prior_rows} rows; wanted a finite number of at least 0")
        if np.size(pit) == 0:
            return cls(prior_rows=float(prior_rows))
        values = probabilities_of(pit, "PIT values")
        told, rows = np.sort(values), _effective(values, blocks)
        if told.size < LEAST_ROWS:
            return cls(told.size, rows, float(prior_rows))
        weight, total = rows / told.size, rows + prior_rows + rows / (rows + prior_rows)
        wanted, middle = total * np.arange(STEPS + 1) / STEPS, STEPS // 2
        upper = _least_reaching(told, weight, prior_rows, wanted)
        lower = (1 - _least_reaching(1 - told[::-1], weight, prior_rows, wanted))[::-1]
        centre = (lower[middle] + upper[middle]) / 2
        reads = np.concatenate([lower[:middle], [centre], upper[middle + 1 :]])
        # A prior next to nothing turns rounding errors into steps back.
        rising = np.maximum.accumulate(reads).round(9)
        return cls(told.size, rows, float(prior_rows), tuple(rising.tolist()))

    def probability(self, wanted: float) -> float:
        """Return the probability at which to read the draws for the quantile wanted, both in 0 to 1; monotone.

        Between steps of 0.005 on the straight line. ValueError outside 0 to 1.

        >>> Recalibration().probability(0.3)
        0.3
        """
        if not 0 <= wanted <= 1:
            raise ValueError(f"the probability is {wanted}; wanted 0 to 1")
        if not self.reads:
            return float(wanted)
        return float(np.interp(wanted * STEPS, np.arange(STEPS + 1), self.reads))

    def probabilities(self, nominal: float) -> tuple[float, float]:
        """Return where to read the two bounds of the central interval that is to hold the nominal share.

        >>> Recalibration().probabilities(0.5)
        (0.25, 0.75)
        """
        if not 0 <= nominal <= 1:
            raise ValueError(f"the nominal coverage is {nominal}; wanted 0 to 1")
        return self.probability((1 - nominal) / 2), self.probability((1 + nominal) / 2)

    def recalibrated(self, pit: ArrayLike) -> Floats:
        """Return the PIT values as they are once read so, 0 to 1: of later origins, uniform where it has helped.

        The inverse of `probability`: a value lies in the interval read for a nominal share where its
        recalibrated value lies in that central region, so that `pit_coverage` and `pit_uniformity` judge what
        is served. ValueError for values NaN or outside 0 to 1, or none.

        >>> Recalibration.fit(np.repeat([0.2, 0.8], 40), prior_rows=0).recalibrated([0.1, 0.9])
        array([0.0125, 0.9875])
        """
        told = probabilities_of(pit, "PIT values")
        return np.interp(told, self.reads, np.linspace(0, 1, STEPS + 1)) if self.reads else told

    def readable(self, nominal: float, draws: int) -> bool:
        """Return whether so many draws reach as far out as the nominal interval is to be read.

        Where not, the interval ends at the outermost draws and covers less than it says: no reading mends
        sample paths that are far too narrow; make them wider, or draw more of them.

        >>> Recalibration().readable(0.95, 400), Recalibration().readable(0.999, 400)
        (True, False)
        """
        low, high = self.probabilities(nominal)
        return min(low, 1 - high) * (draws + 1) >= 1

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "rows": self.rows,
            "effective": self.effective,
            "prior_rows": self.prior_rows,
            "reads": list(self.reads),
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Recalibration:
        """Return what `to_json` wrote; ValueError unless the reads are none, or rise from 0 to 1 in 201 steps.

        >>> Recalibration.from_json(Recalibration().to_json()) == Recalibration()
        True
        """
        reads = tuple(float(read) for read in found["reads"])
        rising = all(0 <= before <= after <= 1 for before, after in zip(reads, reads[1:], strict=False))
        if len(reads) not in (0, STEPS + 1) or not rising:
            raise ValueError(f"found {len(reads)} probabilities; wanted none, or {STEPS + 1} that rise within 0 to 1")
        return cls(int(found["rows"]), float(found["effective"]), float(found["prior_rows"]), reads)


class Matured(NamedTuple):
    """An interval's outcome: the day it was issued, the first day its outcome was known, whether it held it.

    Of small counts, `inside` is whether the randomised PIT lay in the central region then in force: raw
    counts fall inside far more often than any level says, and would teach intervals to be too narrow.
    """

    issued: date
    matured: date
    inside: bool


@dataclass(frozen=True, slots=True)
class Adaptive:
    """The share of misses to aim at so that in the long run the nominal share is held, whatever comes.

    Each outcome, on the day it matures, moves the aim by step * (1 - nominal - missed). `pending` is how
    many intervals may at most be open (issued, not matured) at once. The state may leave 0 to 1 by at most
    step * (1 + pending), the furthest that open intervals can push it, so that no long run of misses has to
    be paid back later; the aim read off it is 0 (the widest interval there is) to 1 (the median alone).
    Issue with `Recalibration.probabilities(1 - aim)`.

    If an aim of 0 always covers, then over T matured outcomes the share missed differs from the nominal by
    at most (max(nominal, 1 - nominal) + step * (1 + pending)) / (step * T); Gibbs & Candes 2021,
    proposition 4.1, with the delay's outcomes added. That is an average over time and no promise for any
    day. `through` is the day up to which matured outcomes are in the state.
    """

    nominal: float
    step: float = 0.005
    pending: int = 0
    state: float | None = None
    through: date | None = None

    def __post_init__(self) -> None:
        """Check what is declared; ValueError for a nominal or step outside (0, 1) or negative pending."""
        if not (0 < self.nominal < 1 and 0 < self.step < 1 and self.pending >= 0):
            raise ValueError(f"found {self}; wanted nominal and step strictly between 0 and 1, pending at least 0")

    @property
    def aim(self) -> float:
        """Return the share of misses to aim at now, 0 to 1.

        >>> round(Adaptive(0.95).aim, 12)
        0.05
        """
        return min(1.0, max(0.0, self._state()))

    def _state(self) -> float:
        return 1 - self.nominal if self.state is None else self.state

    def after(self, outcomes: Iterable[Matured], until: date) -> Adaptive:
        """Return the adaptive level as known on `until`, that day's matured outcomes included.

        Outcomes that mature later, or up to the day already folded, are passed over, so all outcomes may be
        given each time; they are taken by the day they matured, then issued. An outcome that comes to light
        after its day was folded is thus lost: fold afresh from the start. ValueError for an outcome matured
        before it was issued, or `until` before the day already folded.

        >>> days = [date(2025, 1, day) for day in (1, 2, 3)]
        >>> missed = [Matured(days[0], days[1], False), Matured(days[0], days[2], False)]
        >>> round(Adaptive(0.95, step=0.01).after(missed, days[1]).aim, 6)
        0.0405
        """
        if self.through is not None and until < self.through:
            raise ValueError(f"folded through {self.through}; wanted a day no earlier, found {until}")
        reach, state = self.step * (1 + self.pending), self._state()
        for outcome in sorted(outcomes, key=lambda found: (found.matured, found.issued, found.inside)):
            if outcome.matured < outcome.issued:
                raise ValueError(f"{outcome} matured before it was issued; wanted matured >= issued")
            if outcome.matured > until or (self.through is not None and outcome.matured <= self.through):
                continue
            moved = state + self.step * (1 - self.nominal - (not outcome.inside))
            state = min(1 + reach, max(-reach, moved))
        return replace(self, state=state, through=until)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        through = self.through.isoformat() if self.through else None
        return {
            "nominal": self.nominal,
            "step": self.step,
            "pending": self.pending,
            "state": self.state,
            "through": through,
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Adaptive:
        """Return what `to_json` wrote.

        >>> Adaptive.from_json(Adaptive(0.5).to_json()) == Adaptive(0.5)
        True
        """
        through = date.fromisoformat(found["through"]) if found["through"] else None
        state = None if found["state"] is None else float(found["state"])
        return cls(float(found["nominal"]), float(found["step"]), int(found["pending"]), state, through)
