"""Ports: what the core asks of the world outside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

from foregate.core.event import Entry, Event

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

    def columns(self, name: str) -> dict[str, str]:
        """Return column names and engine types in order; raises DataError when the table does not exist."""

    def exists(self, name: str) -> bool:
        """Return whether a table or view of that name can be read."""

    def drop(self, name: str) -> None:
        """Drop the table if it exists."""

    def fingerprint(self, name: str) -> str:
        """Return a hash that changes with any value or row of the table, and not with the order of its rows."""

    def publish(self, view: str, table: str, version: str) -> None:
        """Move the pointer: from this statement on, readers of `view` see `table`."""

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


class Clock(Protocol):
    """The wall clock, handed in: information for people, never an order of events."""

    def __call__(self) -> datetime:
        """Return the current moment in UTC."""
