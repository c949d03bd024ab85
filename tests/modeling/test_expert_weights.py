"""The rules that weigh experts: against a loop per origin, and what no rule may do (look ahead, lose a weight)."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foregate.metrics.estimate import Floats
from foregate.modeling.expert_weights import DEFAULT_RULE, RULES, combined, weights

HORIZONS = (1, 4)
EXPERTS = ("no_change", "ses", "trend", "late")
TABLE = {0: {"no_change": 1.0}, 1: {"ses": 1.0, "late": 3.0}}


def world(seed: int, days: int = 330) -> dict[str, Any]:
    """Four experts of a walk, one that knows something; the last is there from day 100 on and has gaps.

    Volatility is unknown for ten days.
    """
    rng = np.random.default_rng(seed)
    y = 3 + np.cumsum(rng.normal(0, 0.02, days))
    realised = np.full((2, days), np.nan)
    for row, ahead in zip(realised, HORIZONS, strict=True):
        row[:-ahead] = y[ahead:] - y[:-ahead]
    predicted = rng.normal(0, 0.02, (2, days, 4)) + np.array([0, 0, 0.01, 0.02])
    predicted[:, :, 0] = 0
    predicted[:, :, 1] = 0.5 * (predicted[:, :, 1] + np.nan_to_num(realised))
    predicted[:, :100, 3] = np.nan
    predicted[:, rng.integers(100, days, 12), 3] = np.nan
    volatility = np.where(np.arange(days) < 10, np.nan, rng.uniform(0.01, 0.03, days))
    regime = np.where(np.arange(days) < 20, -1, (np.arange(days) // 40) % 2)
    return {"predicted": predicted, "realised": realised, "volatility": volatility, "y": y, "regime": regime}


def weighed(rule: str, found: dict[str, Any], experts: tuple[str, ...] = EXPERTS) -> Floats:
    return weights(
        rule,
        found["predicted"],
        found["realised"],
        found["volatility"],
        HORIZONS,
        found["y"],
        2.0,
        experts=experts,
        regime=found["regime"],
        table=TABLE,
    )


def last_errors(found: dict[str, Any], at: int, origin: int, expert: int, percent: bool) -> list[float]:
    """Return the errors of an expert known at the origin, oldest first."""
    ahead, told = HORIZONS[at], []
    for s in range(origin - ahead + 1):
        said, came, y = found["predicted"][at, s, expert], found["realised"][at, s], found["y"][s]
        if percent:
            price = math.exp(y + came) - 2
            error = 100 * abs(math.exp(y + said) - 2 - price) / abs(price)
        else:
            error = abs(said - came) / (found["volatility"][s] * math.sqrt(ahead))
        if not math.isnan(error):
            told.append(error)
    return told


def naive(rule: str, found: dict[str, Any], at: int, origin: int) -> list[float]:
    """Return the weights of one origin by the words of the rule."""
    there = [k for k in range(4) if math.isfinite(found["predicted"][at, origin, k])]
    window = {"inverse_mse_60": 60, "inverse_mse_250_half": 250, "best_recent_250": 250}.get(rule, 30)
    errors = {k: last_errors(found, at, origin, k, rule.startswith("seed"))[-window:] for k in there}
    least = 1 if rule == "seed_mape_unguarded" else window
    judged = {k: errors[k] for k in there if len(errors[k]) >= least}
    if rule.startswith("best"):
        means = {k: sum(e) / len(e) for k, e in judged.items()}
        return [float(k == min(means, key=means.__getitem__)) if means else (k in there) / len(there) for k in range(4)]
    if rule.startswith("seed"):
        score = {k: math.exp(1 / max(sum(e) / len(e), 0.1)) for k, e in judged.items()}
    else:
        score = {k: 1 / (sum(x * x for x in e) / len(e)) for k, e in judged.items()}
    own = [0.0] * 4
    for k in there:
        own[k] = score[k] / sum(score.values()) * len(judged) / len(there) if k in judged else 1 / len(there)
    if rule == "inverse_mse_250_half":
        own = [0.5 * w + 0.5 * (k in there) / len(there) for k, w in enumerate(own)]
    if rule == "seed_mape":
        own = [0.02 + (1 - 0.02 * len(there)) * w if k in there else 0.0 for k, w in enumerate(own)]
        if max(own) > 0.6:
            rest = sum(own) - max(own)
            own = [0.6 if w == max(own) else w * 0.4 / rest for w in own]
    return own


@pytest.mark.parametrize(
    "rule",
    ["inverse_mse_60", "inverse_mse_250_half", "seed_mape", "seed_mape_unguarded", "best_recent_30", "best_recent_250"],
)
def test_a_windowed_rule_is_its_formula_at_every_origin(rule: str) -> None:
    found = world(7)
    got = weighed(rule, found)
    for at in range(2):
        for origin in (0, 9, 33, 45, 99, 100, 131, 140, 259, 275, 300, 329):
            assert got[at, origin] == pytest.approx(naive(rule, found, at, origin), abs=1e-9), (at, origin)


def test_exponential_weights_are_their_formula_with_a_sleeper_erring_as_the_others() -> None:
    found = world(8, 150)
    got = weighed("exponential", found)
    for at, ahead in enumerate(HORIZONS):
        sums = np.zeros(4)
        for origin in range(150):
            s = origin - ahead
            sums *= 0.998
            if s >= 10:
                own = np.abs(found["predicted"][at, s] - found["realised"][at, s])
                own = own / (found["volatility"][s] * math.sqrt(ahead))
                sums += np.where(np.isnan(own), np.nanmean(own), own)
            wanted = np.where(np.isfinite(found["predicted"][at, origin]), np.exp(-0.05 * sums), 0)
            assert got[at, origin] == pytest.approx(wanted / wanted.sum(), abs=1e-9)


@pytest.mark.parametrize("rule", RULES)
def test_weights_are_shares_of_those_there(rule: str) -> None:
    found = world(9)
    got = weighed(rule, found)
    assert got.min() >= 0
    assert got.sum(axis=2) == pytest.approx(1)
    assert not got[np.isnan(found["predicted"])].any()
    assert np.isfinite(combined(rule, got, found["predicted"])).all()


@pytest.mark.parametrize("rule", RULES)
@given(seed=st.integers(0, 99), day=st.integers(0, 328))
@settings(max_examples=12, deadline=None)
def test_nothing_that_is_not_known_at_a_day_moves_its_weights(rule: str, seed: int, day: int) -> None:
    found, other, rng = world(seed), world(seed), np.random.default_rng(seed + 1)
    later = slice(day + 1, None)
    other["predicted"][:, later] = rng.normal(0, 1, other["predicted"][:, later].shape)
    other["volatility"][later] = rng.uniform(0.1, 9, other["volatility"][later].shape)
    other["y"][later] += rng.normal(0, 1, other["y"][later].shape)
    other["regime"][later] = 1 - np.abs(other["regime"][later])
    for row, ahead in zip(other["realised"], HORIZONS, strict=True):
        row[max(0, day - ahead + 1) :] = rng.normal(0, 1, row[max(0, day - ahead + 1) :].shape)
    before, after = weighed(rule, found), weighed(rule, other)
    assert np.array_equal(before[:, : day + 1], after[:, : day + 1])
    cut = {name: values[:, : day + 1] if values.ndim > 1 else values[: day + 1] for name, values in found.items()}
    assert np.array_equal(before[:, : day + 1], weighed(rule, cut))


@pytest.mark.parametrize("rule", [r for r in RULES if r not in ("no_change", "equal", "median", "regime_table")])
def test_an_outcome_counts_on_the_very_day_it_matures(rule: str) -> None:
    found, other = world(3), world(3)
    # One great surprise makes the trend the best of all; a smaller one leaves something proven to weigh.
    surprise = 0.5 if rule in ("ml_poly_shared", "ml_poly_by_regime") else 50.0
    for at, ahead in enumerate(HORIZONS):
        for case, came in ((found, -surprise), (other, surprise)):
            case["predicted"][at, 320 - ahead, 2] = surprise
            case["realised"][at, 320 - ahead] = came
    before, after = weighed(rule, found), weighed(rule, other)
    assert np.array_equal(before[:, :320], after[:, :320])
    assert (np.abs(before[:, 320] - after[:, 320]).max(axis=1) > 1e-6).all()


def test_the_default_weighs_more_than_no_change_in_these_worlds() -> None:
    # Else what the tests here say of it would be said of no change.
    assert DEFAULT_RULE == "ml_poly_shared"
    assert weighed(DEFAULT_RULE, world(3))[:, 320, 1].min() > 0.3


@pytest.mark.parametrize("rule", RULES)
@given(order=st.permutations(range(4)))
@settings(max_examples=8, deadline=None)
def test_the_order_of_the_experts_does_not_matter(rule: str, order: list[int]) -> None:
    found, turned = world(11), world(11)
    turned["predicted"] = turned["predicted"][:, :, order]
    got = weighed(rule, turned, tuple(EXPERTS[k] for k in order))
    assert got == pytest.approx(weighed(rule, found)[:, :, order], abs=1e-9)


@pytest.mark.parametrize("rule", RULES)
def test_where_nobody_is_there_no_change_takes_all_or_nobody_knows(rule: str) -> None:
    found = world(12)
    found["predicted"][:, 200:210] = np.nan
    got = weighed(rule, found)
    assert np.array_equal(got[:, 200:210], np.broadcast_to([1.0, 0, 0, 0], (2, 10, 4)))
    assert np.isnan(combined(rule, got, found["predicted"])[:, 200:210]).all()
    if rule not in ("no_change", "regime_table"):
        without = weighed(rule, {**found, "predicted": found["predicted"][:, :, 1:]}, EXPERTS[1:])
        assert np.isnan(without[:, 200:210]).all()
        assert np.isfinite(without[:, :200]).all()


def constant_error(error: float, other: float, days: int = 40) -> dict[str, Any]:
    """A price of 98 every day (displaced by 2) and two experts that always err by so many percent of it."""
    said = np.log(98 * (1 + np.array([error, other]) / 100) + 2) - math.log(100)
    realised = np.zeros((2, days))
    for row, ahead in zip(realised, HORIZONS, strict=True):
        row[-ahead:] = np.nan
    predicted = np.broadcast_to(said, (2, days, 2)).copy()
    y = np.full(days, math.log(100))
    return {"predicted": predicted, "realised": realised, "volatility": y / 100, "y": y, "regime": np.zeros(days, int)}


def test_the_seeds_error_is_in_percent_of_the_price() -> None:
    two, three = math.exp(1 / 2), math.exp(1 / 3)
    got = weighed("seed_mape_unguarded", constant_error(2, 3), ("ses", "trend"))
    assert got[:, -1] == pytest.approx(np.tile([two, three], (2, 1)) / (two + three))
    guarded = weighed("seed_mape", constant_error(2, 3), ("ses", "trend"))[0, -1]
    assert guarded == pytest.approx(0.02 + 0.96 * np.array([two, three]) / (two + three))


def test_the_seeds_rule_is_guarded_against_few_errors_and_one_winner() -> None:
    found = constant_error(0.05, 3, days=40)
    got = weighed("seed_mape", found, ("ses", "trend"))
    assert np.array_equal(got[0, :30], np.full((30, 2), 0.5))
    assert got[0, 30] == pytest.approx([0.6, 0.4])
    assert weighed("seed_mape_unguarded", found, ("ses", "trend"))[0, 30, 0] > 0.999
    three = {**found, "predicted": np.concatenate([found["predicted"], found["predicted"][:, :, 1:]], axis=2)}
    assert weighed("seed_mape", three, ("ses", "trend", "twin"))[0, -1] == pytest.approx([0.6, 0.2, 0.2])


def test_a_price_of_nothing_has_no_percentage_error() -> None:
    found = constant_error(2, 3)
    found["realised"][:, 20] = math.log(2) - found["y"][20]
    assert np.isfinite(weighed("seed_mape", found, ("ses", "trend"))).all()


def test_the_median_passes_over_who_is_not_there() -> None:
    found = world(13)
    got = combined("median", weighed("median", found), found["predicted"])
    assert np.array_equal(got, np.nanmedian(found["predicted"], axis=2))


def test_the_table_is_read_for_the_regime_of_the_day() -> None:
    found = world(14)
    got = weighed("regime_table", found)
    assert np.array_equal(got[0, :20], np.broadcast_to([1.0, 0, 0, 0], (20, 4))), "not known yet: no change"
    quiet = found["regime"] <= 0
    assert np.array_equal(got[0, quiet], np.broadcast_to([1.0, 0, 0, 0], (int(quiet.sum()), 4)))
    late = np.isfinite(found["predicted"][0, :, 3])
    assert np.array_equal(np.unique(got[0, ~quiet & late], axis=0), [[0, 0.25, 0, 0.75]])
    assert np.array_equal(np.unique(got[0, ~quiet & ~late], axis=0), [[0, 1, 0, 0]])


def test_what_cannot_be_weighed_is_refused() -> None:
    found = world(15)
    given_: Any = (found["predicted"], found["realised"], found["volatility"], HORIZONS, found["y"])
    with pytest.raises(ValueError, match=f"wanted one of no_change, equal.*{DEFAULT_RULE}"):
        weights("stacking", *given_, experts=EXPERTS)
    with pytest.raises(ValueError, match="wanted one of no_change"):
        combined("stacking", found["predicted"], found["predicted"])
    with pytest.raises(ValueError, match="no regime"):
        weights("ml_poly_by_regime", *given_, experts=EXPERTS)
    with pytest.raises(ValueError, match="found regimes"):
        weights("equal", *given_, experts=EXPERTS, regime=np.full(330, 2))
    with pytest.raises(ValueError, match="found the table"):
        weights("regime_table", *given_, experts=EXPERTS, regime=found["regime"], table={0: {"arima": 1.0}, 1: {}})
    with pytest.raises(ValueError, match="wants it among them"):
        weights("no_change", *given_, experts=("a", "b", "c", "d"))
    with pytest.raises(ValueError, match=r"\[H, T, K\]"):
        weights("equal", *given_, experts=EXPERTS[:3])
    found["predicted"][0, 3, 1] = np.inf
    with pytest.raises(ValueError, match="infinite"):
        weights("equal", *given_, experts=EXPERTS)
