"""Windows counted back from one date never touch each other's labels."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from foregate.modeling.splits import calendar


@given(
    st.dates(date(2000, 1, 1), date(2100, 1, 1)),
    st.integers(60, 900),
    st.integers(7, 200),
    st.integers(1, 200),
    st.integers(1, 12),
    st.integers(7, 120),
)
def test_embargo_stands_before_the_test_after_it_and_before_every_backtest(
    as_of: date, train: int, test: int, embargo: int, periods: int, length: int
) -> None:
    found = calendar(as_of, train_days=train, test_days=test, embargo_days=embargo, periods=periods, period_days=length)
    gap = timedelta(days=embargo)
    assert (found.test_end - found.test_start).days + 1 == test
    assert (found.train_end - found.train_start).days + 1 == train
    assert found.test_end + gap == as_of
    assert found.test_start - found.train_end == gap + timedelta(days=1)
    for period, following in zip(found.periods, found.periods[1:], strict=False):
        assert following.start == period.end + timedelta(days=1)
    for period in found.periods:
        assert period.start - period.train_end == gap + timedelta(days=1)
        assert period.end <= found.train_end
    assert not [w for w in found.disorder() if "backtest" not in w]


def test_a_training_start_after_the_test_is_said_to_be_out_of_order() -> None:
    start = date(2025, 10, 1)
    dates = {"train_days": 90, "test_days": 30, "embargo_days": 30, "periods": 1, "period_days": 30}
    found = calendar(date(2025, 10, 31), **dates, train_start=start)
    assert any("train end" in words for words in found.disorder())
