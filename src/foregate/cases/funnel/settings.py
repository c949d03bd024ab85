"""`[funnel]` of foregate.toml: the stages and their own dates, the segments, the origins, the gates that are moved."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from datetime import date
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from foregate.core.errors import ConfigurationError, DataError
from foregate.core.gate import Gate
from foregate.lifecycle.alerts import AlertSettings
from foregate.lifecycle.moved import GateMove, moved
from foregate.lifecycle.plan import ForecastRollout
from foregate.warehouse.sources import MEASURED, Source

# Fewer past forecasts tell no candidate from another (Diebold-Mariano).
LEAST_OPEN = 8
_STAGE_NAME = re.compile(r"^[a-z_]+$")


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Stage(_Settings):
    """One stage: which rows of which source are its events, and the stage's own date of each.

    `id`: what is counted once, however many rows bear it. `on`: the stage's own date; a row without it has not entered.
    `channel` and `source_name`: the columns that make a series. `entity`: what links an event to the previous stage's
    (the id, if not said). `known`: the column that says since when the event is known; else what [sources.NAME]
    declares of the column or the row, else the day it happened. `only`: a condition that a row must meet; a row that
    meets it and has no date is an error of the data. `reported_on`: the date by which reports count the stage, if that
    is another column: months are then compared. `candidates`: who may forecast this stage, if not the funnel's list.
    """

    source: str
    id: str
    on: str
    channel: str = "channel"
    source_name: str = "source_name"
    entity: str | None = None
    known: str | None = None
    only: str | None = None
    reported_on: str | None = None
    candidates: tuple[str, ...] | None = None

    @property
    def links_by(self) -> str:
        """The column that links an event to the previous stage's: `entity`, else the id."""
        return self.entity or self.id

    def columns(self) -> dict[str, str]:
        """Return key -> column for every column that the stage names, in the order of the keys."""
        keys = ("id", "on", "channel", "source_name", "entity", "known", "reported_on")
        return {key: str(getattr(self, key)) for key in keys if getattr(self, key) is not None}


class FunnelSettings(_Settings):
    """One funnel: how many events each stage will see, by channel and source.

    `stages`: in their order. `segments`: each super-segment's sources, every source in exactly one; `unmapped`: a
    source in none stops the run. `renamed`: a source's old name -> the name under which it goes on. `origins` rolling
    origins, `origin_step_days` apart; the last `test_origins` are sealed until candidates are chosen. `score_days`: the
    sum of how many days is scored. `draws`: sample paths of a forecast. `train_start`: the first day whose counts are
    whole; `train_days`: at most so much history before an origin. `complete_after_days`: days until a day's counts are
    complete; an origin's own day never is. `fresh_days`: how old each stage's newest event may be. `candidates`: who
    may forecast; empty means all that are shipped.
    """

    horizon_days: int = Field(default=90, ge=1, le=366)
    origins: int = Field(default=24, ge=1, le=400)
    test_origins: int = Field(default=8, ge=1)
    min_origins: int = 12
    origin_step_days: int = Field(default=14, ge=1)
    score_days: int = Field(default=28, ge=1)
    draws: int = Field(default=400, ge=100, le=20_000)
    train_start: date | None = None
    train_days: int | None = Field(default=None, ge=60)
    complete_after_days: int = Field(default=0, ge=0, le=366)
    fresh_days: int | None = Field(default=None, ge=0)
    stages: dict[str, Stage]
    segments: dict[str, tuple[str, ...]]
    unmapped: Literal["refuse"] = "refuse"
    renamed: dict[str, str] = Field(default_factory=dict)
    candidates: tuple[str, ...] = ()
    gates: dict[str, GateMove] = Field(default_factory=dict)
    alerts: AlertSettings = AlertSettings()
    rollout: ForecastRollout = ForecastRollout()

    @field_validator("min_origins")
    @classmethod
    def _enough_to_tell(cls, origins: int) -> int:
        if origins < 12:
            raise ValueError("say at least 12: on fewer origins no forecast can be told from luck")
        return origins

    @field_validator("stages")
    @classmethod
    def _stages_named(cls, stages: dict[str, Stage]) -> dict[str, Stage]:
        if not stages:
            raise ValueError("no stage: say at least one, as [funnel.stages.mql]")
        for name in stages:
            if not _STAGE_NAME.match(name):
                raise ValueError(f"a stage named {name!r}: say a name of a to z and _")
        return stages

    @field_validator("segments")
    @classmethod
    def _one_segment_each(cls, segments: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        listed = Counter(source for sources in segments.values() for source in sources)
        if not listed:
            raise ValueError('no segment lists a source: say at least one, as Outbound = ["Purchased List"]')
        twice = next((source for source, times in listed.items() if times > 1), None)
        if twice is not None:
            there = [segment for segment, sources in segments.items() if twice in sources]
            raise ValueError(f"{twice!r} in {' and in '.join(there)}: say every source once, in one segment")
        return segments

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.origins < self.min_origins:
            raise ValueError(f"origins = {self.origins}: say at least min_origins, {self.min_origins}")
        if self.origins - self.test_origins < LEAST_OPEN:
            most = self.origins - LEAST_OPEN
            raise ValueError(f"test_origins = {self.test_origins}: say at most origins less {LEAST_OPEN}, {most}")
        if self.score_days > self.horizon_days:
            raise ValueError(f"score_days = {self.score_days}: say at most horizon_days, {self.horizon_days}")
        self._check_renamed()
        return self

    def _check_renamed(self) -> None:
        """Raise ValueError for a source renamed in a chain, or to or from a name that contradicts the segments."""
        listed = self.segment_of()
        for old, new in self.renamed.items():
            if new in self.renamed:
                raise ValueError(f"renamed {old!r} to {new!r}, itself renamed: say the last name for both")
            if old in listed:
                raise ValueError(f"{old!r} both renamed and in segment {listed[old]}: say only its present name there")
            if new not in listed:
                raise ValueError(f"renamed {old!r} to {new!r}, which is in no segment: say one that a segment lists")

    def segment_of(self) -> dict[str, str]:
        """Return source -> its super-segment."""
        return {source: segment for segment, sources in self.segments.items() for source in sources}

    def candidates_of(self, stage: str) -> tuple[str, ...]:
        """Return who may forecast a stage; empty means all that are shipped."""
        own = self.stages[stage].candidates
        return self.candidates if own is None else own

    def pairs(self) -> list[tuple[str, str]]:
        """Return each stage with the one after it."""
        names = list(self.stages)
        return list(zip(names, names[1:], strict=False))

    def moved(self, gate: Gate) -> Gate:
        """Return the gate as this project wants it."""
        return moved(gate, self.gates)


def check_stages(
    settings: FunnelSettings, sources: Mapping[str, Source], there: Mapping[str, Mapping[str, str]], file: str
) -> None:
    """Raise an error that names the stage and key for a source or column that is not there, or a day that is none.

    `there`: column names and engine types by source, as `bind` returns them. Raises ConfigurationError for a source
    that is not declared, or that does not say since when its rows are known, and DataError for its columns.
    """
    for name, stage in settings.stages.items():
        place = f"{file} [funnel.stages.{name}]"
        if stage.source not in sources:
            raise ConfigurationError(
                f"{place} source",
                found=repr(stage.source),
                wanted=f"one of {', '.join(sources)}",
                then="Declare the table as [sources.NAME], or correct the name.",
            )
        _check_columns(stage, there[stage.source], place)
        _check_known(stage, sources[stage.source], place)


def _check_columns(stage: Stage, there: Mapping[str, str], place: str) -> None:
    for key, column in stage.columns().items():
        if column not in there:
            raise DataError(
                f"{place} {key}",
                found=f"no column `{column}` in source {stage.source}",
                wanted=f"one of {', '.join(there)}",
                then="Correct the name, or the data.",
            )
        if key in {"on", "known", "reported_on"} and not there[column].upper().startswith(("DATE", "TIMESTAMP")):
            raise DataError(
                f"{place} {key}",
                found=f"`{column}` of type {there[column]}",
                wanted="a date or a timestamp",
                then="Cast it in a query source, as in select strptime(day, '%d.%m.%Y')::date as day, ...",
            )


def _check_known(stage: Stage, source: Source, place: str) -> None:
    if stage.known or stage.on in source.late():
        return
    if source.known_after == MEASURED:
        raise ConfigurationError(
            f"{place} known",
            found=f'source {stage.source} with known_after = "{MEASURED}"',
            wanted="a lag in days, or the column that says since when an event is known",
            then="Say known = ... on the stage, or a lag on the source.",
        )
    if source.current_state:
        raise ConfigurationError(
            f"{place} known",
            found=f"source {stage.source}, which holds today's state and no history",
            wanted="the column that says since when an event is known",
            then=f'Say known = "{stage.on}" if an event is known on the day it happens.',
        )
