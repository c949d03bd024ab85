"""Each fault that the seed's price ensemble had is stopped by a gate or an error that names it, or can not be said."""

import re
import shutil
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from tests.cases.prices_project import AS_OF, CHEAP, laid

from foregate.app.played import Calendar
from foregate.app.prices import Prices
from foregate.app.promotion import promote, waive
from foregate.cases.prices.experts import features_of
from foregate.cases.prices.packages import table_of
from foregate.cases.prices.phases import experts, features, preflight, quotes
from foregate.cases.prices.quotes import read_quotes
from foregate.cases.prices.world import INDEX, TRAPS, lay
from foregate.cases.prices.world.laying import read, write
from foregate.core.errors import ConfigurationError, DataError, ForegateError, NotAllowedError
from foregate.core.folds import PROMOTABLE, State, VersionState
from foregate.core.gate import Effect, Judgement, Result, judge
from foregate.core.phase import Run
from foregate.modeling import artifacts, price_experts, price_trees

TREES = 'experts = ["no_change", "trees"]\nrefit_days = 5000\nhorizons = {"1w" = 5}'
"""Fitted once: what refits move is another question."""
ROWS_OF_THE_SEED = "train_start = 2020-10-21"
"""With the world's as-of date it leaves about as many days as the seed's table had rows: 1,263."""
CLEAN = (preflight, quotes, features)
Plant = Callable[[Path], None]


def project(folder: Path, keys: str = CHEAP, plant: Plant = lambda data: None, **changes: str) -> Prices:
    """Return a project of one series as of the world's day, after a fault was planted into its files."""
    laid(folder, keys, series=("crude",), changes=changes)
    plant(folder / "data")
    return Prices(folder, "Ada", Calendar(AS_OF))


def judged(app: Prices, phases: Sequence[ModuleType] = CLEAN) -> dict[str, Judgement]:
    """Return what does not pass of some phases, by label."""
    with app.warehouse() as engine:
        work = app.work(engine, AS_OF)
        run = Run(engine, "prices", "v", AS_OF, work.seed)
        found = [one for phase in phases for one in judge(phase.GATES, list(phase.measure(work, run)))]
    return {j.label: j for j in found if j.result is not Result.PASS}


def open_gates(state: VersionState) -> dict[str, Judgement]:
    return {j.label: j for j in state.judgements() if j.result is not Result.PASS}


def seeing(share: float, horizons: Sequence[int]) -> Callable[..., object]:
    """Return an expert that was given a share of the returns to come, at some horizons."""

    def expert(y: object, ahead: Sequence[int]) -> object:
        came = np.nan_to_num(price_experts.realised(y, ahead))  # type: ignore[arg-type]
        return share * came * np.isin(ahead, horizons)[:, None]

    return expert


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Prices:
    """One series, forecast by cheap experts, in service."""
    app = project(tmp_path_factory.mktemp("served"))
    state = app.run(AS_OF)
    for label, one in open_gates(state).items():
        if one.gate.effect is Effect.SIGN_OFF:
            state = waive(app, state.version, label, "Mira", "seen and taken on", AS_OF + timedelta(days=400))
    assert state.state in PROMOTABLE, open_gates(state)
    promote(app, state.version, "the first one")
    return app


@pytest.fixture
def copied(served: Prices, tmp_path: Path) -> Prices:
    """A copy of the served project, a week later, that a test may change."""
    folder = tmp_path / "copy"
    shutil.copytree(served.project.folder, folder)
    day = AS_OF + timedelta(days=7)
    lay(folder / "data", 11, day)
    return Prices(folder, "Ada", Calendar(day))


def seen_by_readers(app: Prices) -> list[tuple[object, ...]]:
    with app.warehouse() as engine:
        return engine.rows("select version, issue, unit_id, forecast from bi.price_forecast order by all")


# B1, B14: what is fitted.


@pytest.mark.parametrize("seen", [False, True], ids=["honest", "planted"])
def test_a_fit_on_outcomes_that_had_not_come_is_blocked(
    seen: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The seed's random split: rows whose outcome lies after the day of the fit."""
    if seen:
        monkeypatch.setattr(
            price_trees, "matured_rows", lambda targets, at, horizon: np.flatnonzero(np.isfinite(targets[: at + 1]))
        )
    found = judged(project(tmp_path, TREES), (quotes, experts))
    assert ("embargo_days[crude]" in found) is seen
    if seen:
        embargo = found["embargo_days[crude]"]
        assert (embargo.gate.effect, embargo.evidence and embargo.evidence.value) == (Effect.BLOCK, -5)


def test_columns_too_many_for_the_rows_ask_for_a_signature(tmp_path: Path) -> None:
    app = project(tmp_path, f"{TREES}\n{ROWS_OF_THE_SEED}")
    declared = "".join(
        f'\n[prices.exogenous.column_{n}]\nsource = "{INDEX}"\nday = "day"\nvalue = "value"\n' for n in range(19)
    )
    file = app.project.file
    file.write_text(file.read_text() + declared)
    one = judged(Prices(tmp_path, "Ada", Calendar(AS_OF)), (quotes, experts))["rows_per_feature[crude]"]
    assert (one.result, one.gate.effect) == (Result.FAIL, Effect.SIGN_OFF)
    assert one.evidence is not None
    assert one.evidence.words.endswith("days, 69 columns")


# B2, B5, B6, B17: columns beside the prices.


def test_nothing_is_fitted_on_a_column_that_holds_what_comes(tmp_path: Path) -> None:
    state = project(tmp_path, plant=TRAPS["leaked_target"]).run(AS_OF)
    assert f"leak_probe[{INDEX}]" in open_gates(state)
    assert state.state is State.BLOCKED
    assert "experts" not in state.phases


@pytest.mark.parametrize("name", ["weather", "target_lead_next"])
@pytest.mark.parametrize("leaks", [False, True], ids=["honest", "leak"])
def test_a_leak_is_found_by_what_a_column_tells_and_not_by_its_name(leaks: bool, name: str, tmp_path: Path) -> None:
    renamed = {f"[prices.exogenous.{INDEX}]": f"[prices.exogenous.{name}]"}
    app = project(tmp_path, plant=TRAPS["leaked_target"] if leaks else lambda data: None, **renamed)
    found = {label for label, one in judged(app).items() if one.gate.effect is Effect.BLOCK}
    assert found == ({f"leak_probe[{name}]"} if leaks else set())


def only(kept: Callable[[int], object]) -> Plant:
    """Return what leaves the column beside the prices its values on some rows and no number on the others."""

    def plant(data: Path) -> None:
        name, days, numbers, published = read(data / f"{INDEX}.csv")
        there = np.zeros(len(days), dtype=np.bool_)
        there[kept(len(days))] = True  # type: ignore[index]
        write(data / f"{INDEX}.csv", name, days[there], numbers[there], published[there])

    return plant


def test_sixteen_days_of_news_are_no_support(tmp_path: Path) -> None:
    """The seed's news: on 16 of 1,263 days, and said to have mended the forecast."""
    spread = only(lambda rows: np.linspace(rows - 1250, rows - 10, 16).astype(np.int64))
    one = judged(project(tmp_path, f"{CHEAP}\n{ROWS_OF_THE_SEED}", spread))[f"support[{INDEX}]"]
    assert one.gate.effect is Effect.BLOCK
    assert one.evidence is not None
    assert one.evidence.rows == pytest.approx(1263, abs=5)


def test_what_is_missing_stays_missing_and_becomes_no_zero(tmp_path: Path) -> None:
    gone = 300
    app = project(tmp_path, plant=only(lambda rows: np.r_[0 : rows - 1000, rows - 1000 + gone : rows]))
    with app.warehouse() as engine:
        work = app.work(engine, AS_OF)
        market = read_quotes(engine, work.settings, work.sources, AS_OF)
    _, _, told = features_of(market, work.settings, "crude")
    columns = [at for at, name in enumerate(told.names) if name.startswith(INDEX)]
    # A value counts for ten calendar days, then nothing stands in for it; a mean of 250 days wants half of them.
    lost = told.values[-990 : -1000 + gone - 10, columns]
    assert len(columns) == 3
    assert np.isnan(lost).all()
    assert np.isfinite(told.values[-550:, columns]).all()


# B3, B9, B16: the numbers of a version.


def test_errors_are_those_of_a_plain_loop_over_outcomes_that_have_come(served: Prices) -> None:
    version = served.champion()
    assert version is not None
    package, files = served.package(version), artifacts.read(served.project.path("artifacts") / version)
    rows = table_of(files["predictions.parquet"]).to_pylist()
    for name, ahead in served.settings.horizons.items():
        own = [row for row in rows if row["horizon"] == name]
        assert [np.isfinite(row["came"]) for row in own] == [True] * (len(own) - ahead) + [False] * ahead
        assert [row["came"] for row in own[:-ahead]] == [row["no_change"] for row in own[ahead:]]
        sealed = [row for row in own if row["sealed"]]
        assert sealed == own[len(own) - served.settings.test_days : -ahead]
        errors = [abs(row["forecast"] - row["came"]) for row in sealed]
        told = package.errors[f"crude {name}"]
        assert told["mae"] == pytest.approx(sum(errors) / len(errors))
        shares = [100 * error / row["came"] for error, row in zip(errors, sealed, strict=True)]
        assert told["mape"] == pytest.approx(sum(shares) / len(shares))


def test_a_version_whose_error_was_edited_forecasts_nothing(copied: Prices) -> None:
    """With a manifest that fits the edited file: the ledger names another."""
    version = copied.champion()
    folder = copied.project.path("artifacts") / str(version)
    files = artifacts.read(folder)
    files["errors.json"] = files["errors.json"].replace(b'"mape": ', b'"mape": 0.', 1)
    artifacts.write(folder, {name: body for name, body in files.items() if name != artifacts.MANIFEST})
    before = seen_by_readers(copied)
    with pytest.raises(DataError, match=str(version)):
        copied.issue()
    assert seen_by_readers(copied) == before


def test_a_version_is_named_by_all_that_makes_it_and_by_nothing_else(copied: Prices) -> None:
    file, data = copied.project.file, copied.project.folder / "data" / "crude.csv"
    text, prices = file.read_text(), data.read_bytes()

    def name() -> str:
        app = Prices(file.parent, "somebody else", Calendar(AS_OF))
        with app.warehouse() as engine:
            return app._version_of(app.work(engine, AS_OF))

    first = name()
    moved = f"{text}\n[prices.gates.hole_days]\nat_most = 9\n"
    for declared, same in ((moved, True), (text.replace("seed = 7", "seed = 8"), False), (text, True)):
        file.write_text(declared)
        assert (name() == first) is same
    file.write_text(text.replace('"ses"', '"sma_20"'))
    assert name() != first
    file.write_text(text)
    at = prices.rindex(b".") - 1
    data.write_bytes(prices[:at] + bytes([prices[at] ^ 1]) + prices[at + 1 :])
    assert name() != first


# B4, B10, B15: what is believed of a forecast.

WILD = {
    "much at every horizon": (0.6, (5, 21, 63, 126), {"implausible_skill", "doubtful_skill"}),
    "nearly all of the last": (0.9, (126,), {"implausible_skill", "doubtful_skill", "flat_errors"}),
}


@pytest.mark.parametrize("case", WILD)
def test_an_expert_that_sees_what_comes_is_blocked_and_nobody_can_accept_it(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share, horizons, named = WILD[case]
    monkeypatch.setitem(price_experts.EXPERTS, "ses", seeing(share, horizons))
    app = project(tmp_path)
    state = app.run(AS_OF)
    assert {f"{name}[crude]" for name in named} <= set(open_gates(state))
    assert state.state is State.BLOCKED
    assert "issue" not in state.phases, "no forecast that somebody could find plausible"
    with pytest.raises(NotAllowedError, match="can not be waived"):
        waive(app, state.version, "implausible_skill[crude]", "Mira", "the number looks fine", date(2027, 1, 1))
    with pytest.raises(NotAllowedError, match="blocked"):
        promote(app, state.version, "the number looks fine")
    with pytest.raises(ForegateError):
        app.issue(AS_OF)


def test_no_candidate_is_compared_on_prices_that_stopped(copied: Prices) -> None:
    """The seed's champion was told from a challenger by 275 rows of one price."""
    TRAPS["frozen_tail"](copied.project.folder / "data")
    state = copied.run()
    assert "frozen_tail[crude]" in open_gates(state)
    assert state.state is State.BLOCKED
    assert not [e for e in state.measured() if e.name == "champion_mae_ratio"]


def test_champion_and_candidate_are_held_against_the_same_days(copied: Prices) -> None:
    file, sealed = copied.project.file, 9 * 126
    text = file.read_text()
    file.write_text(text.replace("seed = 7", "seed = 8"))
    state = Prices(file.parent, "Ada", Calendar(AS_OF)).run(AS_OF)
    found = [e for e in state.measured() if e.name == "champion_mae_ratio"]
    assert {(e.value, e.low, e.high) for e in found} == {(1.0, 1.0, 1.0)}, "the same rules on the same days"
    assert [e.rows for e in found] == [sealed - ahead for ahead in copied.settings.horizons.values()]
    assert {e.words for e in found} == {f"over {copied.champion()}'s error"}


# B7, B8, B11, B12, B13: sources that are not what they were.


def stopped_early(data: Path) -> None:
    name, days, numbers, published = read(data / "crude.csv")
    write(data / "crude.csv", name, days[:-12], numbers[:-12], published[:-12])


def lost_column(data: Path) -> None:
    _, days, numbers, published = read(data / "crude.csv")
    write(data / "crude.csv", "settlement", days, numbers, published)


def text_for_a_number(data: Path) -> None:
    head, first, rest = (data / "crude.csv").read_text().split("\n", 2)
    day, _, known = first.split(",")
    (data / "crude.csv").write_text(f"{head}\n{day},unknown,{known}\n{rest}")


def nothing(data: Path) -> None:
    _, days, numbers, published = read(data / "crude.csv")
    write(data / "crude.csv", "price", days[:0], numbers[:0], published[:0])


SPOILED = {
    "stale_days": stopped_early,
    "frozen_tail": TRAPS["frozen_tail"],
    "duplicate_days": TRAPS["duplicates"],
    "future_dated": TRAPS["future_date"],
    "unit_jumps": TRAPS["unit_switch"],
    "no column `price`": lost_column,
    "`price` of type VARCHAR": text_for_a_number,
    "no rows": nothing,
}


@pytest.mark.parametrize("named", SPOILED)
def test_a_source_that_is_spoiled_after_the_promotion_is_named_and_readers_keep_what_they_had(
    named: str, copied: Prices
) -> None:
    before, issued = seen_by_readers(copied), sorted((copied.project.folder / "issued").iterdir())
    SPOILED[named](copied.project.folder / "data")
    with pytest.raises(ForegateError, match=named):
        copied.issue()
    assert before
    assert seen_by_readers(copied) == before
    assert sorted((copied.project.folder / "issued").iterdir()) == issued


def test_prices_that_stopped_ask_for_a_signature_in_a_run(tmp_path: Path) -> None:
    one = judged(project(tmp_path, plant=stopped_early))["stale_days[crude]"]
    assert (one.result, one.gate.effect) == (Result.FAIL, Effect.SIGN_OFF)


def test_prices_drawn_at_random_by_a_query_are_blocked(tmp_path: Path) -> None:
    """The seed filled its sources with random numbers: asked twice, they differ."""
    as_query = {'file = "data/crude.csv"': 'query = "crude.sql"'}
    app = project(tmp_path, **as_query)
    asked = "select * replace (price * (1 + 0.001 * random()) as price) from read_csv('{folder}/data/crude.csv')"
    (tmp_path / "crude.sql").write_text(asked)
    state = app.run(AS_OF)
    assert state.state is State.BLOCKED
    assert "unstable_queries[crude]" in open_gates(state)


def test_a_price_that_stands_in_on_single_days_is_told(tmp_path: Path) -> None:
    """A literal price on single days: told, and no more, as real prices have such days too."""

    def stand_in(data: Path) -> None:
        name, days, numbers, published = read(data / "crude.csv")
        stands_in = np.isin(np.arange(len(days)), (1500, 2100, 2700))
        write(data / "crude.csv", name, days, np.where(stands_in, 5.0, numbers), published)

    found = judged(project(tmp_path, plant=stand_in))
    assert set(found) == {"extreme_returns[crude]"}
    assert found["extreme_returns[crude]"].gate.effect is Effect.INFORM


@pytest.mark.parametrize("key", ["fallback", "fill", "split", "shuffle", "test_share"])
def test_neither_a_price_for_missing_ones_nor_a_split_by_chance_can_be_declared(key: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=rf"\[prices\] {key}: found an unknown key"):
        project(tmp_path, f"{CHEAP}\n{key} = 0.5")


def test_every_test_that_the_table_of_failures_names_is_there() -> None:
    root = Path(__file__).resolve().parents[2]
    part = (root / "docs" / "failures.md").read_text().split("# The 17 failures of the price ensemble")[1]
    rows = re.findall(r"^\| (B\d+) \|.*\| (.*) \|$", part, re.MULTILINE)
    assert [number for number, _ in rows] == [f"B{at}" for at in range(1, 18)]
    for _, told in rows:
        for file, test in re.findall(r"`(\w+)::(\w+)", told):
            found = next(iter((root / "tests").rglob(f"{file}.py")))
            assert f"def {test}(" in found.read_text(), f"{file}::{test}"


@pytest.mark.parametrize("keys", ["burn_in_days = 5000", "refit_days = 2000\nhorizons = {'1w' = 5}"])
def test_trees_that_were_never_or_seldom_fitted_are_told_and_break_nothing(keys: str, tmp_path: Path) -> None:
    found = judged(project(tmp_path, f'experts = ["no_change", "trees"]\n{keys}'), (quotes, experts))
    assert found == {}
