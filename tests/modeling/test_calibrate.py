"""Calibration is kept only where it proves to help, on rows that did not fit it."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from foregate.modeling.calibration import calibrate


def drawn(seed: int, rows: int, stretch: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.normal(-2.0, 1.2, rows)
    outcomes = (rng.random(rows) < 1 / (1 + np.exp(-truth))).astype(float)
    return truth * stretch, outcomes


def test_margins_three_times_too_sure_are_put_right() -> None:
    margins, outcomes = drawn(1, 8_000, 3.0)
    calibrator, difference, kept = calibrate(margins, outcomes)
    assert kept
    assert difference.high < 0
    assert abs(calibrator.slope - 1 / 3) < 0.05
    assert abs(calibrator.probabilities(margins).mean() - outcomes.mean()) < 0.01


def test_honest_margins_are_nearly_always_left_alone() -> None:
    kept = [calibrate(*drawn(seed, 2_000, 1.0))[2] for seed in range(100)]
    assert sum(kept) <= 8, "a two-sided 95 % interval lies wholly below zero in about 2.5 % of runs"


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 200))
def test_few_rows_or_one_class_leave_the_model_as_it_is(seed: int, rows: int) -> None:
    margins, outcomes = drawn(seed, rows, 1.0)
    calibrator, _, kept = calibrate(margins, np.zeros_like(outcomes))
    assert not kept
    assert (calibrator.slope, calibrator.intercept) == (1.0, 0.0)
