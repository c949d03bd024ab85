"""Oil and gas as they traded: a price below zero, no direction to forecast, intervals that hold in the long run."""

import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from foregate.app.played import Calendar
from foregate.app.prices import Prices
from foregate.app.prices.outlook import outlook
from foregate.core.evidence import Evidence
from foregate.core.folds import State, VersionState
from foregate.core.gate import Effect, Judgement, Result
from foregate.report.prices import plain_words

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "energy_prices"
DATA = ROOT.parent / "shared" / "data" / "commodity_daily"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"the real prices are not on this machine: no {DATA}")

AS_OF = date(2024, 12, 30)
BELOW_ZERO = "-36.98 USD per barrel on 2020-04-20"
DISPLACEMENT = "displacement = 50\n"
SERIES = ("wti", "brent", "henry_hub")
HORIZONS = {"1w": 5, "1m": 21, "3m": 63, "6m": 126}
KEYS = [f"{series} {horizon}" for series in SERIES for horizon in HORIZONS]
QUICK = 'experts = ["no_change", "drift_1y", "momentum", "ses", "mean_reversion"]'


def laid(root: Path) -> Path:
    """Return the file of the example, without trees, beside the same data; nothing of them is copied."""
    folder = root / "main" / "examples" / "energy_prices"
    shutil.copytree(EXAMPLE, folder)
    (root / "shared").symlink_to(ROOT.parent / "shared")
    file = folder / "foregate.toml"
    file.write_text(file.read_text().replace("\n[prices]\n", f"\n[prices]\n{QUICK}\n"))
    return file


@dataclass
class Ran:
    """The project and the version that its run made."""

    app: Prices
    state: VersionState

    def found(self, label: str) -> Evidence:
        return next(e for e in self.state.measured() if e.label == label)


def open_gates(state: VersionState) -> dict[str, Judgement]:
    return {j.label: j for j in state.judgements() if j.result is not Result.PASS}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    app = Prices(laid(tmp_path_factory.mktemp("energy")).parent, "Ada", Calendar(AS_OF))
    return Ran(app, app.run(AS_OF))


def test_every_phase_is_judged_and_nothing_blocks(ran: Ran) -> None:
    assert "issue" in ran.state.phases
    assert ran.state.state in (State.PASSED, State.WARNED, State.AWAITS)
    assert not [label for label, one in open_gates(ran.state).items() if one.gate.effect is Effect.BLOCK]


def test_what_is_odd_about_the_real_prices_is_named(ran: Ran) -> None:
    named = open_gates(ran.state)
    assert {"negative_prices[wti]", "extreme_returns[wti]", "hole_days[henry_hub]"} <= set(named)
    assert "frozen_sessions[henry_hub]" in named
    assert (ran.found("negative_prices[wti]").value, ran.found("negative_prices[wti]").words) == (1, BELOW_ZERO)
    assert ran.found("non_positive_prices[wti]").value == 0
    # A hurricane closed the hub for two weeks.
    assert "between 2005-09-22 and 2005-10-07" in ran.found("hole_days[henry_hub]").words
    assert {ran.found(f"unit_jumps[{name}]").value for name in SERIES} == {0}


def test_a_price_below_zero_without_a_displacement_blocks_and_is_named_with_its_day(tmp_path: Path) -> None:
    file = laid(tmp_path)
    assert DISPLACEMENT in file.read_text()
    file.write_text(file.read_text().replace(DISPLACEMENT, ""))
    state = Prices(file.parent, "Ada", Calendar(AS_OF)).run(AS_OF)
    assert state.state is State.BLOCKED
    blocking = [label for label, one in open_gates(state).items() if one.gate.effect is Effect.BLOCK]
    assert blocking == ["non_positive_prices[wti]"]
    words = next(e.words for e in state.measured() if e.label == blocking[0])
    assert BELOW_ZERO in words
    assert "displacement = a number well above 36.98" in words
    assert "experts" not in state.phases


def test_no_price_counts_before_it_was_published(ran: Ran) -> None:
    told = outlook(ran.app, ran.state.version).told
    assert {row["price_day"] for row in told} == {date(2024, 12, 23)}
    assert [f"{row['series']} {row['horizon']}" for row in told] == KEYS
    assert all(row["lower_95"] < row["forecast"] < row["upper_95"] for row in told)


@pytest.mark.parametrize("key", KEYS)
def test_it_errs_no_more_than_no_change(key: str, ran: Ran) -> None:
    assert ran.found(f"mae_ratio[{key}]").value <= 1.01


@pytest.mark.parametrize("series", SERIES)
def test_the_weights_of_the_seed_err_more_than_no_change_at_every_horizon(series: str, ran: Ran) -> None:
    for horizon in HORIZONS:
        assert ran.found(f"rule_mae_ratio[{series} {horizon} seed_mape]").value > 1


@pytest.mark.parametrize("key", KEYS)
def test_intervals_hold_what_they_say_in_the_long_run_and_not_in_every_year(key: str, ran: Ran) -> None:
    assert 0.92 <= ran.found(f"long_run_95[{key}]").value <= 0.98
    assert ran.found(f"worst_window_95[{key}]").value < 0.92


def test_it_says_in_plain_words_that_nothing_tells_a_direction(ran: Ran) -> None:
    said = list(plain_words(ran.state.measured()))
    for series in SERIES:
        direction = next(one for one in said if one.startswith(f"{series}: ") and " ahead " in one)
        assert "better than by no change" not in direction
        assert "worse than by no change" not in direction
        assert all(horizon in direction for horizon in HORIZONS)
        held = next(one for one in said if one.startswith(f"{series}: how far it may move"))
        assert "in the worst year of days" in held
