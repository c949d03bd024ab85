"""Survival curves against a naive product, and maturity windows against a known delay."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foregate.metrics.survival import Curve, cumulative_incidence, kaplan_meier, maturity_window

watched = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 1)), min_size=1, max_size=60)


def naive_incidence(rows: list[tuple[int, int]], day: int) -> float:
    left = 1.0
    for at in sorted({days for days, seen in rows if seen and days <= day}):
        risk = sum(days >= at for days, _ in rows)
        left *= 1 - sum(days == at and seen for days, seen in rows) / risk
    return 1 - left


def naive_window(rows: list[tuple[int, int]], share: float, horizon: int) -> float:
    most = naive_incidence(rows, horizon)
    days = (day for day in range(horizon + 1) if naive_incidence(rows, day) >= share * most - 1e-12)
    return float(next(days)) if most > 0 else math.nan


@given(watched)
@settings(deadline=None)
def test_a_curve_is_the_naive_product(rows: list[tuple[int, int]]) -> None:
    curve = kaplan_meier(*zip(*rows, strict=True))
    assert isinstance(curve, Curve)
    for day in (-1, 0, 7, 19.5, 41):
        assert cumulative_incidence(curve, day) == pytest.approx(naive_incidence(rows, math.floor(day)))
    assert (np.diff(curve.survival) <= 0).all()
    assert curve.at_risk[0] == len(rows)
    assert curve.events.sum() == sum(seen for _, seen in rows)


def test_a_curve_of_the_textbook() -> None:
    # Freireich et al. 1963, remission of leukaemia under 6-MP, weeks.
    weeks = [6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
    curve = kaplan_meier(weeks, [1] * 9 + [0] * 12)
    for week, left in ((6, 0.857), (7, 0.807), (10, 0.753), (13, 0.690), (16, 0.627), (22, 0.538), (23, 0.448)):
        assert 1 - cumulative_incidence(curve, week) == pytest.approx(left, abs=5e-4)


@given(watched, st.sampled_from([0.2, 0.5, 0.9, 1.0]), st.integers(1, 50))
@settings(deadline=None, max_examples=60)
def test_a_window_is_the_first_day_with_its_share(rows: list[tuple[int, int]], share: float, horizon: int) -> None:
    days, seen = zip(*rows, strict=True)
    found, naive = (
        maturity_window(days, seen, share, horizon, seed=1, replicates=20),
        naive_window(rows, share, horizon),
    )
    assert found.value == pytest.approx(naive, nan_ok=True)
    if math.isnan(naive):
        assert found[1:3] == (0.0, float(horizon))
    else:
        assert 0 <= found.low <= found.value <= found.high <= horizon
    turned = maturity_window(days[::-1], seen[::-1], share, horizon, seed=1, replicates=20)
    assert turned == found or math.isnan(naive)


def late_conversions(random: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """A third converts after a geometric delay; the rows have been watched for 0 to 200 days."""
    delay = random.geometric(1 - 0.1 ** (1 / 43), rows).astype(float)
    delay[random.random(rows) > 1 / 3] = math.inf
    age = random.integers(0, 200, rows)
    return np.minimum(delay, age), delay <= age


def test_a_window_covers_the_true_one_at_least_about_as_often_as_it_says() -> None:
    random, repeats = np.random.default_rng(4), 300
    days = np.arange(121)
    shown = 1 - 0.1 ** (days / 43)
    truth = int(np.flatnonzero(shown >= 0.9 * shown[120] - 1e-12)[0])
    found = [maturity_window(*late_conversions(random, 1500), 0.9, 120, seed=k, replicates=100) for k in range(repeats)]
    covered = sum(one.low <= truth <= one.high for one in found)
    assert covered / repeats > 0.95 - 5 * math.sqrt(0.95 * 0.05 / repeats)
    assert np.mean([one.high - one.low for one in found]) < 30


def test_a_window_nobody_was_watched_for_reaches_its_horizon() -> None:
    found = maturity_window([1, 2, 3, 10], [1, 1, 1, 0], 0.9, 60, seed=1)
    assert found.value == 3
    assert found.high == 60
    assert maturity_window([3] * 50 + [80] * 50, [1] * 50 + [0] * 50, 0.9, 60, seed=1)[:3] == (3.0, 3.0, 3.0)


@pytest.mark.parametrize(
    "call",
    [
        lambda: kaplan_meier([], []),
        lambda: kaplan_meier([-1], [1]),
        lambda: kaplan_meier([1, 2], [1]),
        lambda: kaplan_meier([math.inf], [1]),
        lambda: kaplan_meier([1], [3]),
        lambda: maturity_window([1.5], [1], 0.9, 30, seed=1),
        lambda: maturity_window([1], [1], 0.0, 30, seed=1),
        lambda: maturity_window([1], [1], 0.9, 0, seed=1),
        lambda: cumulative_incidence(kaplan_meier([1], [1]), math.nan),
    ],
)
def test_invalid_input_is_refused_with_what_was_wanted(call: object) -> None:
    with pytest.raises(ValueError, match="wanted"):
        call()  # type: ignore[operator]
