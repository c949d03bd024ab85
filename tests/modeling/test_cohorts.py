"""Cohorts refuse what could not have been known, and give back what was known earlier."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foregate.modeling.cohorts import Cohorts

TWO = np.array([0, 1])


def of(entered: list[int], converted: list[int], origin: int = 9, series: list[int] | None = None) -> Cohorts:
    places = np.array(series if series is not None else [0] * len(entered), dtype=np.int64)
    return Cohorts(places, np.array(entered, np.int64), np.array(converted, np.int64), origin, TWO)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: of([1, 2], [10, 12]), "0 entries and 2 conversions lie after the origin, day 9"),
        (lambda: of([10], [-1]), "1 entries and 0 conversions"),
        (lambda: of([5, 6, 7], [4, 5, 8]), "2 conversions are dated before their entry"),
        (lambda: of([-2], [-1]), "an entry is on day -2"),
        (lambda: of([1, 2], [3]), "different lengths"),
        (lambda: of([1], [-1], series=[2]), "the series run from 2 to 2; wanted 0 to 1"),
        (lambda: of([1], [-1], series=[-1]), "the series run from -1"),
        (lambda: Cohorts(TWO, TWO, TWO, 9, np.array([], np.int64)), "the channels are empty"),
        (lambda: Cohorts(TWO, TWO, TWO, 9, np.array([0, -1])), "the channels are empty or negative"),
        (lambda: Cohorts(TWO, TWO + 0.5, TWO, 9, TWO), "the entered have shape"),
        (lambda: of([1], [-1]).known_at(10), "wanted no later day"),
    ],
)
def test_what_can_not_have_been_known_is_refused_with_its_count(made: object, said: str) -> None:
    assert callable(made)
    with pytest.raises(ValueError, match=said):
        made()


def test_nobody_at_all_is_a_legal_cohort() -> None:
    nobody = of([], [])
    assert (nobody.n_series, nobody.n_channels, nobody.ages.size, nobody.delays.size) == (2, 2, 0, 0)
    assert nobody.known_at(3).origin == 3


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(-1, 20)), max_size=30), st.integers(0, 9))
def test_what_was_known_earlier_holds_nothing_later(rows: list[tuple[int, int]], day: int) -> None:
    entered = [entry for entry, _ in rows]
    converted = [-1 if after < 0 or entry + after > 9 else entry + after for entry, after in rows]
    told = of(entered, converted).known_at(day)
    naive = [(e, c if 0 <= c <= day else -1) for e, c in zip(entered, converted, strict=True) if e <= day]
    assert list(zip(told.entered.tolist(), told.converted.tolist(), strict=True)) == naive
    assert (told.ages >= 0).all()
    assert told.delays.tolist() == [c - e for e, c in naive if c >= 0]


def test_entries_of_some_days_keep_all_that_is_known_of_them() -> None:
    part = of([0, 3, 4, 7], [9, -1, 4, 8]).entered_within(3, 4)
    assert (part.entered.tolist(), part.converted.tolist(), part.origin) == ([3, 4], [-1, 4], 9)
