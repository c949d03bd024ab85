"""The made-up funnel keeps its promises: volumes, rates, delays, and an oracle that draws as the world does."""

import csv
from datetime import date, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from foregate.cases.funnel.world import (
    AS_OF,
    END,
    SEGMENTS,
    SERIES,
    STAGES,
    START,
    Trap,
    Truth,
    lay,
    lay_world,
    oracle_paths,
    unfold,
)
from foregate.cases.funnel.world.catalogue import STEPS, WEEKDAYS, Step
from foregate.cases.funnel.world.truth import NEVER, index_of, landing, weekday_of

SEEDS = range(6)
QUARTER = AS_OF - timedelta(days=91)


@cache
def world(seed: int) -> Truth:
    return unfold(seed)


def read(file: Path) -> list[dict[str, str]]:
    with file.open() as lines:
        return list(csv.DictReader(lines))


def test_there_are_24_series_in_four_channels_and_four_segments() -> None:
    assert len({(kind.channel, kind.source) for kind in SERIES}) == 24
    assert len({kind.source for kind in SERIES}) == 24
    assert {kind.segment for kind in SERIES} == set(SEGMENTS)
    assert len({kind.channel for kind in SERIES}) == 4
    assert [kind.segment for kind in SERIES if kind.source == "Other"] == ["Outbound"]


def test_the_same_seed_writes_the_same_bytes_and_another_does_not(tmp_path: Path) -> None:
    for place, seed in (("a", 3), ("b", 3), ("c", 4)):
        lay(tmp_path / place, seed, AS_OF)
    for name in ("leads.csv", "opportunities.csv"):
        one, same, other = ((tmp_path / place / name).read_bytes() for place in "abc")
        assert one == same
        assert one != other


def test_a_later_day_only_adds(tmp_path: Path) -> None:
    for until in (AS_OF, AS_OF + timedelta(days=90)):
        lay_world(tmp_path / until.isoformat(), world(0), until)
    for name in ("leads.csv", "opportunities.csv"):
        now, then = (read(tmp_path / day.isoformat() / name) for day in (AS_OF, AS_OF + timedelta(days=90)))
        assert len(then) > len(now)
        for before, after in zip(now, then, strict=False):
            assert {k: v for k, v in before.items() if v} == {k: after[k] for k, v in before.items() if v}
        filled = [r for r in then for k, v in r.items() if k.endswith("_on") and v > AS_OF.isoformat()]
        assert filled
        assert max(v for r in now for k, v in r.items() if k.endswith("_on")) == AS_OF.isoformat()


def test_the_files_hold_numbers_names_of_sources_and_dates_and_no_person(tmp_path: Path) -> None:
    rows = lay_world(tmp_path, world(0), AS_OF)
    leads, opportunities = read(tmp_path / "leads.csv"), read(tmp_path / "opportunities.csv")
    assert rows == {"leads": len(leads), "opportunities": len(opportunities)}
    same = ["channel", "original_source", "created_on"]
    assert list(leads[0]) == ["lead_id", "person_id", *same, "mql_on", "converted_on"]
    assert list(opportunities[0]) == ["opportunity_id", "person_id", *same, "became_sqo_on", "reported_on"]
    for table, key in ((leads, "lead_id"), (opportunities, "opportunity_id")):
        assert len({row[key] for row in table}) == len({row["person_id"] for row in table}) == len(table)
    assert {row["person_id"] for row in opportunities} == {row["person_id"] for row in leads if row["converted_on"]}
    for row in leads:
        assert not row["mql_on"] or row["created_on"] <= row["mql_on"]
        assert not row["converted_on"] or row["mql_on"] <= row["converted_on"]


def test_the_files_are_the_world(tmp_path: Path) -> None:
    lay_world(tmp_path, world(2), AS_OF)
    files = {"mql": ("leads", "mql_on"), "sql": ("leads", "converted_on"), "sqo": ("opportunities", "became_sqo_on")}
    for stage, (name, column) in files.items():
        told = [row[column] for row in read(tmp_path / f"{name}.csv") if row[column]]
        by_day = world(2).counts(stage, START, AS_OF).sum(axis=0)
        assert len(told) == by_day.sum()
        day = date(2025, 3, 4)
        assert told.count(day.isoformat()) == by_day[index_of(day)]


def test_the_last_quarter_expects_two_and_a_half_sqls_a_day_of_which_three_in_five_go_on() -> None:
    for seed in SEEDS:
        expected = {s: world(seed).expected(s, QUARTER, AS_OF).sum(axis=0).mean() for s in STAGES}
        assert expected["mql"] == pytest.approx(2.5 / 0.35, rel=0.01)
        assert expected["sql"] == pytest.approx(2.5, rel=0.06)
        assert expected["sqo"] == pytest.approx(1.5, rel=0.08)


def test_what_comes_is_what_is_expected() -> None:
    for stage in STAGES:
        came = np.array([world(seed).counts(stage, START, AS_OF).sum() for seed in SEEDS])
        expected = np.array([world(seed).expected(stage, START, AS_OF).sum() for seed in SEEDS])
        assert came.sum() == pytest.approx(expected.sum(), rel=0.03)


def test_counts_are_scattered_more_than_poisson_as_a_negative_binomial_of_four() -> None:
    counts = np.concatenate([world(seed).counts("mql", START, AS_OF).ravel() for seed in SEEDS])
    mean = np.concatenate([world(seed).expected("mql", START, AS_OF).ravel() for seed in SEEDS])
    beyond = ((counts - mean) ** 2 - mean).sum() / (mean**2).sum()
    assert beyond == pytest.approx(1 / 4, abs=0.06)


def test_weekends_are_quiet() -> None:
    for stage in STAGES:
        by_day = world(0).counts(stage, START, AS_OF).sum(axis=0)
        weekday = weekday_of(np.arange(len(by_day)))
        assert by_day[weekday >= 5].mean() < 0.5 * by_day[weekday < 5].mean()


def test_closed_series_are_silent() -> None:
    for place, kind in enumerate(SERIES):
        if kind.opens > START:
            assert world(0).counts("sqo", START, kind.opens - timedelta(days=1))[place].sum() == 0
        if kind.closes < AS_OF:
            assert world(0).counts("mql", kind.closes, AS_OF)[place].sum() == 0
            assert world(0).counts("mql", START, kind.closes)[place].sum() > 0


def test_a_segment_s_level_shifts_and_that_of_all_its_series_with_it() -> None:
    level = np.log(world(0).level[:2, : index_of(AS_OF)])
    step = np.diff(level, axis=1)
    day = int(np.abs(step[0]).argmax())
    assert day == int(np.abs(step[1]).argmax())
    assert step[:, day] == pytest.approx([-0.35, -0.35], abs=0.12)


@pytest.mark.parametrize("step", STEPS)
def test_delays_are_the_weibull_s_and_weekends_wait_for_monday(step: Step) -> None:
    days = landing(step)
    assert days.sum(axis=1) == pytest.approx(np.ones(7))
    drawn = np.floor(step.scale * np.random.default_rng(0).weibull(step.shape, 400_000)).astype(int)
    for entry in (0, 4, 6):
        weekday = (entry + drawn) % 7
        waits = (weekday >= 5) & (np.random.default_rng(1).random(len(drawn)) < 0.8)
        landed = drawn + np.where(waits, 7 - weekday, 0)
        assert days[entry, :30] == pytest.approx(np.bincount(landed, minlength=30)[:30] / len(drawn), abs=0.003)


def naive_open_mean(truth: Truth, place: int, now: int, horizon: int) -> np.ndarray:
    """The conversions to expect of those on the way, person by person."""
    found = np.zeros((len(SERIES), horizon))
    days = landing(STEPS[place])
    for series, entered, after in zip(truth.series, truth.reached[place], truth.reached[place + 1], strict=True):
        if entered < now <= after and now - entered < days.shape[1]:
            chance = days[(entered + START.weekday()) % 7]
            rate, age = truth.rates[place][series], int(now - entered)
            waiting = 1 - rate * chance[:age].sum()
            rest = chance[age : age + horizon]
            found[series, : len(rest)] += rate * rest / waiting
    return found


def test_the_oracle_s_mean_is_that_of_open_and_of_future_entries() -> None:
    truth, origin, horizon = world(1), date(2025, 8, 1), 28
    now = index_of(origin)
    drawn = oracle_paths(truth, "sql", origin, horizon, 1500, np.random.default_rng(0)).mean(axis=0)
    weekday = np.array(WEEKDAYS)[weekday_of(np.arange(now, now + horizon))] / np.mean(WEEKDAYS)
    mean = truth.level[:, now - 1, None] * weekday
    future = np.zeros((len(SERIES), horizon))
    for day in range(horizon):
        chance = landing(STEPS[0])[(now + day + START.weekday()) % 7]
        for later in range(horizon - day):
            future[:, day + later] += mean[:, day] * truth.rates[0] * chance[later]
    expected = naive_open_mean(truth, 0, now, horizon) + future
    assert drawn.sum() == pytest.approx(expected.sum(), rel=0.02)
    assert drawn.sum(axis=0) == pytest.approx(expected.sum(axis=0), abs=0.25)
    assert drawn.sum(axis=1) == pytest.approx(expected.sum(axis=1), abs=0.7)


def test_the_oracle_is_calibrated_for_sums_of_28_days() -> None:
    origins = [date(2023, 9, 4) + timedelta(days=91 * k) for k in range(12)]
    rng, place = np.random.default_rng(1), []
    for stage in STAGES:
        for truth in map(world, SEEDS):
            for origin in origins:
                drawn = oracle_paths(truth, stage, origin, 28, 100, rng).sum(axis=(1, 2))
                came = truth.counts(stage, origin, origin + timedelta(days=27)).sum()
                place.append(((drawn < came).sum() + rng.random() * ((drawn == came).sum() + 1)) / 101)
    found = np.array(place)
    assert found.mean() == pytest.approx(0.5, abs=0.08)
    assert ((found > 0.25) & (found < 0.75)).mean() == pytest.approx(0.5, abs=0.13)
    assert ((found > 0.025) & (found < 0.975)).mean() >= 0.88


def test_the_oracle_draws_the_same_for_the_same_chance_and_nothing_for_closed_series() -> None:
    one, same = (oracle_paths(world(0), "sqo", AS_OF, 14, 40, np.random.default_rng(7)) for _ in range(2))
    assert one.shape == (40, len(SERIES), 14)
    assert one.dtype == np.int32
    assert np.array_equal(one, same)
    closed = [place for place, kind in enumerate(SERIES) if kind.closes < AS_OF]
    assert oracle_paths(world(0), "mql", AS_OF, 14, 40, np.random.default_rng(7))[:, closed].sum() == 0


def test_the_oracle_knows_who_is_on_the_way_and_not_what_becomes_of_them() -> None:
    """What happens after the origin may be anything: the oracle's paths stay the same."""
    truth, now = world(0), index_of(AS_OF)
    later = np.where((truth.reached >= now) & (truth.reached != NEVER), NEVER, truth.reached)
    level = truth.level.copy()
    level[:, now:] = 0
    blind = Truth(truth.seed, level, truth.rates, truth.series, later)
    drawn = [oracle_paths(one, "sqo", AS_OF, 21, 50, np.random.default_rng(3)) for one in (truth, blind)]
    assert np.array_equal(*drawn)


def test_days_outside_the_world_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the world knows 2023-05-01 to 2027-12-31"):
        lay(tmp_path, 0, END + timedelta(days=1))
    with pytest.raises(ValueError, match="the world knows"):
        world(0).expected("mql", START - timedelta(days=1), AS_OF)


@pytest.mark.parametrize("trap", Trap)
def test_a_trap_changes_the_files_and_not_the_truth(trap: Trap, tmp_path: Path) -> None:
    for place, planted in (("honest", None), ("trapped", trap)):
        lay_world(tmp_path / place, world(0), AS_OF, planted)
    names = ("leads.csv", "opportunities.csv")
    assert any((tmp_path / "honest" / n).read_bytes() != (tmp_path / "trapped" / n).read_bytes() for n in names)
    assert np.array_equal(world(0).reached, unfold(0).reached)
