"""Tourism in Australia: a hierarchy whose sums must agree, and a file whose lost column doubles its keys."""

import csv
from collections import Counter, defaultdict
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from foregate.cases.funnel.candidates import candidate_of
from foregate.cases.funnel.levels import Level
from foregate.modeling.series import History
from foregate.warehouse.duckdb import DuckDB
from foregate.warehouse.profile import duplicates

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "tourism" / "tourism.csv"
pytestmark = pytest.mark.skipif(not DATA.is_file(), reason=f"the trips are not on this machine: no {DATA}")


@pytest.fixture(scope="module")
def regions() -> tuple[History, tuple[str, ...]]:
    """Trips of each region by quarter, in whole thousands; a quarter stands for a day of the panel."""
    totals: dict[str, Counter[str]] = defaultdict(Counter)
    states: dict[str, str] = {}
    with DATA.open() as file:
        for row in csv.DictReader(file):
            totals[row["Region"]][row["Quarter"]] += float(row["Trips"])  # type: ignore[assignment]
            states[row["Region"]] = row["State"]
    quarters = sorted({quarter for one in totals.values() for quarter in one})
    counts = np.array([[round(one[q]) for q in quarters] for one in totals.values()], dtype=np.int64)
    names = tuple(dict.fromkeys(states.values()))
    segments = np.array([names.index(states[region]) for region in totals], dtype=np.int64)
    size, days = counts.shape
    return History(counts, date(2017, 12, 31), np.zeros(size, np.int64), np.full(size, days), segments), names


def test_a_lost_column_doubles_the_keys_and_is_named() -> None:
    warehouse = DuckDB(":memory:")
    warehouse.read_file("trips", DATA)
    found, example = duplicates(warehouse, "trips", ["Quarter", "Region", "State"])
    assert found == 80 * 76
    assert example


@pytest.mark.parametrize("candidate", ["mean_28", "seasonal_naive", "count_filter"])
def test_regions_sum_to_states_and_states_to_the_country_in_every_path(
    regions: tuple[History, tuple[str, ...]], candidate: str
) -> None:
    history, names = regions
    paths = candidate_of(candidate).paths(history, 8, 100, np.random.default_rng(5))
    assert paths.shape == (100, 76, 8)
    assert paths.min() >= 0
    state = Level("segment", names, history.segments).sums(paths)
    country = Level("total", ("all",), np.zeros(76, dtype=np.int64)).sums(paths)
    assert np.array_equal(state.sum(axis=1, keepdims=True), country)
    for place in range(len(names)):
        assert np.array_equal(paths[:, history.segments == place].sum(axis=1), state[:, place])
    last = history.counts[:, -8:].sum(axis=1).mean()
    assert paths.sum(axis=2).mean() == pytest.approx(last, rel=0.35)
