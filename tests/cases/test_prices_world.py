"""The made-up market: its truth is what it says, an honest one passes every gate, and each trap is named by its own."""

import tomllib
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from foregate.cases.prices.phases import features, preflight, quotes
from foregate.cases.prices.settings import PricesSettings, check_series
from foregate.cases.prices.work import Work
from foregate.cases.prices.world import AS_OF, COMMODITIES, DECLARED, END, INDEX, START, TRAPS, Truth, lay, lay_world
from foregate.cases.prices.world import truth as made
from foregate.cases.prices.world.catalogue import ENTERS_WILD, LEAVES_WILD, SHARED
from foregate.core.evidence import Evidence
from foregate.core.gate import Effect, Result, judge
from foregate.core.phase import Run
from foregate.warehouse.binding import bind
from foregate.warehouse.duckdb import DuckDB
from foregate.warehouse.sources import Source

RAW = tomllib.loads(DECLARED)
SOURCES = {name: Source(**said) for name, said in RAW["sources"].items()}
PRICES = PricesSettings(**RAW["prices"])
truth = cache(made)


def measured(folder: Path, as_of: date = AS_OF) -> tuple[dict[str, Evidence], dict[str, Effect]]:
    """Return every finding by its label, and the gates that do not pass."""
    warehouse = DuckDB(":memory:")
    columns = bind(warehouse, SOURCES, folder)
    check_series(PRICES, SOURCES, columns, "foregate.toml")
    work = Work(PRICES, SOURCES, columns, folder, dict.fromkeys(SOURCES, "test"), as_of, 1)
    run = Run(warehouse, "prices", "v", as_of, 1)
    found: dict[str, Evidence] = {}
    missed: dict[str, Effect] = {}
    for phase in (preflight, quotes, features):
        evidence = list(phase.measure(work, run))
        found |= {one.label: one for one in evidence}
        judged = judge(phase.GATES, evidence)
        assert not [j for j in judged if j.result is Result.NOT_RUN]
        missed |= {j.label: j.gate.effect for j in judged if j.result is not Result.PASS}
    return found, missed


@pytest.mark.parametrize("seed", range(6))
def test_an_honest_world_passes_every_gate(seed: int, tmp_path: Path) -> None:
    lay_world(tmp_path / "data", truth(seed), AS_OF)
    assert measured(tmp_path)[1] == {}


def test_files_without_a_column_beside_them_pass_too(tmp_path: Path) -> None:
    lay_world(tmp_path / "data", truth(1), AS_OF)
    work = Work(PRICES.model_copy(update={"exogenous": {}}), SOURCES, {}, tmp_path, {}, AS_OF, 1)
    run = Run(DuckDB(":memory:"), "prices", "v", AS_OF, 1)
    judged = judge(features.GATES, features.measure(work, run))
    assert {j.result for j in judged} == {Result.PASS}


NAMED = {
    "frozen_tail": ("frozen_tail[crude]", {"frozen_sessions[crude]"}, "sessions from"),
    "hole": ("hole_days[crude]", set(), "20 trading days between"),
    "duplicates": ("duplicate_days[crude]", set(), "6 rows repeat a day with the same number, 6 with another"),
    "unit_switch": ("unit_jumps[crude]", {"extreme_returns[crude]", "out_of_bounds[crude]"}, "the level stayed"),
    "future_date": ("future_dated[crude]", set(), "3 rows are dated after the as-of date"),
    "negative_price": ("non_positive_prices[crude]", {"negative_prices[crude]", "out_of_bounds[crude]"}, "-37.63 USD"),
    "zero_filled": (f"zero_share[{INDEX}]", set(), "20% are exactly zero"),
    "early_exogenous": (f"seen_early[{INDEX}]", set(), "1,000 rows say they were known before"),
    "leaked_target": (f"leak_probe[{INDEX}]", {f"value_jumps[{INDEX}]"}, "crude"),
}
SIGNED = {"hole"}


@pytest.mark.parametrize("seed", [3, 8])
@pytest.mark.parametrize("trap", TRAPS)
def test_a_trap_is_named_by_its_own_gate_and_by_no_other(trap: str, seed: int, tmp_path: Path) -> None:
    label, allowed, words = NAMED[trap]
    lay_world(tmp_path / "data", truth(seed), AS_OF)
    TRAPS[trap](tmp_path / "data")
    found, missed = measured(tmp_path)
    assert label in missed
    assert set(missed) - allowed == {label}
    assert words in found[label].words
    assert missed[label] is (Effect.SIGN_OFF if trap in SIGNED else Effect.BLOCK)


def test_every_trap_has_a_gate_of_its_own() -> None:
    assert set(NAMED) == set(TRAPS)
    assert len({label for label, _, _ in NAMED.values()}) == len(TRAPS)


def test_a_world_is_the_same_every_time_and_a_later_day_only_adds_rows(tmp_path: Path) -> None:
    rows = {name: lay(tmp_path / name, 5, until) for name, until in (("a", AS_OF), ("b", AS_OF), ("c", END))}
    assert rows["a"] == rows["b"]
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()
        assert (tmp_path / "c" / file.name).read_bytes().startswith(file.read_bytes())
    assert rows["c"]["copper"] > rows["a"]["copper"] > rows["a"]["crude"] > rows["a"]["gas"]


def test_a_price_is_laid_once_it_has_been_published(tmp_path: Path) -> None:
    world = truth(2)
    day = world.days[1000].astype(object)
    rows = lay_world(tmp_path, world, day)
    assert [rows[one.name] for one in COMMODITIES] == [1001 - one.published for one in COMMODITIES]
    assert rows[INDEX] == 1001


@pytest.mark.parametrize("until", [date(2009, 12, 31), date(2028, 1, 1)])
def test_a_day_outside_the_world_is_refused(until: date, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"the world knows {START} to {END}, not {until}"):
        lay_world(tmp_path, truth(1), until)


def returns(world: Truth, name: str) -> np.ndarray:
    return np.diff(np.log(world.price[name]))


def test_the_truth_is_what_drives_the_prices() -> None:
    worlds = [truth(seed) for seed in range(6)]
    for one in COMMODITIES:
        scaled = np.concatenate(
            [(returns(w, one.name) - w.drift[one.name]) / w.volatility[one.name][1:] for w in worlds]
        )
        # A mean of n returns has a standard error of 1/sqrt(n), a standard deviation one of 1/sqrt(2n).
        assert abs(scaled.mean()) < 4 / np.sqrt(len(scaled))
        assert abs(scaled.std() - 1) < 4 / np.sqrt(2 * len(scaled)) + 0.005
        for world in worlds:
            assert set(np.unique(world.volatility[one.name])) == set(one.volatility)
    pairs = [
        np.corrcoef(returns(w, "crude") / w.volatility["crude"][1:], returns(w, "gas") / w.volatility["gas"][1:])
        for w in worlds
    ]
    assert np.mean([pair[0, 1] for pair in pairs]) == pytest.approx(SHARED, abs=0.03)


def test_states_last_as_long_as_a_markov_chain_says_and_the_index_tells_them_apart() -> None:
    regime = [truth(seed).regime for seed in range(20)]
    leaves = {
        state: np.mean(np.concatenate([(one[1:] != state)[one[:-1] == state] for one in regime])) for state in (0, 1)
    }
    assert leaves[0] == pytest.approx(ENTERS_WILD, rel=0.3)
    assert leaves[1] == pytest.approx(LEAVES_WILD, rel=0.3)
    for seed in range(6):
        world = truth(seed)
        calm, wild = world.index[world.regime == 0], world.index[world.regime == 1]
        assert calm.mean() + 5 < wild.mean()


def test_the_index_knows_nothing_of_the_days_to_come() -> None:
    gaps = []
    for seed in range(6):
        world = truth(seed)
        later = returns(world, "crude")[1:]
        gaps.append(np.corrcoef(np.diff(np.log(world.index))[:-1], later)[0, 1])
    assert abs(np.mean(gaps)) < 4 / np.sqrt(6 * len(later))
