"""`[prices]` of foregate.toml: what it takes, and how it names what it does not take."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from foregate.cases.prices.settings import PricesSettings, check_series
from foregate.core.errors import ConfigurationError, DataError, ForegateError
from foregate.core.gate import Effect, Gate
from foregate.project import Project
from foregate.warehouse.sources import Source

WTI = {"source": "oil", "day": "on", "price": "close", "unit": "USD per barrel"}
VIX = {"source": "index", "day": "on", "value": "close"}
COLUMNS = {
    name: {
        "on": "DATE",
        "at": "TIMESTAMP",
        "close": "DOUBLE",
        "whole": "UBIGINT",
        "exact": "DECIMAL(18,3)",
        "t": "TEXT",
    }
    for name in ("oil", "index")
}
PLAIN = Source(file="data/oil.csv", key="on", happened="on", known_after="1 day")


def prices(**changed: Any) -> PricesSettings:
    return PricesSettings(**{"series": {"wti": WTI}} | changed)


def test_the_defaults_are_four_horizons_eight_of_the_longest_sealed_and_a_shadow_rollout() -> None:
    found = prices()
    assert found.horizons == {"1w": 5, "1m": 21, "3m": 63, "6m": 126}
    assert (found.longest, found.test_days, found.burn_in_days, found.refit_days) == (126, 1134, 500, 250)
    assert (found.regime, found.experts, found.rules) == ("own", (), ("ml_poly_shared",))
    assert found.levels == (0.5, 0.8, 0.95)
    assert [(step.share, step.days) for step in found.rollout.step] == [(0.0, 28)]
    assert found.series["wti"].displacement == 0


def test_without_a_word_eight_whole_windows_of_the_longest_horizon_are_sealed_and_the_file_may_say_otherwise() -> None:
    assert prices(horizons={"1m": 21, "1y": 250}).test_days == 2250
    assert prices(horizons={"1m": 21, "1y": 250}, test_days=250).test_days == 250
    assert prices(horizons={"1d": 1}).test_days == 9


def test_settings_survive_their_own_json() -> None:
    found = prices(horizons={"1m": 21}, series={"wti": WTI | {"bounds": [10, 200], "displacement": 50}})
    assert PricesSettings.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"horizons": {}}, "no horizon: say at least one"),
        ({"horizons": {"1w": 5, "1m": 5}}, "5, 5 trading days: say 1 to 260, each more than the one before"),
        ({"horizons": {"1m": 21, "1w": 5}}, "21, 5 trading days"),
        ({"horizons": {"now": 0}}, "0 trading days: say 1 to 260"),
        ({"horizons": {"2y": 261}}, "261 trading days"),
        ({"horizons": {"1 W": 5}}, "a horizon named '1 W'"),
        ({"test_days": 125}, "test_days = 125: say at least the longest horizon, 126"),
        ({"series": {}}, "no series: say at least one"),
        ({"series": {"WTI": WTI}}, "one named 'WTI': say a name of a to z"),
        ({"exogenous": {"own": VIX}}, "one named 'own'"),
        ({"exogenous": {"wti": VIX}}, "'wti' both a series and an exogenous"),
        ({"regime": "vix"}, "regime = 'vix': say 'own'"),
        ({"rules": ()}, "no rule: say at least one"),
        ({"rules": ("equal", "equal")}, "'equal' twice: say every name once"),
        ({"experts": ("ses", "ses")}, "'ses' twice"),
        ({"levels": (0.8, 0.5)}, "levels 0.8, 0.5: say rising shares between 0 and 1"),
        ({"levels": (0.5, 1.0)}, "levels 0.5, 1"),
        ({"levels": ()}, "say rising shares"),
        ({"levels": (0.95, 0.951)}, "a level of 0.951: say whole percents from 0.01 to 0.99"),
        ({"levels": (0.95, 0.995)}, "a level of 0.995: say whole percents"),
        ({"levels": (0.004, 0.95)}, "a level of 0.004: say whole percents"),
        ({"levels": (float("nan"), 0.95)}, "say rising shares"),
        ({"horizons": {"a": "5"}}, "Input should be a valid integer"),
        ({"horizons": {"a": 5.0}}, "Input should be a valid integer"),
        ({"horizons": {"a": True}}, "Input should be a valid integer"),
        ({"burn_in_days": 5}, "greater than or equal to 30"),
        ({"regime_weights": {"low": {"ses": 1}}}, "regime_weights without their rule"),
        ({"rules": ("regime_table",)}, "regime_weights of low sum to 0: say weights of at least 0 that sum to 1"),
        ({"rollout": {"step": [{"share": 0.1}]}}, "nobody to split"),
        ({"series": {"wti": WTI | {"bounds": (120, 20)}}}, r"bounds = \[120, 20\]: say a lowest price"),
        ({"series": {"wti": WTI | {"displacement": -1}}}, "greater than or equal to 0"),
        ({"series": {"wti": WTI | {"unit": ""}}}, "at least 1 character"),
        ({"series": {"wti": WTI | {"pirce": "close"}}}, "Extra inputs are not permitted"),
    ],
)
def test_what_can_not_be_meant_is_refused_by_name(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        prices(**changed)


def test_every_whole_percent_may_be_a_level_and_each_has_a_name_of_its_own() -> None:
    found = prices(levels=tuple(percent / 100 for percent in range(1, 100))).levels
    assert [round(100 * level) for level in found] == list(range(1, 100))


EACH = {"no_change": 0.6, "ses": 0.4}


def test_weights_by_regime_belong_to_their_rule_and_no_change_needs_no_mention() -> None:
    found = prices(rules=("regime_table",), regime_weights={"low": EACH, "high": EACH}, experts=("ses",))
    assert found.regime_weights["high"]["no_change"] == 0.6


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"low": EACH}, "of high sum to 0"),
        ({"low": EACH, "high": {"ses": 0.9}}, "of high sum to 0.9"),
        ({"low": EACH, "high": {"ses": 1.5, "no_change": -0.5}}, "of high sum to 1: say weights of at least 0"),
        ({"low": EACH, "high": {"drift_1y": 1.0}}, "of high name 'drift_1y': say names that `experts` lists"),
        ({"low": EACH, "high": EACH, "wild": EACH}, "of 'wild': say those of low and high"),
        ({"low": {"ses": float("nan")}, "high": EACH}, "of low sum to nan"),
    ],
)
def test_weights_by_regime_that_can_not_be_meant_are_refused(weights: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        prices(rules=("regime_table",), experts=("ses",), regime_weights=weights)


def test_the_regime_may_be_told_by_an_exogenous_column() -> None:
    assert prices(exogenous={"vix": VIX}, regime="vix").regime == "vix"


def test_a_gate_moves_as_the_project_says_and_others_stay() -> None:
    found = prices(gates={"hole_days": {"at_most": 12}})
    gate = Gate("hole_days", at_most=5, effect=Effect.SIGN_OFF)
    assert found.moved(gate) == Gate("hole_days", at_most=12, effect=Effect.SIGN_OFF)
    assert found.moved(Gate("unit_jumps", at_most=0)) == Gate("unit_jumps", at_most=0)


def refused(source: Source = PLAIN, vix: dict[str, Any] | None = None, **series: Any) -> ForegateError:
    settings = prices(series={"wti": WTI | series}, exogenous={"vix": VIX | (vix or {})})
    with pytest.raises(ForegateError) as caught:
        check_series(settings, {"oil": source, "index": PLAIN}, COLUMNS, "foregate.toml")
    return caught.value


@pytest.mark.parametrize("column", ["close", "whole", "exact"])
@pytest.mark.parametrize("day", ["on", "at"])
def test_columns_that_are_there_pass(day: str, column: str) -> None:
    settings = prices(series={"wti": WTI | {"day": day, "price": column}}, exogenous={"vix": VIX})
    check_series(settings, {"oil": PLAIN, "index": PLAIN}, COLUMNS, "foregate.toml")


def test_a_source_that_is_not_declared_is_named_with_those_that_are() -> None:
    error = refused(source=PLAIN, vix={"source": "indx"})
    assert isinstance(error, ConfigurationError)
    assert str(error).startswith("foregate.toml [prices.exogenous.vix] source: found 'indx', wanted one of oil, index")


def test_every_declared_source_is_named_beside_a_misspelt_one_read_or_not() -> None:
    settings = prices(series={"wti": WTI | {"source": "oli"}})
    with pytest.raises(ConfigurationError, match="found 'oli', wanted one of oil, index, unread"):
        check_series(settings, dict.fromkeys(("oil", "index", "unread"), PLAIN), {}, "foregate.toml")


ROWS = "\n".join(f'{key} = "{value}"' for key, value in WTI.items())


def declared(folder: Path, text: str) -> Project:
    source = '[sources.oil]\nfile = "oil.csv"\nkey = "on"\nhappened = "on"\nknown_after = "1 day"\n'
    (folder / "foregate.toml").write_text(f'name = "oil"\n{source}\n{text}\n')
    return Project(folder)


def test_a_pair_of_bounds_is_taken(tmp_path: Path) -> None:
    found = declared(tmp_path, f"[prices.series.wti]\nbounds = [8, 9]\n{ROWS}").declared.prices
    assert found is not None
    assert found.series["wti"].bounds == (8, 9)


@pytest.mark.parametrize("bounds", ["[8]", "[]", "[8, 9, 10]", '"8"'])
def test_bounds_that_are_no_pair_are_named_with_their_key(bounds: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"\[prices\.series\.wti(\] bounds|\.bounds\], item 1)") as caught:
        declared(tmp_path, f"[prices.series.wti]\nbounds = {bounds}\n{ROWS}")
    assert "IndexError" not in str(caught.value)


def test_a_horizon_in_quotes_is_named_with_its_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"\[prices\.horizons\] a: found '5', wanted a whole number"):
        declared(tmp_path, f'[prices]\nhorizons = {{ a = "5" }}\n[prices.series.wti]\n{ROWS}')


@pytest.mark.parametrize("key", ["day", "price"])
def test_a_column_that_is_not_there_is_named_with_its_key(key: str) -> None:
    error = refused(**{key: "nowhere"})
    assert isinstance(error, DataError)
    assert error.where == f"foregate.toml [prices.series.wti] {key}"
    assert "no column `nowhere` in source oil" in error.found


@pytest.mark.parametrize(("key", "column", "wanted"), [("day", "close", "a date"), ("price", "t", "a number")])
def test_a_column_of_another_type_is_refused(key: str, column: str, wanted: str) -> None:
    error = refused(**{key: column})
    assert error.found == f"`{column}` of type {COLUMNS['oil'][column]}"
    assert error.wanted.startswith(wanted)
    assert "query source" in error.then


def test_a_source_must_say_since_when_its_prices_are_known() -> None:
    today = Source(file="data/oil.csv", key="on", current_state=True)
    unmeasured = Source(file="data/oil.csv", key="on", happened="on", known_after="measured")
    assert refused(today).where == refused(unmeasured).where == "foregate.toml [prices.series.wti] source"
    assert "known_after" in refused(today).then
    said = today.model_copy(update={"columns": Source(**_late()).columns})
    settings = prices()
    check_series(settings, {"oil": said}, COLUMNS, "foregate.toml")


def _late() -> dict[str, Any]:
    return {"file": "f.csv", "key": "on", "columns": {"close": {"type": "DOUBLE", "known": "at"}}}
