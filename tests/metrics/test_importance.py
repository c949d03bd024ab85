"""How importance shifts: naive shares, the noise floor's coverage, and features that come and go."""

import numpy as np
import pytest

from foregate.metrics.drift import importance_shift

SCALES = np.array([1.0, 0.5, 0.2, 0.1])


def drawn(random: np.random.Generator, rows: int, scales: np.ndarray = SCALES) -> np.ndarray:
    """Contributions whose rows are strong or weak as a whole, as those of easy and hard leads are."""
    return random.normal(0, scales, (rows, scales.size)) * random.gamma(0.5, 1, (rows, 1))


def test_a_shift_is_the_change_of_the_share() -> None:
    random = np.random.default_rng(1)
    before, after = drawn(random, 40_000), drawn(random, 30_000, SCALES * [1, 1, 3, 1])
    naive = [np.abs(side).mean(axis=0) / np.abs(side).mean(axis=0).sum() for side in (before, after)]
    found = importance_shift(before, after)
    assert [one.value for one in found] == pytest.approx(naive[1] / naive[0] - 1, abs=1e-3)
    assert found[2].low > 1
    assert found[0].high < 0
    assert all(one.low <= one.value <= one.high and one.rows == 30_000 for one in found)


def test_a_shift_sees_neither_units_nor_the_order_of_rows_and_features() -> None:
    random = np.random.default_rng(2)
    before, after = drawn(random, 200), drawn(random, 100)
    found = np.array(importance_shift(before, after))
    moved = np.array(importance_shift(-7 * before[::-1, ::-1], 0.1 * after[::-1, ::-1]))[::-1]
    assert moved == pytest.approx(found)
    turned = np.array(importance_shift(after, before))
    assert 1 / (1 + turned[:, 0]) - 1 == pytest.approx(found[:, 0])


@pytest.mark.parametrize(("before", "after"), [(300, 300), (2000, 200)])
def test_the_noise_floor_holds_chance(before: int, after: int) -> None:
    random, repeats = np.random.default_rng(3), 400
    found = [importance_shift(drawn(random, before), drawn(random, after)) for _ in range(repeats)]
    held = np.mean([[one.low <= 0 <= one.high for one in features] for features in found], axis=0)
    assert (held >= 0.91).all()


def test_features_that_come_go_or_never_counted_stay_finite() -> None:
    random = np.random.default_rng(4)
    before, after = drawn(random, 500), drawn(random, 500)
    before[:, 2], after[:, 2], before[:, 1], after[:, 3] = 0, 0, 0, 0
    found = importance_shift(before, after)
    assert found[1].low > 5
    assert np.isfinite(found[1].high)
    assert found[3].high < -0.9
    assert found[2][:3] == (0.0, 0.0, 0.0)
    assert [one[:3] for one in importance_shift(np.zeros((3, 2)), np.zeros((4, 2)))] == [(0.0, 0.0, 0.0)] * 2


@pytest.mark.parametrize(
    "call",
    [
        lambda: importance_shift(np.ones((0, 2)), np.ones((3, 2))),
        lambda: importance_shift(np.ones((3, 0)), np.ones((3, 0))),
        lambda: importance_shift(np.ones(3), np.ones(3)),
        lambda: importance_shift(np.ones((3, 2)), np.ones((3, 3))),
        lambda: importance_shift(np.ones((3, 2)), np.full((3, 2), np.nan)),
        lambda: importance_shift(np.ones((3, 2)), np.ones((3, 2)), level=1.0),
    ],
)
def test_invalid_input_is_refused_with_what_was_wanted(call: object) -> None:
    with pytest.raises(ValueError, match="wanted"):
        call()  # type: ignore[operator]
