"""Compaction: which of a model's events can still change what is so today, so that not all need to be read again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from foregate.core.alerting import MONITOR
from foregate.core.event import Entry, Event, Kind

LASTING = frozenset(Kind) - {Kind.JUDGED, Kind.FAILED, Kind.ALERTED, Kind.RESOLVED}
_SAYS_MORE = ("stage", "key")
_MONITORS_KEPT = 2


def retained(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries without those that later ones supersede, in their order; every fold says the same of both.

    Superseded are: a version's monitor judgements but the first since it was started and the last two; its broken-off
    monitor runs but the last; episodes of a rule (alerted, perhaps several times, then resolved) that were over before
    its last one was, of whatever version; what the phases of an attempt left that was started over. All else stays:
    every start, opening, waiver, signature, silence, list and move, and an entry whose clock was ahead of one that
    stays, because moments never run backwards. So the entries that come after may be added to what is retained, and
    retained again.

    >>> from datetime import UTC, datetime, timedelta
    >>> from foregate.core.event import seal
    >>> noon = datetime(2025, 10, 31, 12, tzinfo=UTC)
    >>> run = lambda n: Event(Kind.JUDGED, noon + timedelta(hours=n), "leads", "a1", "cron", MONITOR)
    >>> [entry.sequence for entry in retained(seal(run(n), n, "") for n in range(1, 8))]
    [1, 6, 7]
    """
    seen = list(entries)
    found = _Superseded(seen)
    for place, entry in enumerate(seen):
        found.hear(place, entry.event)
    ahead = _ahead(seen, found.places)
    whole = {place for episode in found.episodes if ahead.intersection(episode) for place in episode}
    gone = found.places - ahead - whole
    return [entry for place, entry in enumerate(seen) if place not in gone]


def _ahead(seen: Sequence[Entry], gone: set[int]) -> set[int]:
    """Return the places of entries whose moment a later one that stays takes over, because its clock was behind."""
    needed: set[int] = set()
    latest = shown = None
    first = 0
    for place, entry in enumerate(seen):
        at = entry.event.at
        if latest is None or at > latest:
            latest, first = at, place
        if place not in gone and (shown is None or latest > shown):
            needed |= {first} if latest > at else set()
            shown = latest
    return needed


@dataclass(slots=True)
class _Superseded:
    """The places of superseded entries, found by hearing all of them in their order."""

    seen: Sequence[Entry]
    places: set[int] = field(default_factory=set)
    first: dict[str, int] = field(default_factory=dict)
    last: dict[str, list[int]] = field(default_factory=dict)
    broken: dict[str, int] = field(default_factory=dict)
    open: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    over: dict[str, list[int]] = field(default_factory=dict)
    episodes: list[list[int]] = field(default_factory=list)
    planned: dict[str, frozenset[str]] = field(default_factory=dict)
    attempt: dict[str, list[int]] = field(default_factory=dict)

    def hear(self, place: int, event: Event) -> None:
        """Take in the next entry."""
        if event.kind is Kind.STARTED:
            if not event.phase:
                self._start_over(event)
        elif event.kind is Kind.JUDGED or event.kind is Kind.FAILED:
            if event.phase == MONITOR:
                self._monitor(place, event)
            elif event.phase in self.planned.get(event.version, ()):
                self.attempt[event.version].append(place)
        elif event.kind is Kind.ALERTED or event.kind is Kind.RESOLVED:
            self._alert(place, event)

    def _start_over(self, event: Event) -> None:
        for place in self.attempt.get(event.version, ()):
            self._drop(place)
        self.attempt[event.version] = []
        self.planned[event.version] = frozenset(event.detail.get("phases", ()))
        first = self.first.pop(event.version, None)
        if first is not None and first not in self.last[event.version]:
            self._drop(first)

    def _monitor(self, place: int, event: Event) -> None:
        """Supersede the run before; the first one stays, for it says since when the version is monitored."""
        if event.kind is Kind.FAILED:
            if event.version in self.broken:
                self._drop(self.broken[event.version])
            self.broken[event.version] = place
            return
        first = self.first.setdefault(event.version, place)
        last = self.last.setdefault(event.version, [])
        last.append(place)
        if len(last) > _MONITORS_KEPT and (before := last.pop(0)) != first:
            self._drop(before)

    def _alert(self, place: int, event: Event) -> None:
        """Supersede, when an episode of a rule is over, the one that was over before."""
        rule = str(event.detail.get("rule", ""))
        if event.kind is Kind.ALERTED:
            self.open.setdefault((event.version, rule), []).append(place)
        else:
            self._drop_episode(self.over.get(rule, []))
            self.over[rule] = [*self.open.pop((event.version, rule), []), place]

    def _drop_episode(self, places: list[int]) -> None:
        """Supersede all of an episode or nothing: alone, its beginning would be an alert that is open."""
        if places and not any(self._says_more(place) for place in places):
            self.episodes.append(places)
            self.places.update(places)

    def _drop(self, place: int) -> None:
        if not self._says_more(place):
            self.places.add(place)

    def _says_more(self, place: int) -> bool:
        """Return whether an entry says more than others of its kind do: a move's stage, a command's key."""
        event = self.seen[place].event
        return event.split is not None or event.may_have(*_SAYS_MORE)
