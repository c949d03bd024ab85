"""The field: rates adjusted for age, alarms on what is due, arms against each other, and a simulated year of them."""

import dataclasses
import math
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foregate.core.alerting import By, Reading, Rule, read
from foregate.core.evidence import Evidence
from foregate.metrics.calibration import calibration_in_the_large
from foregate.metrics.maturity import Delay, adjusted_rate
from foregate.metrics.rates import rate_ratio
from foregate.metrics.sequential import shortfall_e_detector
from foregate.modeling.contacted import Contacted, Promise, sums_on
from foregate.modeling.field import ArmRows, arm_evidence, field_evidence
from foregate.modeling.healthy import Volume, contacts, simulate_year, sums_by_day
from foregate.modeling.measured import Measured

ON = date(2025, 6, 30)
DAY = ON.toordinal()
SHOWN = np.array([0.0, 0.1, 0.3, 0.6, 0.8, 1.0])
PROMISE = Promise(0.2, 0.4, Delay(SHOWN, 100), 5, rows=500, top_decile_rows=50)
MADE = Measured(ON, "test")
MONTH = Delay(np.linspace(0, 1, 31), 400)
VOLUME = Volume(60, 0.06, 0.15, MONTH, rows=5_000, top_decile_rows=500)


def leads(*rows: tuple[int, int, int], score: float = 0.2, group: tuple[str, ...] = ()) -> Contacted:
    """Leads from (days since the contact, days to the conversion or -99, decile)."""
    age, delay, decile = (np.array(column, np.int64) for column in zip(*rows, strict=True)) if rows else [[]] * 3
    contacted = DAY - np.asarray(age, np.int64)
    converted = np.where(np.asarray(delay) == -99, 0, contacted + np.asarray(delay, np.int64)).astype(np.int64)
    told = np.full(contacted.size, score)
    return Contacted(contacted, converted, told, told, np.asarray(decile, np.int64), group)


def evidence(found: Contacted, promise: Promise = PROMISE, **more: int) -> dict[str, Evidence]:
    return {e.label: e for e in field_evidence(MADE, found, promise, ON, **more)}


ROW = st.tuples(st.integers(-3, 90), st.one_of(st.just(-99), st.integers(-4, 12)), st.integers(0, 10))


@settings(max_examples=50, deadline=None)
@given(st.lists(ROW, max_size=30), st.integers(1, 80))
def test_sums_are_those_of_a_plain_loop(rows: list[tuple[int, int, int]], recent_days: int) -> None:
    found = sums_on(leads(*rows), PROMISE, DAY, recent_days)
    hits, due, counted, old, strange, known, week = [0] * 11, [0.0] * 11, [0] * 11, [0, 0], 0, 0, [0, 0]
    for age, delay, decile in rows:
        converted = delay != -99
        strange += age < 0 or (converted and (delay < 0 or delay > age))
        if age < 0:
            continue
        known += 1
        seen = converted and 0 <= delay <= age
        if age < 7:
            week = [week[0] + 1, week[1] + seen]
        if age < 5 + recent_days:
            hit = seen and delay <= 5
            counted[decile], hits[decile] = counted[decile] + 1, hits[decile] + hit
            due[decile] += SHOWN[min(age, 5)]
            old = [old[0] + (age >= 5), old[1] + (hit and age >= 5)]
    assert found.refused == strange
    assert found.known == known
    assert found.deciles.rows.tolist() == counted
    assert found.deciles.hits.tolist() == hits
    assert found.deciles.due == pytest.approx(due)
    assert found.deciles.promised == pytest.approx([0.2 * one for one in due])
    assert [found.matured.rows, found.matured.hits] == old
    assert [int(found.week[0].sum()), int(found.week[1].sum())] == week


def test_rates_and_their_ratios_are_of_what_is_due_by_age() -> None:
    rows = [(3, 2, 1)] * 4 + [(3, -99, 2)] * 36 + [(40, 1, 2)] * 6 + [(40, -99, 1)] * 14
    found = evidence(leads(*rows))
    due = 40 * 0.6 + 20
    assert found["listed_rate"].value == pytest.approx(10 / due)
    error = PROMISE.delay.exposure([3] * 40 + [40] * 20).error
    assert found["listed_rate"].low == pytest.approx(adjusted_rate(10, due, 0.95, error).low)
    assert found["listed_rate_ratio"].value == pytest.approx(10 / due / 0.2)
    assert found["top_decile_rate_ratio"].value == pytest.approx(4 / (4 * 0.6 + 14) / 0.4)
    assert found["listed_rate"].rows == 60
    assert found["top_decile_lift"].value == pytest.approx((4 / 16.4) / (10 / due))
    assert found["decile_lift[1]"].low < found["top_decile_lift"].low
    assert math.isnan(found["decile_lift[3]"].value)


def test_an_unsure_promise_makes_the_ratio_less_sure() -> None:
    rows = leads(*[(40, 1, 2)] * 30 + [(40, -99, 2)] * 120)
    exact = evidence(rows, dataclasses.replace(PROMISE, rows=0))["listed_rate_ratio"]
    unsure = evidence(rows, dataclasses.replace(PROMISE, rows=100))["listed_rate_ratio"]
    assert (unsure.value, exact.value) == pytest.approx((1, 1))
    assert unsure.low < exact.low
    assert unsure.high > exact.high


def test_calibration_is_of_matured_leads_alone() -> None:
    rows = [(40, 1, 2)] * 3 + [(40, -99, 3)] * 7 + [(2, 1, 1)] * 5
    found = evidence(leads(*rows, score=0.1))["calibration_ratio"]
    wanted = calibration_in_the_large([1] * 3 + [0] * 7, [0.1] * 10)
    assert (found.value, found.low, found.high, found.rows) == pytest.approx(
        (wanted.value, wanted.low, wanted.high, wanted.rows)
    )


def test_the_shortfall_is_that_of_each_days_leads_so_far() -> None:
    known = contacts(4, VOLUME, 80, 1.0, 0, DAY - 79)
    found = evidence(known, VOLUME.promise())["conversion_shortfall"]
    observed, expected = [], []
    for day in range(DAY - 79, DAY + 1):
        mine = known.contacted == day
        observed.append(np.sum(mine & (known.converted > 0) & (known.converted <= DAY)))
        expected.append(0.06 * MONTH.shown[min(DAY - day, 30)] * mine.sum())
    assert found.value == pytest.approx(shortfall_e_detector(observed, expected)[-1])


def test_a_decile_promised_nothing_of_its_own_is_held_against_its_tiers() -> None:
    rows = [(40, 1, 1)] * 3 + [(40, -99, 1)] * 7 + [(40, -99, 2)] * 5
    found = evidence(leads(*rows), dataclasses.replace(PROMISE, top_decile_rate=math.nan))
    assert found["top_decile_rate_ratio"].value == pytest.approx(3 / (10 * 0.2))
    assert not math.isnan(found["top_decile_shortfall"].value)


def test_slow_conversions_show_as_drift_of_the_delay() -> None:
    slow = evidence(leads(*[(40, 5, 1)] * 40 + [(40, -99, 2)] * 100))["delay_drift"]
    assert slow.value == pytest.approx(-0.6)
    assert slow.high < 0
    assert evidence(leads(*[(40, 3, 1)] * 6 + [(40, 5, 1)] * 4))["delay_drift"].value == pytest.approx(0)


def cannot_tell(found: Evidence) -> bool:
    """Whether no rule on either side of any threshold is breached by it, or calls it fine."""
    rules = [Rule("r", found.name, above=3.0, by=by) for by in By] + [
        Rule("r", found.name, below=0.01, by=by) for by in By
    ]
    return all(read(rule, found) in {Reading.UNTOLD, Reading.STRADDLES} for rule in rules)


def test_without_leads_nothing_is_told_and_nothing_divided() -> None:
    for promise in (PROMISE, dataclasses.replace(PROMISE, groups=("A",)), dataclasses.replace(PROMISE, rate=0.0)):
        found = evidence(leads(), promise)
        assert found["future_labels"].value == 0
        del found["future_labels"]
        assert {label for label, e in found.items() if not cannot_tell(e)} == set()


def test_a_tier_nobody_was_contacted_in_is_reported_as_unknown() -> None:
    rows = leads(*[(40, 1, 2)] * 3 + [(40, -99, 2)] * 9, group=("A",) * 12)
    found = evidence(rows, dataclasses.replace(PROMISE, groups=("A", "B")))
    assert found["tier_rate_ratio[A]"].value == pytest.approx(3 / (12 * 0.2))
    assert cannot_tell(found["tier_rate_ratio[B]"])


def test_no_conversion_is_a_rate_of_zero_within_what_so_few_leads_can_tell() -> None:
    found = evidence(leads(*[(40, -99, 1 + k % 10) for k in range(20)]))
    assert (found["listed_rate"].value, found["listed_rate"].low) == (0, 0)
    assert found["listed_rate"].high > 0.1
    assert found["listed_rate_ratio"].high > 0.8
    assert cannot_tell(found["top_decile_lift"])
    assert cannot_tell(found["delay_drift"])
    many = evidence(leads(*[(40, -99, 1 + k % 10) for k in range(400)]))
    assert many["listed_rate_ratio"].high < 0.1
    assert many["conversion_shortfall"].value > 20


def test_labels_of_the_future_or_before_the_contact_are_counted_and_not_used() -> None:
    honest = [(6, -99, 1)] * 20 + [(6, 2, 1)] * 5
    plain = evidence(leads(*honest))
    strange = evidence(leads(*honest, (-2, -99, 1), (-2, 1, 1)))
    assert strange["future_labels"].value == 2
    for label in ("listed_rate", "conversion_shortfall", "daily_listed_rate", "calibration_ratio"):
        assert dataclasses.replace(strange[label], words="") == dataclasses.replace(plain[label], words="")
    early = evidence(leads(*honest, (6, -3, 1), (2, 8, 1)))
    assert early["future_labels"].value == 2
    assert (early["listed_rate"].rows, early["listed_rate"].words[:8]) == (27, "5 of 27 ")


@pytest.mark.parametrize("change", [(10, 9, 1), (10, -99, 1), (10, 40, 1), (10, -5, 1)])
def test_late_retracted_and_impossible_labels_leave_the_denominators(change: tuple[int, int, int]) -> None:
    honest = [(10, -99, 1)] * 20 + [(10, 2, 1)] * 5
    before, after = evidence(leads(*honest)), evidence(leads(*honest[:-1], change), retracted=1)
    assert after["listed_rate"].rows == before["listed_rate"].rows
    assert after["listed_rate"].value == pytest.approx(before["listed_rate"].value * 4 / 5)
    assert after["labels_retracted"].value == 1
    assert cannot_tell(before["labels_retracted"])


def test_open_leads_are_held_against_what_was_still_to_come() -> None:
    rng = np.random.default_rng(5)
    size, listed = 60_000, DAY - 20
    contacted = listed - rng.integers(0, 25, size)
    hit = rng.random(size) < 0.3
    delay = np.searchsorted(MONTH.shown, rng.random(size), side="right")
    converted = np.where(hit, contacted + delay, 0)
    still_open = (converted == 0) | (converted > listed)
    contacted, converted = contacted[still_open], converted[still_open]
    converted = np.where(converted > DAY, 0, converted)
    told, decile = np.full(contacted.size, 0.3), rng.integers(1, 11, contacted.size)
    open_leads = Contacted(contacted, converted, told, told, decile, listed=np.full(contacted.size, listed))
    found = evidence(open_leads, Promise(0.3, math.nan, MONTH, 30))
    assert found["listed_rate_ratio"].value == pytest.approx(1, abs=0.03)
    assert found["calibration_ratio"].value == pytest.approx(1, abs=0.05)
    assert found["conversion_shortfall"].value < 5
    blind = evidence(dataclasses.replace(open_leads, listed=None), Promise(0.3, math.nan, MONTH, 30))
    assert blind["listed_rate_ratio"].high < 0.9


def test_a_promise_and_leads_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="delay is of 5 days; wanted the window's 6"):
        dataclasses.replace(PROMISE, window_days=6)
    with pytest.raises(ValueError, match="wanted shares"):
        dataclasses.replace(PROMISE, rate=1.2)
    with pytest.raises(ValueError, match="different lengths"):
        dataclasses.replace(leads((1, 1, 1)), decile=np.array([1, 2]))
    with pytest.raises(ValueError, match="at least 1"):
        evidence(leads(), recent_days=0)


def arms(*rows: tuple[int, int, bool], propensity: float = 0.5, share: float = 0.5) -> ArmRows:
    """Rows from (days since the contact or -99 for none, days to the conversion or -99, challenger)."""
    age, delay, ours = (np.array(column) for column in zip(*rows, strict=True)) if rows else [np.zeros(0, int)] * 3
    contacted = np.where(age == -99, 0, DAY - age)
    converted = np.where((delay == -99) | (age == -99), 0, contacted + delay)
    size = contacted.size
    return ArmRows(contacted, converted, ours.astype(bool), np.full(size, propensity), np.full(size, share))


def arm_by_label(rows: ArmRows, margin: float = 0.0) -> dict[str, Evidence]:
    return {e.label: e for e in arm_evidence(MADE, rows, ON, 5, margin)}


def test_arms_are_compared_on_matured_leads() -> None:
    old = [(20, 1, True)] * 12 + [(20, -99, True)] * 88 + [(20, 1, False)] * 6 + [(20, -99, False)] * 94
    found = arm_by_label(arms(*old, (2, 1, False), (-99, -99, True), (-3, -99, True)))
    wanted = rate_ratio(12, 100, 6, 100)
    ratio = found["field_rate_ratio"]
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((wanted.value, wanted.low, wanted.high))
    assert ratio.rows == 200
    assert [found[f"field_rows[{arm}]"].value for arm in ("champion", "challenger")] == [101, 100]
    assert found["field_matured_rows[champion]"].value == 100
    assert found["future_labels"].value == 1
    assert date.fromordinal(int(found["first_verdict_on"].value)) == ON + timedelta(days=3)


def test_unequal_chances_of_being_listed_weigh_and_widen_the_ratio() -> None:
    rows = arms(*[(20, 1, True)] * 20 + [(20, -99, True)] * 80 + [(20, 1, False)] * 10 + [(20, -99, False)] * 90)
    chance = np.where(np.arange(200) < 20, 1.0, 0.25)
    found = arm_by_label(dataclasses.replace(rows, propensity=chance))["field_rate_ratio"]
    assert found.value == pytest.approx((20 / (20 + 80 * 4)) / 0.1)
    equal = arm_by_label(rows)["field_rate_ratio"]
    assert found.high / found.low > equal.high / equal.low


def test_a_harmful_challenger_is_found_and_an_equal_one_is_not() -> None:
    rng = np.random.default_rng(9)

    def harm(rate: float, margin: float = 0.0) -> float:
        age, ours = rng.integers(0, 60, 4_000), rng.random(4_000) < 0.5
        delay = np.where(rng.random(4_000) < np.where(ours, rate, 0.08), rng.integers(0, 6, 4_000), -99)
        delay = np.where(delay > age, -99, delay)
        rows = arms(*zip(age.tolist(), delay.tolist(), ours.tolist(), strict=True))
        return arm_by_label(rows, margin)["harm_e_value"].value

    assert sum(harm(0.08) > math.log(20) for _ in range(40)) <= 4
    assert sum(harm(0.03) > math.log(20) for _ in range(10)) >= 9
    assert sum(harm(0.066, margin=0.3) > math.log(20) for _ in range(20)) <= 1


def test_days_on_which_only_one_arm_was_called_say_nothing_of_harm() -> None:
    rows = arms(*[(20, 1, False)] * 30 + [(19, -99, True)] * 200)
    assert arm_by_label(rows)["harm_e_value"].value == 0


def test_leads_not_called_in_the_parts_they_were_listed_in_are_noticed() -> None:
    even = arm_by_label(arms(*[(20, -99, True)] * 200 + [(20, -99, False)] * 200))["sample_ratio_e_value"]
    skew = arm_by_label(arms(*[(20, -99, True)] * 100 + [(20, -99, False)] * 300))["sample_ratio_e_value"]
    assert even.value < 0
    assert skew.value > math.log(1000)
    planned = arms(*[(20, -99, True)] * 100 + [(20, -99, False)] * 300, share=0.25)
    assert arm_by_label(planned)["sample_ratio_e_value"].value < 0


def test_arms_nobody_was_called_in_tell_nothing() -> None:
    for rows in (arms(), arms((-99, -99, True), (-99, -99, False))):
        found = arm_by_label(rows)
        for name in ("sample_ratio_e_value", "harm_e_value", "field_rate_ratio", "first_verdict_on"):
            assert cannot_tell(found[name])


def test_arms_that_can_not_be_are_refused() -> None:
    with pytest.raises(ValueError, match="no chance of being listed"):
        arms((1, 1, True), propensity=0.0)
    with pytest.raises(ValueError, match="outside 0 to 1"):
        arms((1, 1, True), share=1.5)
    with pytest.raises(ValueError, match="margin"):
        arm_by_label(arms((1, 1, True)), margin=1.0)


@pytest.mark.parametrize(("window", "recent_days", "per_day"), [(30, 60, 12), (3, 1, 4), (10, 9, 0.3), (5, 20, 0)])
def test_a_year_at_once_equals_day_by_day(window: int, recent_days: int, per_day: float) -> None:
    shown = np.sqrt(np.arange(window + 1) / window)
    volume = Volume(per_day, 0.3, 0.6, Delay(shown, 50))
    known = contacts(7, volume, 70, 0.8, 5, DAY)
    at_once = list(sums_by_day(known, volume.promise(), DAY - 5, DAY + 69, recent_days))
    for day, found in zip(range(DAY - 5, DAY + 70), at_once, strict=True):
        there = known.contacted <= day
        kept = [getattr(known, name)[there] for name in ("contacted", "converted", "score", "expected", "decile")]
        kept[1] = np.where(kept[1] <= day, kept[1], 0)
        wanted = sums_on(Contacted(*kept), volume.promise(), day, recent_days)
        for name in ("deciles", "matured", "week", "shortfall", "top_shortfall", "known", "error", "refused"):
            for one, other in zip(
                np.atleast_1d(getattr(found, name)), np.atleast_1d(getattr(wanted, name)), strict=True
            ):
                np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9, err_msg=f"{name} of day {day - DAY}")


def test_a_simulated_year_is_its_seed_and_a_halved_one_is_noticed() -> None:
    def shortfalls(seed: int, multiplier: float, days: int = 100) -> list[float]:
        year = simulate_year(seed, VOLUME, days, multiplier, warmup=40)
        return [next(e.value for e in found if e.name == "conversion_shortfall") for _, found in year]

    assert shortfalls(3, 1.0) == shortfalls(3, 1.0)
    assert max(shortfalls(3, 1.0)) < math.log(365) < max(shortfalls(3, 0.5))
    days = [on for on, _ in simulate_year(3, VOLUME, 10, warmup=5, start=ON)]
    assert days == [ON + timedelta(days=k) for k in range(10)]


def test_a_year_that_can_not_be_is_refused() -> None:
    with pytest.raises(ValueError, match="for the others"):
        Volume(60, 0.02, 0.5, MONTH)
    with pytest.raises(ValueError, match="multiplier"):
        next(simulate_year(1, VOLUME, multiplier=9.0))
    with pytest.raises(ValueError, match="at least 1 and 0"):
        next(simulate_year(1, VOLUME, days=0))
