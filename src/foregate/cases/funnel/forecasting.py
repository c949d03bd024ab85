"""The forecast: one function of what was known on a day; backtests, runs, issues and rollbacks call no other."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foregate.cases.funnel.candidates import FLAT, LINKED, Link, candidate_of, on_its_weekdays
from foregate.cases.funnel.events import NOBODY, Events, day_number, linked
from foregate.cases.funnel.panel import last_complete, panel
from foregate.cases.funnel.settings import FunnelSettings
from foregate.modeling.cohorts import Cohorts
from foregate.modeling.series import History

Paths = NDArray[np.int32]
STAYING = 5.0


@dataclass(frozen=True)
class Known:
    """What was known of a funnel on a day: its panels and cohorts are made of nothing else."""

    events: Events
    settings: FunnelSettings
    histories: dict[str, History] = field(default_factory=dict, compare=False, repr=False)
    links: dict[str, Link] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def on(cls, events: Events, settings: FunnelSettings, day: date) -> Known:
        """Return what was known at the end of a day."""
        return cls(events if day == events.as_of else events.known_at(day), settings)

    @property
    def day(self) -> date:
        """The day of the knowledge."""
        return self.events.as_of

    @property
    def last(self) -> date:
        """The last day whose counts are complete; the forecast begins with the day after it."""
        return last_complete(self.day, self.settings.complete_after_days)

    def history(self, stage: str) -> History:
        """Return a stage's daily counts."""
        if stage not in self.histories:
            self.histories[stage] = panel(self.events, stage, self.day, self.settings)
        return self.histories[stage]

    @cached_property
    def channel(self) -> NDArray[np.int64]:
        """The place of each series' channel."""
        names = self.events.channels
        return np.array([names.index(one.channel) for one in self.events.series], dtype=np.int64)

    def cohorts(self, upstream: str, downstream: str) -> Cohorts:
        """Return who entered a stage and who of them had reached the next; days count from the first entry."""
        found = self.events.cohorts(upstream, downstream, self.last)
        first = int(found.entered.min()) if len(found) else day_number(self.last)
        converted = np.where(found.converted >= 0, found.converted - first, -1)
        return Cohorts(found.series, found.entered - first, converted, day_number(self.last) - first, self.channel)

    def link(self, upstream: str, downstream: str) -> Link:
        """Return what is known of the way from one stage to the next, read once."""
        if downstream not in self.links:
            cohorts, moves = self.cohorts(upstream, downstream), self.moves(upstream, downstream)
            self.links[downstream] = Link(cohorts, moves, self.history(downstream), {})
        return self.links[downstream]

    def moves(self, upstream: str, downstream: str) -> NDArray[np.float64] | None:
        """Return [series, next series] where conversions are counted, as shares; None where all stay in their series.

        A series with few conversions mostly stays: its own place has the weight of `STAYING` further ones.
        """
        end = day_number(self.last)
        entries, events = self.events.stages[upstream], self.events.stages[downstream]
        entries, events = entries.where(entries.entity != NOBODY), events.where(events.day <= end)
        place, _ = linked(entries, events)
        there = place >= 0
        source, target = entries.series[place[there]], events.series[there]
        if (source == target).all():
            return None
        found = np.eye(len(self.events.series)) * STAYING
        np.add.at(found, (source, target), 1.0)
        return np.asarray(found / found.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class Forecast:
    """Joint sample paths of every stage: `paths` [draws, series, horizon] for the days after `last`.

    `day` is the day of the knowledge, `last` the last complete day then.
    """

    day: date
    last: date
    paths: Mapping[str, Paths]

    @property
    def first(self) -> date:
        """The first day that is forecast."""
        return self.last + timedelta(days=1)

    @property
    def horizon(self) -> int:
        """How many days are forecast."""
        return int(next(iter(self.paths.values())).shape[-1])


def forecast(known: Known, choices: Mapping[str, str], horizon: int, draws: int, seed: int) -> Forecast:
    """Return the joint paths of every stage by its chosen candidate, stage after stage; the same every time."""
    paths: dict[str, Paths] = {}
    for stage in known.settings.stages:
        paths[stage] = stage_paths(known, stage, choices[stage], paths, horizon, draws, seed)
    return Forecast(known.day, known.last, paths)


def stage_paths(
    known: Known,
    stage: str,
    candidate: str,
    before: Mapping[str, Paths],
    horizon: int,
    draws: int,
    seed: int,
    followed: Followed | None = None,
) -> Paths:
    """Return one candidate's paths of a stage [draws, series, horizon].

    A candidate that converts the stage before takes that stage's paths from `before`; the others look at the stage's
    own counts. The chance of each comes from the seed, the stage, the candidate and the day, and from nothing else.
    `followed`: a longer history that the candidate has followed already, of which what is known here is the beginning.
    """
    rng = np.random.default_rng([seed, _code(stage), _code(candidate), known.day.toordinal()])
    if candidate in LINKED:
        names = list(known.settings.stages)
        upstream = names[names.index(stage) - 1]
        return LINKED[candidate](known.link(upstream, stage), before[upstream], rng)
    history = known.history(stage)
    if followed is not None and followed.begins_with(history):
        return followed.paths(history.days - 1, horizon, draws, rng)
    found = candidate_of(candidate).paths(history, horizon, draws, rng)
    return on_its_weekdays(history, found, rng) if candidate in FLAT else found


class Followed:
    """A history that a candidate has followed in one pass, day by day: every evening of it can be forecast from."""

    def __init__(self, candidate: Any, history: History) -> None:
        self.history = history
        self.paths: Callable[[int, int, int, np.random.Generator], Paths] = candidate.filtered(history).paths

    @classmethod
    def of(cls, candidate: str, history: History) -> Followed | None:
        """Return the history followed, or None for a candidate that can only look back from one day."""
        found = None if candidate in LINKED else candidate_of(candidate)
        return cls(found, history) if hasattr(found, "filtered") else None

    def begins_with(self, early: History) -> bool:
        """Return whether an earlier knowledge is exactly the beginning of what was followed: nothing came late."""
        if early.days > self.history.days or early.series != self.history.series:
            return False
        cut = self.history.until(early.days - 1)
        same = (np.array_equal(getattr(cut, name), getattr(early, name)) for name in ("counts", "born", "died"))
        return cut.last == early.last and all(same)


def _code(text: str) -> int:
    return zlib.crc32(text.encode())
