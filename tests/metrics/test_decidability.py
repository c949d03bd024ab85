"""Rows and days to a verdict: the seed documents' figures, the power that is promised, what must be monotone."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foregate.metrics.compare import two_rates_rows
from foregate.metrics.decidability import days_to_decide, decidable_ratio, rows_to_decide
from foregate.metrics.rates import rate_ratio

A_DAY = 2800 / 30


@given(st.floats(0.005, 0.3), st.sampled_from([0.5, 0.8, 1.1, 1.5, 3.0]), st.sampled_from([0.8, 0.95]))
@settings(max_examples=40, deadline=None)
def test_equal_arms_need_the_rows_of_two_rates(base: float, ratio: float, power: float) -> None:
    needed = two_rates_rows(base, ratio, power)
    assert rows_to_decide(base, ratio, power=power) == pytest.approx((needed, needed), abs=1)


def test_the_seed_document_has_years_to_wait() -> None:
    assert rows_to_decide(0.0456, 0.0483 / 0.0456).champion == pytest.approx(96_400, rel=0.005)
    assert rows_to_decide(0.0456, 1.25).champion == pytest.approx(5_900, rel=0.01)
    assert rows_to_decide(0.0456, 1.5).champion == pytest.approx(1_600, rel=0.02)
    assert days_to_decide(0.0456, 1.0592, A_DAY, window_days=43) / 30.4 == pytest.approx(69, abs=1)
    assert days_to_decide(0.0456, 1.25, A_DAY, window_days=43) == math.ceil(2 * 5878 / A_DAY) + 43


def test_a_swap_set_decides_what_a_split_cannot() -> None:
    # Lists that share 45%: of their union 71% is on one list only, where 1.27 over the list is 1.49.
    union = days_to_decide(0.0456, 1 + 0.27 / 0.55, A_DAY, window_days=43, swap_share=2 * 0.55 / 1.55)
    assert union < 100 < 150 < days_to_decide(0.0456, 1.27, A_DAY, window_days=43)


@pytest.mark.parametrize(
    ("effect", "share", "criterion", "power"),
    [(1.6, 0.5, "better", 0.8), (1.8, 0.2, "better", 0.9), (0.3, 0.5, "not_worse", 0.8), (0.4, 0.25, "not_worse", 0.9)],
)
def test_the_power_is_what_was_promised(effect: float, share: float, criterion: str, power: float) -> None:
    ours, theirs = rows_to_decide(0.06, effect, share, power, criterion=criterion)  # type: ignore[arg-type]
    true, out = (effect, 1.0) if criterion == "better" else (1.0, 1 - effect)
    random, repeats = np.random.default_rng(1), 500
    hits = random.binomial(ours, 0.06 * true, repeats), random.binomial(theirs, 0.06, repeats)
    found = [rate_ratio(float(a), ours, float(b), theirs).low > out for a, b in zip(*hits, strict=True)]
    assert np.mean(found) == pytest.approx(power, abs=0.05)


@given(st.floats(0.01, 0.2), st.floats(0.1, 0.9), st.floats(1.1, 3.0))
@settings(max_examples=40, deadline=None)
def test_harder_questions_take_longer(base: float, share: float, ratio: float) -> None:
    def days(effect: float, leads: float = A_DAY, **asked: object) -> int:
        return days_to_decide(base, effect, leads, window_days=43, share=share, **asked)  # type: ignore[arg-type]

    at = days(ratio)
    assert at > 43
    assert days(1 + (ratio - 1) / 2) >= at
    assert days(ratio, A_DAY / 2) >= at
    assert days(ratio, swap_share=0.5) >= at
    assert days(ratio, power=0.9) >= at
    assert days(ratio, level=0.99) >= at
    assert days(0.05, criterion="not_worse") >= days(0.1, criterion="not_worse") >= days(0.3, criterion="not_worse")


@given(st.floats(0.01, 0.2), st.integers(50, 700))
@settings(max_examples=30, deadline=None)
def test_the_smallest_ratio_is_where_the_days_run_out(base: float, days: int) -> None:
    ratio = decidable_ratio(base, A_DAY, window_days=43, days=days)
    if ratio < math.inf:
        assert days_to_decide(base, ratio, A_DAY, window_days=43) <= days
        assert days_to_decide(base, 1 + (ratio - 1) * 0.98, A_DAY, window_days=43) >= days


def test_inside_the_window_nothing_can_be_told() -> None:
    assert decidable_ratio(0.0456, A_DAY, window_days=43, days=43) == math.inf
    assert decidable_ratio(0.0456, A_DAY, window_days=43, days=14) == math.inf


@pytest.mark.parametrize(
    "call",
    [
        lambda: rows_to_decide(0.0, 1.5),
        lambda: rows_to_decide(0.1, 1.0),
        lambda: rows_to_decide(0.1, -1),
        lambda: rows_to_decide(0.6, 2.0),
        lambda: rows_to_decide(0.1, 1.5, share=1.0),
        lambda: rows_to_decide(0.1, 1.5, power=1.0),
        lambda: rows_to_decide(0.1, 1.5, level=0),
        lambda: rows_to_decide(0.1, 1.0, criterion="not_worse"),
        lambda: rows_to_decide(0.1, 1.5, criterion="other"),  # type: ignore[arg-type]
        lambda: days_to_decide(0.1, 1.5, 0, window_days=43),
        lambda: days_to_decide(0.1, 1.5, 10, window_days=-1),
        lambda: days_to_decide(0.1, 1.5, 10, window_days=43, swap_share=0),
        lambda: decidable_ratio(1.5, 10, window_days=43, days=90),
    ],
)
def test_invalid_input_is_refused_with_what_was_wanted(call: object) -> None:
    with pytest.raises(ValueError, match="wanted"):
        call()  # type: ignore[operator]
