"""Half a year of the demo: what its ledger says happened, and that saying everything twice changes nothing."""

import io

import pytest
from rich.console import Console

from foregate.app.leads import Leads
from foregate.app.leads.half_year import END, START, play
from foregate.app.promotion import in_service_at
from foregate.core.event import Entry, Kind
from foregate.core.rollout import Role, Stage, champion_at, moment_of, roles, rollouts
from foregate.report.log import execution_log


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Leads, str]:
    """The demo's half year, played once, with what it printed."""
    folder = tmp_path_factory.mktemp("half") / "project"
    console = Console(file=io.StringIO(), width=200, record=True)
    assert play(folder, 42, console) == 0
    return Leads(folder), console.export_text()


def moves(app: Leads) -> list[Entry]:
    return [e for e in app.ledger.read("leads") if e.event.kind in (Kind.MOVED, Kind.SERVED)]


def test_a_version_that_misleads_is_rolled_back_by_itself_and_a_better_one_stays(played: tuple[Leads, str]) -> None:
    app, text = played
    first, bad, good = rollouts(app.entries())
    assert [r.stage for r in (first, bad, good)] == [Stage.COMPLETED, Stage.ROLLED_BACK, Stage.COMPLETED]
    back = next(e.event for e in bad.moves if e.event.detail["stage"] == Stage.ROLLING_BACK)
    assert (back.detail["rule"], bad.automatic, back.split) == ("challenger_harm", 1, {first.version: 1.0})
    assert "by itself: alert challenger_harm" in text
    assert f"{START.year}-11-12  {bad.version}: shadow" in text
    shares = [e.event.detail["share"] for e in good.moves if e.event.detail["stage"] == Stage.CANARY]
    assert shares == [0.1, 0.5]
    part = roles(app.entries(), app.states())
    assert part == {first.version: Role.STANDBY, bad.version: Role.SUNSET, good.version: Role.CHAMPION}


def test_the_harm_was_true_and_so_was_the_gain(played: tuple[Leads, str]) -> None:
    app, _ = played
    looks = [e.event for e in app.ledger.read("leads") if e.event.phase == "monitor" and e.event.kind is Kind.JUDGED]
    bad, good = rollouts(app.entries())[1:]
    told = [e for look in looks for e in look.evidence if e.value == e.value]
    assert max(e.value for e in told if e.label == f"harm_e_value[{bad.version}]") > 2.99
    ratio = [e for e in told if e.label == f"field_rate_ratio[{good.version}]"]
    assert ratio[-1].low is not None
    assert ratio[-1].low > 1


def test_every_moment_has_one_champion_and_every_step_forward_its_judgement(played: tuple[Leads, str]) -> None:
    app, _ = played
    entries = list(app.ledger.read("leads"))
    by_place = {e.sequence: e for e in entries}
    for entry in moves(app):
        for cited in entry.event.detail.get("cites", ()):
            judged = by_place[cited["event"]]
            assert judged.digest == cited["digest"]
            assert judged.event.version == entry.event.version
        if entry.event.detail["stage"] in (Stage.SHADOW, Stage.CANARY, Stage.PROMOTING, Stage.BAKING, Stage.COMPLETED):
            assert entry.event.detail["cites"]
    for entry, moment in moment_of(entries):
        if entry.event.kind is Kind.SERVED:
            found = champion_at(entries, moment)
            assert found is not None
            assert found.sequence == entry.sequence
    last = in_service_at(app, max(m for _, m in moment_of(entries)))
    assert last is not None
    assert last.event.split == {rollouts(entries)[-1].version: 1.0}


def test_the_log_tells_the_story_and_everything_said_twice_changed_nothing(played: tuple[Leads, str]) -> None:
    app, text = played
    log = execution_log(app.entries(), "leads", END)
    for words in ("critical alert challenger_harm", "(10%)", "to rolled back", "to completed", "to sunset"):
        assert words in log, words
    assert "0 events more" in text
