"""A candidate beside a champion whose data are gone, or in another unit: told, asked about, and never in the way."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.cases.prices_project import AS_OF, CHEAP, laid

from foregate.app.played import Calendar
from foregate.app.prices import Prices
from foregate.app.promotion import promote, waive
from foregate.cases.prices.world import INDEX
from foregate.core.errors import ForegateError
from foregate.core.folds import State, VersionState
from foregate.core.gate import Effect, Judgement, Result


def open_gates(state: VersionState) -> dict[str, Judgement]:
    return {j.label: j for j in state.judgements() if j.result is not Result.PASS}


@pytest.mark.parametrize("fault", ["gone", "cents"])
def test_a_champion_that_can_not_be_compared_asks_for_a_signature(fault: str, tmp_path: Path) -> None:
    file = laid(tmp_path, CHEAP, series=("crude",)) / "foregate.toml"
    app = Prices(tmp_path, "Ada", Calendar(AS_OF))
    state = app.run(AS_OF)
    for label, one in open_gates(state).items():
        if one.gate.effect is Effect.SIGN_OFF:
            state = waive(app, state.version, label, "Mira", "seen and taken on", AS_OF + timedelta(days=400))
    promote(app, state.version, "the first one")
    if fault == "gone":
        file.write_text(file.read_text().split(f"[sources.{INDEX}]")[0])
    else:
        (tmp_path / "cents.sql").write_text(
            "select *, 100 * price as cents from read_csv('{folder}/data/crude.csv') order by day"
        )
        text = file.read_text().replace('file = "data/crude.csv"', 'query = "cents.sql"')
        file.write_text(text.replace('\nprice = "price"', '\nprice = "cents"').replace("bounds = ", "# "))
    again = Prices(tmp_path, "Ada", Calendar(AS_OF)).run(AS_OF)
    asked = [one for label, one in open_gates(again).items() if label.startswith("champion_mae_ratio")]
    assert [(one.result, one.gate.effect) for one in asked] == [(Result.INSUFFICIENT, Effect.SIGN_OFF)] * 4
    assert again.state is State.AWAITS
    if fault == "gone":
        assert asked[0].evidence is not None
        assert f"[sources.{INDEX}]" in asked[0].evidence.words
        with pytest.raises(ForegateError, match=INDEX):
            Prices(tmp_path, "Ada", Calendar(AS_OF + timedelta(days=1))).issue(AS_OF + timedelta(days=1))
