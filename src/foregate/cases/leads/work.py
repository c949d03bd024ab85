"""The work of one run: what the project declares, and what each phase hands to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from foregate.cases.leads.settings import LeadsSettings
from foregate.cases.leads.tiers import TierRules
from foregate.metrics.rates import BetaPrior
from foregate.modeling.boosted import Trees
from foregate.modeling.calibration import Calibrator
from foregate.modeling.splits import Calendar
from foregate.warehouse.features import FeatureFile
from foregate.warehouse.point_in_time import Compiled, Spine
from foregate.warehouse.sources import Source

Floats = NDArray[np.float64]
SPINE, FEATURES, LABEL, SLICE, TIER, SCORES = "spine", "lead_features", "label", "slice", "lead_tier", "lead_scores"


@dataclass
class Work:
    """One run's declarations and what its phases found; a phase only reads what phases before it have set."""

    settings: LeadsSettings
    sources: dict[str, Source]
    columns: Mapping[str, Mapping[str, str]]
    files: Sequence[FeatureFile]
    rules: TierRules
    calendar: Calendar
    artifacts: Path
    fingerprints: Mapping[str, str]
    unstable: Sequence[str] = ()
    champion: Callable[[], Champion | None] = lambda: None
    window_days: int = 0
    compiled: Compiled | None = None
    selected: tuple[str, ...] = ()
    dropped: dict[str, str] = field(default_factory=dict)
    trees: Trees | None = None
    calibrator: Calibrator = field(default_factory=Calibrator)
    prior: BetaPrior = BetaPrior(0.5, 0.5)
    prices: dict[str, BetaPrior] = field(default_factory=dict)
    digest: str = ""

    def spine(self, table: str) -> Spine:
        """Return the declaration of a spine table: the lead's key columns and its own columns."""
        types = self.columns[self.settings.source]
        names = [self.settings.person, *self.settings.keys, *self.settings.columns]
        late = {n: c.known for n, c in self.settings.columns.items() if c.known in self.settings.columns}
        return Spine(table, {n: types[n] for n in dict.fromkeys(names)}, self.settings.source, late)


@dataclass(frozen=True)
class Champion:
    """The version in service: how to score the test rows with it, and up to when it was trained."""

    version: str
    scores: Callable[[Spine], pa.Table]
    trained_until: Any


@dataclass(frozen=True)
class Rows:
    """Features and labels of some leads in a fixed order: by contact day, then by lead."""

    table: pa.Table
    outcomes: Floats

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def column(self, name: str) -> Any:
        """Return one column as a numpy array; text stays text, missing numbers are NaN."""
        found = self.table.column(name)
        return found.to_numpy(zero_copy_only=False)
