"""Events: what happened in each stage, to whom, in which series, on which day, and since when it is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from foregate.cases.funnel.settings import FunnelSettings
from foregate.cases.funnel.statements import all_events
from foregate.core.errors import DataError
from foregate.core.ports import Warehouse
from foregate.warehouse.sources import Source

if TYPE_CHECKING:
    import pyarrow as pa

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

NOT_YET = -1
NOBODY = -1
_EPOCH = date(1970, 1, 1)


def day_number(day: date) -> int:
    """Return the days from 1970 to a day.

    >>> day_number(date(1970, 1, 3))
    2
    """
    return (day - _EPOCH).days


def date_of(day: int) -> date:
    """Return the day that lies a number of days after the first of 1970.

    >>> date_of(day_number(date(2025, 10, 31))).isoformat()
    '2025-10-31'
    """
    return _EPOCH + timedelta(days=int(day))


class Series(NamedTuple):
    """A bottom series: a channel and one of its sources, and the super-segment of the source."""

    channel: str
    source: str
    segment: str

    def __str__(self) -> str:
        return f"{self.channel} / {self.source}"


@dataclass(frozen=True)
class StageEvents:
    """One stage's events, arrays of one length: `series` index, `entity` code, `day`, and the day each was `known`.

    Days are days since 1970; an entity is the same code in every stage, NOBODY (-1) where the source names none;
    `known` is never before `day`. As rows, an id may stand on several in a run, the earliest first (`id` tells); as
    events, every id stands once.
    """

    id: Ints
    series: Ints
    entity: Ints
    day: Ints
    known: Ints

    def __len__(self) -> int:
        return len(self.day)

    def where(self, kept: Bools) -> StageEvents:
        """Return the events for which a mask is true."""
        return StageEvents(self.id[kept], self.series[kept], self.entity[kept], self.day[kept], self.known[kept])

    def once(self) -> StageEvents:
        """Return every id's first row: the earliest day, and of equal days the one known first."""
        first = np.ones(len(self), dtype=np.bool_)
        first[1:] = self.id[1:] != self.id[:-1]
        return self.where(first)


@dataclass(frozen=True)
class Cohorts:
    """Who entered a stage, and whether they have reached the next, arrays of one length by the day entered.

    `series` is that of the stage entered; `entered` and `converted` are days since 1970, `converted` is NOT_YET (-1)
    for whoever had not by the end of the day `last`: their outcome is open and no failure. A conversion recorded before
    its entry counts as one on the same day (`negative_delays` of `checks.py` names them).
    """

    series: Ints
    entered: Ints
    converted: Ints
    last: int

    def __len__(self) -> int:
        return len(self.entered)


@dataclass(frozen=True)
class Events:
    """Every stage's events as known on the day `as_of`.

    `series` are those of the newest knowledge, whenever read: an index means the same at every origin. `segments`
    [series] is the place of each series' super-segment in `segment_names`, which are those that have a series. `stages`
    hold every id once; `rows` hold all rows, from which an earlier day is read. `start` is the first day whose counts
    are whole, in days since 1970, None for all.
    """

    as_of: date
    series: tuple[Series, ...]
    segments: Ints
    segment_names: tuple[str, ...]
    rows: Mapping[str, StageEvents]
    stages: Mapping[str, StageEvents]
    start: int | None = None

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels, each once, in the order of the series."""
        return tuple(dict.fromkeys(one.channel for one in self.series))

    def known_at(self, day: date) -> Events:
        """Return what was known at the end of an earlier day: events of that day or before, known by then.

        An id that stands on several rows is dated by those that were known by then. ValueError for a day after
        `as_of`: nobody knows it yet.
        """
        if day > self.as_of:
            raise ValueError(f"the events are known up to {self.as_of}, not up to {day}")
        until = day_number(day)
        rows = {name: one.where((one.day <= until) & (one.known <= until)) for name, one in self.rows.items()}
        return replace(self, as_of=day, rows=rows, stages={name: one.once() for name, one in rows.items()})

    def of(self, series: Sequence[Series]) -> Events:
        """Return the events of these series, in this order, as an issue had them; events of others are left out.

        A series without events here has none.
        """
        if tuple(series) == self.series:
            return self
        wanted = {(one.channel, one.source): place for place, one in enumerate(series)}
        place = np.array([wanted.get((one.channel, one.source), -1) for one in self.series], dtype=np.int64)
        kept = {name: one.where(place[one.series] >= 0) for name, one in self.rows.items()}
        rows = {name: replace(one, series=place[one.series]) for name, one in kept.items()}
        there = dict.fromkeys((*self.segment_names, *(one.segment for one in series)))
        names = tuple(name for name in there if any(one.segment == name for one in series))
        return replace(
            self,
            series=tuple(series),
            segments=np.array([names.index(one.segment) for one in series], dtype=np.int64),
            segment_names=names,
            rows=rows,
            stages={name: one.once() for name, one in rows.items()},
        )

    def cohorts(self, upstream: str, downstream: str, last: date | None = None) -> Cohorts:
        """Return everybody who entered a stage up to the day `last`, and when they reached another.

        An event of the later stage belongs to its entity's latest entry that is not after it, and an entry converts
        with the first event that belongs to it. `last` is the last complete day, in general that of the panel, and by
        default the day before `as_of`; what happened after it counts as not yet known, so that cohorts and daily counts
        end together. Entries before the settings' `train_start` are left out: they were not wholly recorded.
        """
        end = day_number(last) if last else day_number(self.as_of) - 1
        entries = self.stages[upstream]
        entries = entries.where((entries.day <= end) & (entries.entity != NOBODY))
        events = self.stages[downstream]
        events = events.where(events.day <= end)
        place, _ = linked(entries, events)
        converted = np.full(len(entries), np.iinfo(np.int64).max)
        np.minimum.at(converted, place[place >= 0], events.day[place >= 0])
        converted = np.where(converted > end, NOT_YET, np.maximum(converted, entries.day))
        order = np.lexsort((entries.entity, entries.series, entries.day))
        kept = order if self.start is None else order[entries.day[order] >= self.start]
        return Cohorts(entries.series[kept], entries.day[kept], converted[kept], end)


def linked(entries: StageEvents, events: StageEvents) -> tuple[Ints, Ints]:
    """Return, for each event of a stage, the place of the entry it belongs to, -1 without one, and its delay in days.

    It is the latest entry of the same entity that is not after the event; if all are after it, the first, and the delay
    is negative. The delay is 0 where there is no entry.
    """
    if not len(entries):
        return np.full(len(events), -1), np.zeros(len(events), dtype=np.int64)
    order = np.lexsort((entries.day, entries.entity))
    entity, first_day = entries.entity[order], min(entries.day.min(), events.day.min(initial=0))
    span = max(entries.day.max(), events.day.max(initial=0)) - first_day + 1
    keys = entity * span + entries.day[order] - first_day
    at = np.searchsorted(keys, events.entity * span + events.day - first_day, side="right") - 1
    own = (at >= 0) & (entity[np.maximum(at, 0)] == events.entity)
    first = np.minimum(np.searchsorted(entity, events.entity, side="left"), len(entity) - 1)
    late = ~own & (entity[first] == events.entity)
    found = (own | late) & (events.entity != NOBODY)
    place = order[np.where(own, np.maximum(at, 0), first)]
    return np.where(found, place, -1), np.where(found, events.day - entries.day[place], 0)


def read_events(warehouse: Warehouse, settings: FunnelSettings, sources: Mapping[str, Source], as_of: date) -> Events:
    """Return the events of every stage as known on a day, read in one statement.

    Renamed sources bear their present name. Raises DataError for an event without channel or source, for a source that
    no segment lists, and for a stage without any event.
    """
    statement = all_events(settings, sources, as_of).sql(dialect=warehouse.dialect)
    table = warehouse.table(statement)
    stage = _numbers(table, "stage")
    named, whose = _series(table, stage, settings)
    shown = list(settings.segments)
    used = sorted({shown.index(one.segment) for one in named})
    day = _numbers(table, "day")
    together = StageEvents(
        _codes(table, "id"), whose, _codes(table, "entity"), day, np.maximum(_numbers(table, "known"), day)
    )
    rows = {name: together.where(stage == place) for place, name in enumerate(settings.stages)}
    for name, one in rows.items():
        if not len(one):
            raise _no_events(name, settings, as_of)
    return Events(
        as_of,
        named,
        np.array([used.index(shown.index(one.segment)) for one in named], dtype=np.int64),
        tuple(shown[i] for i in used),
        rows,
        {name: one.once() for name, one in rows.items()},
        day_number(settings.train_start) if settings.train_start else None,
    )


def _numbers(table: pa.Table, name: str) -> Ints:
    """Return a column of whole numbers or days, without missing ones, as numbers."""
    import pyarrow as pa

    column = table.column(name)
    plain = column.cast(pa.int32()) if pa.types.is_date32(column.type) else column
    return np.asarray(plain.to_numpy(), dtype=np.int64)


def _codes(table: pa.Table, name: str) -> Ints:
    """Return a column of text as codes, the same for the same text; NOBODY where it is missing."""
    codes = table.column(name).combine_chunks().dictionary_encode().indices
    return np.asarray(codes.fill_null(NOBODY).to_numpy(zero_copy_only=False), dtype=np.int64)


def _words(table: pa.Table, name: str) -> tuple[list[str | None], Ints]:
    """Return the different texts of a column, and each row's place among them; -1 where it is missing."""
    encoded = table.column(name).combine_chunks().dictionary_encode()
    codes = np.asarray(encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)
    return encoded.dictionary.to_pylist(), codes


def _series(table: pa.Table, stage: Ints, settings: FunnelSettings) -> tuple[tuple[Series, ...], Ints]:
    """Return the series in the order of channel and source, and each row's place among them."""
    channels, channel = _words(table, "channel")
    sources, source = _words(table, "source")
    present = [settings.renamed.get(str(name), str(name)) for name in sources]
    segment_of = settings.segment_of()
    lost = np.array([name not in segment_of for name in present] + [True])[source]
    if lost.any() or (channel < 0).any():
        raise _unmapped([*sources, None], source, channel, stage, lost, settings)
    pairs, row = np.unique(channel * (len(sources) + 1) + source, return_inverse=True)
    named = [(str(channels[p // (len(sources) + 1)]), present[p % (len(sources) + 1)]) for p in pairs]
    ordered = sorted(set(named))
    places = np.array([ordered.index(one) for one in named], dtype=np.int64)
    return tuple(Series(c, s, segment_of[s]) for c, s in ordered), places[row] if len(row) else row.astype(np.int64)


def _unmapped(
    names: Sequence[str | None], source: Ints, channel: Ints, stage: Ints, lost: Bools, settings: FunnelSettings
) -> DataError:
    """Return the refusal of the source that stands on most events without a segment, naming how many others do too."""
    wrong = lost if lost.any() else channel < 0
    place = list(settings.stages)[int(np.bincount(stage[wrong]).argmax())]
    declared = settings.stages[place]
    where = (
        f"source {declared.source}, column {declared.source_name if lost.any() else declared.channel} (stage {place})"
    )
    if not lost.any():
        return DataError(
            where,
            found=f"no channel on {int(wrong.sum()):,} events",
            wanted="a channel on every event",
            then="Give them one in a query source, as in coalesce(channel, 'Unknown').",
        )
    counts = np.bincount(np.where(source[lost] < 0, len(names) - 1, source[lost]), minlength=len(names))
    worst, others = int(counts.argmax()), int((counts > 0).sum()) - 1
    more = f", and {others} other such sources" if others else ""
    if names[worst] is None:
        then = "Give them one in a query source, as in coalesce(source, 'Unknown'), and list that name"
        return DataError(
            where,
            found=f"no source (NULL) on {counts[worst]:,} events{more}",
            wanted="a source that a segment lists",
            then=f"{then} in [funnel.segments].",
        )
    return DataError(
        where,
        found=f"{names[worst]!r} on {counts[worst]:,} events{more}",
        wanted="a source that a segment lists",
        then=f'Add "{names[worst]}" to a list in [funnel.segments], or say in [funnel.renamed] what it is called now.',
    )


def _no_events(name: str, settings: FunnelSettings, as_of: date) -> DataError:
    stage = settings.stages[name]
    return DataError(
        f"foregate.toml [funnel.stages.{name}]",
        found=f"no event dated by `{stage.on}` of source {stage.source} and known by {as_of}",
        wanted="at least one",
        then="Look at `on`, `known` and `only`, and at the as-of date.",
    )
