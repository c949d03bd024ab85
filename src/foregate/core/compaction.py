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
    monitor runs but the last; alerts of a rule that came before its last episode (alerted, perhaps several times, then
    resolved); what the phases of an attempt left that was started over. All else stays: every start, opening, waiver,
    signature, silence, list and move, the last entry, and one whose clock was ahead of an entry that stays, because
    moments never run backwards. So the entries that come after may be added to what is retained, and retained again.

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
    gone = found.places - {len(seen) - 1}
    gone -= _ahead(seen, gone)
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
    episodes: dict[tuple[str, str], list[int]] = field(default_factory=dict)
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
        """Supersede the episode before the one that begins, and of two resolutions the first."""
        episode = self.episodes.setdefault((event.version, str(event.detail.get("rule", ""))), [])
        if event.kind is Kind.RESOLVED:
            if episode and self._is_over(episode[0]):
                self._drop(episode.pop(0))
        elif episode and self._is_over(episode[-1]):
            while len(episode) > 1:
                self._drop(episode.pop(0))
        episode.append(place)

    def _is_over(self, place: int) -> bool:
        return self.seen[place].event.kind is Kind.RESOLVED

    def _drop(self, place: int) -> None:
        """Supersede an entry, unless it says more than entries of its kind do: a move's stage, a command's key."""
        event = self.seen[place].event
        if event.split is None and not any(name in event.detail for name in _SAYS_MORE):
            self.places.add(place)
