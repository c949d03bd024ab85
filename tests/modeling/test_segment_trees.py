"""Segment trees: nothing of the future enters, training and serving see alike, and planted effects are found."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foregate.modeling.segment_features import Known
from foregate.modeling.segment_trees import (
    FEATURES,
    TREES,
    Rows,
    feature_shift,
    features,
    measured_errors,
    training_rows,
)
from foregate.modeling.series import History

WEEK = np.array([1.3, 1.2, 1.2, 1.1, 1.0, 0.7, 0.5])
LAST = date(2025, 6, 29)
TREE = TREES["segment_trees"]


def history_of(means: Any, seed: int = 1, segments: Any = None, born: Any = None, died: Any = None) -> History:
    rows, days = means.shape
    births = np.zeros(rows, dtype=np.int64) if born is None else np.asarray(born)
    deaths = np.full(rows, 10**6) if died is None else np.asarray(died)
    day = np.arange(days)
    counts = np.random.default_rng(seed).poisson(means) * ((day >= births[:, None]) & (day < deaths[:, None]))
    return History(counts, LAST, births, deaths, np.zeros(rows, dtype=np.int64) if segments is None else segments)


def lively(days: int = 400, seed: int = 1) -> History:
    means = np.array([4.0, 2.0, 1.0, 0.5, 3.0, 1.0])[:, None] * WEEK[np.arange(days) % 7]
    born, died = [0, 0, days // 2, 0, days, 0], [10**6] * 5 + [days - 30]
    return history_of(means, seed, np.array([0, 0, 0, 1, 1, 1]), born, died)


def naive_row(past: History, origin: int, segment: int, ahead: int) -> dict[str, float]:
    """Return the features in words, one at a time, from lists of days."""
    alive = [
        s
        for s in range(past.series)
        if past.segments[s] == segment and past.born[s] <= origin and past.died[s] > origin
    ]
    first = min(int(past.born[s]) for s in alive)
    totals = {d: sum(int(past.counts[s, d]) for s in alive if past.born[s] <= d) for d in range(first, origin + 1)}
    target = past.last - timedelta(days=past.days - 1) + timedelta(days=origin + ahead)

    def window(days: int) -> list[int]:
        return [totals[d] for d in range(max(first, origin + 1 - days), origin + 1)]

    level = (sum(window(90)) + 0.5) / (len(window(90)) + 1)
    same = [totals[d] for d in range(origin, first - 1, -1) if (origin + ahead - d) % 7 == 0][:8]
    late, both = window(91), window(182)
    early = both[: len(both) - len(late)]
    scaled = len(late) * sum(early) / len(early) if early else sum(late)
    found = {
        "horizon": ahead,
        "weekday": target.weekday(),
        "day_of_month": target.day,
        "month": target.month,
        "segment": segment,
        "age": min(origin + 1 - first, 365),
        "level": level,
        "same_weekday": (sum(same) + 1) / (level * len(same) + 1),
        "trend": np.log((sum(late) + 1) / (scaled + 1)),
    }
    return found | {f"mean_{d}": (sum(window(d)) + 1) / (level * len(window(d)) + 1) for d in (7, 28, 365)}


@given(st.integers(0, 399), st.integers(1, 90), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_features_are_those_of_the_words(origin: int, ahead: int, seed: int) -> None:
    past = lively(seed=seed)
    matrix = features(past, origin, [ahead, 1])
    known = matrix[::2, FEATURES.index("segment")].astype(int).tolist()
    for place, segment in enumerate(known):
        found = dict(zip(FEATURES, matrix[2 * place].tolist(), strict=True))
        for name, value in naive_row(past, origin, segment, ahead).items():
            assert found[name] == pytest.approx(value), name
    total = [naive_row(past, origin, segment, ahead) for segment in known]
    everything = sum(row["mean_28"] * (row["level"] * min(28, row["age"]) + 1) - 1 for row in total)
    expected = (everything + 1) / (sum(row["level"] * min(28, row["age"]) for row in total) + 1)
    assert matrix[:, FEATURES.index("total_28")] == pytest.approx(np.full(len(matrix), expected))


@given(st.integers(0, 398), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_a_changed_future_changes_no_feature(origin: int, seed: int) -> None:
    past, rng = lively(), np.random.default_rng(seed)
    counts, born, died = past.counts.copy(), past.born.copy(), past.died.copy()
    counts[:, origin + 1 :] = rng.integers(0, 99, (past.series, past.days - origin - 1))
    died[(died > origin + 1) & (rng.random(6) < 0.5)] = origin + 1
    born[born > origin] = rng.integers(origin + 1, past.days + 1)
    changed = replace(past, counts=counts, born=born, died=died)
    asked = np.arange(1, 41)
    assert (features(past, origin, asked) == features(changed, origin, asked)).all()
    assert (features(past, origin, asked) == features(past.until(origin), origin, asked)).all()


def test_a_changed_future_changes_no_path() -> None:
    past = lively()
    counts = past.counts.copy()
    counts[:, 350:] = 77
    found, again = (
        TREE.paths(one.until(349), 28, 30, np.random.default_rng(1)) for one in (past, replace(past, counts=counts))
    )
    assert (found == again).all()


def test_training_asks_what_serving_asks() -> None:
    past = lively()
    rows = training_rows(past, 60, np.random.default_rng(1))
    assert (rows.days < past.days).all()
    ahead = rows.days - rows.origins
    assert (ahead >= 1).all()
    assert (ahead == rows.matrix[:, FEATURES.index("horizon")]).all()
    assert set(ahead) >= set(range(1, 55))
    for place in np.random.default_rng(2).integers(0, ahead.size, 40):
        origin, segment = int(rows.origins[place]), int(rows.matrix[place, FEATURES.index("segment")])
        served = features(past.until(origin), origin, [ahead[place]])
        own = served[:, FEATURES.index("segment")] == segment
        assert (served[own] == rows.matrix[place]).all()
        alive = (past.born <= origin) & (past.died > origin) & (past.segments == segment)
        assert rows.counts[place] == past.counts[alive, rows.days[place]].sum()


def test_neither_training_nor_serving_has_nulls() -> None:
    past = lively()
    rows = training_rows(past, 90, np.random.default_rng(1))
    served = features(past, past.days - 1, np.arange(1, 91))
    assert np.isfinite(rows.matrix).all()
    assert np.isfinite(served).all()
    assert all(one.null_before == one.null_after == 0 for one in feature_shift(rows.matrix, served))


def test_lags_windowed_over_the_future_are_caught() -> None:
    # Seed 000's view: LAG over the rows to come only, so that every lag of a day to come is null.
    past = lively()
    train = training_rows(past, 28, np.random.default_rng(1)).matrix
    right = features(past, past.days - 1, np.arange(1, 29))
    wrong = right.copy()
    lags = [FEATURES.index(name) for name in ("mean_7", "mean_28", "level")]
    wrong[:, lags] = np.nan
    before, after = feature_shift(train, right), feature_shift(train, wrong)
    assert {one.feature for one in after if one.null_after > one.null_before + 0.05} == {"mean_7", "mean_28", "level"}
    assert all(np.isnan(one.moved) for one in after if one.null_after == 1)
    assert not any(one.null_after for one in before)


def test_a_shift_is_measured_in_the_spread_of_training() -> None:
    train = np.stack([np.arange(101.0), np.full(101, 2.0), np.full(101, 5.0)], axis=1)
    same, moved, unmoved = feature_shift(train, train + [0, 1, 0], ["same", "moved", "unmoved"])
    assert (same.moved, unmoved.moved, moved.moved) == (0, 0, float("inf"))
    (half,) = feature_shift(train[:, :1], train[:, :1] + 45, ["late"])
    assert half.moved == pytest.approx(0.5)
    (frozen,) = feature_shift(train[:, :1], np.full((9, 1), 50.0), ["frozen"])
    assert frozen.constant
    with pytest.raises(ValueError, match="features"):
        feature_shift(train, train[:, :2], ["a", "b", "c"])
    with pytest.raises(ValueError, match="no row"):
        feature_shift(train, train[:0], ["a", "b", "c"])


def test_origins_and_horizons_must_be_there() -> None:
    past = lively()
    with pytest.raises(ValueError, match="column 400"):
        features(past, 400, [1])
    with pytest.raises(ValueError, match="at least 1 day ahead"):
        features(past, 10, [0])


def test_planted_weekdays_are_found() -> None:
    days = 600
    quiet_sundays = np.array([3.0, 3.0, 3.0, 3.0, 3.0, 1.0, 0.3])
    first = (LAST.weekday() - days + 1) % 7
    means = np.array([2.0, 1.0])[:, None] * quiet_sundays[(first + np.arange(days)) % 7]
    past = history_of(means, segments=np.array([0, 1]))
    found = TREE.paths(past, 28, 600, np.random.default_rng(1)).mean(axis=0)
    ahead = past.weekdays(28)[days:]
    for series, base in enumerate((2.0, 1.0)):
        by_weekday = np.array([found[series, ahead == day].mean() for day in range(7)])
        assert by_weekday == pytest.approx(base * quiet_sundays, rel=0.25, abs=0.15)


def test_a_planted_trend_goes_on() -> None:
    days, growth = 720, np.log(2) / 180
    means = 8 * np.exp(growth * np.arange(days))[None]
    past = history_of(means)
    found = TREE.paths(past, 60, 600, np.random.default_rng(1)).sum(axis=(1, 2)).mean()
    expected = 8 * np.exp(growth * np.arange(days, days + 60)).sum()
    flat = past.counts[0, -90:].mean() * 60
    assert found == pytest.approx(expected, rel=0.1)
    assert abs(found - expected) < 0.5 * abs(flat - expected)


def test_paths_are_counts_of_the_living_and_repeat() -> None:
    past = lively()
    found, again = (TREE.paths(past, 30, 40, np.random.default_rng(7)) for _ in range(2))
    assert found.shape == (40, 6, 30)
    assert found.dtype == np.int32
    assert found.min() >= 0
    assert not found[:, [4, 5]].any()
    assert (found == again).all()
    assert found.sum(axis=1).mean() == pytest.approx(7.5, rel=0.25)


@pytest.mark.parametrize("days", [1, 2, 3, 60, 119, 121, 150])
@pytest.mark.parametrize("mean", [0.0, 0.02, 3.0])
def test_short_and_empty_pasts_have_their_trailing_mean_or_better(days: int, mean: float) -> None:
    past = history_of(np.full((3, days), mean), segments=np.array([0, 0, 2]))
    found = TREE.paths(past, 90, 30, np.random.default_rng(1))
    assert found.shape == (30, 3, 90)
    if mean == 0:
        assert not found.any()
    if mean > 1 and days > 50:
        assert found.mean() == pytest.approx(mean, rel=0.3)


def test_a_newborn_segment_has_its_trailing_mean() -> None:
    means = np.full((2, 300), 3.0)
    past = history_of(means, segments=np.array([0, 1]), born=[0, 290])
    found = TREE.paths(past, 20, 400, np.random.default_rng(1))
    assert found[:, 1].mean() == pytest.approx(past.counts[1, 290:].mean(), rel=0.1)


def test_nobody_alive_is_no_event() -> None:
    gone = history_of(np.ones((2, 200)), died=[10, 20])
    assert not TREE.paths(gone, 5, 3, np.random.default_rng(1)).any()


def rows_of(rng: np.random.Generator, size: float, level: float, step: float) -> tuple[Rows, Any]:
    origins, ahead = np.repeat(np.arange(300), 56), np.tile(np.arange(1, 57), 300)
    walk = rng.normal(0, 1, (300, 56)) * np.sqrt(np.concatenate([[level], np.full(55, step)]))
    variance = level + step * np.arange(56)
    means = np.full(origins.size, 20.0)
    true = means * np.exp(np.cumsum(walk, axis=1) - variance / 2).reshape(-1)
    counts = rng.poisson(rng.gamma(size, true / size)).astype(np.float64)
    return Rows(np.zeros((origins.size, len(FEATURES))), counts, origins, origins + ahead), means


def test_planted_errors_are_recovered() -> None:
    rows, means = rows_of(np.random.default_rng(1), 5.0, 0.01, 0.0005)
    (found,) = measured_errors(rows, means).values()
    assert found.level == pytest.approx(0.01, abs=0.007)
    assert found.step == pytest.approx(0.0005, abs=0.0002)
    assert found.dispersion == pytest.approx(5.0, rel=0.15)


def test_totals_known_for_one_set_of_living_are_the_sums() -> None:
    past = lively()
    known = Known.at(past)
    days = np.arange(390, 400)
    assert known.totals(days)[0].tolist() == past.counts[:3, 390:].sum(axis=0).tolist()
    assert known.totals(days)[1].tolist() == past.counts[3, 390:].tolist()


@pytest.mark.parametrize("births", [[0, 390], [200, 250], [300, 300], [380, 385]])
def test_a_past_in_which_nobody_lived_for_long_is_no_trouble(births: list[int]) -> None:
    past = history_of(np.full((2, 400), 2.0), segments=np.array([0, 3]), born=births)
    found = TREE.paths(past, 28, 300, np.random.default_rng(1))
    assert found.mean() == pytest.approx(2.0, rel=0.35)


def test_a_segment_that_wakes_up_does_not_make_the_others_doubtful() -> None:
    days = 500
    means = np.full((3, days), 8.0)
    means[2] = 0.001
    means[2, 420:] = 3.0
    past = history_of(means, segments=np.arange(3))
    sums = TREE.paths(past, 28, 800, np.random.default_rng(1)).sum(axis=2)
    for steady in (0, 1):
        assert sums[:, steady].mean() == pytest.approx(224, rel=0.15)
        assert sums[:, steady].std() < 0.25 * 224
