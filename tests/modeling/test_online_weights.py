"""ML-Poly and BOA: against the textbook one outcome at a time, with and without delay, and what they promise."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foregate.metrics.estimate import Floats
from foregate.modeling.expert_weights import combined, weights
from foregate.modeling.online_weights import boa, ml_poly, ml_poly_by_regime, proven_share
from foregate.modeling.price_experts import COMPLEXITY, predicted, realised

ONE = np.ones


class TextbookPolynomial:
    def __init__(self, experts: int) -> None:
        self.regret, self.squares, self.reach = np.zeros(experts), np.zeros(experts), 0.0

    def told(self, regrets: Floats) -> None:
        self.regret = self.regret + regrets
        self.squares = self.squares + regrets**2
        self.reach = max(self.reach, float(np.abs(regrets).max()))

    def raw(self) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.nan_to_num(np.maximum(self.regret, 0) / (self.reach**2 + self.squares))


class TextbookBernstein:
    def __init__(self, experts: int) -> None:
        self.gain, self.squares, self.reach = np.zeros(experts), np.zeros(experts), 0.0
        self.rate, self.entropy = np.zeros(experts), np.log(experts)

    def told(self, regrets: Floats) -> None:
        self.gain = self.gain + regrets * (1 - self.rate * regrets)
        self.squares = self.squares + regrets**2
        self.reach = max(self.reach, float(np.abs(regrets).max()))
        if self.reach > 0:
            with np.errstate(divide="ignore"):
                self.rate = np.minimum(1 / (2 * self.reach), np.sqrt(self.entropy / self.squares))

    def raw(self) -> Floats:
        return np.asarray(self.rate * np.exp(self.rate * self.gain))


Textbook = TextbookPolynomial | TextbookBernstein


def textbook(learner: Textbook, said: Floats, came: Floats, delay: int, share: float = 0.0) -> Floats:
    """Return [T, K] weights, one day at a time: the outcome of s is told on the morning of s + delay."""
    days, experts = said.shape
    found = np.zeros((days, experts))
    for day in range(days):
        if day >= delay:
            s = day - delay
            mixed = float(np.nansum(found[s] * said[s]))
            slope = np.sign(mixed - came[s])
            if np.isfinite(came[s]):
                learner.told(np.nan_to_num(slope * mixed - slope * said[s]))
        awake = np.isfinite(said[day])
        raw = learner.raw() * awake
        own = raw / raw.sum() if raw.sum() > 0 else awake / max(awake.sum(), 1)
        found[day] = (1 - share) * own + share * awake / max(awake.sum(), 1)
    return found


def toy(seed: int, days: int, gaps: bool = False) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    came = rng.normal(0, 1, days)
    said = came[:, None] * np.array([0.0, 0.3, -0.2]) + rng.normal(0, 1, (days, 3)) * np.array([0.0, 0.4, 2.0])
    if gaps:
        said[rng.random(days) < 0.2, 1] = np.nan
        said[: days // 3, 2] = np.nan
        came[rng.random(days) < 0.1] = np.nan
    return said, came


@pytest.mark.parametrize(("ours", "theirs"), [(ml_poly, TextbookPolynomial), (boa, TextbookBernstein)])
@pytest.mark.parametrize("delay", [1, 7])
@pytest.mark.parametrize("share", [0.0, 0.05])
def test_blocks_of_days_learn_what_one_day_at_a_time_learns(
    ours: Callable[..., Floats], theirs: type[Textbook], delay: int, share: float
) -> None:
    for seed, gaps in ((1, False), (2, True)):
        said, came = toy(seed, 200, gaps)
        found = ours(said[None], came[None], ONE((1, 200)), [delay], share)[0]
        assert found == pytest.approx(textbook(theirs(3), said, came, delay, share), abs=1e-9)


@given(st.integers(0, 99), st.floats(1e-3, 1e3))
@settings(max_examples=15, deadline=None)
def test_the_unit_of_the_losses_does_not_matter(seed: int, unit: float) -> None:
    said, came = toy(seed, 120)
    for learn in (ml_poly, boa):
        found = learn(said[None], came[None], ONE((1, 120)), [3])
        assert learn(said[None] * unit, came[None] * unit, ONE((1, 120)), [3]) == pytest.approx(found, abs=1e-6)
        assert learn(said[None], came[None], np.full((1, 120), unit), [3]) == pytest.approx(found, abs=1e-6)


@pytest.mark.parametrize("learn", [ml_poly, boa])
@pytest.mark.parametrize("delay", [1, 10])
def test_the_weight_goes_to_the_best_and_the_regret_stays_small(learn: Callable[..., Floats], delay: int) -> None:
    rng = np.random.default_rng(5)
    came = rng.normal(0, 0.3, 3000)
    said = np.tile([0.0, 1.0, -2.0], (3000, 1)) + rng.normal(0, 0.1, (3000, 3)) * [0, 1, 1]
    found = learn(said[None], came[None], ONE((1, 3000)), [delay])[0]
    assert found[-1, 0] > 0.9
    loss = np.abs((found * said).sum(axis=1) - came)
    alone = np.abs(said - came[:, None]).sum(axis=0)
    assert loss.sum() - alone.min() < 40 * np.sqrt(1 + delay)
    assert loss.sum() < 1.05 * alone.min()


@pytest.mark.parametrize("learn", [ml_poly, boa])
def test_an_adversary_gains_no_more_than_the_root_of_the_days(learn: Callable[..., Floats]) -> None:
    # Each day the expert who has done better is made to err: to follow the leader loses every day.
    for days in (400, 6400):
        came, said = np.zeros(days), np.zeros((days, 2))
        said[0::2], said[1::2] = [0.0, 1.0], [1.0, 0.0]
        came[:] = 0.0
        found = learn(said[None], came[None], ONE((1, days)), [1])[0]
        regret = (found * said).sum() - said.sum(axis=0).min()
        assert regret < 2 * np.sqrt(days)


def test_mixing_beats_every_expert_where_the_truth_lies_between_them() -> None:
    # What the gradient is for: on the losses themselves no mixture could be preferred to the better of the two.
    came = np.random.default_rng(6).normal(0, 0.2, 4000)
    said = np.tile([-1.0, 1.5], (4000, 1))
    found = ml_poly(said[None], came[None], ONE((1, 4000)), [5])[0]
    assert np.abs((found * said).sum(axis=1) - came)[1000:].mean() < 0.3
    assert found[1000:, 0].mean() == pytest.approx(0.6, abs=0.05)


def test_a_share_keeps_everybody_heard() -> None:
    said, came = toy(8, 400)
    found = ml_poly(said[None], came[None], ONE((1, 400)), [5], share=0.03)
    assert found.min() >= 0.01 - 1e-12
    with pytest.raises(ValueError, match="dealt out equally is 2"):
        ml_poly(said[None], came[None], ONE((1, 400)), [5], share=2)


def test_regimes_learn_apart() -> None:
    rng = np.random.default_rng(9)
    regime = (np.arange(4000) // 100) % 2
    came = np.where(regime == 1, 1.0, -1.0) + rng.normal(0, 0.3, 4000)
    said = np.tile([1.0, -1.0], (1, 4000, 1))
    apart = ml_poly_by_regime(said, came[None], ONE((1, 4000)), [5], regime)[0]
    assert apart[3000:][regime[3000:] == 1, 0].min() > 0.9
    assert apart[3000:][regime[3000:] == 0, 1].min() > 0.9
    together = ml_poly(said, came[None], ONE((1, 4000)), [5])[0]
    losses = [np.abs((w * said[0]).sum(axis=1) - came)[1000:].mean() for w in (apart, together)]
    assert losses[0] < 0.5 * losses[1]


def test_what_is_proven_is_its_formula_origin_by_origin() -> None:
    rng, delay = np.random.default_rng(10), 4
    came, mixed = rng.normal(1, 1, 120), rng.normal(0.8, 0.2, 120)
    came[[7, 30]], mixed[12] = np.nan, np.nan
    scale = rng.uniform(1, 2, 120)
    found = proven_share(mixed[None], came[None], scale[None], [delay])[0]
    for origin in range(0, 120, 7):
        gains = [(abs(came[s]) - abs(came[s] - mixed[s])) / scale[s] for s in range(max(0, origin - delay + 1))]
        enough = sum(not np.isnan(gain) for gain in gains) >= 24 * delay
        gains = [0.0 if np.isnan(gain) else gain for gain in gains]
        total = sum(gains)
        lags = [(max(0.0, 1 - abs(s - u) / delay), s, u) for s in range(len(gains)) for u in range(len(gains))]
        variance = sum(kernel * gains[s] * gains[u] for kernel, s, u in lags)
        wanted = max(0.0, 1 - 2 * variance / total**2) if total > 0 and enough else 0.0
        assert found[origin] == pytest.approx(wanted, abs=1e-9)
    assert found.max() > 0.5


def test_little_is_proven_by_few_windows_and_nothing_by_luck() -> None:
    gains = np.ones((1, 126 * 30))
    found = proven_share(gains, gains, gains, [126])[0]
    assert not found[: 25 * 126 - 1].any()
    assert found[25 * 126 - 1] == pytest.approx(1 - 2 / 24, abs=0.01)
    assert found[-1] == pytest.approx(1 - 2 / 29, abs=0.01)
    walks = np.random.default_rng(11).normal(0, 1, (300, 2000))
    said = np.random.default_rng(12).normal(0, 0.3, (300, 2000))
    lucky = proven_share(said, walks, ONE((300, 2000)), [1] * 300)[:, -1]
    assert (lucky > 0).mean() < 0.02


def test_where_nothing_can_be_known_the_default_stays_with_no_change() -> None:
    horizons = (5, 21, 63)
    for seed in range(6):
        rng = np.random.default_rng(seed)
        y = 4 + np.cumsum(rng.standard_t(5, 3000) * 0.01 * np.exp(0.5 * np.sin(np.arange(3000) / 150)))
        said, came, volatility = predicted(y, horizons), realised(y, horizons), np.full(3000, 0.01)
        made = weights("ml_poly_shared", said, came, volatility, horizons, y, experts=COMPLEXITY)
        mixed = combined("ml_poly_shared", made, said)
        for row, truth in zip(mixed, came, strict=True):
            known = np.isfinite(truth) & (np.arange(3000) >= 500)
            assert np.abs(truth - row)[known].mean() < 1.01 * np.abs(truth)[known].mean()


def test_where_there_is_something_to_know_the_default_takes_it() -> None:
    # A level that comes back within days: smoothing errs much less than no change, and half of it must be taken.
    rng = np.random.default_rng(13)
    y = 4 + np.cumsum(rng.normal(0, 0.005, 4000)) + rng.normal(0, 0.03, 4000)
    said, came = predicted(y, (5,)), realised(y, (5,))
    volatility = np.full(4000, 0.04)
    made = weights("ml_poly_shared", said, came, volatility, (5,), y, experts=COMPLEXITY)
    known = np.isfinite(came[0]) & (np.arange(4000) >= 500)
    loss = np.abs(came[0] - combined("ml_poly_shared", made, said)[0])[known].mean()
    assert loss < 0.85 * np.abs(came[0])[known].mean()
    assert loss < 1.02 * min(np.abs(came[0] - said[0, :, k])[known & np.isfinite(said[0, :, k])].mean() for k in (4, 5))
