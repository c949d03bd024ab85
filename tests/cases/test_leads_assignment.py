import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foregate.cases.leads.assignment import UnfairAssignmentError, WrongRowsError, assign

RATES = np.array([0.03, 0.041, 0.052, 0.07, 0.12])


def rows(rate: np.ndarray, firm: np.ndarray | None = None, is_partner: np.ndarray | None = None) -> pa.Table:
    table = {"firm_id": np.zeros(rate.size, int) if firm is None else firm, "expected_rate": rate}
    table["list_rank"] = np.arange(1, rate.size + 1)
    return pa.table(table if is_partner is None else table | {"is_partner": is_partner})


def gap(rate: np.ndarray, owner: np.ndarray) -> float:
    totals = np.bincount(owner, weights=rate)
    return float(np.ptp(totals) / totals.mean())


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 14), st.integers(30, 80), st.integers(0, 2**32 - 1))
def test_everyone_gets_exactly_as_many_and_nearly_the_same_value(owners: int, per_owner: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    rate = random.choice(RATES, owners * per_owner)
    owner = assign(rows(rate), list(range(owners)), per_owner, 0.05, seed)
    assert np.bincount(owner).tolist() == [per_owner] * owners
    assert gap(rate, owner) <= 0.05


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 10), st.integers(0, 2**32 - 1))
def test_partners_of_one_firm_stay_together_and_others_do_not_have_to(owners: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    rate = random.choice(RATES, owners * 60)
    firm = random.integers(0, owners * 20, rate.size)
    is_partner = random.random(rate.size) < 0.3
    owner = assign(rows(rate, firm, is_partner), list(range(owners)), 60, 0.05, seed)
    assert np.bincount(owner).tolist() == [60] * owners
    for one in np.unique(firm):
        assert np.unique(owner[(firm == one) & is_partner]).size <= 1


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_neither_the_order_of_rows_nor_a_second_run_changes_who_calls_whom(seed: int) -> None:
    random = np.random.default_rng(seed)
    rate = random.choice(RATES, 7 * 50)
    table = rows(rate, random.integers(0, 90, rate.size), random.random(rate.size) < 0.2)
    shuffled = random.permutation(rate.size)
    first = assign(table, list("abcdefg"), 50, 0.05, seed)
    assert np.array_equal(first, assign(table, list("abcdefg"), 50, 0.05, seed))
    assert np.array_equal(first[shuffled], assign(table.take(pa.array(shuffled)), list("abcdefg"), 50, 0.05, seed))


def test_the_list_of_the_seed_is_shared_within_two_percent() -> None:
    rate = np.repeat([0.12, 0.075, 0.06, 0.05, 0.033], [50, 300, 50, 1500, 900])
    owner = assign(rows(rate), list(range(14)), 200, 0.02, seed=1)
    assert gap(rate, owner) <= 0.02
    # People of one rate are dealt in turn, so no owner gets only the well scored ones of a tier.
    ranks = [np.flatnonzero(owner == one).mean() for one in range(14)]
    assert np.ptp(ranks) < 60


def test_many_different_rates_are_shared_too() -> None:
    rate = np.random.default_rng(3).beta(2, 40, 14 * 200)
    assert gap(rate, assign(rows(rate), list(range(14)), 200, 0.02, seed=1)) <= 0.02


def test_the_seed_decides_who_gets_which_share() -> None:
    table = rows(np.repeat([0.1, 0.05], 20))
    assert not np.array_equal(assign(table, list("abcd"), 10, seed=1), assign(table, list("abcd"), 10, seed=2))


def test_missing_firms_make_no_group() -> None:
    table = pa.table(
        {
            "firm_id": pa.array([None] * 8, pa.int64()),
            "expected_rate": [0.1] * 8,
            "list_rank": range(8),
            "is_partner": [True] * 8,
        }
    )
    assert np.bincount(assign(table, ["ann", "bob"], 4)).tolist() == [4, 4]


def test_nothing_to_expect_is_fair() -> None:
    assert np.bincount(assign(rows(np.zeros(4)), ["ann", "bob"], 2)).tolist() == [2, 2]


def test_a_group_that_fits_no_owner_is_refused() -> None:
    table = rows(np.full(8, 0.1), np.array([1, 1, 1, 1, 1, 2, 3, 4]), np.ones(8, bool))
    with pytest.raises(UnfairAssignmentError, match="partners of firm 1: found 5 people who go together, room for 4"):
        assign(table, ["ann", "bob"], 4)


def test_a_tolerance_out_of_reach_says_what_was_reached() -> None:
    with pytest.raises(UnfairAssignmentError, match=r"0.150 to 0.200, a gap of 28.6% of the mean, wanted at most 2.0%"):
        assign(rows(np.array([0.1, 0.1, 0.1, 0.05])), ["ann", "bob"], 2)


@pytest.mark.parametrize("owners", [[], ["ann"], ["ann", "bob", "cy"]])
def test_rows_that_do_not_fit_the_owners_are_refused(owners: list[str]) -> None:
    with pytest.raises(WrongRowsError):
        assign(rows(np.full(4, 0.1)), owners, 2)
