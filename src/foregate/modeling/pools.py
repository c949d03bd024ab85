"""Linear pools: several forecasters in one, each draw whole from one of them, weighed by what they lost before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foregate.modeling.counts import COUNT_FILTER
from foregate.modeling.naive import MEAN_90, SEASONAL_NAIVE, Candidate
from foregate.modeling.series import History

REPLICATES = 2_000
# Independent origins that must be seen before the losses count for half.
HALF_BELIEVED = 12.0


@dataclass(frozen=True)
class Pool:
    """A candidate that takes each of its draws, over all series and days, from one member: a mixture of them.

    `weights` are shares of the draws, one for each member, sum 1. ValueError for other weights or no member.
    """

    members: tuple[Candidate, ...]
    weights: tuple[float, ...]
    name: str = "pool"
    complexity: int = 7

    def __post_init__(self) -> None:
        fits = len(self.members) == len(self.weights) > 0 and all(w >= 0 for w in self.weights)
        if not fits or abs(sum(self.weights) - 1) > 1e-6:
            raise ValueError(f"{len(self.members)} members and weights {self.weights}; wanted shares that sum to 1")
        if len({member.name for member in self.members}) < len(self.members):
            raise ValueError("two members of the pool have one name")

    def paths(self, history: History, horizon: int, draws: int, rng: np.random.Generator) -> NDArray[np.int32]:
        """Return [draws, series, horizon] joint counts: from each member its share of the draws, in random order."""
        found = np.empty((draws, history.series, horizon), dtype=np.int32)
        places = rng.permutation(draws)
        start = 0
        for member, share in zip(self.members, shares_of_draws(self.weights, draws, rng), strict=True):
            if share:
                found[places[start : start + share]] = member.paths(history, horizon, share, rng)
            start += share
        return found

    def to_json(self) -> dict[str, Any]:
        """Return the pool as data: its name and the weight of each member by name."""
        weights = {member.name: weight for member, weight in zip(self.members, self.weights, strict=True)}
        return {"name": self.name, "weights": weights}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], candidates: Mapping[str, Candidate]) -> Pool:
        """Return the pool that `to_json` wrote; KeyError for a member that is no longer among the candidates."""
        weights: Mapping[str, float] = data["weights"]
        members = tuple(candidates[name] for name in weights)
        return cls(members, tuple(float(weight) for weight in weights.values()), str(data["name"]))


def shares_of_draws(weights: Sequence[float], draws: int, rng: np.random.Generator) -> list[int]:
    """Return how many draws each member gives: its weight's share to within one draw, right in the mean.

    Systematic sampling, Madow 1949.

    >>> sum(shares_of_draws([0.3, 0.3, 0.4], 7, np.random.default_rng(1)))
    7
    """
    edges = np.minimum(np.cumsum(weights), 1.0)
    edges[-1] = 1.0
    points = (np.arange(draws) + rng.random()) / draws
    return [int(n) for n in np.diff(np.searchsorted(points, edges), prepend=0)]


def pool_weights(losses: ArrayLike, rng: np.random.Generator, overlap: int = 1) -> tuple[float, ...]:
    """Return the members' weights from their losses [members, origins] at past origins: at least 0, sum 1.

    A member's weight is the chance that its mean loss is the least, by the Bayesian bootstrap over origins (Rubin
    1981; as model weights: Yao et al. 2018), drawn towards equal weights by 12 / (12 + independent origins): few
    origins can not tell members apart. `overlap` is how many neighbouring origins share outcomes and are drawn as one.
    Losses must be of a proper score in one unit; ValueError for a NaN loss, no origin or no member.

    >>> even = pool_weights([[1.0], [1.0]], np.random.default_rng(1))
    >>> worse = pool_weights([[1.0] * 36, [2.0] * 36], np.random.default_rng(1))
    >>> [round(w, 3) for w in even], [round(w, 3) for w in worse]
    ([0.5, 0.5], [0.875, 0.125])
    """
    lost = np.asarray(losses, dtype=np.float64)
    if lost.ndim != 2 or 0 in lost.shape or np.isnan(lost).any():
        raise ValueError(f"losses of shape {lost.shape}; wanted a number for each member and origin")
    blocks = np.arange(lost.shape[1]) // max(1, overlap)
    independent = int(blocks[-1]) + 1
    drawn = rng.standard_exponential((REPLICATES, independent))[:, blocks]
    means = drawn @ lost.T
    least = np.isclose(means, means.min(axis=1, keepdims=True), rtol=1e-12, atol=0)
    told = (least / least.sum(axis=1, keepdims=True)).mean(axis=0)
    equal = HALF_BELIEVED / (HALF_BELIEVED + independent)
    weights = (1 - equal) * told + equal / len(lost)
    return tuple(float(w) for w in weights / weights.sum())


POOL = Pool((COUNT_FILTER, MEAN_90, SEASONAL_NAIVE), (0.5, 0.25, 0.25))
