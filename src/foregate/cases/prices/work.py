"""The work of one run: what the project declares, and what each phase hands to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import NamedTuple

from foregate.cases.prices.combining import Choice, Followed
from foregate.cases.prices.experts import Fitted
from foregate.cases.prices.packages import Package
from foregate.cases.prices.quotes import Market
from foregate.cases.prices.settings import PricesSettings
from foregate.cases.prices.tracks import Track
from foregate.warehouse.sources import Source

FORECAST, WEIGHTS = "price_forecast", "price_weights"


class InService(NamedTuple):
    """The version in service, and the market as it reads it: None where its data are gone, `gone` says which."""

    package: Package
    market: Market | None
    gone: str = ""


@dataclass
class Work:
    """One run's declarations and what its phases found; a phase only reads what phases before it have set."""

    settings: PricesSettings
    sources: dict[str, Source]
    columns: Mapping[str, Mapping[str, str]]
    folder: Path
    fingerprints: Mapping[str, str]
    as_of: date
    seed: int
    unstable: Sequence[str] = ()
    champion: Callable[[], InService | None] = lambda: None
    window: str = ""
    found_market: Market | None = None
    fitted: dict[str, Fitted] = field(default_factory=dict)
    tracks: dict[str, Track] = field(default_factory=dict)
    choices: dict[str, tuple[Choice, ...]] = field(default_factory=dict)
    followed: dict[str, Followed] = field(default_factory=dict)
    digest: str = ""

    @property
    def market(self) -> Market:
        """The quotes as known on the run's day."""
        assert self.found_market is not None, "the quotes phase ran before"
        return self.found_market

    @property
    def artifacts(self) -> Path:
        """Where packages are written."""
        return self.folder / "artifacts"
