"""Histories: cutting them shows what was known earlier and nothing else; sums by group against a loop."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foregate.modeling.series import History, grouped

LAST = date(2025, 3, 5)


def history(series: int = 3, days: int = 20, seed: int = 1) -> History:
    rng = np.random.default_rng(seed)
    born, died = rng.integers(0, days + 1, series), rng.integers(1, days + 5, series)
    return History(rng.poisson(1.0, (series, days)), LAST, born, np.maximum(died, born), rng.integers(0, 2, series))


@given(st.integers(0, 19), st.integers(0, 10_000))
def test_an_earlier_day_knows_neither_later_counts_nor_later_births_and_deaths(day: int, seed: int) -> None:
    whole = history(seed=seed)
    cut = whole.until(day)
    assert cut.days == day + 1
    assert cut.last == LAST - timedelta(days=19 - day)
    assert np.array_equal(cut.present(), whole.present()[:, : day + 1])
    assert np.array_equal(cut.alive, (whole.born <= day) & (whole.died > day))
    assert np.array_equal(cut.weekdays(5), whole.weekdays(5)[: day + 6])


@given(st.integers(0, 19), st.integers(0, 19))
def test_cutting_twice_is_cutting_once(one: int, other: int) -> None:
    early, late = min(one, other), max(one, other)
    twice, once = history().until(late).until(early), history().until(early)
    assert np.array_equal(twice.counts, once.counts)
    assert np.array_equal(twice.born, once.born)
    assert np.array_equal(twice.died, once.died)


def test_weekdays_are_those_of_the_calendar() -> None:
    found = history(days=20).weekdays(3)
    assert found.tolist() == [(LAST + timedelta(days=n)).weekday() for n in range(-19, 4)]


def test_a_column_that_is_not_there_is_refused() -> None:
    for day in (-1, 20):
        with pytest.raises(ValueError, match="not there"):
            history().until(day)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"counts": np.zeros((0, 3), dtype=np.int64)}, "at least one"),
        ({"counts": np.array([[-1, 0]])}, "negative"),
        ({"born": np.array([3])}, "birth"),
        ({"segments": np.array([-1])}, "segment"),
        ({"died": np.array([2, 2])}, "one for each series"),
    ],
)
def test_what_can_not_be_a_history_is_refused(change: dict[str, np.ndarray], words: str) -> None:
    fine = {"counts": np.array([[0, 1]]), "born": np.array([0]), "died": np.array([2]), "segments": np.array([0])}
    with pytest.raises(ValueError, match=words):
        History(**{**fine, **change}, last=LAST)


@given(st.integers(0, 3), st.integers(0, 10_000))
def test_grouped_sums_are_those_of_a_loop(axis: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 9, (3, 4, 2, 5))
    groups = rng.integers(0, 3, values.shape[axis])
    found = grouped(values, groups, 4, axis)
    for group in range(4):
        wanted = np.compress(groups == group, values, axis=axis).sum(axis=axis)
        assert np.array_equal(np.take(found, group, axis=axis), wanted)
