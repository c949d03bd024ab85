"""The trailing window's rate: the seed's formula against a loop, its hierarchy, and what is wrong with it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foregate.modeling.cohorts import Cohorts
from foregate.modeling.trailing_rate import TrailingRate, trailing_rate_paths, trailing_rates

CHANNEL = np.array([0, 0, 1])
entities = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 120), st.integers(-1, 60)), max_size=80)


def cohorts_of(rows: list[tuple[int, int, int]], origin: int = 120) -> Cohorts:
    series, entered, delay = (np.array([row[at] for row in rows], np.int64) for at in range(3))
    converted = np.where((delay < 0) | (entered + delay > origin), -1, entered + delay)
    return Cohorts(series, entered, converted, origin, CHANNEL)


@given(entities, st.integers(1, 200), st.integers(0, 20))
@settings(max_examples=60, deadline=None)
def test_the_rate_is_the_formula_of_the_first_level_with_enough_entries(
    rows: list[tuple[int, int, int]], days: int, least: int
) -> None:
    found = trailing_rates(cohorts_of(rows), TrailingRate(days, least=least))
    after = 120 - days
    for series in range(3):
        for window, members in (
            ("series", [series]),
            ("channel", np.flatnonzero(CHANNEL[series] == CHANNEL)),
            ("total", range(3)),
        ):
            mine = [(entered, entered + delay, delay) for s, entered, delay in rows if s in members]
            entries = sum(entered > after for entered, _, _ in mine)
            hits = sum(after < day <= 120 for _, day, delay in mine if delay >= 0)
            if entries >= least or window == "total":
                break
        assert found.window[series] == window
        assert found.rates[series] == pytest.approx(min(1.0, (hits + 6) / (entries + 10)))


def test_the_numerator_and_the_denominator_are_different_cohorts() -> None:
    # Half of all convert, each after 30 days, but the entries dried up to a quarter: the ratio is twice the truth.
    rows = [(0, day, 30 if n % 2 else -1) for day in range(120) for n in range(8 if day < 75 else 2)]
    assert trailing_rates(cohorts_of(rows)).rates[0] > 0.8
    vanished = [(0, day, 30) for day in range(70) for _ in range(4)] + [(0, day, -1) for day in range(70, 120)]
    assert trailing_rates(cohorts_of(vanished)).rates[0] == 1.0


def test_paths_thin_the_same_days_entries_and_forget_the_open_ones() -> None:
    seen = cohorts_of([(s, day, 3 if day % 2 else -1) for day in range(60, 118) for s in range(3)])
    upstream = np.zeros((2000, 3, 4), int)
    upstream[:, 0, 1], upstream[:, 2, 3] = 10, 40
    paths = trailing_rate_paths(seen, upstream, np.random.default_rng(1))
    assert paths.dtype == np.int32
    assert (paths <= upstream).all()
    assert paths.mean(axis=0) == pytest.approx(
        upstream.mean(axis=0) * trailing_rates(seen).rates[:, None], rel=0.02, abs=1e-9
    )


def test_nobody_at_all_takes_the_pseudo_counts() -> None:
    found = trailing_rates(cohorts_of([]))
    assert found.rates.tolist() == [0.6] * 3
    assert found.window == ("total",) * 3


def test_what_makes_no_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="wanted at least a day"):
        TrailingRate(days=0)
    with pytest.raises(ValueError, match="pseudo-hits"):
        TrailingRate(hits=11)
    with pytest.raises(ValueError, match="the upstream paths"):
        trailing_rate_paths(cohorts_of([]), np.ones((2, 2, 2), int), np.random.default_rng(1))
