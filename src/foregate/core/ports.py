"""Ports: what the core asks of the world outside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

from foregate.core.event import Entry, Event
from foregate.core.evidence import Evidence
from foregate.core.rollout import Part, Plan, Readiness, Rollout

Table = Any  # an Arrow table: core names no library


class Warehouse(Protocol):
    """Where the data is; every statement is in `dialect`, values are bound and never spliced."""

    dialect: str

    def rows(self, sql: str, values: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
        """Return the rows of a small result."""

    def table(self, sql: str, values: Mapping[str, object] | None = None) -> Table:
        """Return a result as an Arrow table."""

    def create(self, name: str, sql: str, values: Mapping[str, object] | None = None, *, in_order: bool = False) -> int:
        """Create or replace the table `name` from a query, whole or not at all, and return its rows.

        `in_order`: sums of floating-point numbers are the same to the last bit every time.
        """

    def load(self, name: str, data: Table) -> int:
        """Create or replace the table `name` from an Arrow table, whole or not at all, and return its rows."""

    def append(self, name: str, data: Table, once: Mapping[str, object]) -> int:
        """Add rows to a table that only grows and return how many; none when rows with these values are there already.

        The table is made by the first rows, and takes further columns as they come; rows are added whole or not at all.
        """

    def columns(self, name: str) -> dict[str, str]:
        """Return column names and engine types in order; raises DataError when the table does not exist."""

    def exists(self, name: str) -> bool:
        """Return whether a table or view of that name can be read."""

    def drop(self, name: str) -> None:
        """Drop the table if it exists."""

    def fingerprint(self, name: str) -> str:
        """Return a hash that changes with any value or row of the table, and not with the order of its rows."""

    def publish(self, view: str, parts: Sequence[Part], salt: str, generation: int) -> None:
        """Move the pointer: from this statement on, readers of `view` see each part's people by its version.

        Raises ConflictError when readers see a later generation already; without parts the view goes.
        """

    def pointed(self, view: str) -> int:
        """Return the generation that readers of the view see; 0 before the first."""

    def close(self) -> None:
        """Give the engine back."""


class Ledger(Protocol):
    """The append-only, hash-chained list of events: no update, no delete."""

    def add(self, event: Event, generation: int | None = None) -> Entry:
        """Write the event after all others of its model and return it with its place and hash.

        `generation`: the place of the last served or moved event the caller has seen (0 for none); raises ConflictError
        when another one came since. Checked and written in one transaction, so that of two operators one wins.
        """

    def current(self, model: str) -> Sequence[Entry]:
        """Return the model's events that can still change what is so today, oldest first, checked."""

    def read(self, model: str) -> Iterator[Entry]:
        """Return the model's events, oldest first; raises LedgerBrokenError when the chain does not hold."""

    def models(self) -> Iterable[str]:
        """Return the models that have events."""

    def lease(self, model: str, holder: str) -> AbstractContextManager[None]:
        """Hold the right to walk a model; raises NotAllowedError naming who holds it."""


class Service(Protocol):
    """What a rollout moves: the packages that can serve, and the pointer that readers follow."""

    def intact(self, version: str) -> Evidence:
        """Return `intact_faults`: whether the package's bytes are those of the ledger; opens no warehouse."""

    def warm(self, version: str) -> Evidence:
        """Return `standby_faults`: whether a version could serve now: bytes, load, golden rows, scores in place."""

    def ready(self, rollout: Rollout | None, version: str, champion: str | None, plan: Plan) -> Readiness:
        """Return what is known before anything moves: the rehearsal, and whether the plan can be decided."""

    def parity(self, rollout: Rollout) -> Sequence[Evidence]:
        """Return how the challenger's scores compare with the champion's on the same people and day."""

    def field(self, rollout: Rollout) -> Sequence[Evidence]:
        """Return what the leads that both versions were given say by now, arm against arm."""

    def bake(self, rollout: Rollout) -> Sequence[Evidence]:
        """Return what must be quiet before a release is complete."""

    def publish(self, served: Entry) -> None:
        """Make readers see what the entry serves; raises NotAllowedError when they see a later one already."""

    def probe(self, served: Entry) -> Evidence:
        """Return `probe_rows_off`: how many rows readers see that the entry does not serve, or miss."""

    def consumers(self, version: str) -> Evidence:
        """Return `consumers`: how many views read the version's own tables instead of the readers' view."""

    def archive(self, version: str) -> Evidence:
        """Return `archived`, after the version's package was packed away and its tables dropped."""


class Clock(Protocol):
    """The wall clock, handed in: information for people, never an order of events."""

    def __call__(self) -> datetime:
        """Return the current moment in UTC."""
