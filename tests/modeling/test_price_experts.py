"""The cheap price experts: against a loop per origin, blind to what comes, honest about too little history."""

import re
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foregate.metrics.estimate import Floats
from foregate.modeling.price_experts import COMPLEXITY, EXPERTS, predicted, realised

HORIZONS = (1, 5, 21)
FIRST = {
    "no_change": 0,
    "drift_5y": 1250,
    "drift_1y": 250,
    "momentum": 60,
    "sma_20": 19,
    "ses": 19,
    "mean_reversion": 999,
    "damped_holt": 19,
}


def walk(seed: int, days: int = 1300) -> Floats:
    return 3 + np.cumsum(np.random.default_rng(seed).normal(0, 0.02, days))


def holt(past: Sequence[float], ahead: int) -> float:
    level, trend = past[0], 0.0
    for value in past[1:]:
        before = level
        level = 0.3 * value + 0.7 * (level + 0.95 * trend)
        trend = 0.1 * (level - before) + 0.9 * 0.95 * trend
    return level + sum(0.95**day for day in range(1, ahead + 1)) * trend - past[-1]


def smoothed(past: Sequence[float]) -> float:
    level = past[0]
    for value in past[1:]:
        level = 0.3 * value + 0.7 * level
    return level


NAIVE: dict[str, Callable[[Floats, int], float]] = {
    "no_change": lambda past, ahead: 0.0,
    "drift_5y": lambda past, ahead: ahead * float(np.diff(past)[-1250:].mean()),
    "drift_1y": lambda past, ahead: ahead * float(np.diff(past)[-250:].mean()),
    "momentum": lambda past, ahead: ahead * float(np.diff(past)[-60:].mean()),
    "sma_20": lambda past, ahead: float(past[-20:].mean() - past[-1]),
    "ses": lambda past, ahead: smoothed(past.tolist()) - past[-1],
    "mean_reversion": lambda past, ahead: (1 - 2 ** (-ahead / 500)) * float(past[-1000:].mean() - past[-1]),
    "damped_holt": lambda past, ahead: holt(past.tolist(), ahead),
}


@pytest.mark.parametrize("name", COMPLEXITY)
def test_an_expert_is_its_formula_at_every_origin(name: str) -> None:
    y = walk(1)
    found = EXPERTS[name](y, HORIZONS)
    assert found.shape == (3, 1300)
    for origin in (FIRST[name], FIRST[name] + 1, FIRST[name] + 37, 1299):
        wanted = [NAIVE[name](y[: origin + 1], ahead) for ahead in HORIZONS]
        assert found[:, origin] == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("name", COMPLEXITY)
def test_an_expert_is_there_from_the_day_its_documentation_says(name: str) -> None:
    there = np.isfinite(EXPERTS[name](walk(2), HORIZONS))
    assert (there == (np.arange(1300) >= FIRST[name])).all()
    assert not np.isfinite(EXPERTS[name](walk(2)[: FIRST[name]], HORIZONS)).any() if FIRST[name] else True


@given(st.integers(0, 50), st.integers(0, 1299), st.integers(0, 10))
@settings(max_examples=25, deadline=None)
def test_what_comes_after_a_day_changes_nothing_up_to_it(seed: int, day: int, other: int) -> None:
    y, changed = walk(seed), walk(seed)
    changed[day + 1 :] = walk(1000 + other)[day + 1 :] * 3
    before, after = predicted(y, HORIZONS), predicted(changed, HORIZONS)
    assert np.array_equal(before[:, : day + 1], after[:, : day + 1], equal_nan=True)
    short = predicted(y[: day + 1], HORIZONS)
    assert np.array_equal(before[:, : day + 1], short, equal_nan=True)


@given(st.floats(-5, 5), st.floats(0.1, 3))
@settings(max_examples=20, deadline=None)
def test_forecasts_do_not_move_with_the_unit_and_grow_with_the_returns(shift: float, stretch: float) -> None:
    y = walk(3)
    assert predicted(y + shift, HORIZONS) == pytest.approx(predicted(y, HORIZONS), abs=1e-9, nan_ok=True)
    assert predicted(y * stretch, HORIZONS) == pytest.approx(stretch * predicted(y, HORIZONS), abs=1e-9, nan_ok=True)


def test_the_experts_come_in_the_order_asked_for_and_the_simplest_is_first() -> None:
    y = walk(4)
    found = predicted(y, HORIZONS, ("ses", "no_change"))
    assert np.array_equal(found[:, :, 0], EXPERTS["ses"](y, HORIZONS), equal_nan=True)
    assert not found[:, :, 1].any()
    assert tuple(EXPERTS) == COMPLEXITY
    assert COMPLEXITY[0] == "no_change"


def test_what_came_is_the_change_over_the_horizon_and_unknown_at_the_end() -> None:
    y = walk(5, 30)
    found = realised(y, (1, 21, 40))
    for row, ahead in zip(found, (1, 21, 40), strict=True):
        for day in range(30):
            known = day + ahead < 30
            assert row[day] == (y[day + ahead] - y[day] if known else pytest.approx(np.nan, nan_ok=True))


def test_a_name_nobody_knows_is_refused_with_those_known() -> None:
    with pytest.raises(ValueError, match=re.escape("found arima; wanted some of the experts no_change, drift_5y")):
        predicted(walk(6), HORIZONS, ("ses", "arima"))
    with pytest.raises(ValueError, match="no expert"):
        predicted(walk(6), HORIZONS, ())
    with pytest.raises(ValueError, match="horizons are"):
        predicted(walk(6), (5, 0))
    with pytest.raises(ValueError, match="NaN"):
        realised([1.0, np.nan], (1,))
