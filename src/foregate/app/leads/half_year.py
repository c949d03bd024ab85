"""The demo's half year: a desk works its lists, a version that misleads is taken back, a better one stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.rule import Rule
from rich.table import Table

from foregate.app.leads.case import Leads
from foregate.app.leads.lists import ListReport, build_list
from foregate.app.monitoring import Watch, monitor
from foregate.app.played import Calendar
from foregate.app.promotion import promote, rollback, rollouts_of, sunset, waive
from foregate.app.starting import empty, lay_half_year
from foregate.cases.leads.world import HALF_YEAR
from foregate.cases.leads.world.unfolding import Unfolding
from foregate.cases.leads.world.variants import Variant, lay_variant
from foregate.core.errors import ForegateError, NotAllowedError
from foregate.core.event import Kind
from foregate.core.folds import champion
from foregate.core.gate import Effect, Result
from foregate.core.rollout import Role, Stage, active, roles, rollouts
from foregate.lifecycle.moving import Outcome
from foregate.report.rollout import step_words, waiting, where
from foregate.report.words import number

START, END = date(2025, 10, 31), date(2026, 5, 8)
LOOK_DAYS = 7
LISTS = (date(2025, 11, 3), date(2025, 12, 1), date(2026, 1, 2), date(2026, 2, 2), date(2026, 3, 2), date(2026, 4, 1))
RUNS: dict[date, Variant] = {START: "first", date(2025, 11, 12): "bad", date(2026, 1, 22): "good"}
TRUST_LOST = date(2025, 11, 14)
SUNSET_ON = date(2026, 5, 6)
TELLING = ("listed_rate", "harm_e_value", "field_rate_ratio")


@dataclass
class Play:
    """One half year being played: its world, its project, and what happened so far."""

    folder: Path
    console: Console
    world: Unfolding
    app: Leads
    calendar: Calendar
    caught: list[str] = field(default_factory=list)

    def say(self, text: str, style: str = "") -> None:
        """Print a line under the day it happened on."""
        self.console.print(f"{self.calendar.day}  {text}", style=style)

    def turn(self, day: date, tables: Sequence[str] = ("leads", "tasks")) -> None:
        """Go on to a day: the clock, and the files as they were recorded by then."""
        self.calendar.turn(day)
        self.world.write(self.folder / "data", day, tables)


def play(folder: Path, seed: int, console: Console) -> int:
    """Return the exit code after half a year was played day by day, and every command of its end given twice."""
    empty(folder)
    lay_half_year(folder)
    (folder / "data").mkdir(exist_ok=True)
    console.print(Rule("half a year of the adviser world, compressed; its truth is known to nobody in it"))
    calendar = Calendar(START)
    world = Unfolding(HALF_YEAR, seed, START, END)
    world.lose_trust(TRUST_LOST)
    world.write(folder / "data", START)
    run = Play(folder, console, world, Leads(folder, "Ada (RevOps)", calendar), calendar)
    day = START
    while day <= END:
        _live(run, day)
        day += timedelta(days=1)
    _close(run)
    states = {r.version: r.stage for r in rollouts(run.app.entries())}
    told = Counter(states.values())
    return 0 if told[Stage.ROLLED_BACK] == 1 and told[Stage.COMPLETED] == 2 and run.caught else 1


def _live(run: Play, day: date) -> None:
    """Play one day: what the team does on it, in the order they would."""
    if day in RUNS:
        _run(run, day)
    elif day.weekday() == 0 or day in LISTS:
        _step(run, day)
    if day in LISTS:
        _list(run, day)
    if day > LISTS[0] and (day - START).days % LOOK_DAYS == 0:
        _look(run, day)
    if day == SUNSET_ON:
        _retire(run, day)


def _run(run: Play, day: date) -> None:
    run.turn(day, ())
    variant = RUNS[day]
    lay_variant(run.folder, variant)
    run.app = Leads(run.folder, "Ada (RevOps)", run.calendar)
    run.console.print(Rule(f"{day}: foregate run leads, then promote"))
    state = run.app.run(day)
    key = [f"{e.label} {number(e)}" for e in state.measured() if e.name in ("auc_roc", "top_decile_lift")]
    against = [e.words for e in state.measured() if e.name == "champion_auc_difference"]
    run.say(f"{state.version} {state.state}: {', '.join(key)}; {against[0]}", "bold")
    for judgement in state.judgements():
        if judgement.result is not Result.PASS and judgement.gate.effect is Effect.SIGN_OFF:
            _accept(run, state.version, judgement.label, "Seen and understood; the rollout will show what it costs")
    try:
        _tell(run, promote(run.app, state.version, f"release of the {variant} variant"))
    except NotAllowedError as error:
        run.say(f"promote: {error.found}")
        _accept(
            run, state.version, "undecided_days", "We watch for harm at every look, and take no early verdict as one"
        )
        _tell(run, promote(run.app, state.version, f"release of the {variant} variant"))


def _accept(run: Play, version: str, gate: str, why: str) -> None:
    until = run.calendar.day + timedelta(days=200)
    waive(run.app, version, gate, "Vera (VP Sales)", why, until)
    run.say(f"Vera (VP Sales) accepts {gate} until {until}: {why}")


def _step(run: Play, day: date) -> None:
    """Ask for the next step of the open rollout; most days it is not its time yet."""
    current = active(run.app.entries())
    if current is None:
        return
    run.turn(day)
    if rollouts_of(run.app).waits(current):
        return
    try:
        _tell(run, promote(run.app, as_of=day))
    except NotAllowedError as error:
        run.say(f"promote: {error.found}", "yellow")


def _tell(run: Play, outcome: Outcome) -> None:
    run.say(outcome.words, "bold green" if outcome.moved else "")
    rollout = outcome.rollout
    if outcome.moved and rollout:
        for line in step_words(rollout.stage, rollout.share, rollout.version, rollout.champion, 0):
            run.console.print(f"            {line}")


def _list(run: Play, day: date) -> None:
    """Build the month's list, and let the desk work it: contacts spread over the working days of four weeks."""
    run.turn(day, ())
    report = build_list(run.app, day)
    people = report.built.people
    run.world.contact(
        people.column("person_id").to_pylist(),
        people.column("owner_id").to_pylist(),
        day + timedelta(days=1),
        day + timedelta(days=26),
    )
    run.say(f"list {report.name}: {people.num_rows:,} leads{_arms(run, report)}")


def _arms(run: Play, report: ListReport) -> str:
    listed = [e.event.detail for e in run.app.entries() if e.event.kind is Kind.LISTED]
    detail: Mapping[str, Any] = next((d for d in reversed(listed) if d["list"] == report.name), {})
    if "possible" not in detail:
        return f", {detail['arms']}" if "arms" in detail else ""
    return (
        f"; {detail['possible']:,} places would go to other people by {detail['challenger']}, "
        f"{detail['swapped']:,} do ({detail['share']:.0%})"
    )


def _look(run: Play, day: date) -> None:
    run.turn(day)
    found = monitor(run.app, day)
    said = [f"{e.name} {number(e)}" for n in TELLING for e in found.evidence if e.name == n and e.value == e.value]
    run.say(f"monitor: {', '.join(said) or 'nothing matured yet'}", "dim")
    _follow(run, found)


def _follow(run: Play, found: Watch) -> None:
    """Tell what the monitor wrote and did."""
    for event in found.told:
        loud = event.kind is Kind.ALERTED and event.detail.get("severity") == "critical"
        run.say(event.sentence(), "bold red" if loud else "yellow" if event.kind is Kind.ALERTED else "green")
    for action in found.actions:
        run.caught.append(action)
        run.say(f"by itself: {action}", "bold red")
        for line in [where(r, run.calendar()) for r in rollouts(run.app.entries())[-1:]]:
            run.console.print(f"            {line}")


def _retire(run: Play, day: date) -> None:
    run.turn(day)
    entries = run.app.entries()
    gone = [v for v, role in roles(entries, run.app.states()).items() if role is Role.QUARANTINED]
    for version in gone:
        run.console.print(Rule(f"{day}: foregate sunset {version}"))
        run.say(sunset(run.app, version, "rolled back, and nobody reads it").words)


def _close(run: Play) -> None:
    """Show where everything stands, and give every command once more: nothing may change."""
    run.console.print(Rule("foregate status"))
    entries = run.app.entries()
    last = rollouts(entries)[-1]
    run.console.print(where(last, run.calendar()))
    if last.is_open:
        run.console.print(f"waits for: {waiting(last, rollouts_of(run.app).waits(last))}")
    part = roles(entries, run.app.states())
    run.console.print("; ".join(f"{version}: {role}" for version, role in part.items()))
    _timeline(run)
    before = len(list(run.app.ledger.read(run.app.entries()[0].event.model)))
    _again(run)
    after = list(run.app.ledger.read(run.app.entries()[0].event.model))
    run.console.print(Rule("every command once more"))
    run.console.print(f"{len(after) - before} events more than the {before:,} before")
    if len(after) != before:
        raise ForegateError("demo", found=f"{len(after) - before} more events", wanted="none", then="A bug: report it.")
    run.console.print(
        f"\nEverything is in {run.folder}/: try  foregate -C {run.folder} status --at 2026-01-10, alerts show, log"
    )


def _again(run: Play) -> None:
    """Give each command a second time."""
    part = roles(run.app.entries(), run.app.states())
    for version, role in part.items():
        if role is Role.SUNSET:
            rollback(run.app, "once more", version)
            sunset(run.app, version, "once more")
    serving = champion(e.event for e in run.app.entries())
    promote(run.app, serving, "once more")
    rollouts_of(run.app).reconcile()
    monitor(run.app, _last_look())
    build_list(run.app, LISTS[-1])


def _last_look() -> date:
    days = (END - START).days
    return START + timedelta(days=days - days % LOOK_DAYS)


def _timeline(run: Play) -> None:
    """Print what moved, who moved it, and on which judgement."""
    table = Table(box=None, pad_edge=False, title="What moved", title_justify="left")
    for head in ("event", "day", "by", "version", "now", "judged by", "why"):
        table.add_column(head, overflow="fold")
    for entry in run.app.entries():
        event = entry.event
        if event.kind in (Kind.MOVED, Kind.SERVED):
            cited = ", ".join(str(c["event"]) for c in event.detail.get("cites", ())) or "-"
            share = event.detail.get("share")
            stage = f"{event.detail.get('stage', '')}{f' {share:.0%}' if share and share < 1 else ''}"
            cells = (str(entry.sequence), f"{event.at:%m-%d}", event.actor, event.version, stage, cited, event.reason)
            table.add_row(*cells)
    run.console.print(table)
