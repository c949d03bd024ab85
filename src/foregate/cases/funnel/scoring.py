"""Scoring: how far sample paths lay from what came, at every level, and where in the paths it came."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from foregate.cases.funnel.levels import GRAINS, Level, blocks_of
from foregate.metrics.forecast import crps, randomised_pit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Component(NamedTuple):
    """One part of the loss: sums at a level, of single days or of all days scored."""

    level: str
    grain: str

    def __str__(self) -> str:
        return f"{self.level} {self.grain}"


# A manager reads sums; a day of one source is where coherence and zeros are tested. Equal weights, fixed beforehand.
COMPONENTS = (
    Component("source", "day"),
    Component("source", "sum"),
    Component("segment", "sum"),
    Component("total", "sum"),
)


def losses(paths: NDArray[np.integer], actual: Ints, of: Sequence[Level]) -> Floats:
    """Return the mean CRPS of each component, in events: [components] of paths [draws, series, days] and what came."""
    by = {level.name: level for level in of}
    found = []
    for component in COMPONENTS:
        drawn, came = by[component.level].sums(paths), by[component.level].sums(actual)
        if component.grain == "sum":
            drawn, came = drawn.sum(axis=-1), came.sum(axis=-1)
        found.append(float(crps(drawn, came).mean()))
    return np.array(found)


class Pit(NamedTuple):
    """Randomised PIT values of one stage's past forecasts at a level and grain, with the origin each came from."""

    values: Floats
    origins: Ints

    def joined(self, other: Pit) -> Pit:
        """Return both together."""
        return Pit(np.concatenate([self.values, other.values]), np.concatenate([self.origins, other.origins]))


def pits(
    paths: NDArray[np.integer], actual: Ints, of: Sequence[Level], origin: int, rng: np.random.Generator
) -> dict[tuple[str, str], Pit]:
    """Return the PIT values of one origin's paths by level and grain; a grain longer than what came has none.

    A series that no draw gives an event and that had none says nothing of calibration: its days are left out.
    """
    found = {}
    for level in of:
        drawn, came = level.sums(paths), level.sums(actual)
        for grain in GRAINS:
            blocks = blocks_of(grain, came.shape[-1])
            if not blocks:
                continue
            sums = np.stack([drawn[..., block].sum(axis=-1) for block in blocks], axis=-1)
            outcome = np.stack([came[..., block].sum(axis=-1) for block in blocks], axis=-1)
            told = (sums.max(axis=0) > 0) | (outcome > 0)
            values = randomised_pit(sums[:, told], outcome[told], rng)
            found[level.name, grain] = Pit(values, np.full(values.size, origin))
    return found
