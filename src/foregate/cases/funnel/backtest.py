"""The backtest: every candidate of every stage from every origin, by the function that serves, and who is chosen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from foregate.cases.funnel.candidates import COMPLEXITY, NAIVE, allowed
from foregate.cases.funnel.events import Events
from foregate.cases.funnel.forecasting import Followed, Known, Paths, stage_paths
from foregate.cases.funnel.levels import Level, levels
from foregate.cases.funnel.panel import actuals
from foregate.cases.funnel.scoring import COMPONENTS, Floats, Ints, Pit, losses, pits
from foregate.cases.funnel.settings import FunnelSettings
from foregate.metrics.diebold import diebold_mariano

SCALE = "mean_90"
DOUBT = 0.10


@dataclass(frozen=True)
class Race:
    """What the candidates of one stage lost: `losses` [candidates, origins, components], in events of mean CRPS."""

    stage: str
    candidates: tuple[str, ...]
    days: tuple[date, ...]
    losses: Floats
    overlap: int

    def relative(self, scale: Floats | None = None) -> Floats:
        """Return [candidates, origins] each loss over that of the 90-day mean, components weighted alike.

        The scale is the 90-day mean's loss in each component over all origins, so that no quiet origin weighs more.
        """
        base = self.losses[self.candidates.index(SCALE)].mean(axis=0) if scale is None else scale
        return np.asarray((self.losses / np.where(base > 0, base, 1.0)).mean(axis=-1))

    def of(self, candidate: str) -> Floats:
        """Return [origins] the relative losses of a candidate."""
        return np.asarray(self.relative()[self.candidates.index(candidate)])


@dataclass(frozen=True)
class Choice:
    """Who forecasts a stage, and why nobody else: the chosen, the best of the naive ones, and the reason in words."""

    candidate: str
    naive: str
    words: str


class Past:
    """Past origins of a funnel: what was known on each and what came after it, read once and kept."""

    def __init__(self, events: Events, settings: FunnelSettings, days: Sequence[date], seed: int) -> None:
        self.settings, self.seed = settings, seed
        self.events = events
        self.days = tuple(days)
        self.known = {day: Known.on(events, settings, day) for day in days}
        self.levels: tuple[Level, ...] = levels(events)
        self._paths: dict[tuple[date, str, str, int], Paths] = {}
        self._today = Known(events, settings)
        self._followed: dict[tuple[str, str], Followed | None] = {}

    def paths(self, day: date, stage: str, choices: Mapping[str, str], horizon: int | None = None) -> Paths:
        """Return the paths of a stage from an origin, those of the stages before it by their chosen candidates.

        `horizon`: days, by default those of a forecast; a race is run over the days that are scored and no further.
        """
        ahead = self.settings.horizon_days if horizon is None else horizon
        key = (day, stage, choices[stage], ahead)
        if key not in self._paths:
            names = list(self.settings.stages)
            place = names.index(stage)
            before = {names[place - 1]: self.paths(day, names[place - 1], choices, ahead)} if place else {}
            followed = self._follow(stage, choices[stage])
            self._paths[key] = stage_paths(
                self.known[day], stage, choices[stage], before, ahead, self.settings.draws, self.seed, followed
            )
        return self._paths[key]

    def _follow(self, stage: str, candidate: str) -> Followed | None:
        """Return today's history followed by a candidate that can: one pass serves every origin it was known on."""
        key = (stage, candidate)
        if key not in self._followed:
            self._followed[key] = Followed.of(candidate, self._today.history(stage))
        return self._followed[key]

    def forget(self, stage: str, but: str) -> None:
        """Let go of the paths of a stage that nobody else needs."""
        self._paths = {k: v for k, v in self._paths.items() if k[1] != stage or k[2] == but}

    def actual(self, day: date, stage: str, days: int | None = None) -> Ints:
        """Return [series, days] what came after an origin: the days scored, or as many as are complete by now."""
        first = self.known[day].last + timedelta(days=1)
        complete = (self._today.last - first).days + 1
        wanted = min(complete, self.settings.horizon_days) if days is None else days
        return actuals(self.events, stage, first, first + timedelta(days=wanted - 1))

    def race(self, stage: str, choices: Mapping[str, str], overlap: int, only: Iterable[str] = ()) -> Race:
        """Return what each candidate of a stage lost from each origin; the stages before it stand as chosen."""
        names = tuple(only) or allowed(self.settings, stage)
        days = self.settings.score_days
        found = np.zeros((len(names), len(self.days), len(COMPONENTS)))
        for at, candidate in enumerate(names):
            for row, day in enumerate(self.days):
                drawn = self.paths(day, stage, {**choices, stage: candidate}, days)
                found[at, row] = losses(drawn, self.actual(day, stage, days), self.levels)
        return Race(stage, names, self.days, found, overlap)

    def pits(self, stage: str, choices: Mapping[str, str]) -> dict[tuple[str, str], Pit]:
        """Return where in the chosen candidate's paths the outcomes came, by level and grain, over all origins.

        A level at which nothing could come and nothing came has no entry.
        """
        found: dict[tuple[str, str], Pit] = {}
        for place, day in enumerate(self.days):
            came = self.actual(day, stage)
            rng = np.random.default_rng([self.seed, day.toordinal(), len(stage)])
            drawn = self.paths(day, stage, choices)[..., : came.shape[-1]]
            for key, pit in pits(drawn, came, self.levels, place, rng).items():
                found[key] = found[key].joined(pit) if key in found else pit
        return {key: pit for key, pit in found.items() if pit.values.size}


def choose(race: Race) -> Choice:
    """Return who forecasts a stage: the simplest that no other beats beyond doubt.

    The naive one with the least loss stands until the best of the others beats it, one-sided Diebold-Mariano at 10 %
    over origins; then the simplest that beats the naive one too and that the best does not beat in turn is taken.
    """
    mean = dict(zip(race.candidates, race.relative().mean(axis=1).tolist(), strict=True))
    naive = min((c for c in race.candidates if c in NAIVE), key=lambda c: mean[c])
    others = [c for c in race.candidates if c not in NAIVE]
    best = min(others, key=lambda c: mean[c], default=naive)
    doubt = _doubt(race, best, naive)
    told = f"{best} loses {mean[best]:.3f} against {naive}'s {mean[naive]:.3f}" if others else "only naive ones race"
    if not others or not doubt < DOUBT:
        words = f"{told} (p {doubt:.2f}): no better beyond doubt, the simpler one stays" if others else told
        return Choice(naive, naive, words)
    able = [c for c in others if _doubt(race, c, naive) < DOUBT and not _doubt(race, best, c) < DOUBT]
    chosen = min(able, key=lambda c: (COMPLEXITY[c], mean[c]))
    simpler = f"; {chosen}, simpler, can not be told from it" if chosen != best else ""
    return Choice(chosen, naive, f"{told} (p {doubt:.3f}){simpler}")


def _doubt(race: Race, one: str, other: str) -> float:
    """Return the chance of a difference as large if `one` were no better than `other`; 1 when they are the same."""
    if one == other:
        return 1.0
    found = diebold_mariano(race.of(one), race.of(other), race.overlap, "less")
    return 1.0 if np.isnan(found.p_value) else found.p_value
