"""The work of one run: what the project declares, and what each phase hands to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from foregate.cases.funnel.backtest import Choice, Past, Race
from foregate.cases.funnel.events import Events, date_of
from foregate.cases.funnel.origins import Origins, origins
from foregate.cases.funnel.packages import Package
from foregate.cases.funnel.reading import Recalibrations
from foregate.cases.funnel.settings import FunnelSettings
from foregate.warehouse.sources import Source

DAYS, LEVELS_TABLE = "funnel_forecast", "funnel_levels"


@dataclass
class Work:
    """One run's declarations and what its phases found; a phase only reads what phases before it have set."""

    settings: FunnelSettings
    sources: dict[str, Source]
    columns: Mapping[str, Mapping[str, str]]
    folder: Path
    fingerprints: Mapping[str, str]
    as_of: date
    seed: int
    unstable: Sequence[str] = ()
    champion: Callable[[], Package | None] = lambda: None
    found_events: Events | None = None
    past: Past | None = None
    races: dict[str, Race] = field(default_factory=dict)
    choices: dict[str, Choice] = field(default_factory=dict)
    recalibrations: dict[str, Recalibrations] = field(default_factory=dict)
    digest: str = ""

    @property
    def events(self) -> Events:
        """The events as known on the run's day."""
        assert self.found_events is not None, "the events phase ran before"
        return self.found_events

    @property
    def candidates(self) -> dict[str, str]:
        """Stage -> who forecasts it, for the stages chosen so far."""
        return {stage: choice.candidate for stage, choice in self.choices.items()}

    def origins(self) -> Origins:
        """Return the rolling origins of the run."""
        first = min(int(one.day.min()) for one in self.events.stages.values())
        start = date_of(first if self.events.start is None else max(first, self.events.start))
        return origins(self.as_of, start, self.settings)

    @property
    def artifacts(self) -> Path:
        """Where packages are written."""
        return self.folder / "artifacts"
