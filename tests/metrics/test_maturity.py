"""Delay curves against a naive product, adjusted rates by coverage, and the log-rank test against scipy's."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from foregate.metrics.maturity import Delay, adjusted_rate, delay_curve, delay_shift

watched = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 1)), min_size=2, max_size=50)
WINDOW = 120
SHOWN = (1 - 0.1 ** (np.arange(WINDOW + 1) / 43)) / (1 - 0.1 ** (WINDOW / 43))
KNOWN = Delay(SHOWN, 10**9)


def naive_shown(rows: list[tuple[int, int]], window: int) -> list[float]:
    left, shown = 1.0, []
    for day in range(window + 1):
        risk = sum(days >= day for days, _ in rows)
        left *= 1 - sum(days == day and seen for days, seen in rows) / risk if risk else 1.0
        shown.append(1 - left)
    return [share / shown[-1] for share in shown]


@given(watched, st.integers(1, 20))
@settings(max_examples=50, deadline=None)
def test_a_delay_is_the_naive_product_over_its_last(rows: list[tuple[int, int]], window: int) -> None:
    rows = [*rows, (0, 1), (window, 0)]
    found = delay_curve(*zip(*rows, strict=True), window)
    assert found.shown == pytest.approx(naive_shown(rows, window))
    assert found.window == window
    assert found.shown[-1] == 1
    assert (np.diff(found.shown) >= 0).all()
    assert found.events == sum(seen and days <= window for days, seen in rows)
    assert delay_curve(*zip(*(rows * 2), strict=True), window).shown == pytest.approx(found.shown)


def test_a_delay_does_not_depend_on_how_many_convert_nor_on_who_is_still_watched() -> None:
    random = np.random.default_rng(1)
    delay = np.searchsorted(SHOWN, random.random(200_000)).astype(float)
    delay[random.random(delay.size) > 0.2] = math.inf
    age = random.integers(0, 300, delay.size)
    found = delay_curve(np.minimum(delay, age), delay <= age, WINDOW)
    assert found.shown == pytest.approx(SHOWN, abs=0.02)


def test_exposure_counts_leads_by_age_and_its_error_is_the_bootstraps() -> None:
    ages = np.repeat([2, 9, 40, 500], [50, 30, 20, 10])
    random, sums = np.random.default_rng(2), []
    for _ in range(600):
        days = np.searchsorted(SHOWN, random.random(200))
        sums.append(Delay(np.cumsum(np.bincount(days, minlength=WINDOW + 1)) / 200, 200).exposure(ages).leads)
    found = Delay(SHOWN, 200).exposure(ages)
    assert found.leads == pytest.approx(SHOWN[[2, 9, 40, WINDOW]] @ [50, 30, 20, 10])
    assert found.error == pytest.approx(np.std(sums) / np.mean(sums), rel=0.1)
    assert KNOWN.exposure([500, 700]) == (2.0, 0.0)
    assert Delay(np.array([0.0, 1.0]), 9).exposure([0, 0]) == (0.0, 0.0)


def test_a_rate_has_garwoods_interval() -> None:
    # The table of Garwood 1936.
    for hits, low, high in ((0, 0.0, 3.689), (1, 0.0253, 5.572), (10, 4.795, 18.390), (50, 37.11, 65.92)):
        found = adjusted_rate(hits, 1000)
        assert found[:3] == pytest.approx((hits / 1000, low / 1000, high / 1000), rel=1e-3)


@given(st.integers(0, 60), st.floats(0, 500), st.floats(0, 1), st.sampled_from([0.8, 0.95, 0.99]))
@settings(max_examples=50, deadline=None)
def test_a_rate_lies_in_its_interval_and_doubt_widens_it(
    hits: int, exposure: float, error: float, level: float
) -> None:
    sure, unsure = (adjusted_rate(hits, exposure, level, by) for by in (0.0, error))
    if exposure < 1:
        assert math.isnan(unsure.value)
        assert unsure[1:3] == (0.0, 1.0)
    else:
        assert 0 <= unsure.low <= sure.low * (1 + 1e-9)
        assert sure.low <= sure.value <= sure.high <= unsure.high * (1 + 1e-9)
        assert unsure.high <= 1


@pytest.mark.parametrize("rate", [0.01, 0.0456, 0.1, 0.3])
@pytest.mark.parametrize(("days", "leads"), [(7, 93), (30, 93), (7, 9), (365, 30)])
def test_a_rate_covers_the_truth_whatever_the_ages(rate: float, days: int, leads: int) -> None:
    random, repeats = np.random.default_rng(3), 500
    shown = KNOWN.shown_by(np.arange(days))
    hits = random.binomial(leads, rate * shown, size=(repeats, days)).sum(axis=1)
    found = [adjusted_rate(float(count), leads * shown.sum()) for count in hits]
    assert np.mean([one.low <= rate <= one.high for one in found]) >= 0.93


def test_a_rate_covers_the_truth_when_the_delay_is_known_of_a_hundred_conversions() -> None:
    random, days, covered, bare = np.random.default_rng(4), np.arange(30), [], []
    for _ in range(400):
        spread = np.bincount(np.searchsorted(SHOWN, random.random(100)), minlength=WINDOW + 1)
        exposure = Delay(np.cumsum(spread) / 100, 100).exposure(np.repeat(days, 93))
        hits = float(random.binomial(93, 0.3 * SHOWN[days]).sum())
        for error, kept in ((exposure.error, covered), (0.0, bare)):
            found = adjusted_rate(hits, exposure.leads, error=error)
            kept.append(found.low <= 0.3 <= found.high)
    assert np.mean(covered) >= 0.93 > 0.85 > np.mean(bare)


@given(watched, watched)
@settings(max_examples=50, deadline=None)
def test_a_shift_is_scipys_log_rank_test(a: list[tuple[int, int]], b: list[tuple[int, int]]) -> None:
    (days_a, seen_a), (days_b, seen_b) = (tuple(map(np.array, zip(*rows, strict=True))) for rows in (a, b))
    found, turned = delay_shift(days_a, seen_a, days_b, seen_b), delay_shift(days_b, seen_b, days_a, seen_a)
    assert turned.p == pytest.approx(found.p)
    if math.isnan(found.speed.value):
        assert found.p == 1
        return
    samples = [
        stats.CensoredData(uncensored=days[seen == 1], right=days[seen == 0])
        for days, seen in ((days_a, seen_a), (days_b, seen_b))
    ]
    assert found.p == pytest.approx(stats.logrank(*samples).pvalue, abs=1e-9)
    assert (found.p < 0.05) == (not found.speed.low <= 1 <= found.speed.high)
    if found.speed.high < 1e6 and found.speed.low > 1e-6:
        assert turned.speed[:3] == pytest.approx([1 / found.speed[at] for at in (0, 2, 1)])


def test_slower_conversions_are_told_from_fewer() -> None:
    random = np.random.default_rng(5)
    before, slower = random.exponential(18.7, 600), random.exponential(28.0, 400)
    found = delay_shift(slower, np.ones(400), before, np.ones(600))
    assert found.p < 1e-6
    assert found.speed.low < 18.7 / 28 < found.speed.high
    alike = [
        delay_shift(random.exponential(9, 60), np.ones(60), random.exponential(9, 90), np.ones(90)).p
        for _ in range(400)
    ]
    assert np.mean(np.array(alike) < 0.05) == pytest.approx(0.05, abs=0.03)


@pytest.mark.parametrize(
    "call",
    [
        lambda: delay_curve([3, 9], [0, 0], 7),
        lambda: delay_curve([9, 9], [1, 0], 7),
        lambda: delay_curve([1, 3], [1, 0], 7),
        lambda: delay_curve([1, 9], [1, 0], 0),
        lambda: delay_curve([-1, 9], [1, 0], 7),
        lambda: delay_curve([], [], 7),
        lambda: KNOWN.shown_by([-1]),
        lambda: KNOWN.shown_by([math.nan]),
        lambda: adjusted_rate(-1, 10),
        lambda: adjusted_rate(1, math.inf),
        lambda: adjusted_rate(1, 10, error=-0.1),
        lambda: adjusted_rate(1, 10, level=1),
        lambda: delay_shift([-1], [1], [1], [1]),
        lambda: delay_shift([1], [1], [], []),
        lambda: delay_shift([1, 2], [1], [1], [1]),
    ],
)
def test_invalid_input_is_refused_with_what_was_wanted(call: object) -> None:
    with pytest.raises(ValueError, match="wanted"):
        call()  # type: ignore[operator]
