"""Recalibration: honest intervals from past outcomes, and a long run that no adversary can spoil."""

import json
import math
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from foregate.metrics.coverage import pit_coverage, pit_uniformity
from foregate.metrics.forecast import quantiles, randomised_pit
from foregate.modeling.recalibration import Adaptive, Matured, Recalibration

START = date(2025, 1, 1)
values = st.lists(st.floats(0, 1), min_size=20, max_size=120)


def day(number: int) -> date:
    return START + timedelta(days=number)


def held(taught: Recalibration, nominal: float, spread: float) -> float:
    """The share of standard normal outcomes within the intervals of a normal forecast of that spread."""
    low, high = (stats.norm.ppf(p) * spread for p in taught.probabilities(nominal))
    return float(stats.norm.cdf(high) - stats.norm.cdf(low))


def taught(random: np.random.Generator, rows: int, spread: float, prior: float = 50.0) -> Recalibration:
    return Recalibration.fit(stats.norm.cdf(random.normal(size=rows) / spread), prior)


@pytest.mark.parametrize(("spread", "before"), [(0.5, 0.67), (0.7, 0.83), (1.0, 0.95), (1.5, 0.997)])
def test_a_forecast_too_narrow_or_too_wide_is_mended_on_fresh_outcomes(spread: float, before: float) -> None:
    found = taught(np.random.default_rng(1), 2000, spread)
    assert held(Recalibration(), 0.95, spread) == pytest.approx(before, abs=0.01)
    for nominal in (0.5, 0.8, 0.95):
        assert held(found, nominal, spread) == pytest.approx(nominal, abs=0.03)


def test_paths_too_narrow_are_mended_as_far_as_their_draws_reach() -> None:
    random = np.random.default_rng(2)

    def world(rows: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
        return random.normal(300, 50 * spread, size=(1000, rows)).round(), random.normal(300, 50, size=rows).round()

    for spread in (0.7, 0.5):
        found = Recalibration.fit(randomised_pit(*world(1500, spread), random))
        samples, fresh = world(3000, spread)
        for nominal in (0.5, 0.95):
            low, high = quantiles(samples, found.probabilities(nominal))
            plain_low, plain_high = quantiles(samples, Recalibration().probabilities(nominal))
            share = ((low <= fresh) & (fresh <= high)).mean()
            assert ((plain_low <= fresh) & (fresh <= plain_high)).mean() < nominal - 0.08
            assert found.readable(nominal, 1000) == ((spread, nominal) != (0.5, 0.95))
            if found.readable(nominal, 1000):
                assert share == pytest.approx(nominal, abs=0.03)


def test_a_calibrated_forecast_is_left_nearly_as_it_is() -> None:
    random = np.random.default_rng(3)
    for rows, allowed in ((30, 0.05), (300, 0.035), (3000, 0.02)):
        shares = [[held(taught(random, rows, 1.0), nominal, 1.0) for nominal in (0.5, 0.95)] for _ in range(40)]
        assert np.mean(shares, axis=0) == pytest.approx([0.5, 0.95], abs=0.012)
        assert (np.std(shares, axis=0) < allowed).all()


def test_without_a_prior_the_ranks_give_the_conformal_guarantee() -> None:
    random = np.random.default_rng(4)
    inside = []
    for _ in range(3000):
        past, fresh = random.random(39) ** 2, random.random() ** 2
        low, high = Recalibration.fit(past, prior_rows=0).probabilities(0.9)
        inside.append(low <= fresh <= high)
        ranked = np.sort(past)
        assert (low, high) == pytest.approx((ranked[1], ranked[math.ceil(40 * 0.95) - 1]), abs=1e-9)
    assert 0.9 - 0.015 <= np.mean(inside) <= 0.9 + 2 / 40 + 0.015


@given(values, st.sampled_from([0.0, 1e-7, 0.5, 50.0, 1e6]))
@settings(deadline=None)
def test_reading_is_monotone_symmetric_and_survives_json(pit: list[float], prior: float) -> None:
    found = Recalibration.fit(pit, prior)
    asked = np.linspace(0, 1, 173)
    reads = np.array([found.probability(p) for p in asked])
    assert (np.diff(reads) >= -1e-12).all()
    assert (reads >= 0).all()
    assert (reads <= 1).all()
    mirrored = Recalibration.fit(1 - np.array(pit), prior)
    assert [1 - mirrored.probability(1 - p) for p in asked] == pytest.approx(reads.tolist(), abs=2e-6)
    assert Recalibration.from_json(json.loads(json.dumps(found.to_json()))) == found
    wide, narrow = found.probabilities(0.95), found.probabilities(0.5)
    assert wide[0] <= narrow[0] <= narrow[1] <= wide[1]


@given(values, st.floats(0.01, 0.99), st.sampled_from([0.0, 3.0, 50.0]))
@settings(deadline=None)
def test_the_read_is_the_least_that_reaches_the_shrunken_share(pit: list[float], share: float, prior: float) -> None:
    step = math.ceil(max(share, 0.505) * 200) / 200
    found, rows = Recalibration.fit(pit, prior).probability(step), len(pit)
    total = (rows + prior + rows / (rows + prior)) * step

    def reached(at: float) -> float:
        return sum(value <= at for value in pit) + prior * at

    assert found == 1.0 or reached(found + 1e-6) >= total - 1e-6
    assert found <= 2e-9 or reached(found - 1e-6) <= total + 1e-6


def test_recalibrated_values_judge_what_is_served() -> None:
    random = np.random.default_rng(10)
    found = taught(random, 2000, 0.6)
    fresh = stats.norm.cdf(random.normal(size=4000) / 0.6)
    served = found.recalibrated(fresh)
    for nominal in (0.5, 0.9, 0.95):
        low, high = found.probabilities(nominal)
        assert pit_coverage(served, nominal).value == ((low <= fresh) & (fresh <= high)).mean()
    assert pit_uniformity(fresh) < 1e-9
    assert pit_uniformity(served) > 1e-4
    assert np.array_equal(Recalibration().recalibrated(fresh), fresh)


def test_too_few_rows_teach_nothing_and_a_great_prior_next_to_nothing() -> None:
    for few in ([], [0.1] * 19):
        assert Recalibration.fit(few).probabilities(0.95) == pytest.approx((0.025, 0.975))
    stubborn = Recalibration.fit(np.random.default_rng(5).random(40) ** 3, prior_rows=1e9)
    assert stubborn.probabilities(0.9) == pytest.approx((0.05, 0.95), abs=1e-6)


def test_values_of_one_origin_count_as_few() -> None:
    random = np.random.default_rng(6)
    blocks = np.repeat(np.arange(6), 200)
    pit = stats.norm.cdf(np.repeat(random.normal(size=6), 200) + 0.3 * random.normal(size=1200))
    apart, together = Recalibration.fit(pit), Recalibration.fit(pit, blocks=blocks)
    assert (together.rows, together.effective < 30, apart.effective) == (1200, True, 1200)
    asked = np.linspace(0.05, 0.95, 19)
    moved = [np.abs([found.probability(p) - p for p in asked]).mean() for found in (apart, together)]
    assert moved[1] < moved[0] / 2


@pytest.mark.parametrize("strategy", ["always", "random", "late", "runs"])
@pytest.mark.parametrize("delay", [0, 30])
def test_no_adversary_moves_the_long_run_beyond_the_bound(strategy: str, delay: int) -> None:
    random, level = np.random.default_rng(7), Adaptive(0.9, step=0.02, pending=delay)
    waiting: list[Matured] = []
    due: dict[date, list[Matured]] = {}
    missed, days = 0, 1500
    for now in range(days):
        level = level.after(due.get(day(now), []), day(now))
        wants = {"always": True, "random": random.random() < 0.5, "late": now > 700, "runs": now // 50 % 2 == 0}
        inside = level.aim <= 0 or (level.aim < 1 and not wants[strategy])
        waiting.append(Matured(day(now), day(now + 1 + int(random.integers(delay + 1))), inside))
        due.setdefault(waiting[-1].matured, []).append(waiting[-1])
        missed += not inside
    bound = (0.9 + 0.02 * (1 + delay)) / (0.02 * days)
    assert abs(missed / days - 0.1) <= bound + (1 + delay) / days
    folded = Adaptive(0.9, step=0.02, pending=delay).after(waiting, day(days + delay + 1))
    assert missed == pytest.approx(days * 0.1 + (0.1 - folded.state) / 0.02)  # type: ignore[operator]


@pytest.mark.parametrize(("spread", "delay"), [(1.0, 0), (1.0, 28), (0.7, 28)])
def test_in_the_long_run_the_nominal_share_is_held(spread: float, delay: int) -> None:
    random, level, waiting, inside, aims = np.random.default_rng(8), Adaptive(0.9, 0.01, delay), [], [], []
    pit = stats.norm.cdf(random.normal(size=4000) / spread)
    for now in range(4000):
        level = level.after(waiting[max(0, now - delay - 2) :], day(now))
        inside.append(bool(abs(pit[now] - 0.5) <= (1 - level.aim) / 2))
        aims.append(level.aim)
        waiting.append(Matured(day(now), day(now + 1 + delay), inside[-1]))
    assert np.mean(inside) == pytest.approx(0.9, abs=0.015)
    assert np.mean(aims[1000:]) == pytest.approx(0.1 if spread == 1 else 2 * stats.norm.sf(1.645 / 0.7), abs=0.02)


events = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20), st.booleans()), max_size=40).map(
    lambda found: [Matured(day(issued), day(issued + wait), inside) for issued, wait, inside in found]
)


@given(events, st.integers(0, 90), st.integers(0, 90), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_fold_knows_no_order_no_future_and_can_be_taken_up_again(
    outcomes: list[Matured], first: int, second: int, shuffler: object
) -> None:
    early, late = sorted((first, second))
    fresh = Adaptive(0.8, step=0.05, pending=3)
    whole = fresh.after(outcomes, day(late))
    assert fresh.after(outcomes, day(early)).after(outcomes, day(late)) == whole
    shuffled = list(outcomes)
    shuffler.shuffle(shuffled)  # type: ignore[attr-defined]
    assert fresh.after(shuffled, day(late)) == whole
    assert fresh.after([o for o in outcomes if o.matured <= day(late)], day(late)) == whole
    assert 0 <= whole.aim <= 1
    assert Adaptive.from_json(json.loads(json.dumps(whole.to_json()))) == whole


def test_an_error_counts_on_the_day_it_matures_and_not_before() -> None:
    missed = [Matured(day(0), day(28), False)]
    level = Adaptive(0.95, step=0.01).after(missed, day(27))
    assert level.aim == pytest.approx(0.05)
    assert level.after(missed, day(28)).aim == pytest.approx(0.0405)
    assert level.after(missed, day(28)).after(missed, day(40)).aim == pytest.approx(0.0405)


def test_a_long_run_of_misses_need_not_be_paid_back() -> None:
    missed = [Matured(day(n), day(n + 1), False) for n in range(1000)]
    level = Adaptive(0.95, step=0.02).after(missed, day(1000))
    assert level.aim == 0.0
    covered = [Matured(day(1000 + n), day(1001 + n), True) for n in range(25)]
    assert level.after(covered, day(1100)).aim > 0.0


def test_adapting_teaches_the_recalibrated_interval_too() -> None:
    random = np.random.default_rng(9)
    found, level = taught(random, 300, 0.6), Adaptive(0.9, step=0.01)
    pit = stats.norm.cdf(random.normal(size=3000) / 0.5)
    read = []
    for now in range(3000):
        low, high = found.probabilities(1 - level.aim)
        read.append(bool(low <= pit[now] <= high))
        level = level.after([Matured(day(now), day(now + 1), read[-1])], day(now + 1))
    assert np.mean(read[500:]) == pytest.approx(0.9, abs=0.015)
    assert pit_coverage(pit, 0.9).high < 0.7


@pytest.mark.parametrize(
    "call",
    [
        lambda: Recalibration.fit([1.2] * 30),
        lambda: Recalibration.fit([math.nan] * 30),
        lambda: Recalibration.fit([0.5] * 30, prior_rows=-1),
        lambda: Recalibration.fit([0.5] * 30, blocks=[1]),
        lambda: Recalibration().probability(1.5),
        lambda: Recalibration().probabilities(95),
        lambda: Recalibration.from_json({"rows": 1, "effective": 1, "prior_rows": 1, "reads": [0.1, 0.9]}),
        lambda: Recalibration.from_json({"rows": 1, "effective": 1, "prior_rows": 1, "reads": [0.9] + [0.1] * 200}),
        lambda: Adaptive(95),
        lambda: Adaptive(0.9, step=0.0),
        lambda: Adaptive(0.9, pending=-1),
        lambda: Adaptive(0.9).after([Matured(day(2), day(1), True)], day(3)),
        lambda: Adaptive(0.9).after([], day(3)).after([], day(2)),
    ],
)
def test_invalid_input_is_refused_with_what_was_wanted(call: object) -> None:
    with pytest.raises(ValueError, match="wanted"):
        call()  # type: ignore[operator]
