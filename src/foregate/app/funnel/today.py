"""One day's knowledge: the sources bound once, the events read once for all who count them alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from foregate.cases.funnel.events import Events, read_events

if TYPE_CHECKING:
    from foregate.cases.funnel.settings import FunnelSettings
    from foregate.cases.funnel.work import Work
    from foregate.warehouse.duckdb import DuckDB


@dataclass
class Today:
    """What is known on the day of `work`, whose sources are readable in `engine`; versions share what is the same."""

    engine: DuckDB
    work: Work
    found: list[tuple[FunnelSettings, Events]] = field(default_factory=list)

    @property
    def day(self) -> date:
        """The day whose knowledge counts."""
        return self.work.as_of

    def events(self, settings: FunnelSettings) -> Events:
        """Return the events as a version with these settings counts them; raises DataError as `read_events` does."""
        for known, events in self.found:
            if known == settings:
                return events
        events = read_events(self.engine, settings, self.work.sources, self.day)
        self.found.append((settings, events))
        return events
